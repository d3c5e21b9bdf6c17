"""Features averaged over words, and responses averaged around lags from their onsets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]

_ROUNDING_S = 1e-6
_COLUMNS = 64
"""Targets summed at once: bounds memory, as running sums are float64."""


def word_means(
    frames: Array32, frame_times_s: Array64, onsets_s: Array64, offsets_s: Array64, *, hold: bool
) -> Array32:
    """Mean of the frames that lie in each word.

    Parameters
    ----------
    frames : ndarray of shape (n_frames, n_dims)
    frame_times_s : ndarray of shape (n_frames,)
        s on the stimulus clock.
    onsets_s, offsets_s : ndarray of shape (n_words,)
    hold : bool
        A word too short to hold a frame gets the latest one before its end (causal features);
        otherwise the one nearest to its middle.

    Returns
    -------
    ndarray of shape (n_words, n_dims), float32
    """
    first = np.searchsorted(frame_times_s, onsets_s - _ROUNDING_S, side="left")
    stop = np.searchsorted(frame_times_s, offsets_s + _ROUNDING_S, side="right")
    empty = stop <= first
    if hold:
        lone = np.maximum(stop - 1, 0)
    else:
        middle = (onsets_s + offsets_s) / 2
        right = np.clip(np.searchsorted(frame_times_s, middle), 1, len(frame_times_s) - 1)
        nearer = middle - frame_times_s[right - 1] < frame_times_s[right] - middle
        lone = np.where(nearer, right - 1, right)
    first, stop = np.where(empty, lone, first), np.where(empty, lone + 1, stop)
    total = np.zeros((len(frames) + 1, frames.shape[1]))
    np.cumsum(frames, axis=0, dtype=np.float64, out=total[1:])
    return ((total[stop] - total[first]) / (stop - first)[:, None]).astype(np.float32)


def held_at(frames: Array32, frame_times_s: Array64, onsets_s: Array64) -> Array32:
    """Give the frames that begin at words, where each frame stands for a word until the next.

    Parameters
    ----------
    frames : ndarray of shape (n_frames, n_dims)
    frame_times_s : ndarray of shape (n_frames,)
        s on the stimulus clock; at or before the first word.
    onsets_s : ndarray of shape (n_words,)

    Returns
    -------
    ndarray of shape (n_words, n_dims), float32
    """
    latest = np.searchsorted(frame_times_s, onsets_s + _ROUNDING_S, side="right") - 1
    return frames[np.maximum(latest, 0)]


def epoch_starts(
    times_s: Array64, onsets_s: Array64, lags_s: Array64, *, window_s: float
) -> tuple[NDArray[np.int64], int]:
    """First sample of the window around every lag of every word, and the window's samples.

    Parameters
    ----------
    times_s : ndarray of shape (n_times,)
        Of the response, equally spaced.
    onsets_s : ndarray of shape (n_words,)
        On the same clock; in any order, and overlapping.
    lags_s : ndarray of shape (n_lags,)
    window_s : float

    Returns
    -------
    starts : ndarray of int, shape (n_words, n_lags)
        May lie outside the recording: the caller leaves those words out.
    n_window : int
        At least one.
    """
    interval = (times_s[-1] - times_s[0]) / (len(times_s) - 1)
    n_window = max(1, round(window_s / interval))
    centre = (onsets_s[:, None] + lags_s - times_s[0]) / interval
    return np.round(centre - (n_window - 1) / 2).astype(np.int64), n_window


def window_means(data: Array32, n_window: int) -> Array32:
    """Mean response in the window that starts at each sample.

    Parameters
    ----------
    data : ndarray of shape (n_times, n_targets)
    n_window : int
        Samples.

    Returns
    -------
    ndarray of shape (n_times - n_window + 1, n_targets), float32
        Rows ``starts`` of it, see :func:`epoch_starts`, are the means around words.
    """
    means = np.empty((len(data) - n_window + 1, data.shape[1]), dtype=np.float32)
    for first in range(0, data.shape[1], _COLUMNS):
        block = slice(first, first + _COLUMNS)
        total = np.zeros((len(data) + 1, data[:, block].shape[1]))
        np.cumsum(data[:, block], axis=0, dtype=np.float64, out=total[1:])
        means[:, block] = (total[n_window:] - total[:-n_window]) / n_window
    return means
