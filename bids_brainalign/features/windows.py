"""Overlapping model windows over a long stimulus, blended into one sequence of frames."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Float = TypeVar("Float", bound=np.floating)


def window_starts(n_frames: int, *, window: int, hop: int) -> NDArray[np.int64]:
    """Give the first frame of every window; the last window ends with the stimulus.

    Parameters
    ----------
    n_frames : int
        Frames of the whole stimulus.
    window, hop : int
        Length of a window and the step between windows, in frames.

    Returns
    -------
    ndarray of int, shape (n_windows,)
        One window where the stimulus fits into it. The last one starts earlier than a full hop
        rather than being padded, so that it hears as much real audio as the others.
    """
    if n_frames <= window:
        return np.zeros(1, dtype=np.int64)
    last = n_frames - window
    return np.append(np.arange(0, last, hop, dtype=np.int64), last)


def blend_weights(
    starts: NDArray[np.int64], *, n_frames: int, window: int, margin: int, blend: int
) -> NDArray[np.float32]:
    """Weights with which each window's frames enter the sequence.

    A frame nearer than ``margin`` to an inner edge of its window has weight 0, so that every frame
    used has at least that much audio on both sides; over the next ``blend`` frames the weight
    rises to 1. The outer edges of the first and last window are the stimulus' own.

    Parameters
    ----------
    starts : ndarray of int, shape (n_windows,)
        From :func:`window_starts`.
    n_frames, window, margin, blend : int
        In frames.

    Returns
    -------
    ndarray of shape (n_windows, window), float32
        Sum to 1 over the windows at every frame of the stimulus.
    """
    local = np.arange(window)
    weights = np.empty((len(starts), window), dtype=np.float64)
    for index, start in enumerate(starts):
        rise = np.ones(window) if index == 0 else (local - margin) / max(blend, 1)
        fall = (
            np.ones(window)
            if index == len(starts) - 1
            else (window - margin - local) / max(blend, 1)
        )
        weights[index] = np.clip(np.minimum(rise, fall), 0.0, 1.0)
        weights[index, local + start >= n_frames] = 0.0
    total = np.zeros(n_frames)
    for start, weight in zip(starts, weights, strict=True):
        stop = min(start + window, n_frames)
        total[start:stop] += weight[: stop - start]
    if (total <= 0).any():
        raise ValueError("windows leave frames uncovered: hop must be < window - 2 * margin")
    for start, weight in zip(starts, weights, strict=True):
        stop = min(start + window, n_frames)
        weight[: stop - start] /= total[start:stop]
    return weights.astype(np.float32)


def block_mean(values: NDArray[Float], *, factor: int) -> NDArray[Float]:
    """Average runs of ``factor`` frames, or of their times; the last run may be shorter.

    Parameters
    ----------
    values : ndarray of shape (n_frames, ...)
    factor : int
        Frames per mean; 1 returns the input.

    Returns
    -------
    ndarray of shape (ceil(n_frames / factor), ...)
        Of the input's type.
    """
    if factor == 1 or not len(values):
        return values
    edges = np.arange(0, len(values), factor)
    counts = np.diff(np.append(edges, len(values)))
    shape = (-1, *(1 for _ in values.shape[1:]))
    means = np.add.reduceat(values, edges, axis=0) / counts.reshape(shape)
    return means.astype(values.dtype)
