"""Which parameters are trained at which rate, and what a training's numbers depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.store.digest import digest_of


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters with one learning rate."""

    name: str
    """Start of their names; ``all`` for the empty one."""
    learning_rate: float
    parameters: list[nn.Parameter]


def parameter_groups(
    model: nn.Module, learning_rates: Sequence[tuple[str, float]]
) -> list[ParameterGroup]:
    """Sort the parameters that require a gradient by the longest start that fits their name.

    Parameters
    ----------
    model : torch module
    learning_rates : sequence of (str, float)
        Start of the name, rate. The empty start fits all.

    Returns
    -------
    list of ParameterGroup
        In the order given, without empty ones.

    Raises
    ------
    BrainAlignError
        A parameter has no rate, or nothing is trained (64).
    """
    rates = dict(learning_rates)
    members: dict[str, list[nn.Parameter]] = {start: [] for start in rates}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        fitting = [start for start in rates if name.startswith(start)]
        if not fitting:
            raise BrainAlignError(
                f"parameter {name} has no learning rate",
                where=f"rates are given for {', '.join(rates) or 'nothing'}",
                fix="give a rate for it, or freeze it",
                exit_code=ExitCode.USAGE,
            )
        members[max(fitting, key=len)].append(parameter)
    groups = [
        ParameterGroup(start.rstrip(".") or "all", rates[start], found)
        for start, found in members.items()
        if found
    ]
    if not groups:
        raise BrainAlignError(
            "nothing of the model is to be trained",
            fix="train the readout, adapters or layers",
            exit_code=ExitCode.USAGE,
        )
    return groups


def settings_key(
    model: nn.Module, settings: Mapping[str, object], *, n_batches: int, key: str
) -> str:
    """Digest of what decides the numbers of a training.

    Parameters
    ----------
    model : torch module
        Names and shapes of its parameters count, and which of them are trained; not their values.
    settings : mapping
    n_batches : int
    key : str
        Of data, model weights and loss.
    """
    parameters = {
        name: [*parameter.shape, parameter.requires_grad]
        for name, parameter in model.named_parameters()
    }
    return digest_of(
        {"parameters": parameters, "settings": settings, "n_batches": n_batches, "key": key}
    )
