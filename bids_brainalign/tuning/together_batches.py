"""Batches of several participants who heard the same stories, in turn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.tuning.batch_order import BatchSource
from bids_brainalign.tuning.stories import Batch

Place = tuple[int, int]
"""Number of the source, and of the batch in it."""


class TogetherBatches:
    """Batches from one source per participant: a stretch of a story with each one's responses.

    The loss is led back for one participant after the other, an update each, over the same
    stretch of the same story, before the next stretch comes ("sequential" in Moussa & Toneva
    2025). Stretches come in another order every epoch, and so do the participants of a stretch,
    so that nobody is always the last one. Participants may have heard different stories, or rows
    that begin or end elsewhere: who lacks a stretch is left out of its turn.

    The order is part of the batches: train without shuffling.

    Parameters
    ----------
    sources : sequence of BatchSource
        One per participant, with the same targets.
    stories : sequence of sequence of str
        Per source, the name of the story of each of its batches.
    seed : int
        Of the order.
    """

    def __init__(
        self, sources: Sequence[BatchSource], stories: Sequence[Sequence[str]], *, seed: int
    ) -> None:
        if len(sources) != len(stories) or any(
            len(source) != len(names) for source, names in zip(sources, stories, strict=True)
        ):
            raise BrainAlignError(
                "every batch of every participant needs the name of its story",
                fix="give one list of names per source, as long as that has batches",
            )
        self._sources, self._seed = tuple(sources), seed
        self._stretches = _stretches(stories)
        self._order: tuple[int, list[Place]] = (-1, [])
        """Of the epoch that was asked for last."""

    def __len__(self) -> int:
        return sum(len(stretch) for stretch in self._stretches)

    def batch(self, epoch: int, index: int) -> Batch:
        """One of an epoch's batches, by its place in the order of that epoch."""
        source, number = self.order(epoch)[index]
        return self._sources[source].batch(epoch, number)

    def order(self, epoch: int) -> list[Place]:
        """Give the order of an epoch."""
        known, order = self._order
        if known != epoch:
            rng = np.random.default_rng([self._seed, epoch])
            order = [
                self._stretches[stretch][turn]
                for stretch in rng.permutation(len(self._stretches))
                for turn in rng.permutation(len(self._stretches[stretch]))
            ]
            self._order = (epoch, order)
        return order


def _stretches(stories: Sequence[Sequence[str]]) -> list[list[Place]]:
    """Join the k-th batches of a story over participants."""
    joined: dict[tuple[str, int], list[Place]] = {}
    for source, names in enumerate(stories):
        count: dict[str, int] = {}
        for number, name in enumerate(names):
            joined.setdefault((name, count.get(name, 0)), []).append((source, number))
            count[name] = count.get(name, 0) + 1
    return list(joined.values())
