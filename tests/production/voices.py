"""Sounds like speech, and channels that know of them or don't."""

from pathlib import Path

import numpy as np
import soundfile
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, lfilter, resample_poly, sosfiltfilt

import bids_brainalign.simulate

DEMO_AUDIO = Path(bids_brainalign.simulate.__file__).parent / "demo_audio"


def loudness(rng, seconds, *, sfreq_hz=100):
    """Envelope of words of one to four syllables with gaps and pauses: (n_times,)."""
    n_times = round(seconds * sfreq_hz)
    envelope, at = np.zeros(n_times + 2 * sfreq_hz), 0.3
    while at < seconds:
        level = rng.lognormal(0, 0.3)
        for _ in range(rng.integers(1, 5)):
            n, first = round(rng.uniform(0.12, 0.28) * sfreq_hz), round(at * sfreq_hz)
            shape = np.sin(np.linspace(0, np.pi, n)) ** 1.2
            envelope[first : first + n] += (level * rng.lognormal(0, 0.4) * shape)[
                : len(envelope) - first
            ]
            at += 0.9 * n / sfreq_hz
        pause = rng.random() < 0.25
        at += rng.uniform(0.5, 2.0) if pause else rng.uniform(0.02, 0.15)
    return envelope[:n_times]


def remembering(rng, n_times, n_channels, *, memory=0.95):
    """First-order autoregressive noise of SD 1: (n_times, n_channels)."""
    noise = rng.standard_normal((n_times + 500, n_channels))
    return lfilter([1], [1, -memory], noise, axis=0)[500:] * np.sqrt(1 - memory**2)


def delayed(x, seconds, *, sfreq_hz):
    """Shift around the circle by any time, between samples by the phases of its spectrum."""
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(len(x), 1 / sfreq_hz) * seconds)
    return np.fft.irfft(np.fft.rfft(x) * turn, len(x))


def speaking(seed, *, lag_s=0.0, gain=0.2, seconds=300, n_channels=16, n_linked=4, memory=0.95):
    """Loudness, and channels of which some follow it, half of them downwards."""
    rng = np.random.default_rng(seed)
    sound = loudness(rng, seconds)
    channels = remembering(rng, len(sound), n_channels, memory=memory)
    signs = np.resize([1.0, -1.0], n_linked)
    moved = delayed((sound - sound.mean()) / sound.std(), lag_s, sfreq_hz=100)
    channels[:, :n_linked] += gain * moved[:, None] * signs
    return sound, channels, rng


VOLTAGE_HZ = 512
BAND = butter(4, [70, 170], "bandpass", fs=VOLTAGE_HZ, output="sos")


def story(name, seconds):
    """A voice of the demonstration at the rate of the voltages, SD 1 between 70 and 170 Hz."""
    samples, rate = soundfile.read(DEMO_AUDIO / f"{name}.ogg")
    repeats = -(-round(seconds * rate) // len(samples))
    sound = resample_poly(np.tile(samples, repeats), VOLTAGE_HZ, rate)[: seconds * VOLTAGE_HZ]
    return sound / in_band(sound).std()


def harmonics(rng, seconds, *, pitch_hz=110):
    """Syllables of a wandering pitch and its harmonics, SD 1 between 70 and 170 Hz."""
    n_times = seconds * VOLTAGE_HZ
    level = resample_poly(loudness(rng, seconds), VOLTAGE_HZ, 100)[:n_times]
    wander = gaussian_filter1d(rng.standard_normal(n_times), 0.15 * VOLTAGE_HZ)
    pitch = pitch_hz * np.exp(0.12 * wander / wander.std())
    phase = 2 * np.pi * np.cumsum(pitch) / VOLTAGE_HZ
    sound = level * sum(np.cos(k * phase) / k * (k * pitch < 240) for k in (1, 2, 3))
    sound += 1e-3 * rng.standard_normal(n_times)
    return sound / in_band(sound).std()


def in_band(x):
    return sosfiltfilt(BAND, x)


def level_of(sound):
    """Loudness below 8 Hz, SD 1."""
    smooth = sosfiltfilt(butter(2, 8, fs=VOLTAGE_HZ, output="sos"), sound**2)
    level = np.sqrt(np.maximum(smooth, 0))
    return level / level.std()


def coloured(rng, n_times, exponent=2.0):
    """Noise with a power of 1/f^exponent, SD 1 between 70 and 170 Hz."""
    spectrum = np.fft.rfft(rng.standard_normal(n_times))
    f = np.fft.rfftfreq(n_times, 1 / VOLTAGE_HZ)
    noise = np.fft.irfft(spectrum * np.maximum(f, 1) ** (-exponent / 2), n_times)
    return noise / in_band(noise).std()


def voltages(rng, sound, *, high_gamma=0.0, follows=None, delay_s=0.1, steep=False):
    """A channel whose broadband activity follows the loudness, after a delay, if at all.

    `steep`: its gain falls with frequency faster than the background does.
    """
    channel = coloured(rng, len(sound))
    if high_gamma:
        level = level_of(sound if follows is None else follows)
        moved = np.roll(level, round(delay_s * VOLTAGE_HZ))
        channel += high_gamma * moved * coloured(rng, len(sound), 3.5 if steep else 2.0)
    return channel


def hum(rng, n_times, *, swing_hz=1.0):
    """Mains at 50, 100 and 150 Hz, whose level swings and whose phase drifts."""
    t = np.arange(n_times) / VOLTAGE_HZ
    swing = gaussian_filter1d(rng.standard_normal(n_times), VOLTAGE_HZ / (2 * np.pi * swing_hz))
    drift = np.cumsum(gaussian_filter1d(rng.standard_normal(n_times), 2 * VOLTAGE_HZ))
    drift *= 3 / np.abs(drift).max()
    tones = [
        np.cos(2 * np.pi * f * t + f / 50 * drift + rng.uniform(0, 6)) for f in (50, 100, 150)
    ]
    return (1 + 0.5 * swing / swing.std()) * np.sum(tones, axis=0)
