"""Held-out time cut into segments that can be told from each other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

MIN_SEGMENTS = 6
"""Fewer segments give at most a dozen pairs: a fold with fewer is not scored."""


@dataclass(frozen=True)
class Segments:
    """Segments of one held-out fold, on a grid of steps."""

    steps: NDArray[np.int64]
    """(n_steps, n_rows_per_step): held-out rows averaged into each step."""
    starts: NDArray[np.int64]
    """(n_segments,): first step of each segment."""
    length: int
    """Steps of a segment."""
    comparable: NDArray[np.bool_]
    """(n_segments, n_segments): pairs far enough apart to be told from each other."""

    @property
    def n_segments(self) -> int:
        """Segments of this fold."""
        return len(self.starts)

    @property
    def enough(self) -> bool:
        """Whether the fold can be scored: every segment has others to be told from."""
        return self.n_segments >= MIN_SEGMENTS and bool(self.comparable.any(axis=0).all())

    def averaged(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean of held-out rows over each step: (n_rows, n_dims) to (n_steps, n_dims)."""
        mean: NDArray[np.float32] = values[self.steps].mean(axis=1, dtype=np.float32)
        return mean


def cut_segments(
    run: NDArray[np.int64],
    time_s: NDArray[np.float64],
    *,
    interval_s: float,
    segment_s: float,
    step_s: float,
    apart_s: float,
    most: int,
    onsets: tuple[NDArray[np.int64], NDArray[np.float64]] | None = None,
) -> Segments:
    """Cut the held-out rows of one fold.

    Parameters
    ----------
    run : ndarray of int, shape (n_rows,)
        Run of each held-out row, in the order of time within a run.
    time_s : ndarray of shape (n_rows,)
        Seconds on the recording clock.
    interval_s : float
        Between samples.
    segment_s, step_s : float
        Length of a segment, and of the steps it is described by (rounded to whole samples and
        whole steps).
    apart_s : float
        Segments are compared only with those that begin at least this long after their end, or
        end as long before their start: neighbours are alike.
    most : int
        At most so many segments, evenly thinned.
    onsets : tuple of ndarray, optional
        Run and second at which segments begin (words); without it they lie end to end.

    Returns
    -------
    Segments
        None of them reaches over a gap of the rows (censored samples, the end of a run).
    """
    per_step = max(1, round(step_s / interval_s))
    length = max(1, round(segment_s / (per_step * interval_s)))
    steps, first_s, of_run, left = _grid(run, time_s, interval_s, per_step)
    width_s = per_step * interval_s
    if onsets is None:
        starts = _end_to_end(left, length)
    else:
        starts = _at_onsets(onsets, first_s, of_run, left, length=length, width_s=width_s)
    if len(starts) > most:
        starts = starts[np.linspace(0, len(starts) - 1, most).round().astype(np.int64)]
    gap = np.abs(first_s[starts][:, None] - first_s[starts]) - length * width_s
    other_run = of_run[starts][:, None] != of_run[starts]
    comparable = other_run | (gap >= apart_s - 1e-9)
    np.fill_diagonal(comparable, False)
    return Segments(steps, starts, length, comparable)


def _grid(
    run: NDArray[np.int64], time_s: NDArray[np.float64], interval_s: float, per_step: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows of each step, its first second, its run, and steps left in its stretch."""
    broken = (np.diff(run) != 0) | (np.abs(np.diff(time_s) - interval_s) > 0.5 * interval_s)
    borders = np.concatenate([[0], np.flatnonzero(broken) + 1, [len(run)]])
    rows, left = [np.empty((0, per_step), dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for start, stop in pairwise(borders.tolist()):
        count = (stop - start) // per_step
        rows.append(start + np.arange(count * per_step).reshape(count, per_step))
        left.append(np.arange(count, 0, -1))
    steps = np.concatenate(rows)
    return steps, time_s[steps[:, 0]], run[steps[:, 0]], np.concatenate(left)


def _end_to_end(left: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    starts, at = [], 0
    while at < len(left):
        if left[at] >= length:
            starts.append(at)
            at += length
        else:
            at += int(left[at])
    return np.array(starts, dtype=np.int64)


def _at_onsets(
    onsets: tuple[NDArray[np.int64], NDArray[np.float64]],
    first_s: NDArray[np.float64],
    of_run: NDArray[np.int64],
    left: NDArray[np.int64],
    *,
    length: int,
    width_s: float,
) -> NDArray[np.int64]:
    """Give steps nearest to onsets, each once, where the whole segment lies within its stretch."""
    found: set[int] = set()
    for run in np.unique(of_run):
        mine = np.flatnonzero(of_run == run)
        for onset in onsets[1][onsets[0] == run]:
            at = int(mine[np.abs(first_s[mine] - onset).argmin()])
            if abs(first_s[at] - onset) <= 0.5 * width_s + 1e-9 and left[at] >= length:
                found.add(at)
    return np.array(sorted(found), dtype=np.int64)
