"""What recordings contain besides the answer (pure arrays)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import hilbert, lfilter


def pink_noise(
    n_times: int,
    n_columns: int,
    *,
    rng: np.random.Generator,
    rate_hz: float,
    exponent: float = 1.0,
    floor_hz: float = 0.2,
) -> NDArray[np.float64]:
    """Gaussian noise with power 1/f**exponent above ``floor_hz`` and flat below.

    Returns
    -------
    ndarray of shape (n_times, n_columns)
        Mean 0, SD 1 per column.
    """
    frequencies = np.fft.rfftfreq(n_times, 1 / rate_hz)
    shape = np.maximum(frequencies, floor_hz) ** (-exponent / 2)
    shape[0] = 0.0
    white = rng.standard_normal((n_times, n_columns))
    noise = np.fft.irfft(np.fft.rfft(white, axis=0) * shape[:, None], n=n_times, axis=0)
    return np.asarray(noise / noise.std(axis=0))


def ar1_noise(
    n_times: int, n_columns: int, *, rng: np.random.Generator, phi: float
) -> NDArray[np.float64]:
    """Stationary first-order autoregressive noise of variance 1.

    Returns
    -------
    ndarray of shape (n_times, n_columns)
    """
    burn_in = 100
    innovations = rng.standard_normal((n_times + burn_in, n_columns)) * np.sqrt(1 - phi**2)
    return np.asarray(lfilter([1.0], [1.0, -phi], innovations, axis=0)[burn_in:])


def steady_carrier(
    n_times: int,
    n_columns: int,
    *,
    rng: np.random.Generator,
    rate_hz: float,
    band_hz: tuple[float, float] = (70.0, 150.0),
) -> NDArray[np.float64]:
    """Band noise divided by its own envelope: random phase, amplitude 1 at every moment.

    The envelope of plain band noise fluctuates by half its mean, and would hide what is planted in
    the amplitude: the ceiling would depend on the analyst's smoothing, not on what was planted.

    Returns
    -------
    ndarray of shape (n_times, n_columns)
    """
    frequencies = np.fft.rfftfreq(n_times, 1 / rate_hz)
    inside = (frequencies >= band_hz[0]) & (frequencies <= band_hz[1])
    spectrum = np.fft.rfft(rng.standard_normal((n_times, n_columns)), axis=0)
    band = np.fft.irfft(spectrum * inside[:, None], n=n_times, axis=0)
    return np.asarray(np.cos(np.angle(hilbert(band, axis=0))))


def line_noise(
    n_times: int, n_columns: int, *, rng: np.random.Generator, rate_hz: float, line_hz: float
) -> NDArray[np.float64]:
    """Mains hum with two harmonics, another strength and phase in every column.

    Returns
    -------
    ndarray of shape (n_times, n_columns)
        Amplitude around 1 at the line frequency, 0.3 and 0.15 at its harmonics.
    """
    times = np.arange(n_times)[:, None] / rate_hz
    hum = np.zeros((n_times, n_columns))
    for harmonic, size in ((1, 1.0), (2, 0.3), (3, 0.15)):
        strength = size * rng.uniform(0.5, 1.5, n_columns)
        phase = rng.uniform(0, 2 * np.pi, n_columns)
        hum += strength * np.sin(2 * np.pi * line_hz * harmonic * times + phase)
    return hum


def cosine_drift(n_times: int, *, interval_s: float, period_s: float) -> NDArray[np.float64]:
    """Discrete cosines slower than ``period_s``, as fMRIPrep writes them.

    Returns
    -------
    ndarray of shape (n_times, n_cosines)
        Unit norm; at least one column.
    """
    n_cosines = max(1, int(np.floor(2 * n_times * interval_s / period_s)))
    positions = (np.arange(n_times) + 0.5) / n_times
    orders = np.arange(1, n_cosines + 1)
    return np.asarray(np.sqrt(2 / n_times) * np.cos(np.pi * positions[:, None] * orders))
