"""Clips against a loop over rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.tuning.clip_batches import ClipBatches, ClipSettings
from bids_brainalign.tuning.stories import Story

RATE = 16_000


def ramp_story(*, n_rows: int = 60, tr: float = 2.0045, first: float = -3.0) -> Story:
    """Every sample of the wave is its own number (exact in float32), every response its row's."""
    n_samples = int(RATE * (first + tr * n_rows - 7))  # the last responses come after the audio
    return Story(
        "ramp",
        np.arange(1, n_samples + 1, dtype=np.float32),
        first + tr * np.arange(n_rows),
        np.arange(n_rows, dtype=np.float32)[:, None],
    )


@pytest.mark.parametrize("tr", [2.0, 2.0045, 0.8])
@pytest.mark.parametrize("shuffle", [False, True])
def test_clips_are_those_of_a_loop_over_rows(tr: float, shuffle: bool) -> None:
    story = ramp_story(tr=tr)
    batches = ClipBatches([story], ClipSettings(rows=16, shuffle=shuffle))
    seen = []
    for index in range(len(batches)):
        batch, rows = batches.batch(2, index), batches.rows(2, index)
        assert batch.clips.shape == (len(rows), 10 * RATE)
        assert batch.mixing is None
        assert batch.delays is None
        for clip, n_valid, response, row in zip(
            batch.clips.numpy(), batch.n_valid.tolist(), batch.responses, rows, strict=True
        ):
            assert response.item() == row
            end = round((story.times_s[row] + 1.0) * RATE)
            wanted = [s for s in range(end - 10 * RATE, end) if 0 <= s < len(story.wave)]
            assert n_valid == len(wanted)
            assert np.array_equal(clip[:n_valid], story.wave[wanted])
            assert not clip[n_valid:].any()
            seen.append(row)
    ends = story.times_s + 1.0
    heard = (ends >= 0.1) & (ends - 10 <= len(story.wave) / RATE - 0.1)
    assert sorted(seen) == np.flatnonzero(heard).tolist()
    assert len(seen) < len(story.times_s)  # the first rows come before any audio


def test_no_drift_after_an_hour() -> None:
    """With whole seconds per TR, clip 1,800 would begin 8 s early."""
    times = 2.0045 * np.arange(1800)
    wave = np.zeros(int(RATE * 3620), dtype=np.float32)
    click = round((times[1790] + 1.0) * RATE) - 1
    wave[click] = 1
    story = Story("hour", wave, times, np.zeros((1800, 1), np.float32))
    batches = ClipBatches([story], ClipSettings(rows=50))
    last = batches.batch(0, len(batches) - 1)
    row = batches.rows(0, len(batches) - 1).tolist().index(1790)
    assert last.clips[row].argmax().item() == 10 * RATE - 1


def test_batches_are_even_and_of_one_story() -> None:
    stories = [ramp_story(n_rows=30), ramp_story(n_rows=50)]
    batches = ClipBatches(stories, ClipSettings(rows=20))
    sizes = [len(batches.rows(0, k)) for k in range(len(batches))]
    assert [batches.story(k) for k in range(len(batches))] == [0, 0, 1, 1, 1]
    assert max(sizes[:2]) - min(sizes[:2]) <= 1
    assert max(sizes[2:]) - min(sizes[2:]) <= 1
    assert batches.batch(0, 3).story == 1


def test_shuffled_rows_differ_by_epoch_and_come_back() -> None:
    settings = ClipSettings(rows=20, shuffle=True, seed=4)
    batches = ClipBatches([ramp_story(), ramp_story()], settings)
    assert batches.rows(0, 0).tolist() != batches.rows(1, 0).tolist()
    again = ClipBatches([ramp_story(), ramp_story()], settings)
    assert torch.equal(batches.batch(3, 1).clips, again.batch(3, 1).clips)
    per_story = len(batches) // 2
    assert batches.rows(0, 0).tolist() != batches.rows(0, per_story).tolist()


def test_batches_do_not_share_memory_with_the_story() -> None:
    story = ramp_story()
    batch = ClipBatches([story], ClipSettings(rows=128)).batch(0, 0)
    before = story.wave.copy(), story.responses.copy()
    batch.clips.mul_(0)
    batch.responses.mul_(0)
    assert np.array_equal(story.wave, before[0])
    assert np.array_equal(story.responses, before[1])


def test_a_story_whose_responses_miss_its_audio() -> None:
    story = replace(ramp_story(), times_s=1000 + 2.0 * np.arange(60))
    with pytest.raises(BrainAlignError, match="no response with audio before it") as caught:
        ClipBatches([story])
    assert "responses from 1000 s on" in str(caught.value)
