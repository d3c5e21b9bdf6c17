"""Moves of presentations: against direct shifts, and calibrated on autocorrelated noise."""

from itertools import combinations

import numpy as np
import pytest

from bids_brainalign.statistics.repeat_null import (
    SegmentDraws,
    _least_offset,
    _spread,
    draw_moves,
    moved_products,
)
from bids_brainalign.statistics.tails import p_values
from tests.statistics.test_noise_ceiling import ar1


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def products(x):
    return sum((x[a] * x[b]).sum(axis=0) for a, b in combinations(range(len(x)), 2))


def test_shifted_products_are_those_of_rolled_presentations(rng):
    x = ar1(rng, (3, 90, 4), 0.5)
    offsets = rng.integers(0, 50, (6, 3))
    draws = [SegmentDraws(50, offsets, None), SegmentDraws(40, offsets % 40, None)]
    found = moved_products(x, draws)
    for d in range(6):
        rolled = [
            np.concatenate(
                [
                    np.roll(x[r, :50], offsets[d, r], axis=0),
                    np.roll(x[r, 50:], offsets[d, r] % 40, 0),
                ]
            )
            for r in range(3)
        ]
        np.testing.assert_allclose(found[d], products(np.stack(rolled)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("length", [40, 41])
def test_phased_products_are_those_of_turned_spectra(rng, length):
    x = ar1(rng, (3, length, 4), 0.5)
    x -= x.mean(axis=1, keepdims=True)
    phases = rng.random((5, 3, length // 2)).astype(np.float32)
    if length % 2 == 0:
        phases[..., -1] = np.round(phases[..., -1]) / 2
    found = moved_products(x, [SegmentDraws(length, None, phases)])
    for d in range(5):
        spectrum = np.fft.rfft(x, axis=1)
        spectrum[:, 1:] *= np.exp(2j * np.pi * phases[d])[:, :, None]
        turned = np.fft.irfft(spectrum, length, axis=1)
        np.testing.assert_allclose(found[d], products(turned), rtol=1e-4, atol=1e-4)


def test_offsets_keep_their_distance(rng):
    (draw,) = draw_moves([300], 10, 5.0, n_draws=200, rng=rng)
    places = np.sort(draw.offsets, axis=1)
    gaps = np.diff(np.concatenate([places, places[:, :1] + 300], axis=1), axis=1)
    assert gaps.min() >= 5
    assert len({tuple(row) for row in draw.offsets.tolist()}) == 200


def test_two_presentations_have_no_more_shifts_than_there_are(rng):
    (draw,) = draw_moves([260], 2, 5.0, n_draws=2000, rng=rng)
    assert draw.n_draws == 251
    assert len(np.unique(draw.offsets[:, 1])) == 251


@pytest.mark.parametrize(
    ("length", "kind"), [(49, "none"), (51, "phase"), (249, "phase"), (251, "shift")]
)
def test_short_segments_get_phases_and_shorter_ones_nothing(rng, length, kind):
    draws = draw_moves([length], 3, 5.0, n_draws=50, rng=rng)
    if kind == "none":
        assert draws is None
    else:
        assert (draws[0].phases is not None) == (kind == "phase")


@pytest.mark.parametrize(
    ("n_repeats", "length", "phi", "decorrelation"),
    [(2, 90, 0.6, 5.7), (5, 90, 0.6, 5.7), (5, 251, 0.9, 22.7), (10, 251, 0.3, 3.0)],
)
def test_five_per_cent_of_noise(rng, n_repeats, length, phi, decorrelation):
    """Thirty fits of 100 targets that share their draws."""
    found = []
    for _ in range(30):
        x = ar1(rng, (n_repeats, length, 100), phi)
        x -= x.mean(axis=1, keepdims=True)
        draws = draw_moves([length], n_repeats, decorrelation, n_draws=300, rng=rng)
        found.append((p_values(products(x), moved_products(x, draws)) < 0.05).mean())
    assert 0.038 < np.mean(found) < 0.064


@pytest.mark.parametrize("length", [36, 37])
def test_phases_are_those_of_every_frequency(length):
    """Turned in the frequency domain, back in time, and multiplied there."""
    rng = np.random.default_rng(0)
    repeats = rng.standard_normal((3, length, 4))
    repeats -= repeats.mean(axis=1, keepdims=True)
    (draw,) = draw_moves([length], 3, 3.0, n_draws=6, rng=rng)
    assert draw.phases.shape == (6, 3, length // 2)
    if length % 2 == 0:  # a real series has no other phase there
        assert set(np.unique(draw.phases[..., -1])) == {0.0, 0.5}
    turns = np.concatenate([np.zeros((6, 3, 1)), draw.phases], axis=2)
    spectra = np.fft.rfft(repeats, axis=1) * np.exp(2j * np.pi * turns)[..., None]
    moved = np.fft.irfft(spectra, length, axis=2)  # (n_draws, n_repeats, length, n_targets)
    expected = np.stack([products(one) for one in moved])
    apart = moved_products(repeats, [draw]) - expected
    np.testing.assert_allclose(apart, 0, atol=1e-4)


def test_every_set_of_distances_comes():
    offsets = _spread(12, 3, 2.0, n_draws=20_000, rng=np.random.default_rng(0))
    around = np.sort(offsets, axis=1)
    gaps = np.stack([*np.diff(around, axis=1).T, 12 + around[:, 0] - around[:, -1]], axis=1)
    assert gaps.min() == 2
    wanted = {(a, b, 12 - a - b) for a in range(2, 9) for b in range(2, 11 - a)}
    assert set(map(tuple, gaps.tolist())) == wanted


@pytest.mark.parametrize(
    ("length", "n_repeats", "steps", "least"),
    [(100, 2, 10.2, 11), (40, 2, 30.0, 10), (60, 3, 30.0, 10), (3, 2, 5.0, 1)],
)
def test_the_least_distance_leaves_half_of_the_segment_free(length, n_repeats, steps, least):
    assert _least_offset(length, n_repeats, steps) == least
