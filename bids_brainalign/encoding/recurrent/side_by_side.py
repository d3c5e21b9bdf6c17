"""Networks trained side by side in threads, each of them on one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch


@contextmanager
def torch_threads(n_threads: int) -> Iterator[None]:
    """Let torch work on so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work on one thread.

    A network's steps take about a millisecond each, so that OpenMP's threads mostly wait for each
    other, and by default they wait busily. Measured on two cores that others used too, GRU without
    attention, 4096 rows: .2 CPU seconds on one thread, 2 to 6 on two; .3 on two with
    OMP_WAIT_POLICY=passive, which gained no time either and must be set before torch is loaded.
    """
    with torch_threads(1):
        yield


def side_by_side(tasks: Sequence[Callable[[], None]], *, n_threads: int) -> None:
    """Do all tasks, so many at once; torch's operations release Python's lock.

    Threads instead of processes share the windows, which are the bulk of the memory. The first
    error is raised once the tasks that had begun are done; no other one begins.
    """
    with one_thread():
        if n_threads <= 1 or len(tasks) <= 1:
            for task in tasks:
                task()
            return
        with ThreadPoolExecutor(min(n_threads, len(tasks)), initializer=_alone) as pool:
            futures = [pool.submit(task) for task in tasks]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _alone() -> None:
    """OpenMP counts threads for each of Python's threads anew."""
    torch.set_num_threads(1)
