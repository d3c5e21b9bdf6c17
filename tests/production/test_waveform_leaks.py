"""Leaks of the sound's waveform into voltages, beside high gamma that follows its loudness."""

import numpy as np
import pytest
from scipy import signal

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.waveform_leaks import waveform_leaks

RATE_HZ, SECONDS = 512.0, 120
USABLE = np.ones(int(RATE_HZ * SECONDS), dtype=bool)


def band_noise(rng, n_channels=1):
    sos = signal.butter(4, [60, 180], "bandpass", fs=RATE_HZ, output="sos")
    return signal.sosfiltfilt(sos, rng.standard_normal((n_channels, len(USABLE))), axis=1)


def voice(rng):
    """Words of half a second every two to three seconds, with a pitch that moves."""
    sound, loudness = np.zeros(len(USABLE)), np.zeros(len(USABLE))
    times = np.arange(int(0.5 * RATE_HZ)) / RATE_HZ
    start = 1.0
    while start < SECONDS - 2:
        pitch = rng.uniform(85, 160) + rng.uniform(-20, 20) * times
        rows = slice(int(start * RATE_HZ), int(start * RATE_HZ) + len(times))
        shape = np.hanning(len(times))
        sound[rows] = shape * np.sin(2 * np.pi * np.cumsum(pitch) / RATE_HZ)
        loudness[rows] = shape
        start += rng.uniform(2.0, 3.0)
    return sound, loudness


def leaks(sound, channels, **options):
    rng = np.random.default_rng(0)
    return waveform_leaks(sound, channels, USABLE, sfreq_hz=RATE_HZ, rng=rng, **options)


@pytest.mark.parametrize("lag_s", [0.0, -0.08, 0.15])
def test_small_leaks_are_found_with_their_lag(lag_s):
    rng = np.random.default_rng(1)
    sound, _ = voice(rng)
    channels = band_noise(rng, 8)
    shift = round(lag_s * RATE_HZ)
    # a quarter of the noise's size at the loudest, of either sign: 6 % of its power, or less
    for row, sign in ((2, 1), (5, -1)):
        channels[row] += sign * 0.25 * channels[row].std() * np.roll(sound, shift) * np.sqrt(2)
    found = leaks(sound, channels)
    assert np.flatnonzero(found.flagged).tolist() == [2, 5]
    assert found.leak is not None
    assert found.leak.low_s <= lag_s <= found.leak.high_s
    assert abs(found.leak.lag_s - lag_s) < 0.008
    assert found.leak.high_s - found.leak.low_s < 0.05


def test_high_gamma_that_follows_loudness_is_no_leak():
    p = []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        sound, loudness = voice(rng)
        channels = band_noise(rng, 4) * (1 + 3 * np.roll(loudness, 40))
        p.extend(leaks(sound, channels).p)
    share = float((np.array(p) <= 0.05).mean())
    assert share <= 0.09  # 5 of 100 by chance; 10 or more in 3 of 100 series
    assert min(p) > 1e-4


def test_mains_hum_in_both_is_no_leak():
    rng = np.random.default_rng(3)
    sound, _ = voice(rng)
    times = np.arange(len(USABLE)) / RATE_HZ
    hum = np.sin(2 * np.pi * 100 * times) + np.sin(2 * np.pi * 150.3 * times)
    channels = band_noise(rng, 4) + 2 * hum
    channels[2] += 0.5 * channels[2].std() * sound
    assert np.flatnonzero(leaks(sound + 0.5 * hum, channels).flagged).tolist() == [2]
    # hum that is left in is as strong at all lags, and hides what leaks
    assert not leaks(sound + 0.5 * hum, channels, line_hz=None).flagged.any()


def test_constant_channels_and_stretches_that_do_not_count():
    rng = np.random.default_rng(4)
    sound, _ = voice(rng)
    channels = band_noise(rng, 3)
    channels[1] = 7.0
    usable = USABLE.copy()
    bad = slice(int(30 * RATE_HZ), int(60 * RATE_HZ))
    usable[bad] = False
    channels[0, bad] += 5 * sound[bad]  # it leaks in the bad stretch alone
    found = waveform_leaks(sound, channels, usable, sfreq_hz=RATE_HZ, rng=rng)
    assert np.isnan(found.p[1])
    assert not found.flagged.any()
    assert found.leak is None


def test_refused():
    rng = np.random.default_rng(5)
    with pytest.raises(BrainAlignError, match="does not vary"):
        leaks(np.zeros(len(USABLE)), band_noise(rng))
    with pytest.raises(BrainAlignError, match="hold no sound of 170 Hz"):
        waveform_leaks(np.ones(30000), [], np.ones(30000, bool), sfreq_hz=300.0, rng=rng)
