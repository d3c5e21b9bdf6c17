"""A contiguous, purged part of the training rows that decides when training stops."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.statistics.folds import Samples, Split


def purged_block(
    samples: Samples,
    train: NDArray[np.int64],
    *,
    share: float,
    position: float,
    gap_s: float,
) -> Split:
    """Cut a block from the training rows and leave a gap on both sides of it.

    Parameters
    ----------
    samples : Samples
        All rows of the fit.
    train : ndarray of int
        Training rows of the outer fold, ascending.
    share : float
        Of the training rows, for the block.
    position : float
        Where the block begins: 0 at the first training row, 1 as late as possible.
    gap_s : float
        Rows nearer than this to the block are in neither part: nearer on the recording's clock,
        or on the stimulus' (the same words may have been heard in another recording).

    Returns
    -------
    Split
        ``train`` to learn from, ``test`` to stop by; both parts of `train`.
    """
    size = max(1, round(share * len(train)))
    start = round(position * (len(train) - size))
    held = train[start : start + size]
    rest = np.concatenate([train[:start], train[start + size :]])
    near = _near(samples.run, samples.time_s, rest, held, gap_s)
    near |= _near(samples.stimulus, samples.stimulus_s, rest, held, gap_s)
    return Split(rest[~near], held)


def _near(
    part: NDArray[np.int64],
    seconds: NDArray[np.float64],
    rows: NDArray[np.int64],
    held: NDArray[np.int64],
    gap_s: float,
) -> NDArray[np.bool_]:
    """Whether each row lies within the gap of a held-out one of the same part."""
    near = np.zeros(len(rows), dtype=bool)
    for name in np.unique(part[held]):
        times = np.sort(seconds[held[part[held] == name]])
        mine = part[rows] == name
        own = seconds[rows[mine]]
        after = np.clip(np.searchsorted(times, own), 0, len(times) - 1)
        before = np.clip(after - 1, 0, len(times) - 1)
        distance = np.minimum(np.abs(times[after] - own), np.abs(own - times[before]))
        near[mine] = distance <= gap_s
    return near
