"""High gamma of the Podcast ECoG dataset (ds005574), by the calls of its tutorial.

Source: hassonlab/podcast-ecog-tutorials, ``notebooks/02-preprocessing.ipynb``, cells 19 to 23
(common average over good ECoG; notch at 60, 120 and 180 Hz, 2 Hz wide; Butterworth band-pass of
70 to 200 Hz, two passes; Hilbert envelope). Written down from that description as calls of mne.
"""

from __future__ import annotations

import mne
import numpy as np


def podcast_high_gamma(volts: np.ndarray, sfreq_hz: float) -> np.ndarray:
    """(n_channels, n_times) of good electrodes → amplitude of the same shape."""
    info = mne.create_info(len(volts), sfreq_hz, "ecog")
    raw = mne.io.RawArray(volts.copy(), info, copy="both", verbose="error")
    raw.set_eeg_reference(ref_channels="average", ch_type="ecog", verbose="error")
    raw.notch_filter([60, 120, 180], notch_widths=2, verbose="error")
    raw.filter(70, 200, method="iir", verbose="error")
    raw.apply_hilbert(envelope=True, verbose="error")
    return raw.get_data()
