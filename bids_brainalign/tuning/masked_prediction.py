"""Tuning without a brain: a model learns to tell what sounds were hidden from it.

The control "stimulus" of brain-tuning (Moussa, Klakow & Toneva 2025: "stimulus-tuned") is trained
further on the audio of the training stories by its own kind of task. Here the task is one for all
families, so that the control is the same for each: spans of frames are hidden, and a linear head
predicts to which cluster each hidden frame of the original model belongs (Hsu et al. 2021).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.tuning.backbone import Backbone
from bids_brainalign.tuning.clip_batches import cut_clips
from bids_brainalign.tuning.clusters import FrameClusters
from bids_brainalign.tuning.losses import wide
from bids_brainalign.tuning.readouts import linear
from bids_brainalign.tuning.stories import SAMPLE_RATE_HZ, Batch, Story, even_parts


@dataclass(frozen=True)
class MaskSettings:
    """How audio is cut, and how much of it is hidden."""

    clip_s: float = 10.0
    """Length of a clip, as in brain-tuning. Whisper costs as much for this as for 30 s."""
    clips: int = 16
    """Clips per batch at most; those of a story are shared out evenly."""
    start_share: float = 0.08
    """Share of the frames at which a span begins, and `span_frames` its length, of 20 ms each
    (Hsu et al. 2021, §IV-C; wav2vec 2.0: 0.065 and 10). Spans overlap: half the frames are
    hidden."""
    span_frames: int = 10
    seed: int = 0
    """Of the clips' starts and the masks."""

    def __post_init__(self) -> None:
        if not (self.clip_s > 0 and self.clips >= 1 and self.span_frames >= 1):
            wrong = "clips, their number and spans must have some length"
        elif not 0 < self.start_share * self.span_frames <= 1:
            wrong = "spans together must be no longer than a clip"
        else:
            return
        raise BrainAlignError(wrong, fix="mend the settings", exit_code=ExitCode.USAGE)


class MaskedBatches:
    """Clips of stories with hidden frames, and the clusters of these.

    Every epoch has as many clips as fit into a story side by side; they start elsewhere each
    time, one within each of as many equal parts of the story, at a frame of the model. A story
    shorter than a clip is one clip.

    Parameters
    ----------
    stories : sequence of Story
        Their responses are not looked at.
    clusters : FrameClusters
        Of these stories.
    backbone : Backbone
        Tells where its frames lie.
    settings : MaskSettings

    Raises
    ------
    BrainAlignError
        A story is shorter than two spans, or a clip longer than the model hears (65).
    """

    def __init__(
        self,
        stories: Sequence[Story],
        clusters: FrameClusters,
        *,
        backbone: Backbone,
        settings: MaskSettings | None = None,
    ) -> None:
        self.settings = settings or MaskSettings()
        self._stories, self._clusters = tuple(stories), clusters
        self._stride, self._n_frames = backbone.grid.stride, backbone.n_frames
        n_samples = round(self.settings.clip_s * SAMPLE_RATE_HZ)
        self._n_samples = min(n_samples, backbone.window_samples or n_samples)
        counts = [self._count(story) for story in self._stories]
        self._parts = [
            (index, part)
            for index, n_clips in enumerate(counts)
            for part in even_parts(np.arange(n_clips), most=self.settings.clips)
        ]

    def __len__(self) -> int:
        return len(self._parts)

    def batch(self, epoch: int, index: int) -> Batch:
        """Cut the clips of a batch and hide frames; follows from seed, epoch and index."""
        number, part = self._parts[index]
        story, ids = self._stories[number], self._clusters.ids[number]
        first = self._first_frames(epoch, number)[part]
        start = first * self._stride
        n_samples = min(self._n_samples, len(story.wave))
        n_frames = self._n_frames(n_samples)
        rng = np.random.default_rng([self.settings.seed, 1, epoch, index])
        masked = span_masks(
            len(first), n_frames, rng=rng,
            start_share=self.settings.start_share, span_frames=self.settings.span_frames,
        )  # fmt: skip
        return Batch(
            clips=torch.from_numpy(
                cut_clips(story.wave, start, start + n_samples, n_samples=n_samples)
            ),
            n_valid=torch.full((len(first),), n_samples),
            mixing=None,
            delays=None,
            responses=torch.from_numpy(ids[first[:, None] + np.arange(n_frames)][masked]),
            story=number,
            masked=torch.from_numpy(masked),
        )

    def _count(self, story: Story) -> int:
        """Clips of a story."""
        n_frames = self._n_frames(min(self._n_samples, len(story.wave)))
        if n_frames < 2 * self.settings.span_frames:
            raise BrainAlignError(
                f"story {story.name}: clips of {n_frames} frames are too short to hide "
                f"{self.settings.span_frames} in one piece and hear others",
                where=f"{len(story.wave) / SAMPLE_RATE_HZ:g} s of audio, clips of "
                f"{self._n_samples / SAMPLE_RATE_HZ:g} s",
                fix="leave out stories as short as this, or take longer clips",
            )
        return max(1, len(story.wave) // self._n_samples)

    def _first_frames(self, epoch: int, number: int) -> NDArray[np.int64]:
        """Frame of the story at which each of its clips starts, in random order."""
        story = self._stories[number]
        n_clips = self._count(story)
        rng = np.random.default_rng([self.settings.seed, 0, epoch, number])
        last = max(0, len(story.wave) - self._n_samples) // self._stride
        place = (np.arange(n_clips) + rng.random(n_clips)) / n_clips  # in [0, 1)
        return rng.permutation((place * (last + 1)).astype(np.int64))


class MaskedModel(nn.Module):
    """A backbone that is told which frames to hide, and a linear head on these.

    The head reads frames brought to mean 0 and variance 1 over dimensions: those of large models
    come without their final layer norm and would make its first losses huge. (HuBERT's head looks
    at the direction of a frame alone, too.)

    Parameters
    ----------
    backbone : Backbone
    n_clusters : int
    seed : int
        Of the head's first weights (Xavier, biases 0); torch's own random stream is left as it
        was.
    """

    def __init__(self, backbone: Backbone, *, n_clusters: int, seed: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.n_features = backbone.n_dims
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.head = linear(backbone.n_dims, n_clusters)

    def forward(self, batch: Batch) -> Tensor:
        """Score the clusters for every hidden frame, (n_masked, n_clusters)."""
        scores: Tensor = self.head(self.features(batch))
        return scores

    def features(self, batch: Batch) -> Tensor:
        """Give what the head reads, (n_masked, n_features): hidden frames, clip after clip."""
        hidden, _ = self.backbone(batch.clips, batch.n_valid, batch.masked)
        frames = hidden[batch.masked].float()
        return functional.layer_norm(frames, (self.n_features,))


def masked_loss(scores: Tensor, clusters: Tensor) -> Tensor:
    """Cross-entropy of the true clusters, mean over hidden frames, in nats.

    Parameters
    ----------
    scores : Tensor of shape (n_masked, n_clusters)
    clusters : Tensor of shape (n_masked,), int64

    References
    ----------
    Hsu et al. (2021), eq. 1 with α = 1: only hidden frames count.
    """
    return functional.cross_entropy(wide(scores), clusters)


def span_masks(
    n_clips: int,
    n_frames: int,
    *,
    rng: np.random.Generator,
    start_share: float,
    span_frames: int,
) -> NDArray[np.bool_]:
    """Draw spans of frames to hide; they may overlap.

    Parameters
    ----------
    n_clips, n_frames : int
    rng : numpy Generator
    start_share : float
        Expected share of the frames at which a span begins; at least one does per clip.
    span_frames : int

    Returns
    -------
    ndarray of bool, shape (n_clips, n_frames)

    References
    ----------
    Baevski et al. (2020), wav2vec 2.0, §3.1: starts are drawn without replacement. As in
    fairseq and transformers, the number of spans of a clip is the expected one, rounded up or
    down at random.
    """
    starts = n_frames - span_frames + 1
    masked = np.zeros((n_clips, n_frames), dtype=bool)
    for row in masked:
        n_spans = int(np.clip(int(start_share * n_frames + rng.random()), 1, starts))
        first = rng.choice(starts, n_spans, replace=False)
        row[(first[:, None] + np.arange(span_frames)).ravel()] = True
    return masked


def heard_once(stories: Sequence[Story]) -> list[Story]:
    """Leave out stories whose audio is that of an earlier one: repeats and other participants."""
    found: dict[bytes, Story] = {}
    for story in stories:
        found.setdefault(hashlib.sha256(story.wave.tobytes()).digest(), story)
    return list(found.values())
