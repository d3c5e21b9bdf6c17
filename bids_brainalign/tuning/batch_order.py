"""Order of batches, and the random numbers that go with each: from seed, epoch and number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Protocol

import numpy as np

from bids_brainalign.tuning.stories import Batch


class BatchSource(Protocol):
    """Where batches come from."""

    def __len__(self) -> int:
        """Batches of an epoch; the same in all."""
        ...

    def batch(self, epoch: int, index: int) -> Batch:
        """One of them; the same whenever it is asked for."""
        ...


def batch_order(n_batches: int, *, seed: int, epoch: int) -> list[int]:
    """Shuffle an epoch's batches."""
    order: list[int] = np.random.default_rng([seed, epoch]).permutation(n_batches).tolist()
    return order


def batch_seed(seed: int, *, epoch: int, index: int) -> int:
    """Give the seed of all random numbers that a model draws for one batch."""
    return int(np.random.SeedSequence([seed, epoch, index]).generate_state(1)[0])


def prefetched(
    batches: BatchSource,
    epoch: int,
    indices: Sequence[int],
    *,
    prepare: Callable[[Batch], Batch] | None = None,
) -> Iterator[tuple[int, Batch]]:
    """Give batches with their numbers; the next one is made, and prepared, while one is used."""
    if not indices:
        return

    def made(index: int) -> Batch:
        batch = batches.batch(epoch, index)
        return batch if prepare is None else prepare(batch)

    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(made, indices[0])
        for index, following in pairwise(indices):
            batch = coming.result()
            coming = pool.submit(made, following)
            yield index, batch
        yield indices[-1], coming.result()
