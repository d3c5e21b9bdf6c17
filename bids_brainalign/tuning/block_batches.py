"""Blocks of responses with their true history: what BrainWavLM is trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from bids_brainalign.alignment.lanczos import lanczos_matrix
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.features.dense import FrameGrid
from bids_brainalign.tuning.clip_batches import cut_clips
from bids_brainalign.tuning.stories import SAMPLE_RATE_HZ, Batch, Story, even_parts

Source = Literal["windows", "dense"]

_Rows = NDArray[np.int64]
_Cut = tuple[_Rows, _Rows, _Rows, tuple[_Rows, _Rows]]
"""First sample of every clip and the one after its last; then, for every frame that is read, the
number of its feature, and its clip and place in it."""


@dataclass(frozen=True)
class BlockSettings:
    """How audio is cut; numbers of Vattikonda et al. (2025, BrainWavLM) and their code."""

    rows: int = 10
    """Rows per block at most; a story is cut into blocks of nearly equal size."""
    delays: tuple[int, ...] = (1, 2, 3, 4)
    """In rows, not negative."""
    source: Source = "windows"
    """``windows``: one feature per short window, as published. ``dense``: all frames of long
    clips, which encodes the audio about twice instead of `window_s / step_s` = 16 times."""
    window_s: float = 4.0
    step_s: float = 0.25
    """From the end of one window to that of the next."""
    frame: Literal["last", "first", "mean"] = "last"
    """Frame of a window that is its feature, whichever it is at the time of the window's end. The
    published code takes the first by default, which has heard what follows it only."""
    context_s: float = 4.0
    """Dense clips: audio before and after the frames that are read."""
    longest_s: float = 30.0
    """Dense clips: no longer than this (Whisper hears 30 s)."""


@dataclass(frozen=True)
class _Plan:
    """What is fixed about one story."""

    frame_times_s: NDArray[np.float64]
    """(n_frames,) of the features that can be read, on the stimulus clock."""
    position: NDArray[np.int64]
    """(n_rows,) number of the TR of each row; rows that were left out leave a gap."""
    kept: NDArray[np.int64]
    """Rows of which at least one delayed copy has heard the story."""


class BlockBatches:
    """Blocks of consecutive rows, Lanczos weights and delays from true times.

    A delayed copy of a row is the feature at the TR so many earlier: across the border of the
    block, but not of the story: a copy from before the story's audio began is zeros. Features are
    resampled by HuthLab's Lanczos kernel, which reaches 3 TRs to either side; its weights are
    divided by frames per TR, so that features of any rate come out at their own scale.

    Parameters
    ----------
    stories : sequence of Story
    grid : FrameGrid
        Where the model's frames lie in a clip.
    settings : BlockSettings
    n_frames : callable, optional
        Samples of a clip → frames that the model gives. By default the grid's own count; Whisper
        counts otherwise.

    Raises
    ------
    BrainAlignError
        A story without a response that hears its audio; dense clips shorter than their context.
    """

    def __init__(
        self,
        stories: Sequence[Story],
        *,
        grid: FrameGrid,
        settings: BlockSettings | None = None,
        n_frames: Callable[[int], int] | None = None,
    ) -> None:
        self.settings = settings or BlockSettings()
        self._grid, self._stories = grid, tuple(stories)
        self._n_frames = n_frames or grid.n_frames
        self._check()
        self._plans = [self._plan(story) for story in self._stories]
        self._parts = [
            (index, part)
            for index, plan in enumerate(self._plans)
            for part in even_parts(plan.kept, most=self.settings.rows)
        ]

    @property
    def repeats(self) -> bool:
        """Whether a batch of a number has the same clips in every epoch: yes."""
        return True

    def __len__(self) -> int:
        return len(self._parts)

    def story(self, index: int) -> int:
        """Story that a batch is of."""
        return self._parts[index][0]

    def rows(self, epoch: int, index: int) -> NDArray[np.int64]:
        """Rows of the story that a batch has, in its order; the same in every epoch."""
        return self._parts[index][1]

    def batch(self, epoch: int, index: int) -> Batch:
        """Cut the audio of a block, and give the weights that lead from its frames to its rows."""
        number, rows = self.story(index), self.rows(epoch, index)
        story, plan = self._stories[number], self._plans[number]
        wanted = plan.position[rows][:, None] - np.asarray(self.settings.delays)
        times_s = _times_at(story, plan.position, wanted)
        heard = times_s >= 0
        mixed, inverse = np.unique(wanted[heard], return_inverse=True)
        delays = np.full(wanted.shape, -1, dtype=np.int64)
        delays[heard] = inverse
        weights = self._lanczos(story, plan, _times_at(story, plan.position, mixed))
        features = np.arange(weights.indices.min(), weights.indices.max() + 1)
        clips, n_valid, reading = self._clips(story.wave, features)
        return Batch(
            clips=torch.from_numpy(clips),
            n_valid=torch.from_numpy(n_valid),
            mixing=_sparse(weights[:, features[0] : features[-1] + 1] @ reading),
            delays=torch.from_numpy(delays),
            responses=torch.from_numpy(story.responses[rows]),
            story=number,
        )

    def _check(self) -> None:
        settings = self.settings
        if not settings.delays or min(settings.delays) < 0:
            raise BrainAlignError(
                f"delays {settings.delays} of a block must be rows back in time: 0, 1, 2, …",
                fix="give at least one, and none that is negative",
            )
        if settings.source == "dense" and self._core_frames() < 1:
            raise BrainAlignError(
                f"dense clips of {settings.longest_s:g} s are all context: "
                f"{settings.context_s:g} s before and after the frames that are read",
                fix="allow longer clips, or give less context",
            )

    def _plan(self, story: Story) -> _Plan:
        elapsed = (story.times_s - story.times_s[0]) / story.interval_s
        position = np.rint(elapsed).astype(np.int64)
        if np.abs(elapsed - position).max() > 0.25 or (np.diff(position) < 1).any():
            raise BrainAlignError(
                f"story {story.name}: times of responses are not multiples of "
                f"{story.interval_s:g} s apart",
                fix="delays in rows need a regular response clock; rows may be missing",
            )
        frames = self._frame_times_s(len(story.wave))
        wanted = position[:, None] - np.asarray(self.settings.delays)
        times_s = _times_at(story, position, wanted)
        weights = lanczos_matrix(frames, times_s.ravel(), cutoff_hz=1 / story.interval_s)
        heard = (np.diff(weights.indptr) > 0).reshape(times_s.shape) & (times_s >= 0)
        kept = np.flatnonzero(heard.any(axis=1))
        if not len(kept):
            raise BrainAlignError(
                f"story {story.name} has no response that its audio could have led to",
                where=f"{len(story.wave) / SAMPLE_RATE_HZ:g} s of audio, responses from "
                f"{story.times_s[0]:g} to {story.times_s[-1]:g} s",
                fix="check when the stimulus began in the recording",
            )
        return _Plan(frames, position, kept)

    def _frame_times_s(self, n_samples: int) -> NDArray[np.float64]:
        """Give the times of all features of a story that can be read."""
        if self.settings.source == "windows":
            n_windows = int(n_samples / SAMPLE_RATE_HZ / self.settings.step_s + 1e-9)
            return self.settings.step_s * np.arange(1.0, n_windows + 1.0)
        frames = np.arange(self._n_frames(n_samples), dtype=np.float64) * self._grid.stride
        return (frames + self._grid.first_centre) / SAMPLE_RATE_HZ

    def _lanczos(self, story: Story, plan: _Plan, times_s: NDArray[np.float64]) -> csr_array:
        """Weights (n_times, n_frames of the story), such that a constant stays what it is."""
        weights = lanczos_matrix(plan.frame_times_s, times_s, cutoff_hz=1 / story.interval_s)
        return weights / (self._rate_hz() * story.interval_s)

    def _rate_hz(self) -> float:
        if self.settings.source == "windows":
            return 1 / self.settings.step_s
        return SAMPLE_RATE_HZ / self._grid.stride

    def _clips(
        self, wave: NDArray[np.float32], features: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], csr_array]:
        """Cut the audio of some neighbouring features.

        Returns
        -------
        clips : ndarray of shape (n_clips, n_samples)
        n_valid : ndarray of shape (n_clips,)
        reading : csr_array of shape (n_features, n_clips * n_frames)
            Which frames of the clips make each feature.
        """
        read = self._windows if self.settings.source == "windows" else self._dense
        start, stop, row, column = read(len(wave), features)
        n_samples = int((stop - start).max())
        n_frames = self._n_frames(n_samples)
        clip, frame = column
        share = 1 / np.bincount(row)[row]
        reading = csr_array(
            (share, (row, clip * n_frames + frame)),
            shape=(len(features), len(start) * n_frames),
        )
        return cut_clips(wave, start, stop, n_samples=n_samples), stop - start, reading

    def _windows(self, n_samples: int, features: NDArray[np.int64]) -> _Cut:
        """One clip per feature, ending at its time."""
        settings = self.settings
        stop = np.rint((features + 1) * settings.step_s * SAMPLE_RATE_HZ).astype(np.int64)
        start = np.maximum(stop - round(settings.window_s * SAMPLE_RATE_HZ), 0)
        count = np.array([self._n_frames(int(n)) for n in stop - start])
        rows = np.arange(len(features))
        if settings.frame == "mean":
            clip = np.repeat(rows, count)
            frame = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
            return start, stop, clip, (clip, frame)
        return start, stop, rows, (rows, count - 1 if settings.frame == "last" else 0 * count)

    def _dense(self, n_samples: int, features: NDArray[np.int64]) -> _Cut:
        """All frames of a few long clips; those in the context are not read."""
        stride, context = self._grid.stride, self._context_frames()
        n_clips = -(-len(features) // self._core_frames())
        parts = np.array_split(features, n_clips)
        first = np.array([part[0] - context for part in parts])
        # As long as the longest: clips of one length run together, without padding.
        last = first + len(parts[0]) + 2 * context - 1
        first, last = np.maximum(first, 0), np.minimum(last, self._n_frames(n_samples) - 1)
        stop = np.minimum(last * stride + self._grid.receptive, n_samples)
        clip = np.repeat(np.arange(n_clips), [len(part) for part in parts])
        return first * stride, stop, np.arange(len(features)), (clip, features - first[clip])

    def _context_frames(self) -> int:
        return round(self.settings.context_s * SAMPLE_RATE_HZ / self._grid.stride)

    def _core_frames(self) -> int:
        longest = round(self.settings.longest_s * SAMPLE_RATE_HZ)
        return self._n_frames(longest) - 2 * self._context_frames()


def _times_at(
    story: Story, position: NDArray[np.int64], wanted: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Give the times of TRs by their number; negative ones lie before the first row."""
    inside = np.interp(wanted, position, story.times_s)
    return np.where(wanted < 0, story.times_s[0] + wanted * story.interval_s, inside)


def _sparse(matrix: csr_array) -> torch.Tensor:
    """Give the same matrix as sparse COO of torch, float32."""
    matrix.sort_indices()
    entries = matrix.tocoo()
    indices = np.stack([entries.row, entries.col]).astype(np.int64)
    return torch.sparse_coo_tensor(
        torch.from_numpy(indices),
        torch.from_numpy(entries.data.astype(np.float32)),
        entries.shape,
        is_coalesced=True,
        check_invariants=False,
    )
