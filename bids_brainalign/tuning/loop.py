"""The training loop: plain, resumable, the same on one process or several.

Everything random follows from the seed, the epoch and the number of the batch: the order of the
batches, and the streams of python, numpy and torch that dropout and masking draw from, which are
seeded anew for every batch. So an update doesn't depend on where training was interrupted, on
what ran in between, nor on how many processes share the batches.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.tuning.batch_order import BatchSource, batch_order, batch_seed, prefetched
from bids_brainalign.tuning.checkpoints import Checkpoints
from bids_brainalign.tuning.device_memory import memory_advice
from bids_brainalign.tuning.gradient_log import NORMS_NAME, with_update, write_norms
from bids_brainalign.tuning.gradients import Gradients
from bids_brainalign.tuning.loop_settings import (
    LoopSettings,
    check_settings,
    device_of,
    in_precision,
    numeric_settings,
)
from bids_brainalign.tuning.parameters import parameter_groups, settings_key
from bids_brainalign.tuning.processes import shared_gradients, start_alike
from bids_brainalign.tuning.schedule import rate_factor
from bids_brainalign.tuning.stories import Batch, moved, pinned
from bids_brainalign.tuning.training_log import LogRow, TrainingLog

LOG_NAME = "training.tsv"
_PATIENT = timedelta(days=2)
"""Other processes wait so long while one evaluates an epoch."""

logger = logging.getLogger(__name__)


Loss = Callable[[Tensor, Tensor], Tensor]
"""Prediction, truth (n_rows, n_targets) → scalar to be made small."""


@dataclass(frozen=True)
class Trained:
    """What training did; the model has the weights of the last epoch."""

    epochs: int
    updates: int
    validation: tuple[float, ...]
    """Validation loss before training and after each epoch."""


def train(
    model: nn.Module,
    batches: BatchSource,
    loss: Loss,
    settings: LoopSettings,
    folder: Path,
    *,
    on_epoch: Callable[[int, nn.Module], None],
    validation: Callable[[nn.Module], float] | None = None,
    key: str = "",
) -> Trained:
    """Train, or go on where an earlier call with the same settings was interrupted.

    Parameters
    ----------
    model : torch module
        Takes a batch, gives predictions (n_rows, n_targets). What does not require a gradient
        stays as it is and is not in the checkpoints: bring the same each time.
    batches : BatchSource
    loss : callable
    settings : LoopSettings
    folder : Path
        For checkpoints, the log (``training.tsv``) and the norms of the gradient of every layer,
        epoch by epoch (``gradient_norms.tsv``).
    on_epoch : callable
        Gets the number of epochs done, from 0 (before training), and the model in evaluation mode.
        After an interruption it may get an epoch again, with the same weights: what it writes must
        be whole and go over what is there. With several processes only the first one calls it.
    validation : callable, optional
        Gives the loss that ``patience`` looks at.
    key : str
        Stands for data, model and loss: training is only resumed under the same key and settings.

    Returns
    -------
    Trained

    Raises
    ------
    BrainAlignError
        Settings that can't be (64), a loss that is not finite or an unusable checkpoint (65), the
        device's memory is full (75).
    """
    check_settings(settings, has_validation=validation is not None)
    with memory_advice(
        batches_per_update=settings.batches_per_update, precision=settings.precision
    ):
        run = _Run(model, batches, loss, settings, folder, key=key)
        while run.progress.epochs_seen <= settings.epochs and not run.lost_patience():
            run.finish_epoch()
            run.look(on_epoch, validation)
        return Trained(run.progress.epochs_seen - 1, run.progress.updates, run.progress.validation)


class _Run:
    """One training under way."""

    def __init__(
        self,
        model: nn.Module,
        batches: BatchSource,
        loss: Loss,
        settings: LoopSettings,
        folder: Path,
        *,
        key: str,
    ) -> None:
        from accelerate import PartialState

        self.settings, self.batches, self.loss, self.folder = settings, batches, loss, folder
        self.processes: Any = PartialState(cpu=settings.device == "cpu", timeout=_PATIENT)
        self.device = device_of(settings, self.processes)
        self.model = model.to(self.device)
        self.updates_per_epoch = math.ceil(len(batches) / settings.batches_per_update)
        groups = parameter_groups(model, settings.learning_rates)
        self.rates = [group.learning_rate for group in groups]
        self.parameters = [p for group in groups for p in group.parameters]
        self.optimiser = torch.optim.AdamW(
            [{"params": group.parameters} for group in groups],
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.gradients = Gradients(self.model)
        self.scaler = torch.amp.GradScaler(
            self.device.type,
            init_scale=2.0**9,  # torch's 2¹⁶ / 128: losses are summed over rows before scaling
            enabled=settings.precision == "fp16",
        )
        self.checkpoints = Checkpoints(
            folder,
            key=settings_key(model, numeric_settings(settings), n_batches=len(batches), key=key),
        )
        if self.processes.num_processes > 1:
            start_alike(model)
        self.progress = self.checkpoints.load(model, self.optimiser, self.scaler)
        self.processes.wait_for_everyone()  # all have read before the first one writes
        self.saved_updates = self.progress.updates or None
        """Updates of the newest checkpoint."""
        if self.processes.is_main_process:
            self._write_norms()
            self.log = TrainingLog(
                folder / LOG_NAME,
                [group.name for group in groups],
                n_updates=self.progress.updates,
            )
        if self.progress.updates:
            logger.info("Training goes on after update %d.", self.progress.updates)

    def finish_epoch(self) -> None:
        """Do the updates that are missing from the epoch to look at next; none for epoch 0."""
        epoch = self.progress.epochs_seen - 1
        done = self.progress.updates - epoch * self.updates_per_epoch
        if epoch < 0 or done == self.updates_per_epoch:
            return
        size = self.settings.batches_per_update
        order = list(range(len(self.batches)))
        if self.settings.shuffle:
            order = batch_order(len(order), seed=self.settings.seed, epoch=epoch)
        parts = [order[k : k + size] for k in range(done * size, len(order), size)]
        rank, n_processes = self.processes.process_index, self.processes.num_processes
        own = [part[rank::n_processes] for part in parts]
        stream = prefetched(
            self.batches,
            epoch,
            [index for part in own for index in part],
            prepare=pinned if self.device.type == "cuda" else None,
        )
        self.model.train()
        start = time.perf_counter()
        losses = []
        for number, part in enumerate(own, start=1):
            losses.append(self._update(epoch, islice(stream, len(part))))
            is_due = self.progress.updates % self.settings.checkpoint_updates == 0
            if is_due or number == len(own):
                self._checkpoint()
        if self.processes.is_main_process:
            self._write_norms()
        logger.info(
            "Epoch %d of %d: loss %.4g, %.0f s.",
            epoch + 1, self.settings.epochs, np.mean(losses), time.perf_counter() - start,
        )  # fmt: skip

    def lost_patience(self) -> bool:
        """Whether the validation loss has not improved for too long."""
        values = self.progress.validation
        if self.settings.patience is None or not values:
            return False
        return len(values) - 1 - int(np.argmin(values)) >= self.settings.patience

    def look(
        self,
        on_epoch: Callable[[int, nn.Module], None],
        validation: Callable[[nn.Module], float] | None,
    ) -> None:
        """Evaluate the epoch that is done, and note that this was done.

        The weights are in a checkpoint already, except those before training.
        """
        from accelerate.utils import broadcast_object_list

        self.model.eval()
        values: list[Any] = [None]
        if self.processes.is_main_process:
            if validation is not None:
                values[0] = float(validation(self.model))
                self._refuse_unless_finite("validation loss", values[0])
            on_epoch(self.progress.epochs_seen, self.model)
        if self.processes.num_processes > 1:
            values = broadcast_object_list(values)
        self.progress = replace(
            self.progress,
            epochs_seen=self.progress.epochs_seen + 1,
            validation=(*self.progress.validation, *(v for v in values if v is not None)),
        )
        if self.saved_updates != self.progress.updates:
            self._checkpoint()
        elif self.processes.is_main_process:
            self.checkpoints.note(self.progress)

    def _update(self, epoch: int, own: Iterator[tuple[int, Batch]]) -> float:
        """Step the optimiser with our batches and those of the other processes."""
        self.optimiser.zero_grad(set_to_none=True)
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)  # loss times rows, rows
        for index, batch in own:
            n_rows = len(batch.responses)
            value = self._backward(epoch, index, batch)
            sums += torch.stack([value * n_rows, torch.full_like(value, n_rows)])
        if self.processes.num_processes > 1:
            sums = shared_gradients(self.parameters, sums)
        self.scaler.unscale_(self.optimiser)
        norms = self.gradients.average(sums[1])
        # The one time in an update that the device is waited for.
        values: list[float] = torch.cat([sums[:1] / sums[1], norms]).tolist()
        loss, norm, *by_layer = values
        # A scaler leaves out updates whose gradient is not finite, and lowers its scale.
        self._refuse_unless_finite("loss", loss)
        if not self.scaler.is_enabled():
            self._refuse_unless_finite("gradient", norm)
        self.gradients.shorten(norm, self.settings.clip_norm)
        rates = self._set_rates()
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.progress = replace(
            self.progress,
            updates=self.progress.updates + 1,
            norms=with_update(self.progress.norms, epoch, by_layer),
        )
        if self.processes.is_main_process:
            self.log.append(LogRow(epoch + 1, self.progress.updates, loss, norm, rates))
        return loss

    def _refuse_unless_finite(self, what: str, value: float) -> None:
        if not math.isfinite(value):
            raise BrainAlignError(
                f"the {what} is {value} at update {self.progress.updates + 1} of training",
                fix="lower the learning rate, clip gradients, or use fp32 precision",
            )

    def _backward(self, epoch: int, index: int, batch: Batch) -> Tensor:
        """Add the gradient of the sum over a batch's rows; give the mean loss."""
        from accelerate.utils import set_seed

        # Global streams, because the models' own dropout and masking draw from them.
        set_seed(batch_seed(self.settings.seed, epoch=epoch, index=index))
        batch = moved(batch, self.device)
        with in_precision(self.device, self.settings.precision):
            prediction = self.model(batch)
        value = self.loss(prediction.float(), batch.responses)
        total = value * len(batch.responses)
        self.scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        return value.detach().double()

    def _set_rates(self) -> list[float]:
        """Set the learning rates of the next update."""
        factor = rate_factor(
            self.settings.schedule,
            self.progress.updates,
            n_updates=self.settings.epochs * self.updates_per_epoch,
            warmup_share=self.settings.warmup_share,
        )
        rates = [factor * rate for rate in self.rates]
        for group, rate in zip(self.optimiser.param_groups, rates, strict=True):
            group["lr"] = rate
        return rates

    def _checkpoint(self) -> None:
        self.saved_updates = self.progress.updates
        if self.processes.is_main_process:
            self.checkpoints.save(self.progress, self.model, self.optimiser, self.scaler)

    def _write_norms(self) -> None:
        """Write the table of the epochs that are done; it follows from the progress alone."""
        n_whole = self.progress.updates // self.updates_per_epoch
        write_norms(self.folder / NORMS_NAME, self.gradients.layers, self.progress.norms[:n_whole])
