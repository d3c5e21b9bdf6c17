"""Amplitudes onto the clock of the features, without aliasing and without delay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CUTOFF = 0.45
"""−6 dB point of the low-pass, in clock rates."""

TRANSITION = 0.1
"""Width of its transition in clock rates: it ends at the clock's Nyquist frequency."""

RIPPLE_DB = 50.0
"""Of the Kaiser window: 0.3 % in the pass band, and 40 dB are reached before the stop edge."""

OVERSAMPLED = 10.0
"""Native samples per clock sample from which on a straight line between two of them is exact to
about 1 % at the clock's Nyquist frequency (error (πf/f_s)² / 2)."""


def to_clock(
    envelope: NDArray[np.floating],
    sfreq_hz: float,
    *,
    times_s: NDArray[np.float64],
    first_s: float = 0.0,
) -> NDArray[np.float32]:
    """Low-pass and read a signal at the samples of a slower clock.

    Zero-phase FIR low-pass on the native rate (amplitude kept below 0.4 clock rates, −40 dB from
    the clock's Nyquist frequency on), then interpolation at `times_s`, which may lie between
    native samples.

    Parameters
    ----------
    envelope : ndarray of shape (n_channels, n_samples)
        Sample k was taken at second `first_s` + k / `sfreq_hz`.
    sfreq_hz : float
    times_s : ndarray of shape (n_times,)
        Evenly spaced, within the recording.
    first_s : float

    Returns
    -------
    ndarray of shape (n_times, n_channels), float32

    Raises
    ------
    ValueError
        A time lies outside the recording.
    """
    from scipy.interpolate import CubicSpline

    n_samples = envelope.shape[-1]
    native_s = first_s + np.arange(n_samples) / sfreq_hz
    slack = 1e-6 / sfreq_hz
    if times_s[0] < first_s - slack or times_s[-1] > native_s[-1] + slack:
        raise ValueError("the clock runs outside the recording")
    rate_hz = (len(times_s) - 1) / (times_s[-1] - times_s[0])
    filtered = _filtered(np.asarray(envelope, dtype=np.float64), low_pass(sfreq_hz, rate_hz))
    if sfreq_hz >= OVERSAMPLED * rate_hz:
        result = np.stack([np.interp(times_s, native_s, channel) for channel in filtered], axis=1)
    else:
        result = CubicSpline(native_s, filtered, axis=1)(times_s).T
    return np.ascontiguousarray(result, dtype=np.float32)


def low_pass(sfreq_hz: float, rate_hz: float) -> NDArray[np.float64]:
    """Symmetric FIR low-pass for a clock of `rate_hz`.

    Returns
    -------
    ndarray of shape (n_taps,)
        Odd length, sum 1; a single 1 where the recording is no faster than the clock.
    """
    from scipy import signal

    if rate_hz >= sfreq_hz:
        return np.ones(1)
    n_taps, beta = signal.kaiserord(RIPPLE_DB, TRANSITION * rate_hz / (sfreq_hz / 2))
    taps = signal.firwin(n_taps | 1, CUTOFF * rate_hz, window=("kaiser", beta), fs=sfreq_hz)
    return np.asarray(taps, dtype=np.float64)


def support_s(sfreq_hz: float, rate_hz: float) -> float:
    """Half length of the low-pass to −40 dB of its peak, in s."""
    taps = low_pass(sfreq_hz, rate_hz)
    heard = np.flatnonzero(np.abs(taps) >= 0.01 * np.abs(taps).max())
    return float(np.abs(heard - len(taps) // 2).max() / sfreq_hz)


def clock_grid(duration_s: float, *, rate_hz: float, phase_s: float) -> NDArray[np.float64]:
    """Give the times ``phase_s + k / rate_hz`` within [0, `duration_s`].

    Examples
    --------
    >>> clock_grid(0.1, rate_hz=50.0, phase_s=0.005).round(3).tolist()
    [0.005, 0.025, 0.045, 0.065, 0.085]
    """
    # A nanosecond of tolerance, so that rounding takes no sample away at the borders.
    first = int(np.ceil(-phase_s * rate_hz - 1e-9))
    last = int(np.floor((duration_s - phase_s) * rate_hz + 1e-9))
    grid = phase_s + np.arange(first, last + 1) / rate_hz
    return np.clip(grid, 0.0, duration_s)


def _filtered(data: NDArray[np.float64], taps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convolve along time, mirrored at both ends."""
    from scipy import signal

    half = len(taps) // 2
    if half == 0 or data.shape[-1] < 2:
        return data
    padded = np.pad(data, ((0, 0), (half, half)), mode="reflect")
    return np.asarray(signal.oaconvolve(padded, taps[np.newaxis], mode="valid", axes=-1))
