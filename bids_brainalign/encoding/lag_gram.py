"""Gram matrices of lagged designs, computed once per difference of lags.

The columns of a design are the same features at equidistant lags, so that in a stretch of
neighbouring samples the product of lags i + 1 and j + 1 is that of lags i and j one step earlier:
it differs by the rows that enter at the stretch's start and leave at its end. Only products with
the first lag are sums over all rows; with n lags that is 1/n of the work (the matrix is
block-Toeplitz but for the ends of stretches; Crosse et al. 2016, mTRF-Toolbox, drop the ends).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]
Rows = NDArray[np.int64]
_MOST_SLICES = 16


@dataclass(frozen=True)
class LagStructure:
    """How the columns of a design repeat each other.

    All bands have the same lags; the columns of a band are lag-major.
    """

    n_lags: int
    step: int
    """Samples from one lag to the next; negative where lags fall."""
    stretch: NDArray[np.int64]
    """(n_samples,) rows with the same label that follow each other are neighbours in time."""


def structure_of(delays: Sequence[int], used: Sequence[NDArray[np.bool_]]) -> LagStructure | None:
    """Describe designs of these delays; None where their steps are uneven.

    Parameters
    ----------
    delays : sequence of int
        In samples.
    used : sequence of ndarray of bool
        Per run, the samples that are rows of the design.
    """
    steps = {b - a for a, b in pairwise(delays)}
    if len(steps) != 1 or steps == {0}:
        return None
    labels, n = [], 0
    for run in used:
        at = np.flatnonzero(run)
        if len(at):
            label = np.concatenate([[0], np.cumsum(np.diff(at) > 1)]) + n
            n = int(label[-1]) + 1
            labels.append(label)
    stretch = np.concatenate(labels) if labels else np.zeros(0, dtype=np.int64)
    return LagStructure(len(delays), steps.pop(), stretch.astype(np.int64))


def gram(
    features: Array32, rows: Rows, slices: Sequence[slice], lags: LagStructure | None
) -> Array64:
    """X'X over some rows.

    Parameters
    ----------
    features : ndarray of shape (n_samples, n_features), float32
    rows : ndarray of int
        Rising.
    slices : sequence of slice
        Columns of each band.
    lags : LagStructure, optional
        Without it every product is summed over all rows.

    Returns
    -------
    ndarray of shape (n_features, n_features), float64
        Products are float32, sums over stretches float64: exact to about 1e-6 of the largest
        entry.
    """
    if lags is None or lags.n_lags < 2:
        return _direct(features, rows)
    parts = _stretches(rows, lags)
    step = abs(lags.step)
    long = [part for part in parts if len(part) >= step]
    # Every stretch costs its first and last rows, in full.
    if 2 * step * len(long) >= len(rows) // 2:
        return _direct(features, rows)
    order = _lag_major(slices, lags.n_lags)[:: 1 if lags.step > 0 else -1]
    kept = np.concatenate(long)
    starts = np.concatenate([part[:step] for part in long])
    ends = np.concatenate([part[-step:] for part in long])
    inside = np.sum([_block_rows(features, part, order[0]) for part in runs_of(kept)], axis=0)
    total = _recursion(
        inside, _direct(features, starts), _direct(features, ends), np.concatenate(order)
    )
    short = [part for part in parts if len(part) < step]
    if short:
        total += _direct(features, np.concatenate(short))
    return total


def _recursion(
    inside: Array64, enter: Array64, leave: Array64, columns: NDArray[np.int64]
) -> Array64:
    """Products of all lags from those with the first.

    Parameters
    ----------
    inside : ndarray of shape (width, n_features)
        Products of the first lag's columns with all.
    enter, leave : ndarray of shape (n_features, n_features)
        Products over the rows at the starts and the ends of stretches.
    columns : ndarray of int, shape (n_features,)
        Lag after lag.
    """
    in_order = bool((np.diff(columns) == 1).all())
    square = np.ix_(columns, columns)
    if not in_order:
        inside, enter, leave = inside[:, columns], enter[square], leave[square]
    total = np.empty_like(enter)
    width = len(inside)
    block = inside
    for first in range(0, len(columns), width):
        if first:
            block = block[:, :-width] + enter[first : first + width, first:]
            block -= leave[first - width : first, first - width : -width]
        total[first : first + width, first:] = block
        total[first + width :, first : first + width] = block[:, width:].T
    if in_order:
        return total
    out = np.empty_like(total)
    out[square] = total
    return out


def _direct(features: Array32, rows: Rows) -> Array64:
    x = features[rows]
    return np.asarray(x.T @ x, dtype=np.float64)


def _block_rows(features: Array32, rows: slice | Rows, columns: NDArray[np.int64]) -> Array64:
    """(len(columns), n_features) products of some columns with all."""
    x = features[rows]
    return np.asarray(np.ascontiguousarray(x[:, columns]).T @ x, dtype=np.float64)


def runs_of(rows: Rows) -> list[slice] | list[Rows]:
    """Rows as slices, which need no copy; as they are where that would be many."""
    cuts = np.flatnonzero(np.diff(rows) > 1) + 1
    if len(cuts) >= _MOST_SLICES:
        return [rows]
    return [slice(int(part[0]), int(part[-1]) + 1) for part in np.split(rows, cuts)]


def _stretches(rows: Rows, lags: LagStructure) -> list[Rows]:
    """Cut rows where the next one is no neighbour in time."""
    cut = (np.diff(rows) > 1) | (np.diff(lags.stretch[rows]) != 0)
    return np.split(rows, np.flatnonzero(cut) + 1)


def _lag_major(slices: Sequence[slice], n_lags: int) -> list[NDArray[np.int64]]:
    """Columns of every lag, of all bands."""
    per_band = [np.arange(s.start, s.stop).reshape(n_lags, -1) for s in slices]
    return [np.concatenate([band[lag] for band in per_band]) for lag in range(n_lags)]
