"""Speech models through the loop: interruptions leave no trace."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn

from bids_brainalign.tuning.adaptation import Adaptation, adapt
from bids_brainalign.tuning.backbone import Backbone
from bids_brainalign.tuning.batch_order import BatchSource
from bids_brainalign.tuning.block_batches import BlockBatches, BlockSettings
from bids_brainalign.tuning.checkpoints import trained_state
from bids_brainalign.tuning.clip_batches import ClipBatches, ClipSettings
from bids_brainalign.tuning.loop import train
from bids_brainalign.tuning.loop_settings import LoopSettings
from bids_brainalign.tuning.losses import parse_loss
from bids_brainalign.tuning.readouts import Readout, TunedModel
from bids_brainalign.tuning.stories import Batch, Story

SETTINGS = LoopSettings(
    epochs=2,
    learning_rates=(("backbone.", 1e-3), ("head.", 1e-2)),
    batches_per_update=2,
    checkpoint_updates=1,
)


class Stopped(Exception):
    """In place of a kill."""


class StoppedSource:
    """Ends the training at the n-th batch."""

    def __init__(self, source: BatchSource, *, at: int) -> None:
        self._source, self._left = source, at

    def __len__(self) -> int:
        return len(self._source)

    def batch(self, epoch: int, index: int) -> Batch:
        if not self._left:
            raise Stopped
        self._left -= 1
        return self._source.batch(epoch, index)


def loud_stories() -> list[Story]:
    """Responses follow how loud the last seconds were."""
    rng = np.random.default_rng(0)
    stories = []
    for name in ("one", "two"):
        level = np.repeat(rng.uniform(0.05, 1.0, 16), 8_000).astype(np.float32)
        wave = level * rng.standard_normal(len(level)).astype(np.float32)
        times = 0.5 * np.arange(16) + 0.25
        responses = np.outer(level[::8_000], [1.0, -1.0, 0.5]).astype(np.float32)
        stories.append(Story(name, wave, times, responses))
    return stories


def make(folder: Path, kind: str) -> tuple[TunedModel, BatchSource]:
    # With the model's own dropout, layer drop and SpecAugment: all its randomness.
    backbone = Backbone(folder, regularised=True)
    if kind == "clips":
        adapted = adapt(backbone, Adaptation(kind="full"), seed=0)
        settings = ClipSettings(clip_s=1.0, offset_s=0.25, rows=6, shuffle=True)
        batches: BatchSource = ClipBatches(loud_stories(), settings)
        return TunedModel(adapted, n_targets=3, seed=0), batches
    adapted = adapt(backbone, Adaptation(kind="lora"), seed=0)
    source: Literal["windows", "dense"] = "windows" if kind == "windows" else "dense"
    block = BlockSettings(
        rows=6, delays=(0, 1), source=source, window_s=0.5, context_s=0.5, longest_s=3.0
    )
    readout = Readout(n_delays=2, bottleneck=2, normalisation="block")
    model = TunedModel(adapted, n_targets=3, readout=readout, seed=0)
    return model, BlockBatches(
        loud_stories(), grid=backbone.grid, settings=block, n_frames=backbone.n_frames
    )


def fit(model: nn.Module, batches: BatchSource, folder: Path) -> None:
    loss = parse_loss("mse+0.1*spatial")
    train(model, batches, loss, SETTINGS, folder, on_epoch=lambda epoch, model: None)


@pytest.mark.parametrize("family", ["wav2vec2", "wavlm", "whisper"])
@pytest.mark.parametrize("kind", ["clips", "windows", "dense"])
def test_interrupted_training_of_a_speech_model_ends_the_same(
    tmp_path: Path, folders: dict[str, Path], family: str, kind: str
) -> None:
    model, batches = make(folders[family], kind)
    start = {name: tensor.clone() for name, tensor in trained_state(model).items()}
    fit(model, batches, tmp_path / "whole")
    stopped, again = make(folders[family], kind)[0], make(folders[family], kind)[0]
    with pytest.raises(Stopped):
        fit(stopped, StoppedSource(batches, at=len(batches) + 3), tmp_path / "parts")
    fit(again, batches, tmp_path / "parts")
    for name, tensor in trained_state(model).items():
        assert torch.equal(trained_state(again)[name], tensor), name
    moved = [n for n, tensor in trained_state(model).items() if not torch.equal(tensor, start[n])]
    assert any("lora_B" in name or "layers" in name for name in moved)
    logs = [(tmp_path / name / "training.tsv").read_text() for name in ("whole", "parts")]
    assert logs[0] == logs[1]
