"""Bands and jitter where the answer is known."""

import numpy as np
import pytest

from bids_brainalign.encoding.timescale import band_correlation, jittered, stretches

RATE = 50.0


def test_each_band_sees_its_own_oscillation_only():
    rng = np.random.default_rng(0)
    t = np.arange(3000) / RATE
    shared = np.sin(2 * np.pi * 6 * t)[:, None]
    y = (shared + 2 * np.sin(2 * np.pi * 0.4 * t)[:, None]).astype(np.float32)
    noise = 2 * np.sin(2 * np.pi * 0.37 * t + rng.uniform(0, 6))[:, None]
    yhat = (shared + noise).astype(np.float32)
    stretch = np.zeros(len(t), dtype=int)
    inside = band_correlation(y, yhat, stretch, band_hz=(4, 8), rate_hz=RATE)
    below = band_correlation(y, yhat, stretch, band_hz=(0, 1), rate_hz=RATE)
    assert inside[0] > 0.95
    assert abs(below[0]) < 0.9
    assert np.isnan(band_correlation(y, yhat, stretch, band_hz=(8, 16), rate_hz=20.0)).all()


def test_nothing_is_filtered_across_a_gap():
    rng = np.random.default_rng(1)
    y = rng.standard_normal((1000, 2)).astype(np.float32)
    yhat = (y + rng.standard_normal(y.shape)).astype(np.float32)
    gap = np.repeat([0, 1], 500)
    whole = band_correlation(y, yhat, gap, band_hz=(1, 4), rate_hz=RATE)
    turned = np.r_[500:1000, 0:500]
    other = band_correlation(y[turned], yhat[turned], gap[turned], band_hz=(1, 4), rate_hz=RATE)
    assert whole == pytest.approx(other, abs=1e-6)


def test_stretches_too_short_for_a_band_give_no_score():
    y = np.random.default_rng(2).standard_normal((30, 1)).astype(np.float32)
    assert np.isnan(band_correlation(y, y, np.zeros(30, int), band_hz=(1, 4), rate_hz=RATE)).all()


def test_jitter_moves_pieces_by_no_more_than_it_says():
    ramp = np.arange(1000, dtype=np.float32)[:, None]
    moved = jittered(ramp, jitter_s=0.1, rate_hz=RATE, rng=np.random.default_rng(3))
    shift = (moved - ramp)[10:-10, 0]
    assert np.abs(shift).max() <= 5.0 + 1e-3
    assert np.abs(shift).max() > 1
    per_piece = np.array_split(shift[40:940], 18)
    assert all(np.ptp(piece) < 1e-2 for piece in per_piece)
    assert stretches(np.zeros(3, int), np.array([0, 0.02, 0.04]), interval_s=0.02).max() == 0
