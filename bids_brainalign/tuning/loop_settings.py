"""How a model is trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.tuning.schedule import ScheduleName

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class LoopSettings:
    """How a model is trained."""

    epochs: int = 30
    learning_rates: tuple[tuple[str, float], ...] = (("", 1e-4),)
    """Start of a parameter's name, and its rate; the longest start that fits counts."""
    weight_decay: float = 0.0
    """Of AdamW; without it, it is Adam."""
    batches_per_update: int = 1
    """Batches whose gradients are averaged for one update, over all processes. Rows count equally,
    so that the update is that of one large batch where the loss is a mean over rows. It can't be
    where the rows of a batch are compared with each other: correlation over time, contrastive
    loss, normalisation by the batch. The last update of an epoch may have fewer batches."""
    schedule: ScheduleName = "linear"
    warmup_share: float = 0.1
    clip_norm: float | None = None
    """Longest gradient; longer ones are shortened to it."""
    precision: Precision = "fp32"
    """Of the model's forward pass; weights and loss stay float32."""
    seed: int = 0
    shuffle: bool = True
    """Batches in another order every epoch."""
    patience: int | None = None
    """Epochs without a better validation loss before training stops. None: all epochs."""
    checkpoint_updates: int = 200
    """Updates between checkpoints; there is one at the end of each epoch, too."""
    device: str = "cpu"
    """``cpu`` or ``cuda``; with several processes each has its own."""


def numeric_settings(settings: LoopSettings) -> dict[str, object]:
    """Give the settings that change numbers: how often checkpoints are written doesn't."""
    return {
        name: value
        for name, value in asdict(settings).items()
        if name not in ("checkpoint_updates", "device")
    }


def in_precision(device: torch.device, precision: Precision) -> torch.autocast:
    """Give the context of a model's forward pass."""
    half = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, half, enabled=precision != "fp32")


def check_settings(settings: LoopSettings, *, has_validation: bool) -> None:
    """Refuse settings that can't be.

    Raises
    ------
    BrainAlignError
        With exit code 64.
    """
    wrong = ""
    if settings.epochs < 0 or settings.batches_per_update < 1 or settings.checkpoint_updates < 1:
        wrong = "epochs, batches per update and updates between checkpoints must be positive"
    elif settings.patience is not None and not has_validation:
        wrong = "patience needs a validation loss to look at"
    elif settings.clip_norm is not None and settings.clip_norm <= 0:
        wrong = "gradients can only be clipped to a positive length"
    if wrong:
        raise BrainAlignError(wrong, fix="mend the settings", exit_code=ExitCode.USAGE)


def device_of(settings: LoopSettings, processes: Any) -> torch.device:
    """Give the device of this process.

    Parameters
    ----------
    settings : LoopSettings
    processes : accelerate.PartialState

    Raises
    ------
    BrainAlignError
        Batches can't be shared evenly, or there is no such device (64).
    """
    n_processes = processes.num_processes
    if settings.batches_per_update % n_processes:
        raise BrainAlignError(
            f"{settings.batches_per_update} batches per update can't be shared evenly by "
            f"{n_processes} processes",
            fix=f"make it a multiple of {n_processes}; smaller batches keep the update the same",
            exit_code=ExitCode.USAGE,
        )
    if settings.device.startswith("cuda") and not torch.cuda.is_available():
        raise BrainAlignError(
            "there is no CUDA device to tune on",
            fix="choose the device cpu, or run where there is a GPU",
            exit_code=ExitCode.USAGE,
        )
    return torch.device(settings.device) if n_processes == 1 else torch.device(processes.device)
