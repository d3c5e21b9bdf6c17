"""One clip of audio per response: what brain-tuning with a pooled readout is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.tuning.stories import SAMPLE_RATE_HZ, Batch, Story, even_parts


@dataclass(frozen=True)
class ClipSettings:
    """How audio is cut; numbers of Moussa, Klakow & Toneva (2025, ICLR) and their code."""

    clip_s: float = 10.0
    """Audio per response: its TR of 2 s and the four before it."""
    offset_s: float = 1.0
    """A clip ends so long after the time of its response: with times in the middle of the TR, at
    the TR's end."""
    rows: int = 128
    """Rows per batch at most; a story is cut into batches of nearly equal size."""
    shuffle: bool = False
    """Batches of any rows of a story instead of consecutive ones."""
    seed: int = 0
    """Of the shuffle."""
    least_s: float = 0.1
    """Responses with less audio than this before them are left out: the models need 25 ms, and a
    clip of zeros would teach them silence."""


class ClipBatches:
    """Clips by the true times of responses, a batch of rows of one story at a time.

    A clip that would begin before the story, or end after it, is shorter: its audio stands at the
    start of its row, zeros at the end, and ``n_valid`` says where it ends. Nothing is inserted
    before the audio, so that per-clip normalisation and pooling see audio only.

    Parameters
    ----------
    stories : sequence of Story
    settings : ClipSettings

    Raises
    ------
    BrainAlignError
        A story has no response with audio before it.
    """

    def __init__(self, stories: Sequence[Story], settings: ClipSettings | None = None) -> None:
        self.settings = settings or ClipSettings()
        self._stories = tuple(stories)
        self._n_samples = round(self.settings.clip_s * SAMPLE_RATE_HZ)
        self._bounds = [self._cut(story) for story in self._stories]
        self._kept = [self._with_audio(index) for index in range(len(self._stories))]
        self._parts = [
            (index, part)
            for index, kept in enumerate(self._kept)
            for part in even_parts(np.arange(len(kept)), most=self.settings.rows)
        ]

    @property
    def repeats(self) -> bool:
        """Whether a batch of a number has the same clips in every epoch."""
        return not self.settings.shuffle

    def __len__(self) -> int:
        return len(self._parts)

    def story(self, index: int) -> int:
        """Story that a batch is of."""
        return self._parts[index][0]

    def rows(self, epoch: int, index: int) -> NDArray[np.int64]:
        """Rows of the story that a batch has, in its order."""
        story, part = self._parts[index]
        kept = self._kept[story]
        if self.settings.shuffle:
            kept = np.random.default_rng([self.settings.seed, epoch, story]).permutation(kept)
        return kept[part]

    def batch(self, epoch: int, index: int) -> Batch:
        """Cut the clips of a batch; depends on nothing but the seed, the epoch and the index."""
        number, rows = self.story(index), self.rows(epoch, index)
        story, (start, stop) = self._stories[number], self._bounds[number]
        return Batch(
            clips=torch.from_numpy(
                cut_clips(story.wave, start[rows], stop[rows], n_samples=self._n_samples)
            ),
            n_valid=torch.from_numpy(stop[rows] - start[rows]),
            mixing=None,
            delays=None,
            responses=torch.from_numpy(story.responses[rows]),
            story=number,
        )

    def _cut(self, story: Story) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First sample of every row's clip, and the one after its last."""
        end_s = story.times_s + self.settings.offset_s
        end = np.rint(end_s * SAMPLE_RATE_HZ).astype(np.int64)
        start = np.clip(end - self._n_samples, 0, len(story.wave))
        return start, np.clip(end, start, len(story.wave))

    def _with_audio(self, index: int) -> NDArray[np.int64]:
        start, stop = self._bounds[index]
        kept = np.flatnonzero(stop - start >= self.settings.least_s * SAMPLE_RATE_HZ)
        if not len(kept):
            raise BrainAlignError(
                f"story {self._stories[index].name} has no response with audio before it",
                where=f"{len(self._stories[index].wave) / SAMPLE_RATE_HZ:g} s of audio, responses "
                f"from {self._stories[index].times_s[0]:g} s on",
                fix="check when the stimulus began in the recording",
            )
        return kept


def cut_clips(
    wave: NDArray[np.float32],
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    *,
    n_samples: int,
) -> NDArray[np.float32]:
    """Cut clips out of a wave; those shorter than `n_samples` get zeros at their end.

    Parameters
    ----------
    wave : ndarray of shape (n,)
    start, stop : ndarray of int, shape (n_clips,)
    n_samples : int
        Length of the longest clip.

    Returns
    -------
    ndarray of shape (n_clips, n_samples), float32
    """
    full = stop - start == n_samples
    if full.all():
        return np.lib.stride_tricks.sliding_window_view(wave, n_samples)[start]
    clips = np.zeros((len(start), n_samples), dtype=np.float32)
    if full.any():
        views = np.lib.stride_tricks.sliding_window_view(wave, n_samples)
        clips[full] = views[start[full]]
    for row in np.flatnonzero(~full):  # a few at either end of a story
        clips[row, : stop[row] - start[row]] = wave[start[row] : stop[row]]
    return clips
