"""Voltages of sEEG while words are spoken (pure arrays)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import hilbert, resample_poly

from bids_brainalign.simulate.noise import cosine_drift, line_noise, pink_noise
from bids_brainalign.simulate.production_session import AUDIO_RATE_HZ, Session
from bids_brainalign.simulate.random_streams import stream

SFREQ_HZ, LINE_HZ = 1024.0, 50.0
BAND_HZ = (70.0, 170.0)
WINDOW_S = 1.0
"""From speech onset: as long a word moves the amplitude of high gamma."""
RAMP_S = 0.05
WORD_SD = 0.3
"""SD between words of the amplitude in that window, relative to its mean."""
LEAST = 0.05
"""No word brings the amplitude below this share of its mean."""
SCALE_SD, SCALE_LIMIT = 1.0, 2.5
"""SD of the log of channels' scales, and the largest deviation in SDs: electrodes differ in
tissue and distance by orders of magnitude."""
DRIFT_SD, DRIFT_PERIOD_S = 0.06, 150.0
"""SD of the slow drift of amplitude over the session, relative; no part is faster than this."""
RISE = (0.1, 0.6)
"""Rise of the amplitude with the loudest voice, the same for all words."""
CARRIER_UV, BACKGROUND_UV, COMMON_UV, LINE_UV, AMPLIFIER_UV = 4.0, 30.0, 3.0, 5.0, 0.1
"""Mean amplitude of high gamma and SD of 1/f² noise at scale 1; SD of the noise of the reference
electrode, of the hum and of the amplifier, whatever the scale."""
BIT_UV = 0.1
"""Resolution of the amplifier."""


@dataclass(frozen=True)
class Channels:
    """What is planted in the channels of one participant."""

    scale: NDArray[np.float64]
    """(n_channels,)"""
    rise: NDArray[np.float64]
    """(n_channels,)"""
    leak_uv: NDArray[np.float64]
    """(n_channels,) amplitude of the loudest voice; 0 in channels that are not microphonic."""
    flat: NDArray[np.bool_]


def draw_channels(
    n_channels: int, *, n_leaking: int, leak_uv: float, n_flat: int, seed: int, label: str
) -> Channels:
    """Draw scales and rises; the first channels leak (µV at scale 1), the last are constant."""
    rng = stream(seed, "production", label, "channels")
    deviation = np.clip(rng.standard_normal(n_channels), -SCALE_LIMIT, SCALE_LIMIT)
    place = np.arange(n_channels)
    scale = np.exp(SCALE_SD * deviation)
    return Channels(
        scale=scale,
        rise=rng.uniform(*RISE, n_channels),
        leak_uv=np.where(place < n_leaking, leak_uv * scale, 0.0),
        flat=place >= n_channels - n_flat,
    )


def word_amplitudes(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Relative amplitude per trial and channel: 1 + 0.3 · score."""
    return np.maximum(1 + WORD_SD * scores, LEAST)


def record(
    session: Session,
    amplitudes: NDArray[np.float64],
    channels: Channels,
    *,
    seed: int,
    label: str,
) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Let words set the amplitude of high gamma and add everything else.

    Parameters
    ----------
    session : Session
    amplitudes : ndarray of shape (n_trials, n_channels)
        Relative, for one second from speech onset on.
    channels : Channels
    seed : int
    label : str
        Of the participant, for the random numbers.

    Returns
    -------
    counts : ndarray of shape (n_samples, n_channels), int16
        In units of `BIT_UV`.
    reliability : ndarray of shape (n_channels,)
        Squared correlation of `amplitudes` with what is measured of them in the finished
        recording; NaN for constant channels.
    """
    n_samples = round(session.duration_s * SFREQ_HZ)
    onsets_s = np.array([trial.speech_onset_s for trial in session.trials])
    envelope = session.envelope(SFREQ_HZ)
    leak = _as_recorded(session.voice, n_samples)
    common = _common(n_samples, seed=seed, label=label)
    counts = np.zeros((n_samples, amplitudes.shape[1]), dtype=np.int16)
    reliability = np.full(amplitudes.shape[1], np.nan)
    for channel in np.flatnonzero(~channels.flat):
        rng = stream(seed, "production", label, "channel", channel)
        uv = common + _channel(
            _word_course(onsets_s, amplitudes[:, channel], n_samples),
            1 + channels.rise[channel] * envelope,
            scale=float(channels.scale[channel]),
            rng=rng,
        )
        uv += channels.leak_uv[channel] * leak
        counts[:, channel] = np.clip(np.round(uv / BIT_UV), -32767, 32767)
        measured = window_means(counts[:, channel] * BIT_UV, onsets_s)
        reliability[channel] = _r(amplitudes[:, channel], measured) ** 2
    return counts, reliability


def window_means(uv: NDArray[np.floating], onsets_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Measure what was planted: mean amplitude of 70–170 Hz in the second from each onset.

    A plain method (brick-wall band without the line's harmonics, Hilbert amplitude), on purpose
    not the program's own.
    """
    frequencies = np.fft.rfftfreq(len(uv), 1 / SFREQ_HZ)
    inside = (frequencies > BAND_HZ[0]) & (frequencies < BAND_HZ[1])
    inside &= np.abs((frequencies + LINE_HZ / 2) % LINE_HZ - LINE_HZ / 2) > 1
    band = np.fft.irfft(np.fft.rfft(uv) * inside, n=len(uv))
    sums = np.concatenate([[0.0], np.cumsum(np.abs(hilbert(band)))])
    first = np.round(onsets_s * SFREQ_HZ).astype(int)
    width = round(WINDOW_S * SFREQ_HZ)
    return np.asarray((sums[first + width] - sums[first]) / width)


def _word_course(
    onsets_s: NDArray[np.float64], amplitudes: NDArray[np.float64], n_samples: int
) -> NDArray[np.float64]:
    """Relative amplitude over time: 1, and each word's during its second, with short ramps."""
    course = np.ones(n_samples)
    times_s = np.arange(n_samples) / SFREQ_HZ
    for onset_s, amplitude in zip(onsets_s, amplitudes, strict=True):
        corners = onset_s + np.array([-RAMP_S, 0.0, WINDOW_S, WINDOW_S + RAMP_S])
        first, stop = np.searchsorted(times_s, corners[[0, 3]])
        course[first:stop] = np.interp(
            times_s[first:stop], corners, [1.0, amplitude, amplitude, 1.0]
        )
    return course


def _channel(
    words: NDArray[np.float64],
    rise: NDArray[np.float64],
    *,
    scale: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """µV of one channel but for what it shares with others."""
    n_samples = len(words)
    drift = cosine_drift(n_samples, interval_s=1 / SFREQ_HZ, period_s=DRIFT_PERIOD_S)
    slow = drift @ rng.standard_normal(drift.shape[1])
    slow *= DRIFT_SD / slow.std()
    carrier = _band_noise(n_samples, rng)
    background = pink_noise(n_samples, 1, rng=rng, rate_hz=SFREQ_HZ, exponent=2.0)[:, 0]
    brain = CARRIER_UV * words * rise * (1 + slow) * carrier + BACKGROUND_UV * background
    hum = line_noise(n_samples, 1, rng=rng, rate_hz=SFREQ_HZ, line_hz=LINE_HZ)[:, 0]
    return np.asarray(
        scale * brain + LINE_UV * hum + AMPLIFIER_UV * rng.standard_normal(n_samples)
    )


def _band_noise(n_samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Gaussian noise of 70–170 Hz whose analytic amplitude has mean 1."""
    frequencies = np.fft.rfftfreq(n_samples, 1 / SFREQ_HZ)
    inside = (frequencies >= BAND_HZ[0]) & (frequencies <= BAND_HZ[1])
    spectrum = np.fft.rfft(rng.standard_normal(n_samples)) * inside
    noise = np.fft.irfft(spectrum, n=n_samples)
    # The amplitude is Rayleigh distributed: its mean is √(π/2) SDs.
    return np.asarray(noise / noise.std() / np.sqrt(np.pi / 2))


def _common(n_samples: int, *, seed: int, label: str) -> NDArray[np.float64]:
    rng = stream(seed, "production", label, "common")
    return np.asarray(
        COMMON_UV * pink_noise(n_samples, 1, rng=rng, rate_hz=SFREQ_HZ, exponent=2.0)[:, 0]
    )


def _as_recorded(voice: NDArray[np.float32], n_samples: int) -> NDArray[np.float64]:
    """Sample the voice by the amplifier's clock, loudest 1."""
    slow = slow_sound(voice)
    peak = np.abs(slow).max()
    padded = np.zeros(n_samples)
    padded[: len(slow)] = slow[:n_samples] / peak
    return padded


def slow_sound(sound: NDArray[np.number]) -> NDArray[np.float64]:
    """Sound of 48 kHz at the rate of the neural channels, what is faster filtered away."""
    up, down = round(SFREQ_HZ) // 128, AUDIO_RATE_HZ // 128
    return np.asarray(resample_poly(np.asarray(sound, dtype=np.float64), up, down))


def _r(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 0 else float("nan")
