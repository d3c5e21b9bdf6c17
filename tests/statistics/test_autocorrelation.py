import numpy as np
import pytest
from scipy.signal import lfilter

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.statistics.autocorrelation import (
    _autocorrelation,
    decorrelation_time,
    summary_decorrelation,
)


def naive(x, runs):
    """Lag by lag, run by run."""
    longest = max(len(run) for run in runs)
    centred = [x[run] - x[run].mean() for run in runs]
    variance = sum((c * c).sum() for c in centred) / len(x)
    for lag in range(1, longest // 2 + 1):
        products = [c[: len(c) - lag] * c[lag:] for c in centred if len(c) > lag]
        if np.concatenate(products).mean() / variance < 0.1:
            return lag
    return longest // 2


@pytest.mark.parametrize("phi", [0.3, 0.6, 0.9])
def test_ar1_against_its_closed_form(phi):
    rng = np.random.default_rng(0)
    x = lfilter([1], [1, -phi], rng.standard_normal((50_000, 4)), axis=0)
    lags = decorrelation_time(x, 0.02) / 0.02
    expected = np.floor(np.log(0.1) / np.log(phi)) + 1
    assert np.abs(lags - expected).max() <= 2


def test_runs_are_not_joined():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1, 0, 2], [60, 45, 80, 1])
    runs = [np.arange(60), np.arange(60, 105), np.arange(105, 185), np.arange(185, 186)]
    x = lfilter([1], [1, -0.8], rng.standard_normal((186, 12)), axis=0)
    x += 50.0 * labels[:, None]  # a step between runs would look like memory
    got = decorrelation_time(x.astype(np.float32), 1.0, segments=labels)
    np.testing.assert_array_equal(got, [naive(column, runs) for column in x.T])
    assert decorrelation_time(x, 1.0).min() > got.max()


def test_never_forgotten_gives_the_longest_lag_and_constant_gives_nan():
    ramp = np.linspace(0, 1, 100)
    x = np.stack([np.sign(ramp - 0.5), np.full(100, 0.1)], axis=1)
    lags = decorrelation_time(x, 2.0)
    assert 0 < lags[0] <= 100.0
    assert np.isnan(lags[1])


def test_summary_covers_three_quarters_of_targets():
    assert summary_decorrelation(np.array([1.0, 2.0, 3.0, 4.0, 100.0, np.nan])) == 4.0
    assert np.isnan(summary_decorrelation(np.array([np.nan])))


def test_hostile_segments():
    with pytest.raises(BrainAlignError, match=r"labels of shape \(2,\) do not fit 3 samples"):
        decorrelation_time(np.zeros((3, 1)), 1.0, segments=np.zeros(2, dtype=int))
    with pytest.raises(BrainAlignError, match="needs two samples; the longest segment has 1"):
        decorrelation_time(np.zeros((3, 1)), 1.0, segments=np.arange(3))


def test_every_lag_is_pooled_over_runs_by_its_number_of_products():
    rng = np.random.default_rng(2)
    x = lfilter([1], [1, -0.8], rng.standard_normal((40, 3)), axis=0)
    runs = [(0, 9), (9, 25), (25, 26), (26, 40)]
    centred = [x[a:b] - x[a:b].mean(axis=0) for a, b in runs if b - a > 1]
    expected = [
        np.concatenate([c[: len(c) - lag] * c[lag:] for c in centred if len(c) > lag]).mean(axis=0)
        for lag in range(9)
    ]
    found = _autocorrelation(x, runs, n_lags=9)
    np.testing.assert_allclose(found, np.array(expected) / expected[0], atol=1e-12)
