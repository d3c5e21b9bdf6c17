"""What several processes of one training tell each other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bids_brainalign.tuning.checkpoints import trained_state


def start_alike(model: nn.Module) -> None:
    """Give all processes the trained parameters and buffers of the first."""
    from accelerate.utils import broadcast

    for tensor in trained_state(model).values():
        tensor.copy_(broadcast(tensor))


def shared_gradients(parameters: Sequence[nn.Parameter], sums: Tensor) -> Tensor:
    """Add up gradients over processes, in place, and give the sums of all.

    What no process used keeps no gradient, as on one process: AdamW leaves it alone. This is done
    once per update rather than by a wrapper around the model during the backward pass, so that
    parts without a gradient and gradient checkpointing need no care.

    Parameters
    ----------
    parameters : sequence of Parameter
        The same in all processes.
    sums : Tensor
        Of this process.
    """
    from accelerate.utils import reduce

    own = torch.tensor([p.grad is not None for p in parameters], device=sums.device)
    used: list[bool] = (reduce(own.float(), "sum") > 0).tolist()
    for parameter, is_used in zip(parameters, used, strict=True):
        if is_used:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            parameter.grad = reduce(gradient, "sum")
    total: Tensor = reduce(sums, "sum")
    return total
