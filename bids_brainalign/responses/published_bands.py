"""Band amplitudes as two published datasets make them: Butterworth filter and Hilbert envelope."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.responses.line_noise import line_harmonics, without_line

PODCAST2025_BAND_HZ = (70.0, 200.0)
"""ds005574 tutorial ``02-preprocessing``, cell 22."""

DUTCH2022_BAND_HZ = (70.0, 170.0)
"""SingleWordProductionDutch ``extract_features.py``, ``extractHG``."""

DUTCH2022_STOP_HZ = 2.0
"""Half width of its band-stops (98–102 and 148–152 Hz)."""
DUTCH2022_REACH_HZ = 15.0
"""Harmonics this near to the band are stopped too: with a line of 60 Hz, 180 Hz passes both runs
of the filter with more than a tenth. With 50 Hz, as published, there are none."""
DUTCH2022_WINDOW_S = 0.05
DUTCH2022_SHIFT_S = 0.01
ORDER = 4
"""Of both Butterworth filters, before they are run both ways."""


def podcast2025(
    data: NDArray[np.floating],
    sfreq_hz: float,
    *,
    line_hz: float | None,
    band_hz: tuple[float, float] = PODCAST2025_BAND_HZ,
) -> NDArray[np.float64]:
    """Hilbert amplitude of 70–200 Hz, as the ds005574 tutorial makes it; no logarithm.

    Parameters
    ----------
    data : ndarray of shape (n_channels, n_times)
    sfreq_hz : float
    line_hz : float or None
        Line frequency, notched (width 2 Hz) at its harmonics up to the band's end; None: no notch.
    band_hz : (float, float)

    Returns
    -------
    ndarray of shape (n_channels, n_times)
        In the unit of `data`.

    References
    ----------
    hassonlab/podcast-ecog-tutorials, ``02-preprocessing.ipynb``, cells 20–23: notch 60, 120,
    180 Hz; Butterworth of order 4, two passes; ``apply_hilbert(envelope=True)``.
    """
    from mne.filter import filter_data
    from scipy import fft, signal

    harmonics = line_harmonics(line_hz, sfreq_hz, low_hz=0.0, high_hz=band_hz[1])
    filtered = filter_data(
        without_line(data, sfreq_hz, harmonics),
        sfreq_hz,
        *band_hz,
        method="iir",
        iir_params={"order": ORDER, "ftype": "butter"},
        verbose="error",
    )
    n_times = data.shape[-1]
    for channel in filtered:
        analytic = signal.hilbert(channel, N=fft.next_fast_len(n_times))
        channel[:] = np.abs(analytic[:n_times])
    return np.asarray(filtered, dtype=np.float64)


def dutch2022(
    data: NDArray[np.floating],
    sfreq_hz: float,
    *,
    line_hz: float | None,
    band_hz: tuple[float, float] = DUTCH2022_BAND_HZ,
) -> NDArray[np.float64]:
    """Mean Hilbert amplitude of 70–170 Hz in windows of 50 ms every 10 ms; no logarithm.

    Linear detrend; Butterworth band-pass and band-stops at the line's harmonics in the band, each
    forwards and backwards.

    Parameters
    ----------
    data : ndarray of shape (n_channels, n_times)
    sfreq_hz : float
    line_hz : float or None
    band_hz : (float, float)

    Returns
    -------
    ndarray of shape (n_channels, n_frames)
        In the unit of `data`; the frames' times are :func:`dutch2022_times`.

    References
    ----------
    Verwoert et al. 2022, Sci. Data 9:434; neuralinterfacinglab/SingleWordProductionDutch,
    ``extract_features.py``, ``extractHG``. There the line is 50 Hz.
    """
    from scipy import fft, signal

    filtered = signal.detrend(np.asarray(data, dtype=np.float64), axis=-1)
    edges = [(band_hz, "bandpass")]
    low, high = dutch2022_reach(band_hz)
    for f in line_harmonics(line_hz, sfreq_hz, low_hz=low, high_hz=high):
        edges.append(((f - DUTCH2022_STOP_HZ, f + DUTCH2022_STOP_HZ), "bandstop"))
    for limits, kind in edges:
        sos = signal.iirfilter(ORDER, limits, btype=kind, output="sos", fs=sfreq_hz)
        filtered = signal.sosfiltfilt(sos, filtered, axis=-1)
    n_times = filtered.shape[-1]
    starts, width = _windows(n_times, sfreq_hz)
    frames = np.empty((len(filtered), len(starts)))
    for row, channel in zip(frames, filtered, strict=True):
        envelope = np.abs(signal.hilbert(channel, N=fft.next_fast_len(n_times))[:n_times])
        sums = np.concatenate([[0.0], np.cumsum(envelope)])
        row[:] = (sums[starts + width] - sums[starts]) / width
    return frames


def dutch2022_reach(band_hz: tuple[float, float]) -> tuple[float, float]:
    """Range in Hz within which the line's harmonics are stopped."""
    return max(band_hz[0] - DUTCH2022_REACH_HZ, 0.0), band_hz[1] + DUTCH2022_REACH_HZ


def dutch2022_times(n_times: int, sfreq_hz: float) -> NDArray[np.float64]:
    """Centres of the windows in s; starts are rounded down to samples, so frames never drift.

    Examples
    --------
    >>> times = dutch2022_times(1024, 1024.0)
    >>> len(times), times[:3].round(4).tolist()
    (95, [0.0244, 0.0342, 0.0439])
    """
    starts, width = _windows(n_times, sfreq_hz)
    return np.asarray((starts + (width - 1) / 2) / sfreq_hz)


def _windows(n_times: int, sfreq_hz: float) -> tuple[NDArray[np.int64], int]:
    """First sample of every window, and samples per window."""
    spare = n_times - DUTCH2022_WINDOW_S * sfreq_hz
    n_frames = int(np.floor(spare / (DUTCH2022_SHIFT_S * sfreq_hz)))
    starts = np.floor(np.arange(max(n_frames, 0)) * DUTCH2022_SHIFT_S * sfreq_hz).astype(np.int64)
    return starts, int(DUTCH2022_WINDOW_S * sfreq_hz)
