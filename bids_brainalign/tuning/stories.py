"""What is trained on: stories with responses, and the batches that a model sees."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bids_brainalign.errors import BrainAlignError

SAMPLE_RATE_HZ = 16_000
PERMUTED_BLOCK_ROWS = 15
"""Rows that stay together in the permuted control (Moussa et al. 2025, code: ``chunklen`` 15)."""
PERMUTED_DISTANCE_ROWS = 10
"""Rows by which every response is moved at least. The published code asks for 10 blocks of 15
rows, which a story of 300 rows can't meet: there its later blocks stay where they are."""
_MOST_TRIES = 10_000


@dataclass(frozen=True)
class Story:
    """One presentation of one stimulus to one participant."""

    name: str
    wave: NDArray[np.float32]
    """(n_samples,), 16 kHz, mono."""
    times_s: NDArray[np.float64]
    """(n_rows,) of the response rows, on the stimulus clock: true ones, e.g. 2.0045 s apart."""
    responses: NDArray[np.float32]
    """(n_rows, n_targets), without NaN."""

    def __post_init__(self) -> None:
        n_rows = len(self.times_s)
        if self.wave.ndim != 1 or self.responses.ndim != 2 or len(self.responses) != n_rows:
            raise BrainAlignError(
                f"story {self.name}: wave {self.wave.shape}, {n_rows} times and responses "
                f"{self.responses.shape} don't belong together",
                fix="give a mono wave and one row of responses per time",
            )
        if n_rows < 2 or not (np.diff(self.times_s) > 0).all():
            raise BrainAlignError(
                f"story {self.name}: times of responses must rise, and there must be two at least"
            )
        if not (np.isfinite(self.responses).all() and np.isfinite(self.wave).all()):
            raise BrainAlignError(
                f"story {self.name}: audio or responses have values that are not finite",
                fix="leave out the rows or targets without data",
            )

    @property
    def interval_s(self) -> float:
        """Seconds from one row to the next: the TR; rows may be missing here and there."""
        span = float(self.times_s[-1] - self.times_s[0])
        return span / round(span / float(np.median(np.diff(self.times_s))))


@dataclass(frozen=True)
class Batch:
    """Some response rows of one story and the audio before them; tensors on the CPU."""

    clips: Tensor
    """(n_clips, n_samples) float32, raw audio; short clips have zeros at their end."""
    n_valid: Tensor
    """(n_clips,) int64, samples that are audio; always on the CPU, where lengths are looked at
    without waiting for a device."""
    mixing: Tensor | None
    """None: row k is clip k (pooled readout). Otherwise sparse COO of shape (n_mixed_rows, total
    frames of all clips, clip-major, padded frame count): Lanczos from frames to rows."""
    delays: Tensor | None
    """None, or int64 (n_rows, n_delays): index into the mixed rows of each delayed copy; -1 =
    zeros (before the story began)."""
    responses: Tensor
    """(n_rows, n_targets) float32; of masked prediction (n_rows,) int64, the cluster of every
    masked frame, clip after clip."""
    story: int
    """Index of the story in the list that the batches were made from."""
    masked: Tensor | None = None
    """None, or bool (n_clips, n_frames): frames that are hidden from the model."""
    front: Tensor | None = None
    """(n_clips, n_front_dims, n_frames): what the frozen front end of the model gives for the
    clips, where it is kept (see ``kept_front_end``); the clips are not looked at then."""


def moved(batch: Batch, device: torch.device | str) -> Batch:
    """Give the batch with what a model reads on a device; without waiting, if it was pinned."""
    return _each(batch, lambda tensor: tensor.to(device, non_blocking=True))


def pinned(batch: Batch) -> Batch:
    """Give the batch in memory that is copied to a GPU while that computes."""
    return _each(batch, lambda tensor: tensor.pin_memory())


def _each(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    """Change all tensors that a model reads, the parts of sparse ones each for itself."""
    mixing = batch.mixing
    if mixing is not None:
        mixing = torch.sparse_coo_tensor(
            change(mixing.indices()),
            change(mixing.values()),
            mixing.shape,
            is_coalesced=True,
            check_invariants=False,
        )
    return replace(
        batch,
        clips=change(batch.clips) if batch.front is None else batch.clips,
        mixing=mixing,
        delays=None if batch.delays is None else change(batch.delays),
        responses=change(batch.responses),
        masked=None if batch.masked is None else change(batch.masked),
        front=None if batch.front is None else change(batch.front),
    )


def even_parts(rows: NDArray[np.int64], *, most: int) -> list[NDArray[np.int64]]:
    """Cut rows into runs of at most `most`, as equal in length as can be.

    A short last run would be a poor estimate of a correlation, and of its gradient.

    Examples
    --------
    >>> [len(part) for part in even_parts(np.arange(291), most=128)]
    [97, 97, 97]
    """
    return np.array_split(rows, -(-len(rows) // most)) if len(rows) else []


def block_permuted(
    story: Story,
    *,
    seed: int,
    block_rows: int = PERMUTED_BLOCK_ROWS,
    distance_rows: int = PERMUTED_DISTANCE_ROWS,
) -> Story:
    """Give the story with blocks of its responses in another order: a control without a signal.

    Parameters
    ----------
    story : Story
    seed : int
        With the name of the story it fixes the order.
    block_rows : int
        Rows that stay together: the responses keep their autocorrelation.
    distance_rows : int
        Every row is moved by so many at least.

    Raises
    ------
    BrainAlignError
        The story is too short for any such order.

    References
    ----------
    The control "brain-tuned on permuted fMRI" of Moussa, Klakow & Toneva (2025, ICLR).
    """
    n_rows = len(story.responses)
    blocks = np.split(np.arange(n_rows), np.arange(block_rows, n_rows, block_rows))
    rng = np.random.default_rng([seed, zlib.crc32(story.name.encode())])
    for _ in range(_MOST_TRIES):
        order = np.concatenate([blocks[k] for k in rng.permutation(len(blocks))])
        if np.abs(order - np.arange(n_rows)).min() >= distance_rows:
            return replace(story, responses=story.responses[order])
    raise BrainAlignError(
        f"story {story.name} has {n_rows} rows: its blocks of {block_rows} can't be permuted so "
        f"that every row moves by {distance_rows} at least",
        fix="leave short stories out of the control, or take shorter blocks",
    )
