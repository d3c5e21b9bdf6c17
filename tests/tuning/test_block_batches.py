"""Blocks against loops over rows, windows and frames, written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.features.dense import FrameGrid
from bids_brainalign.tuning.block_batches import BlockBatches, BlockSettings
from bids_brainalign.tuning.stories import Batch, Story

RATE = 16_000
GRID = FrameGrid(stride=320, receptive=400, first_centre=199.5)
WHISPER = FrameGrid(stride=320, receptive=320, first_centre=0.0)


def noise_story(*, n_rows: int = 34, tr: float = 2.0045, first: float = 1.0) -> Story:
    rng = np.random.default_rng(0)
    n_samples = int(RATE * (first + tr * n_rows - 9))
    return Story(
        "noise",
        rng.standard_normal(n_samples).astype(np.float32),
        first + tr * np.arange(n_rows),
        np.arange(n_rows, dtype=np.float32)[:, None],
    )


def encode(clip: NDArray[np.float32], grid: FrameGrid) -> NDArray[np.float64]:
    """Stand-in for a model: a frame is the sum of what it hears."""
    return np.array(
        [
            clip[k * grid.stride : k * grid.stride + grid.receptive].sum(dtype=np.float64)
            for k in range(grid.n_frames(len(clip)))
        ]
    )


def mixed_rows(batch: Batch, grid: FrameGrid) -> NDArray[np.float64]:
    """What a model with this stand-in gives: frames of padded clips, mixed, delayed."""
    assert batch.mixing is not None
    assert batch.delays is not None
    n_frames = grid.n_frames(batch.clips.shape[1])
    frames = np.full((len(batch.clips), n_frames), 1e9)  # frames of padding must not be read
    for k, (clip, n_valid) in enumerate(zip(batch.clips.numpy(), batch.n_valid, strict=True)):
        assert not clip[int(n_valid) :].any()
        heard = encode(clip[: int(n_valid)], grid)
        frames[k, : len(heard)] = heard
    mixed = (batch.mixing.double() @ torch.from_numpy(frames.ravel())[:, None])[:, 0]
    with_zeros = torch.cat([mixed, torch.zeros(1, dtype=torch.float64)])
    return with_zeros[batch.delays].numpy()  # -1 is the zero at the end


def lanczos(t: float, tr: float) -> float:
    """HuthLab's kernel as they write it, for one time difference."""
    if abs(t) > 3 * tr:
        return 0.0
    if t == 0:
        return 1.0
    x = math.pi * t / tr
    return 3 * math.sin(x) * math.sin(x / 3) / x**2


def expected(
    story: Story, times: NDArray[np.float64], values: NDArray[np.float64], rate: float
) -> NDArray[np.float64]:
    """Row by row and delay by delay: (n_rows, 4); zeros from before the story began."""
    tr = 2.0045
    out = np.zeros((len(story.times_s), 4))
    for row, time in enumerate(story.times_s):
        for column, delay in enumerate((1, 2, 3, 4)):
            at = time - delay * tr
            if at >= 0:
                out[row, column] = sum(
                    lanczos(at - t, tr) * v for t, v in zip(times, values, strict=True)
                ) / (rate * tr)
    return out


def all_rows(batches: BlockBatches, grid: FrameGrid) -> dict[int, NDArray[np.float64]]:
    found = {}
    for index in range(len(batches)):
        batch = batches.batch(0, index)
        rows = batches.rows(0, index)
        assert batch.responses[:, 0].tolist() == rows.tolist()
        found |= dict(zip(rows.tolist(), mixed_rows(batch, grid), strict=True))
    return found


@pytest.mark.parametrize("frame", ["last", "first", "mean"])
def test_windows_are_those_of_loops(frame: str) -> None:
    story = noise_story()
    ends = np.arange(0.25, len(story.wave) / RATE + 1e-9, 0.25)
    values = []
    for end in ends:
        stop = round(end * RATE)
        frames = encode(story.wave[max(0, stop - 4 * RATE) : stop], GRID)
        pick = {"last": frames[-1], "first": frames[0], "mean": frames.mean()}
        values.append(pick[frame])
    oracle = expected(story, ends, np.array(values), rate=4.0)
    found = all_rows(BlockBatches([story], grid=GRID, settings=BlockSettings(frame=frame)), GRID)
    for row, got in found.items():
        np.testing.assert_allclose(got, oracle[row], rtol=1e-5, atol=1e-5)
    left_out = sorted(set(range(len(story.times_s))) - set(found))
    assert not oracle[left_out].any()
    assert left_out[:1] == [0]  # one TR before the first response the story had not begun
    assert len(left_out) < 5


@pytest.mark.parametrize(("grid", "longest_s"), [(GRID, 30.0), (GRID, 14.0), (WHISPER, 30.0)])
def test_dense_frames_are_those_of_the_whole_story(grid: FrameGrid, longest_s: float) -> None:
    """The stand-in has no context, so that cutting the story must change nothing."""
    story = noise_story()
    values = encode(story.wave, grid)
    times = (np.arange(len(values)) * grid.stride + grid.first_centre) / RATE
    oracle = expected(story, times, values, rate=50.0)
    settings = BlockSettings(source="dense", longest_s=longest_s)
    batches = BlockBatches([story], grid=grid, settings=settings)
    for row, got in all_rows(batches, grid).items():
        np.testing.assert_allclose(got, oracle[row], rtol=1e-5, atol=1e-5)
    longest = max(batches.batch(0, k).clips.shape[1] for k in range(len(batches)))
    assert longest <= (longest_s + 0.02) * RATE


def test_dense_clips_have_context_on_both_sides() -> None:
    settings = BlockSettings(source="dense", context_s=4.0, longest_s=100.0)
    batches = BlockBatches([noise_story()], grid=GRID, settings=settings)
    batch = batches.batch(0, 1)
    assert batch.mixing is not None
    read = batch.mixing.indices()[1]
    assert read.min() >= 200  # 4 s of frames
    assert batch.clips.shape == (1, GRID.n_samples(int(read.max()) + 1 + 200))


def test_a_constant_keeps_its_value() -> None:
    """But for the kernel's own 0.3 % (3 lobes), away from the ends of the story."""
    for settings in (BlockSettings(), BlockSettings(source="dense")):
        batch = BlockBatches([noise_story()], grid=GRID, settings=settings).batch(0, 1)
        assert batch.mixing is not None
        sums = torch.sparse.mm(batch.mixing, torch.ones(batch.mixing.shape[1], 1))
        torch.testing.assert_close(sums, torch.ones_like(sums), rtol=0, atol=0.01)


def test_blocks_of_any_size_give_the_same_rows() -> None:
    story = noise_story()
    small = all_rows(BlockBatches([story], grid=GRID, settings=BlockSettings(rows=3)), GRID)
    large = all_rows(BlockBatches([story], grid=GRID, settings=BlockSettings(rows=99)), GRID)
    assert small.keys() == large.keys()
    for row, got in small.items():
        np.testing.assert_allclose(got, large[row], rtol=1e-5, atol=1e-5)


def test_nothing_crosses_from_story_to_story() -> None:
    one, other = noise_story(), noise_story(first=2.0)
    alone = all_rows(BlockBatches([one], grid=GRID), GRID)
    both = BlockBatches([other, one], grid=GRID)
    n_before = sum(both.story(k) == 0 for k in range(len(both)))
    for index in range(n_before, len(both)):
        got = mixed_rows(both.batch(0, index), GRID)
        np.testing.assert_array_equal(got, [alone[r] for r in both.rows(0, index).tolist()])


def test_rows_that_are_missing_leave_their_neighbours_history() -> None:
    story = noise_story()
    keep = np.delete(np.arange(34), [10, 11, 20])
    thinned = Story("thinned", story.wave, story.times_s[keep], story.responses[keep])
    whole = all_rows(BlockBatches([story], grid=GRID), GRID)
    batches = BlockBatches([thinned], grid=GRID)
    for row, got in all_rows_of(batches).items():
        np.testing.assert_allclose(got, whole[int(keep[row])], rtol=1e-4, atol=1e-4)


def all_rows_of(batches: BlockBatches) -> dict[int, NDArray[np.float64]]:
    found = {}
    for index in range(len(batches)):
        got = mixed_rows(batches.batch(0, index), GRID)
        found |= dict(zip(batches.rows(0, index).tolist(), got, strict=True))
    return found


def test_gradients_reach_frames_through_the_mixing() -> None:
    batch = BlockBatches([noise_story()], grid=GRID).batch(0, 1)
    assert batch.mixing is not None
    frames = torch.randn(batch.mixing.shape[1], 3, requires_grad=True)
    torch.sparse.mm(batch.mixing, frames).sum().backward()
    assert frames.grad is not None
    read = frames.grad.abs().sum(dim=1) > 0
    assert read.sum().item() == len(torch.unique(batch.mixing.indices()[1]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (BlockSettings(delays=(-1, 1)), "must be rows back in time"),
        (BlockSettings(delays=()), "must be rows back in time"),
        (BlockSettings(source="dense", longest_s=8.0), "all context"),
    ],
)
def test_settings_that_cannot_be(settings: BlockSettings, message: str) -> None:
    with pytest.raises(BrainAlignError, match=message):
        BlockBatches([noise_story()], grid=GRID, settings=settings)


def test_stories_that_cannot_be() -> None:
    story = noise_story()
    late = Story("late", story.wave, story.times_s + 500, story.responses)
    with pytest.raises(BrainAlignError, match="late has no response that its audio"):
        BlockBatches([late], grid=GRID)
    times = story.times_s.copy()
    times[5] += 1.0
    jumpy = Story("jumpy", story.wave, times, story.responses)
    with pytest.raises(BrainAlignError, match="are not multiples of"):
        BlockBatches([jumpy], grid=GRID)
