"""A training of a few seconds with every kind of randomness; also run as a script and killed."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bids_brainalign.tuning import checkpoints
from bids_brainalign.tuning.loop import Trained, train
from bids_brainalign.tuning.loop_settings import LoopSettings
from bids_brainalign.tuning.stories import Batch

SETTINGS = LoopSettings(
    epochs=3,
    learning_rates=(("backbone.", 1e-2), ("readout.", 2e-2)),
    weight_decay=1e-3,
    batches_per_update=2,
    clip_norm=1.0,
    checkpoint_updates=2,
    seed=5,
)


class Rows:
    """Batches of unequal size with a linear truth; the last update of an epoch has one only."""

    def __init__(self, *, n_batches: int = 7, pause_s: float = 0.0, die_at: int = -1) -> None:
        self.n_batches, self.pause_s, self.die_at = n_batches, pause_s, die_at
        self.asked: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return self.n_batches

    def batch(self, epoch: int, index: int) -> Batch:
        self.asked.append((epoch, index))
        if len(self.asked) == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.pause_s)
        rng = np.random.default_rng([11, index])
        n_rows = 4 + index % 3
        clips = torch.from_numpy(rng.standard_normal((n_rows, 12)).astype(np.float32))
        return pooled_batch(clips, torch.tanh(clips[:, :3]))


def pooled_batch(clips: Tensor, responses: Tensor) -> Batch:
    n_valid = torch.full((len(clips),), clips.shape[1])
    return Batch(clips, n_valid, None, None, responses, 0)


class Noisy(nn.Module):
    """Draws from the streams of python, numpy and torch while it trains."""

    def __init__(self, *, seed: int = 1, is_noisy: bool = True) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)  # what is frozen is the same each time, as a checkpoint's is
            self.frozen = nn.Linear(16, 16)
            torch.manual_seed(seed)
            self.backbone = nn.Linear(12, 16)
            self.readout = nn.Linear(16, 3)
        self.frozen.requires_grad_(False)
        self.is_noisy = is_noisy

    def forward(self, batch: Batch) -> Tensor:
        hidden = torch.tanh(self.backbone(batch.clips))
        if self.training and self.is_noisy:
            hidden = nn.functional.dropout(hidden, 0.2)
            hidden = hidden * float(np.random.rand() + 0.5)  # noqa: NPY002 - as SpecAugment
            hidden = hidden + 0.1 * random.random()  # noqa: S311
        predicted: Tensor = self.readout(hidden + self.frozen(hidden))
        return predicted


def run(
    folder: Path, model: nn.Module, *, settings: LoopSettings = SETTINGS, **options: Any
) -> Trained:
    options.setdefault("on_epoch", lambda epoch, model: None)
    source = options.pop("source", None) or Rows()
    return train(model, source, nn.functional.mse_loss, settings, folder, **options)


def die_in_write(which: int) -> None:
    """Make the n-th checkpoint stop in the middle, with the process."""
    whole, count = checkpoints.save_file, 0

    def half(tensors: Any, path: Path, metadata: Any) -> None:
        nonlocal count
        count += 1
        whole(tensors, path, metadata=metadata)
        if count == which:
            os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoints.save_file = half


def main() -> None:
    folder, mode, number = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    source = Rows()
    if mode == "batch":
        source = Rows(die_at=int(number))
    elif mode == "write":
        die_in_write(int(number))
    elif mode == "slow":
        source = Rows(pause_s=number)
        print("ready", flush=True)
    model = Noisy()
    run(folder, model, source=source)
    if mode == "processes" and os.environ["RANK"] == "0":
        checkpoints.save_weights(folder / "weights.safetensors", model)


if __name__ == "__main__":
    main()
