"""Batches of several participants in turn."""

from itertools import groupby

import pytest

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.tuning.together_batches import TogetherBatches


class Source:
    """Batches that tell what was asked for."""

    def __init__(self, who, n):
        self.who, self.n = who, n

    def __len__(self):
        return self.n

    def batch(self, epoch, index):
        return (self.who, epoch, index)


STORIES = (["a", "a", "b"], ["b", "a", "a", "a"], ["b"])
"""Per participant, the story of each batch: the second one has a longer story a."""


def together(seed=0):
    sources = [Source(who, len(names)) for who, names in zip("xyz", STORIES, strict=True)]
    return TogetherBatches(sources, STORIES, seed=seed)


def stretch_of(batch):
    """Story and number in it of a batch, worked out anew from the lists above."""
    who, _, index = batch
    names = STORIES["xyz".index(who)]
    return names[index], names[:index].count(names[index])


@pytest.mark.parametrize("epoch", range(4))
def test_participants_take_turns_on_every_stretch_of_a_story(epoch):
    batches = together()
    assert len(batches) == 8
    got = [batches.batch(epoch, k) for k in range(8)]
    assert {e for _, e, _ in got} == {epoch}
    assert sorted((who, index) for who, _, index in got) == sorted(
        (who, index) for who, names in zip("xyz", STORIES, strict=True)
        for index in range(len(names))
    )  # fmt: skip
    turns = {stretch: [b[0] for b in part] for stretch, part in groupby(got, key=stretch_of)}
    # Every stretch is one run of batches, with everybody who heard it once.
    assert {stretch: sorted(who) for stretch, who in turns.items()} == {
        ("a", 0): ["x", "y"], ("a", 1): ["x", "y"], ("a", 2): ["y"], ("b", 0): ["x", "y", "z"],
    }  # fmt: skip


def test_order_changes_with_the_epoch_and_is_the_same_whenever_asked_for():
    first, second = together(), together()
    orders = [first.order(epoch) for epoch in range(6)]
    assert len({tuple(order) for order in orders}) > 1
    assert [second.order(epoch) for epoch in (5, 0, 3)] == [orders[5], orders[0], orders[3]]
    assert together(seed=1).order(0) != orders[0]
    last = {order[k][0] for order in orders for k in (-1,)}
    assert len(last) > 1


def test_every_batch_needs_its_story():
    with pytest.raises(BrainAlignError, match="name of its story"):
        TogetherBatches([Source("x", 2)], [["a"]], seed=0)
