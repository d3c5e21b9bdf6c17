"""High gamma around words: means over windows, bins of the time course, and the course itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.responses.high_gamma import Amplitude
from bids_brainalign.responses.ieeg import OpenAmplitudes
from bids_brainalign.responses.recordings import Intervals

Array64 = NDArray[np.float64]

COURSE_HZ = 100.0
"""Rate of the course that is kept for the comparison with the sound."""


@dataclass(frozen=True)
class Windows:
    """Windows whose means are wanted, in s on the recording clock."""

    start_s: Array64
    """(n_windows,)."""
    stop_s: Array64


@dataclass(frozen=True)
class WordResponses:
    """Responses of all channels of one recording to its words."""

    means: tuple[NDArray[np.float64], ...]
    """Per set of windows (n_windows, n_channels); NaN where a window is not within the recording
    or touches a bad stretch."""
    course: NDArray[np.float32]
    """(n_times, n_channels) means over bins of 1 / `COURSE_HZ` s."""
    course_s: Array64
    """(n_times,) centres of the bins."""
    targets: pd.DataFrame
    support_s: float
    notes: tuple[str, ...]


def read_word_responses(opened: OpenAmplitudes, sets: Sequence[Windows]) -> WordResponses:
    """Average amplitudes over windows.

    A frame belongs to a window if its centre does. Nothing is resampled or smoothed: with
    ``dutch2022`` the frames are those of the published script.

    Parameters
    ----------
    opened : OpenAmplitudes
        Its parts are used up.
    sets : sequence of Windows

    Returns
    -------
    WordResponses
    """
    columns: list[list[Array64]] = [[] for _ in sets]
    course: list[NDArray[np.float32]] = []
    for part in opened.parts:
        sums = np.concatenate(
            [np.zeros((len(part.data), 1)), np.cumsum(part.data, axis=1, dtype=np.float64)], axis=1
        )
        for own, windows in zip(columns, sets, strict=True):
            own.append(_means(sums, part, windows, opened.bad))
        times = _course_times(part)
        half = 0.5 / COURSE_HZ
        bins = Windows(times - half, times + half)
        course.append(_means(sums, part, bins, ()).astype(np.float32))
    return WordResponses(
        means=tuple(np.concatenate(own, axis=0).T for own in columns),
        course=np.concatenate(course, axis=0).T,
        course_s=times,
        targets=opened.targets,
        support_s=opened.support_s,
        notes=opened.notes,
    )


def bins_between(from_s: float, to_s: float, width_s: float) -> Array64:
    """Centres of bins that fill a stretch, as many as fit: (n_bins,).

    Examples
    --------
    >>> bins_between(-0.1, 0.1, 0.05).round(3).tolist()
    [-0.075, -0.025, 0.025, 0.075]
    """
    n_bins = int((to_s - from_s) / width_s + 1e-9)
    return np.asarray(from_s + width_s * (np.arange(n_bins) + 0.5))


def _course_times(part: Amplitude) -> Array64:
    n_bins = max(1, int((part.last_s - part.first_s) * COURSE_HZ + 1e-6))
    return np.asarray(part.first_s + (np.arange(n_bins) + 0.5) / COURSE_HZ)


def _means(sums: Array64, part: Amplitude, windows: Windows, bad: Intervals) -> Array64:
    """(n_channels, n_windows) from cumulative sums (n_channels, n_frames + 1)."""
    first = np.ceil((windows.start_s - part.first_s) * part.rate_hz - 1e-6).astype(np.int64)
    stop = np.ceil((windows.stop_s - part.first_s) * part.rate_hz - 1e-6).astype(np.int64)
    n_frames = sums.shape[1] - 1
    usable = (first >= 0) & (stop <= n_frames) & (stop > first)
    for start_s, stop_s in bad:
        usable &= (windows.stop_s < start_s) | (windows.start_s > stop_s)
    first, stop = np.clip(first, 0, n_frames), np.clip(stop, 0, n_frames)
    means = (sums[:, stop] - sums[:, first]) / np.maximum(stop - first, 1)
    return np.where(usable, means, np.nan)
