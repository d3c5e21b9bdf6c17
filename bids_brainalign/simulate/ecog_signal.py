"""From 50 Hz modulating signals to microvolts, and back (pure arrays)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import hilbert

from bids_brainalign.simulate.noise import line_noise, pink_noise, steady_carrier
from bids_brainalign.simulate.random_streams import stream

SFREQ_HZ = 512.0
LINE_HZ = 60.0
CARRIER_UV = 4.0
DEPTH = 0.6
"""SD of the log amplitude of high gamma."""
BACKGROUND_UV = 30.0
COMMON_UV = 6.0
"""Noise at the reference electrode: in every channel alike, and broadband."""
LINE_UV = 8.0


def record(
    modulator: NDArray[np.float64],
    frame_times: NDArray[np.float64],
    *,
    duration_s: int,
    seed: int,
    key: tuple[str, ...],
) -> NDArray[np.float64]:
    """Let a modulating signal set the amplitude of high gamma and add everything else.

    Parameters
    ----------
    modulator : ndarray of shape (n_frames, n_channels)
        Mean 0, SD 1.
    frame_times : ndarray of shape (n_frames,)
        s on the recording clock.
    duration_s : int
        Whole seconds.
    seed : int
    key : tuple of str
        Which recording this is, for the random numbers.

    Returns
    -------
    ndarray of shape (n_samples, n_channels)
        µV at 512 Hz.
    """
    n_samples, n_channels = round(duration_s * SFREQ_HZ), modulator.shape[1]
    times = np.arange(n_samples) / SFREQ_HZ
    amplitude = np.empty((n_samples, n_channels))
    for channel in range(n_channels):
        log_amplitude = np.interp(times, frame_times, modulator[:, channel])
        amplitude[:, channel] = CARRIER_UV * np.exp(DEPTH * log_amplitude)

    def draw(what: str) -> np.random.Generator:
        return stream(seed, *key, what)

    uv = amplitude * steady_carrier(n_samples, n_channels, rng=draw("carrier"), rate_hz=SFREQ_HZ)
    uv += BACKGROUND_UV * pink_noise(
        n_samples, n_channels, rng=draw("background"), rate_hz=SFREQ_HZ, exponent=2.0
    )
    uv += COMMON_UV * pink_noise(n_samples, 1, rng=draw("common"), rate_hz=SFREQ_HZ)
    uv += LINE_UV * line_noise(
        n_samples, n_channels, rng=draw("line"), rate_hz=SFREQ_HZ, line_hz=LINE_HZ
    )
    return uv


def log_high_gamma(
    uv: NDArray[np.float64], frame_times: NDArray[np.float64], *, half_width_s: float = 0.01
) -> NDArray[np.float64]:
    """Measure what :func:`record` planted: log mean amplitude 70–150 Hz around each frame.

    A plain method (common average, brick-wall band without the line's harmonic, Hilbert
    amplitude), on purpose not the program's own.

    Returns
    -------
    ndarray of shape (n_frames, n_channels)
    """
    referenced = uv - uv.mean(axis=1, keepdims=True)
    frequencies = np.fft.rfftfreq(len(uv), 1 / SFREQ_HZ)
    inside = (frequencies > 70) & (frequencies < 150) & (np.abs(frequencies - 120) > 1)
    spectrum = np.fft.rfft(referenced, axis=0) * inside[:, None]
    amplitude = np.abs(hilbert(np.fft.irfft(spectrum, n=len(uv), axis=0), axis=0))
    total = np.vstack([np.zeros((1, uv.shape[1])), np.cumsum(amplitude, axis=0)])
    first = np.clip(np.round((frame_times - half_width_s) * SFREQ_HZ).astype(int), 0, len(uv) - 1)
    last = np.clip(np.round((frame_times + half_width_s) * SFREQ_HZ).astype(int), 1, len(uv))
    last = np.maximum(last, first + 1)
    return np.asarray(np.log((total[last] - total[first]) / (last - first)[:, None]))
