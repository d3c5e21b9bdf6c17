"""Labels drawn anew so that nothing ties them to the features, and their memory stays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def shifted_rows(stretch: Rows, *, least: int, n_draws: int, rng: np.random.Generator) -> Rows:
    """Shift the rows of every stretch circularly, each by an offset of its own.

    Parameters
    ----------
    stretch : ndarray of shape (n_rows,)
        Rows in the order of time; equal numbers belong together.
    least : int
        Smallest shift in rows, in either direction; less where a stretch has under 4 times as
        many.
    n_draws : int
    rng : Generator

    Returns
    -------
    ndarray of shape (n_draws, n_rows)
        ``labels[draws[i]]`` are the labels of draw i. A row stays within its stretch.
    """
    out = np.empty((n_draws, len(stretch)), dtype=np.int64)
    for name in np.unique(stretch):
        rows = np.flatnonzero(stretch == name)
        n = len(rows)
        low = max(1, min(least, n // 4))
        offsets = rng.integers(low, max(low + 1, n - low + 1), size=n_draws)
        out[:, rows] = rows[(np.arange(n) + offsets[:, None]) % n]
    return out


def exchanged_rows(group: Rows, *, n_draws: int, rng: np.random.Generator) -> Rows:
    """Exchange rows at random within each group, such as the clips of one speaker.

    Returns
    -------
    ndarray of shape (n_draws, n_rows)
    """
    keys = rng.random((n_draws, len(group)))
    # Sorted by group first, then at random: positions of a group take its rows in a new order.
    order = np.lexsort((keys, np.broadcast_to(group, keys.shape)), axis=1)
    out = np.empty_like(order)
    out[:, np.argsort(group, kind="stable")] = order
    return out


def exchanged_blocks(group: Rows, label: Rows, *, n_draws: int, rng: np.random.Generator) -> Rows:
    """Exchange the labels of whole blocks; every row takes that of a row of the other block.

    Parameters
    ----------
    group : ndarray of shape (n_rows,)
        Block of each row, with one label in each (a chapter of one speaker).
    label : ndarray of shape (n_rows,)
        Part of each row: blocks change places within a part.
    n_draws : int
    rng : Generator
    """
    out = np.empty((n_draws, len(group)), dtype=np.int64)
    for name in np.unique(label):
        rows = np.flatnonzero(label == name)
        blocks, where = np.unique(group[rows], return_inverse=True)
        first = np.array([rows[np.argmax(where == b)] for b in range(len(blocks))])
        for draw in range(n_draws):
            out[draw, rows] = first[rng.permutation(len(blocks))[where]]
    return out
