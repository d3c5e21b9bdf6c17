"""Outputs of a frozen front end, computed once and kept on disk for all epochs.

The convolutions of wav2vec 2.0 and its kin hold a sixth of the arithmetic of a training step. When
they are frozen and every epoch has the same batches, they give the same numbers again: float32 (or
the half precision that they are computed in) is kept as it is, so that the updates stay the same.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from bids_brainalign.store.digest import digest_of
from bids_brainalign.tuning.backbone import Backbone
from bids_brainalign.tuning.batch_order import BatchSource
from bids_brainalign.tuning.checkpoints import read_facts, write_tensors
from bids_brainalign.tuning.loop_settings import Precision, in_precision
from bids_brainalign.tuning.stories import Batch, moved

FORMAT = "bids_brainalign front end 1"
FOLDER = "front_end"
MOST_BYTES = 20_000_000_000
"""Kept at most. 9,000 clips of 10 s through 512 convolutions take 9.2 GB in float32."""
_DISK_SHARE = 0.5
"""Of what is free on the disk."""

logger = logging.getLogger(__name__)


class KeptFrontEnd:
    """Batches that bring the output of the front end along, from a file per batch.

    A file that is missing, damaged or of another training is made anew. It appears whole or not
    at all, so that training may be killed.

    Parameters
    ----------
    batches : BatchSource
        The same in every epoch.
    backbone : Backbone
        On the device of the training.
    folder : Path
    key : str
        Stands for the batches and the weights of the front end.
    precision : str
        Of the training.
    """

    def __init__(
        self,
        batches: BatchSource,
        backbone: Backbone,
        folder: Path,
        *,
        key: str,
        precision: Precision,
    ) -> None:
        self._batches, self._backbone, self._folder = batches, backbone, folder
        self._precision = precision
        self._device = next(backbone.parameters()).device
        self._key = digest_of([key, precision])

    def __len__(self) -> int:
        return len(self._batches)

    def fill(self) -> None:
        """Make all files that are missing.

        Before training, because the loop prepares batches in a thread of its own: autocast's cache
        of half-precision weights is shared by threads, and one that leaves autocast empties it for
        the others, in the middle of their forward passes.
        """
        for index in range(len(self)):
            if self._read(self._path(index)) is None:
                self._make(index, self._batches.batch(0, index))

    def batch(self, epoch: int, index: int) -> Batch:
        """Give a batch with what the front end makes of its clips."""
        batch = self._batches.batch(epoch, index)
        front = self._read(self._path(index))
        return replace(batch, front=self._make(index, batch) if front is None else front)

    def _path(self, index: int) -> Path:
        return self._folder / f"{index:06d}.safetensors"

    def _make(self, index: int, batch: Batch) -> Tensor:
        front, facts = self._computed(batch), {"key": self._key}
        write_tensors(self._path(index), {"front": front}, form=FORMAT, facts=facts)
        return front

    def _read(self, path: Path) -> Tensor | None:
        if not path.is_file():
            return None
        try:
            if read_facts(path, form=FORMAT)["key"] != self._key:
                return None
            with safe_open(path, framework="pt") as file:
                # In the thread that prepares batches: what is mapped is read where it is used.
                front: Tensor = file.get_tensor("front").clone()
        except SafetensorError:
            logger.warning("%s is damaged: it is made anew.", path)
            return None
        return front

    def _computed(self, batch: Batch) -> Tensor:
        clips = moved(batch, self._device).clips
        with in_precision(self._device, self._precision):
            front = self._backbone.front_end(clips, batch.n_valid)
        return front.cpu()


def with_kept_front_end(
    batches: BatchSource,
    backbone: Backbone,
    folder: Path,
    *,
    key: str,
    precision: Precision,
    most_bytes: int = MOST_BYTES,
) -> BatchSource:
    """Keep the output of the front end, where that is possible and not too large.

    Parameters
    ----------
    batches : BatchSource
    backbone : Backbone
        On the device of the training.
    folder : Path
        Of the training; files go to a folder in it.
    key : str
        Stands for the batches and the weights of the front end.
    precision : str
        Of the training.
    most_bytes : int
        Nothing is kept where it would be more, or more than half of what is free on the disk.
        0: never.

    Returns
    -------
    BatchSource
        The batches themselves, where nothing is kept: the front end is trained, or Whisper's; or
        epochs have different batches.
    """
    repeats = getattr(batches, "repeats", False)  # a source that doesn't say so may not
    if not most_bytes or not backbone.front_is_fixed or not repeats:
        return batches
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(place).free + sum(file.stat().st_size for file in place.iterdir())
    needed = _needed_bytes(batches, backbone)
    if needed > min(most_bytes, _DISK_SHARE * free):
        logger.info(
            "The front end is computed in every epoch: its output takes %.1f GB, and %.1f GB are "
            "allowed, of which half of the free %.1f GB at most.",
            needed / 1e9, most_bytes / 1e9, free / 1e9,
        )  # fmt: skip
        return batches
    logger.info(
        "The output of the frozen front end is kept for all epochs: %.1f GB at most in %s.",
        needed / 1e9, place,
    )  # fmt: skip
    kept = KeptFrontEnd(batches, backbone, place, key=key, precision=precision)
    kept.fill()
    return kept


def _needed_bytes(batches: BatchSource, backbone: Backbone) -> int:
    """Size of all outputs in float32, from the sizes of the batches."""
    n_frames = 0
    for index in range(len(batches)):
        n_clips, n_samples = batches.batch(0, index).clips.shape
        n_frames += n_clips * backbone.n_frames(n_samples)
    return 4 * n_frames * backbone.n_front_dims
