"""Lags between sound and high gamma: planted ones, intervals, and none where there is no link."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.synchrony import synchrony
from tests.production.voices import loudness, remembering, speaking


def estimated(seed, **options):
    sound, channels, rng = speaking(seed, **options)
    all_of_it = np.ones(len(sound), dtype=bool)
    return synchrony(sound, channels, all_of_it, sfreq_hz=100.0, rng=rng, n_draws=500)


@pytest.mark.parametrize("lag_s", [-0.2, -0.137, -0.05, 0.0, 0.012, 0.08, 0.2])
def test_planted_lags_are_found_whatever_the_sign_of_the_channels(lag_s):
    found = estimated(int(1000 * abs(lag_s)), lag_s=lag_s)
    assert abs(found.lag.lag_s - lag_s) < 0.01
    assert found.lag.low_s < found.lag.lag_s < found.lag.high_s
    assert found.lag.high_s - found.lag.low_s < 0.01
    assert found.lag.p == pytest.approx(1 / 501)
    linked = found.channels
    np.testing.assert_allclose(linked.lag_s[:4], lag_s, atol=0.01)
    assert (np.sign(linked.r[:4]) == [1, -1, 1, -1]).all()
    assert (linked.p_max[:4] <= 0.01).all()
    assert (linked.p_max[4:] > 0.05).mean() > 0.9
    assert not found.lag.at_edge


def test_a_lag_beyond_those_searched_is_marked():
    sound, channels, rng = speaking(3, lag_s=0.4, gain=1.0)
    everything = np.ones(len(sound), dtype=bool)
    found = synchrony(sound, channels, everything, sfreq_hz=100.0, rng=rng, max_lag_s=0.35)
    assert found.lag.at_edge
    assert found.lag.lag_s == pytest.approx(0.35)


def test_correlations_equal_those_of_pairs_of_usable_samples():
    """Against pandas and a loop: about the mean of 10 s, pairs of usable samples only."""
    rng = np.random.default_rng(0)
    sound, n = loudness(rng, 80), 8000
    channels = remembering(rng, n, 3) + np.linspace(0, 3, n)[:, None]
    channels[:, 0] += np.roll(sound, 7)
    usable = np.ones(n, dtype=bool)
    usable[1000:1400] = usable[5000:5100] = False
    channels[~usable] = np.nan
    found = synchrony(sound, channels, usable, sfreq_hz=100.0, rng=rng, max_lag_s=0.3)

    def ready(x):
        series = pd.Series(np.where(usable, x, np.nan))
        series = series - series.rolling(1001, center=True, min_periods=1).mean()
        return ((series - series.mean()) / series.std(ddof=0)).to_numpy()

    x, ys = ready(sound), [ready(channel) for channel in channels.T]
    squares = []
    for lag in range(-30, 31):
        products = [np.roll(x, lag) * y for y in ys]
        n_pairs = np.isfinite(products[0]).sum()
        squares.append([np.nansum(p) ** 2 / n_pairs / usable.sum() for p in products])
    np.testing.assert_allclose(found.profile, np.sqrt(np.mean(squares, axis=1)), atol=1e-10)
    np.testing.assert_allclose(found.lags_s, np.arange(-30, 31) / 100, atol=1e-12)
    largest = np.sqrt(np.max(squares, axis=0))
    np.testing.assert_allclose(np.abs(found.channels.r), largest, atol=1e-10)


def test_channels_that_do_not_vary_or_lack_samples_do_not_count():
    sound, channels, rng = speaking(5, n_channels=6)
    usable = np.ones(len(sound), dtype=bool)
    options = {"sfreq_hz": 100.0, "n_draws": 200, "n_resamples": 100}
    plain = synchrony(sound, channels, usable, rng=np.random.default_rng(1), **options)
    more = np.column_stack([channels, np.full(len(sound), 5.3), channels[:, 0]])
    more[17, 7] = np.nan
    found = synchrony(sound, more, usable, rng=np.random.default_rng(1), **options)
    np.testing.assert_allclose(found.profile, plain.profile)
    assert found.lag == plain.lag
    assert np.isnan(found.channels.r[6:]).all()
    np.testing.assert_allclose(found.channels.p_max[:6], plain.channels.p_max)
    with pytest.raises(BrainAlignError, match="not vary in any channel"):
        synchrony(sound, more[:, 6:], usable, rng=rng, **options)
    with pytest.raises(BrainAlignError, match="same all along"):
        synchrony(np.ones(len(sound)), channels, usable, rng=rng, **options)
    usable[4000:] = False
    with pytest.raises(BrainAlignError, match="40 s of usable recording"):
        synchrony(sound, channels, usable, rng=rng, **options)


def rates(n, **options):
    """Share of recordings without a link in which p, and the p of any channel, is at most .05."""
    found = [estimated(seed, n_linked=0, n_channels=6, **options) for seed in range(n)]
    all_channels = np.mean([f.lag.p <= 0.05 for f in found])
    return all_channels, np.mean([(f.channels.p_max <= 0.05).any() for f in found])


def test_unrelated_channels_have_a_small_p_in_one_of_twenty_recordings():
    most = binom.ppf(0.999, 40, 0.05) / 40
    assert max(rates(40, seconds=120)) <= most


@pytest.mark.slow
@pytest.mark.parametrize("memory", [0.5, 0.95, 0.98])
def test_unrelated_channels_have_a_small_p_in_one_of_twenty_of_more_recordings(memory):
    n = 300
    most = binom.ppf(0.999, n, 0.05) / n
    assert max(rates(n, memory=memory)) <= most


@pytest.mark.slow
@pytest.mark.parametrize("gain", [0.1, 0.2, 0.4])
def test_intervals_hold_the_planted_lag_in_95_of_100_recordings(gain):
    n, lags = 200, np.random.default_rng(0).uniform(-0.2, 0.2, 200)
    found = [estimated(seed, lag_s=lag, gain=gain) for seed, lag in enumerate(lags)]
    errors = [abs(f.lag.lag_s - lag) for f, lag in zip(found, lags, strict=True)]
    held = sum(f.lag.low_s <= lag <= f.lag.high_s for f, lag in zip(found, lags, strict=True))
    assert max(errors) < 0.01
    assert binom.ppf(0.001, n, 0.95) <= held
