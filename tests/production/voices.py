"""Sounds like speech, and channels that know of them or don't."""

import numpy as np
from scipy.signal import lfilter


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
