import numpy as np
import pytest
from scipy.signal import lfilter

from bids_brainalign.alignment.onset_check import onset_check


def slow_noise(rng, shape, *, phi=0.9):
    """Autocorrelated noise: without it every test of a lag is too easy."""
    return lfilter([1.0], [1.0, -phi], rng.standard_normal(shape), axis=0)


def planted(rng, *, lag, n=6000, n_targets=20, n_following=4, gain=1.0):
    sound = np.abs(slow_noise(rng, n))
    data = slow_noise(rng, (n, n_targets))
    data[:, :n_following] += gain * np.roll(sound, lag)[:, None]
    return sound, data


@pytest.mark.parametrize("lag", [-120, 0, 9, 300])
def test_a_planted_lag_is_found_with_its_interval(lag):
    rng = np.random.default_rng(3)
    sound, data = planted(rng, lag=lag, n=30_000)
    found = onset_check(sound, data, interval_s=0.02, max_lag_s=10, rng=rng)
    assert found.lag_s == pytest.approx(0.02 * lag, abs=0.021)
    assert found.low_s <= 0.02 * lag <= found.high_s
    assert found.high_s - found.low_s < 0.5
    assert found.p < 0.01
    assert found.r > 0.2


def test_r_is_the_correlation_of_the_best_targets_at_that_lag():
    rng = np.random.default_rng(1)
    sound, data = planted(rng, lag=7, n_targets=10, n_following=1, gain=2.0)
    found = onset_check(sound, data, interval_s=1.0, max_lag_s=50, rng=rng)
    expected = np.corrcoef(np.roll(sound, 7), data[:, 0])[0, 1]
    assert found.r == pytest.approx(expected, abs=0.02)


def test_inverted_responses_count_as_well():
    rng = np.random.default_rng(2)
    sound, data = planted(rng, lag=4)
    found = onset_check(sound, -data, interval_s=1.0, max_lag_s=40, rng=rng)
    assert found.lag_s == 4
    assert found.r < 0


def test_unrelated_responses_are_rarely_significant():
    p = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        sound, data = planted(rng, lag=0, n=600, n_targets=8, gain=0.0)
        p.append(onset_check(sound, data, interval_s=1.0, max_lag_s=20, rng=rng).p)
    # Binomial(200, .05): more than 19 has a chance of 1 in 500.
    assert np.sum(np.array(p) <= 0.05) <= 19
    assert np.mean(p) == pytest.approx(0.5, abs=0.08)


def test_short_recordings_search_fewer_lags():
    rng = np.random.default_rng(0)
    sound, data = planted(rng, lag=1, n=240)
    found = onset_check(sound, data, interval_s=2.0, max_lag_s=60, rng=rng)
    assert found.max_lag_s == 20.0


def test_silence_and_flat_responses_say_nothing():
    rng = np.random.default_rng(0)
    sound, data = planted(rng, lag=1, n=600)
    flat = onset_check(sound, np.full_like(data, 0.1), interval_s=1.0, max_lag_s=10, rng=rng)
    silent = onset_check(np.full(600, np.nan), data, interval_s=1.0, max_lag_s=10, rng=rng)
    assert np.isnan([flat.p, flat.lag_s, silent.p, silent.r]).all()


def test_samples_without_sound_do_not_count():
    rng = np.random.default_rng(5)
    sound, data = planted(rng, lag=6)
    sound[:1500] = np.nan
    data[:1500] += 50.0  # a drift while nothing played
    found = onset_check(sound, data, interval_s=1.0, max_lag_s=40, rng=rng)
    assert found.lag_s == 6
