"""Stories that can't be, and the permuted control."""

from __future__ import annotations

import numpy as np
import pytest

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.tuning.stories import Story, block_permuted


def numbered_story(n_rows: int, name: str = "souls") -> Story:
    """Each response is the number of its row."""
    return Story(
        name=name,
        wave=np.zeros(100, dtype=np.float32),
        times_s=2.0 * np.arange(n_rows),
        responses=np.arange(n_rows, dtype=np.float32)[:, None],
    )


@pytest.mark.parametrize("n_rows", [30, 31, 45, 100, 291])
def test_blocks_stay_together_and_every_row_moves(n_rows: int) -> None:
    permuted = block_permuted(numbered_story(n_rows), seed=3).responses[:, 0]
    assert sorted(permuted) == list(range(n_rows))
    assert np.abs(permuted - np.arange(n_rows)).min() >= 10
    jumps = np.flatnonzero(np.diff(permuted) != 1) + 1
    assert all(permuted[at] % 15 == 0 for at in [0, *jumps])


def test_the_order_follows_from_seed_and_name() -> None:
    story = numbered_story(291)
    first = block_permuted(story, seed=1).responses
    assert np.array_equal(first, block_permuted(story, seed=1).responses)
    assert not np.array_equal(first, block_permuted(story, seed=2).responses)
    assert not np.array_equal(
        first, block_permuted(numbered_story(291, "naked"), seed=1).responses
    )
    assert np.array_equal(story.responses, numbered_story(291).responses)


def test_a_story_of_one_block_cannot_be_permuted() -> None:
    with pytest.raises(BrainAlignError, match=r"souls has 15 rows.*can't be permuted"):
        block_permuted(numbered_story(15), seed=0)


@pytest.mark.parametrize(
    ("times", "responses", "wave", "message"),
    [
        ([0, 2, 4], np.zeros((2, 1)), np.zeros(5), "don't belong together"),
        ([0, 2], np.zeros((2, 1)), np.zeros((5, 2)), "don't belong together"),
        ([0, 2, 2], np.zeros((3, 1)), np.zeros(5), "must rise"),
        ([0], np.zeros((1, 1)), np.zeros(5), "must be two at least"),
        ([0, 2], np.array([[0], [np.nan]]), np.zeros(5), "not finite"),
        ([0, 2], np.zeros((2, 1)), np.array([0, np.inf]), "not finite"),
    ],
)
def test_stories_that_cannot_be(
    times: list[float], responses: np.ndarray, wave: np.ndarray, message: str
) -> None:
    with pytest.raises(BrainAlignError, match=message):
        Story("x", wave, np.array(times, dtype=float), responses)


def test_interval_is_the_true_one_with_rows_missing() -> None:
    times = 2.0045 * np.delete(np.arange(300), [17, 18, 100])
    story = Story("x", np.zeros(9, np.float32), times, np.zeros((297, 1), np.float32))
    assert story.interval_s == pytest.approx(2.0045, abs=1e-9)
