"""Rows and columns of responses that are too large to copy."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Array32 = NDArray[np.float32]
Columns = NDArray[np.int64] | None
"""Some targets, or all."""
Some = slice | NDArray[np.int64]
"""Some targets."""

In = TypeVar("In")
Out = TypeVar("Out")

BATCH = 512
"""Targets at a time: enough for fast products, few enough for many threads' memory."""


def batches_of(columns: Columns, n_targets: int, size: int | None = None) -> Iterator[Some]:
    """Cut some targets, or all (None), into batches of a size; of ``BATCH`` if None."""
    n, size = n_targets if columns is None else len(columns), size or BATCH
    for start in range(0, n, size):
        part = slice(start, min(start + size, n))
        yield part if columns is None else columns[part]


def parts_by_use(uses: Sequence[Rows]) -> tuple[list[Rows], list[list[int]]]:
    """Cut rows into parts that each use takes whole or not at all.

    Sums over the rows of every use, as of the training sets of folds, are then sums over parts,
    each of which is made once.

    Parameters
    ----------
    uses : sequence of ndarray of int
        Rising.

    Returns
    -------
    parts : list of ndarray of int
    taken : list of list of int
        Per use, its parts.
    """
    n_rows = max((int(rows[-1]) + 1 for rows in uses if len(rows)), default=0)
    member = np.zeros((len(uses), n_rows), dtype=bool)
    for use, rows in zip(member, uses, strict=True):
        use[rows] = True
    patterns, part_of = np.unique(member, axis=1, return_inverse=True)
    part_of = part_of.reshape(-1)
    used = np.flatnonzero(patterns.any(axis=0))
    parts = [np.flatnonzero(part_of == index) for index in used]
    taken = [np.flatnonzero(use[used]).tolist() for use in patterns]
    return parts, taken


def in_threads(work: Callable[[In], Out], items: Iterable[In], n_threads: int) -> Iterator[Out]:
    """Do the same with every item, some at a time; give what comes out in order.

    For products of matrices, each on one thread of BLAS: threads of BLAS wait for each other at
    full speed, those of numpy's and of scipy's OpenBLAS also against each other. Not more than
    one result per thread is waiting to be taken.
    """
    if n_threads <= 1:
        yield from map(work, items)
        return
    waiting: deque[Future[Out]] = deque()
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
