"""Peaks between lags, and products of few known samples."""

import numpy as np
import pytest

from bids_brainalign.production.lags import draw_shifts, peaks


def test_a_peak_at_the_edge_stays_there():
    lags = np.arange(9.0)
    profiles = np.stack([-((lags - place) ** 2) for place in (3.3, 0.0, -4.0, 8.0, 12.0)])
    assert peaks(profiles).tolist() == pytest.approx([3.3, 0, 0, 8, 8])


def test_products_of_few_known_samples_scatter_as_those_of_many():
    """Every third of the samples is unknown in turn: lags differ in how many pairs they have."""
    rng = np.random.default_rng(0)
    known = (np.arange(1200) // 30) % 3 < 2
    known[:100] = False
    shifts = draw_shifts(known, 10, n_draws=5, rng=rng)
    n_blocks = shifts.offsets.shape[1]
    products = []
    for _ in range(400):
        a, b = rng.standard_normal((2, len(known), 1))
        pair = [np.fft.rfft(shifts.blocks(part)[..., 0], axis=1) for part in (a, b)]
        products.append(np.fft.irfft(np.conj(pair[0]) * pair[1], shifts.length, axis=1))
    raw = np.std(products, axis=0)
    spread = raw * shifts.factors()
    assert spread.shape == (n_blocks, shifts.length)
    has_pairs = shifts.factors() > 0
    assert (raw.max(axis=1) > 1.3 * raw.min(axis=1)).all()
    ratio = spread / spread[:, :1]
    assert np.abs(ratio[has_pairs] - 1).max() < 0.3
