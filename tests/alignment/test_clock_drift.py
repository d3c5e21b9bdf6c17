"""Clock drift planted and absent, on slow noise."""

import numpy as np
import pytest
from scipy.signal import lfilter

from bids_brainalign.alignment.clock_drift import clock_drift

RATE = 50


def recording(seed, *, drift_s=0.0, gain=0.3, minutes=8.0, n_targets=12, n_following=4):
    """Responses that follow the sound at 80 to 300 ms, and ever later by the drift.

    ``drift_s`` is that between the middles of the first and the last third.
    """
    rng = np.random.default_rng(seed)
    n = int(minutes * 60 * RATE)
    fine = np.abs(lfilter([1.0], [1.0, -0.97], rng.standard_normal(4 * n)))
    fine = np.convolve(fine, np.ones(8) / 8, "same")
    fine_s, times = np.arange(4 * n) / (4 * RATE), np.arange(n) / RATE
    data = lfilter([1.0], [1.0, -0.9], rng.standard_normal((n, n_targets)), axis=0)
    data /= data.std(axis=0)
    late = 1.5 * drift_s * times / times[-1]
    for k, latency in enumerate(np.linspace(0.08, 0.3, n_following)):
        heard = np.interp(times - latency - late, fine_s, fine)
        data[:, k] += gain * (heard - heard.mean()) / heard.std()
    return np.interp(times, fine_s, fine), data, times, rng


def check(*args, **kwargs):
    envelope, data, times, rng = recording(*args, **kwargs)
    return clock_drift(envelope, data, times_s=times, rng=rng)


@pytest.mark.parametrize("drift_s", [0.05, -0.05])
def test_a_drift_of_50_ms_is_found_and_flagged(drift_s):
    found = [check(seed, drift_s=drift_s) for seed in range(6)]
    estimates = np.array([f.drift_s for f in found])
    assert np.mean(estimates) == pytest.approx(drift_s, abs=0.006)
    assert all(f.flagged for f in found)
    assert np.sum([f.low_s <= drift_s <= f.high_s for f in found]) >= 4
    apart = 8 * 60 * 2 / 3
    assert found[0].rate_ppm == pytest.approx(1e6 * estimates[0] / apart, rel=0.01)


def test_without_drift_none_is_flagged():
    found = [check(seed) for seed in range(12)]
    assert sum(f.flagged for f in found) <= 1
    assert np.mean([f.drift_s for f in found]) == pytest.approx(0, abs=0.006)
    assert np.sum([f.low_s <= 0 <= f.high_s for f in found]) >= 9
    assert all(0.05 < f.first.lag_s < 0.35 for f in found)


def test_responses_that_ignore_the_sound_have_no_drift():
    found = check(1, gain=0.0)
    assert np.isnan(found.drift_s)
    assert not found.flagged
    assert found.reason.startswith("no lag links sound and responses in the")
    assert np.isfinite(found.first.p)


def test_drift_can_be_found_from_inverted_responses_and_through_gaps():
    envelope, data, times, rng = recording(2, drift_s=0.05)
    envelope[:500] = np.nan
    data[3000:3100] = np.nan
    found = clock_drift(envelope, -data, times_s=times, rng=rng)
    assert found.drift_s == pytest.approx(0.05, abs=0.015)
    assert found.flagged


def test_short_or_silent_recordings_have_a_reason():
    short = check(0, minutes=0.9)
    assert short.reason == "the sound lasts less than 60 s"
    envelope, data, times, rng = recording(0, minutes=2)
    nothing = clock_drift(np.full_like(envelope, np.nan), data, times_s=times, rng=rng)
    assert nothing.reason == "the sound lasts less than 60 s"
    flat = clock_drift(envelope, np.ones_like(data), times_s=times, rng=rng)
    assert flat.reason == "sound or responses do not vary"
