"""A model run on short clips, each by itself: the mean of its frames per layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.features.dense import Forward
from bids_brainalign.features.progress import Progress


def clip_means(
    clips: Sequence[NDArray[np.float32]],
    forward: Forward,
    *,
    n_frames: Callable[[int], int],
    equally_long: bool,
    batch_size: int,
) -> list[NDArray[np.float32]]:
    """Average the frames of each clip.

    Parameters
    ----------
    clips : sequence of ndarray of shape (n_samples,), float32
    forward : callable
        Clips → per layer (n_clips, at least n_frames of the clip, n_dims).
    n_frames : callable
        Samples of a clip → its frames; what lies beyond is padding and never read.
    equally_long : bool
        Give `forward` clips of one length at a time, as they may not be padded.
    batch_size : int
        Clips per forward pass.

    Returns
    -------
    list of ndarray of shape (n_clips, n_dims)
        Per layer, in the order of the clips.
    """
    means: list[NDArray[np.float32]] = []
    progress = Progress("clips", len(clips))
    for chosen in _batches(list(map(len, clips)), batch_size, equally_long=equally_long):
        states = forward([clips[i] for i in chosen])
        if not means:
            means = [np.zeros((len(clips), s.shape[2]), dtype=np.float32) for s in states]
        for row, i in enumerate(chosen):
            count = n_frames(len(clips[i]))
            for mean, state in zip(means, states, strict=True):
                mean[i] = state[row, :count].mean(axis=0, dtype=np.float64)
        progress.advance(len(chosen))
        del states  # before the next pass makes its own
    return means


def _batches(lengths: list[int], batch_size: int, *, equally_long: bool) -> Iterator[list[int]]:
    everyone = list(range(len(lengths)))
    groups = [everyone]
    if equally_long:
        ranked = sorted(everyone, key=lengths.__getitem__)
        groups = [list(group) for _, group in groupby(ranked, key=lengths.__getitem__)]
    for group in groups:
        for first in range(0, len(group), batch_size):
            yield group[first : first + batch_size]
