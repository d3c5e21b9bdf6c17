"""Line noise: which harmonics lie within reach of a band, and their notch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NOTCH_WIDTH_HZ = 2.0
"""ds005574 tutorial ``02-preprocessing``, cell 20: ``notch_widths=2``."""


def line_harmonics(
    line_hz: float | None, sfreq_hz: float, *, low_hz: float, high_hz: float
) -> tuple[float, ...]:
    """Harmonics of the line frequency from `low_hz` to `high_hz`, in Hz.

    Examples
    --------
    >>> line_harmonics(50.0, 512.0, low_hz=70.0, high_hz=170.0)
    (100.0, 150.0)
    >>> line_harmonics(None, 512.0, low_hz=70.0, high_hz=170.0)
    ()
    """
    if line_hz is None:
        return ()
    # A notch needs room on both sides; above Nyquist there is nothing to remove.
    high = min(high_hz, sfreq_hz / 2 - NOTCH_WIDTH_HZ)
    harmonics = line_hz * np.arange(1, int(max(high, 0.0) // line_hz) + 1)
    return tuple(float(f) for f in harmonics if f >= low_hz)


def without_line(
    data: NDArray[np.floating], sfreq_hz: float, frequencies_hz: tuple[float, ...]
) -> NDArray[np.float64]:
    """Copy of (n_channels, n_times) with a zero-phase FIR notch at each frequency."""
    doubles = np.array(data, dtype=np.float64)
    if not frequencies_hz:
        return doubles
    from mne.filter import notch_filter

    return np.asarray(
        notch_filter(
            doubles,
            sfreq_hz,
            np.array(frequencies_hz),
            notch_widths=NOTCH_WIDTH_HZ,
            verbose="error",
        ),
        dtype=np.float64,
    )
