"""Checkpoints of training: whole or absent, two at most, and never of other settings."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.store.atomic import atomic_path, write_json
from bids_brainalign.tuning.gradient_log import NormSums

FORMAT = "bids_brainalign tuning checkpoint 2"
NOTED = "progress.json"
"""Progress since the newest checkpoint, whose weights are still the same."""
WEIGHTS_FORMAT = "bids_brainalign tuned weights 1"
SLOTS = ("checkpoint-0.safetensors", "checkpoint-1.safetensors")
"""Written in turn, so that one is whole at any moment and no more than two lie on the disk."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """How far training is."""

    updates: int = 0
    """Updates that are done."""
    epochs_seen: int = 0
    """Epochs, counted with epoch 0, whose weights were evaluated."""
    validation: tuple[float, ...] = ()
    """Validation loss after each of them, where it is asked for."""
    norms: tuple[NormSums, ...] = ()
    """Of the gradients, for each epoch that was begun."""

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> Progress:
        """Read what ``asdict`` gave, by way of JSON."""
        return cls(
            facts["updates"],
            facts["epochs_seen"],
            tuple(facts["validation"]),
            tuple(NormSums(one["updates"], tuple(one["sums"])) for one in facts["norms"]),
        )


class Checkpoints:
    """Two files that hold all that training needs to go on.

    A file has the trained parameters and buffers, the state of the optimiser and of the gradient
    scaler, and the progress. The schedule, the order of the data and the random numbers follow
    from the seed and the progress (see ``loop``), so that they need no place in it. Beside them
    lies a small note of the progress since (``progress.json``).

    Parameters
    ----------
    folder : Path
    key : str
        Of everything that the numbers depend on. A checkpoint with another key is not resumed.
    """

    def __init__(self, folder: Path, *, key: str) -> None:
        self._folder, self._key = folder, key

    def save(
        self,
        progress: Progress,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
    ) -> None:
        """Write a checkpoint over the older of the two."""
        tensors = {f"weights.{name}": tensor for name, tensor in trained_state(model).items()}
        tensors |= _optimiser_tensors(model, optimiser)
        facts = {"key": self._key, "progress": asdict(progress), "scaler": scaler.state_dict()}
        write_tensors(self._folder / self._older(), tensors, form=FORMAT, facts=facts)

    def note(self, progress: Progress) -> None:
        """Note progress that has changed no weight: small, where a checkpoint may be gigabytes."""
        facts = {"key": self._key, "progress": asdict(progress)}
        write_json(self._folder / NOTED, facts)

    def load(
        self,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
    ) -> Progress:
        """Put the newest checkpoint into model, optimiser and scaler.

        Returns
        -------
        Progress
            That of the start, where there is no checkpoint of these settings.

        Raises
        ------
        BrainAlignError
            A file of this name is not one of ours, or nothing but damaged ones is there.
        """
        found = self._whole_ones()
        ours = [(facts, path) for path, facts in found.items() if facts["key"] == self._key]
        if not ours:
            if found:
                logger.warning(
                    "Checkpoints in %s are of other settings or data: training begins anew.",
                    self._folder,
                )
            return Progress()
        facts, path = max(ours, key=lambda pair: _order(pair[0]))
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        weights = _below("weights.", tensors)
        put_trained_state(model, weights, source=path)
        _put_optimiser(model, optimiser, _below("optimiser.", tensors))
        if facts["scaler"]:
            scaler.load_state_dict(facts["scaler"])
        progress, noted = Progress.read(facts["progress"]), self._noted()
        # A note is of another checkpoint where the newest one is damaged.
        if noted is None or noted.updates != progress.updates:
            return progress
        return max(progress, noted, key=lambda one: one.epochs_seen)

    def _noted(self) -> Progress | None:
        path = self._folder / NOTED
        if not path.is_file():
            return None
        facts = json.loads(path.read_text(encoding="utf-8"))
        return Progress.read(facts["progress"]) if facts["key"] == self._key else None

    def _older(self) -> str:
        """Name of the file that may be lost."""
        found = {path.name: facts for path, facts in self._readable().items()}
        ours = {name: facts for name, facts in found.items() if facts.get("key") == self._key}
        for name in SLOTS:
            if name not in ours:
                return name
        return min(SLOTS, key=lambda name: _order(ours[name]))

    def _whole_ones(self) -> dict[Path, dict[str, Any]]:
        found = self._readable()
        there = [self._folder / name for name in SLOTS if (self._folder / name).exists()]
        damaged = [path for path in there if path not in found]
        if damaged and not found:
            raise BrainAlignError(
                f"checkpoint {damaged[0]} is damaged and there is no other to go on from",
                where="it was cut off or changed after it was written",
                fix=f"delete {damaged[0].name} to begin training anew",
            )
        for path in damaged:
            logger.warning("%s is damaged: training goes on from the checkpoint before.", path)
        return found

    def _readable(self) -> dict[Path, dict[str, Any]]:
        """Facts of those files that can be opened."""
        found = {}
        for path in (self._folder / name for name in SLOTS):
            if path.exists():
                try:
                    found[path] = read_facts(path, form=FORMAT)
                except SafetensorError:
                    continue
        return found


def save_weights(path: Path, model: nn.Module) -> Path:
    """Write the trained parameters and buffers of a model: small where only adapters are trained.

    Parameters
    ----------
    path : Path
        ``….safetensors``
    model : torch module
        What is frozen is not written.
    """
    write_tensors(path, trained_state(model), form=WEIGHTS_FORMAT, facts={})
    return path


def load_weights(path: Path, model: nn.Module) -> None:
    """Put weights of :func:`save_weights` into a model of the same make.

    Raises
    ------
    BrainAlignError
        The file is damaged, not one of ours, or of another model.
    """
    try:
        read_facts(path, form=WEIGHTS_FORMAT)
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise BrainAlignError(
            f"weights {path} are damaged", where=str(error), fix="delete the file and run again"
        ) from error
    put_trained_state(model, tensors, source=path)


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """Give the parameters that are trained, and the buffers that a model saves, by name."""
    names = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    names |= {name for name, _ in model.named_buffers()}
    state = model.state_dict()
    return {name: state[name] for name in state if name in names}


def put_trained_state(model: nn.Module, tensors: Mapping[str, Tensor], *, source: Path) -> None:
    """Fill what :func:`trained_state` gives.

    Raises
    ------
    BrainAlignError
        Names or shapes are those of another model.
    """
    state = trained_state(model)
    differing = sorted(
        name
        for name in state.keys() | tensors.keys()
        if name not in state or name not in tensors or state[name].shape != tensors[name].shape
    )
    if differing:
        raise BrainAlignError(
            f"{source} is of another model: {len(differing)} tensors differ in name or shape",
            where=", ".join(differing[:3]),
            fix="use the backbone, adaptation and readout that it was made with",
        )
    with torch.no_grad():
        for name, tensor in tensors.items():
            state[name].copy_(tensor)


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], *, form: str, facts: Mapping[str, object]
) -> None:
    """Write tensors and facts (as JSON in the header) into one safetensors file, at once."""
    copies = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(copies, temporary, metadata={"format": form, "facts": json.dumps(facts)})
        with temporary.open("rb+") as stream:  # on the disk before it takes the place of another
            os.fsync(stream.fileno())


def read_facts(path: Path, *, form: str) -> dict[str, Any]:
    """Read what :func:`write_tensors` noted.

    Raises
    ------
    SafetensorError
        The file is damaged.
    BrainAlignError
        It is of another program.
    """
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
    if metadata.get("format") != form:
        raise BrainAlignError(
            f"{path} is not a file of this program's training ({form})",
            where=f"its header says {metadata.get('format')!r}",
            fix="move it to another folder",
        )
    facts: dict[str, Any] = json.loads(metadata["facts"])
    return facts


def _optimiser_tensors(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """State of the optimiser by name of the parameter; its groups follow from the settings."""
    return {
        f"optimiser.{name}.{kind}": value
        for name, parameter in model.named_parameters()
        for kind, value in optimiser.state.get(parameter, {}).items()
    }


def _put_optimiser(
    model: nn.Module, optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    parameters = dict(model.named_parameters())
    for key, value in tensors.items():
        name, _, kind = key.rpartition(".")
        optimiser.state[parameters[name]][kind] = value.to(parameters[name].device)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _order(facts: Mapping[str, Any]) -> tuple[int, int]:
    """Later is larger."""
    return facts["progress"]["updates"], facts["progress"]["epochs_seen"]
