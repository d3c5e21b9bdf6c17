"""High gamma of the Dutch single-word production dataset, by the calls of its feature script.

Source: neuralinterfacinglab/SingleWordProductionDutch, ``extract_features.py``, ``extractHG``
(Verwoert et al. 2022, Sci. Data 9:434): linear detrend; Butterworth of order 4, 70 to 170 Hz,
``sosfiltfilt``; band-stops of order 4 at 98-102 and 148-152 Hz; amplitude of the analytic signal,
padded to the next fast length; mean in windows of 50 ms every 10 ms. Written down from that
description as calls of today's scipy (``fftpack.next_fast_len`` is ``fft.next_fast_len``).
"""

from __future__ import annotations

import numpy as np
import scipy.fft
import scipy.signal


def dutch_high_gamma(signal: np.ndarray, sr: float) -> np.ndarray:
    """(n_times, n_channels) → (n_windows, n_channels)."""
    length, shift = 0.05, 0.01
    flat = scipy.signal.detrend(signal, axis=0)
    for kind, low, high in (("bandpass", 70, 170), ("bandstop", 98, 102), ("bandstop", 148, 152)):
        sos = scipy.signal.iirfilter(
            4, [low / (sr / 2), high / (sr / 2)], btype=kind, output="sos"
        )
        flat = scipy.signal.sosfiltfilt(sos, flat, axis=0)
    fast = scipy.fft.next_fast_len(len(flat))
    envelope = np.abs(scipy.signal.hilbert(flat, fast, axis=0)[: len(flat)])
    n_windows = int(np.floor((len(signal) - length * sr) / (shift * sr)))
    windows = []
    for window in range(n_windows):
        start = int(np.floor((window * shift) * sr))
        stop = int(np.floor(start + length * sr))
        windows.append(envelope[start:stop].mean(axis=0))
    return np.array(windows)
