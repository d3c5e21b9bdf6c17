"""Parts that share nothing."""

import numpy as np
import pytest

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.probes.splits import (
    check_disjoint,
    connected,
    split_clips,
    within_stories,
)


def rng():
    return np.random.default_rng(0)


def test_speakers_who_read_the_same_sentences_stay_together():
    # As TIMIT's SX sentences: seven speakers read the same five.
    speakers = [f"s{g}{i}" for g in range(10) for i in range(7) for _ in range(5)]
    sentences = [f"x{g}{k}" for g in range(10) for _ in range(7) for k in range(5)]
    parts = split_clips(speakers, sentences, official=[None] * 350, rng=rng())
    check_disjoint(parts.part, speakers, sentences)
    assert np.bincount(parts.part).tolist() == [210, 70, 70]
    assert len(np.unique(connected(speakers, sentences))) == 10


def test_everyone_says_everything_as_in_crema_d():
    speakers = [f"a{i}" for i in range(20) for _ in range(12)]
    sentences = [f"t{k}" for _ in range(20) for k in range(12)]
    parts = split_clips(speakers, sentences, official=[None] * 240, rng=rng())
    check_disjoint(parts.part, speakers, sentences)
    assert (np.bincount(parts.part[parts.part >= 0], minlength=3) > 0).all()
    assert "left out" in parts.rule


def test_official_parts_win_and_what_they_share_is_left_out_of_training():
    speakers = ["a", "b", "c", "d", "e", "f"]
    sentences = ["x", "y", "z", "w", "x", "v"]
    official = ["train", "train", "train", "train", "test", "test"]
    parts = split_clips(speakers, sentences, official=official, rng=rng())
    check_disjoint(parts.part, speakers, sentences)
    assert parts.part[0] == -1
    assert parts.part[4:].tolist() == [2, 2]
    assert (parts.part == 1).sum() == 1


def test_stories_of_a_dataset():
    parts = split_clips([None] * 3, ["s1", "s2", "s3"], official=[None] * 3, rng=rng())
    assert sorted(parts.part.tolist()) == [0, 1, 2]


def test_one_large_group_does_not_stop_the_rest():
    stories = ["a"] * 20 + ["b", "c"]
    parts = split_clips([None] * 22, stories, official=[None] * 22, rng=rng())
    check_disjoint(parts.part, stories)
    assert parts.part[0] == 0
    assert set(parts.part.tolist()) == {0, 1, 2}


def test_too_little_is_refused():
    with pytest.raises(BrainAlignError, match="can't be parted"):
        split_clips(["a", "a"], ["x", "y"], official=[None] * 2, rng=rng())


def test_shared_speaker_is_noticed():
    with pytest.raises(ValueError, match="two parts"):
        check_disjoint(np.array([0, 2]), ["a", "a"])


def test_one_story_is_parted_in_time_with_gaps():
    start = np.arange(0, 100, 0.5)
    times = np.stack([start, start + 0.5], axis=1)
    part = within_stories(times, np.full(200, 100.0), gap_s=3.0)
    ends = [times[part == p].ravel() for p in range(3)]
    assert ends[0].max() == 60.0
    assert ends[1].min() == 63.0
    assert ends[2].min() == 83.0
    assert within_stories(times, np.full(200, 100.0), gap_s=30.0)[np.searchsorted(start, 66)] == 1
