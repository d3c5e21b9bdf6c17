"""Grouped convolutions that stay in float32 on CPUs, where oneDNN gets some wrong in bf16."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


def exact_on_cpu(model: Any) -> Any:
    """Let the grouped convolutions of a model work in float32 on CPUs, whatever its precision.

    On CPUs with AMX, oneDNN (as in torch 2.13) gives wrong numbers for bf16 convolutions whose
    groups have a number of channels that is no multiple of 16: errors as large as the output,
    without a warning. Speech models have one such layer, for positions. The published base and
    large models (48 and 64 channels per group) come out right; others would not.

    Parameters
    ----------
    model : torch module
        Changed in place: weights, names and what is saved stay the same.

    Returns
    -------
    torch module
        The same.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv1d) and module.groups > 1:
            module.forward = partial(_forward, module, module.forward)  # type: ignore[method-assign]
    return model


def _forward(module: nn.Conv1d, usual: Any, hidden: Tensor) -> Tensor:
    if hidden.device.type != "cpu":
        return usual(hidden)  # type: ignore[no-any-return]
    bias = None if module.bias is None else module.bias.float()
    with torch.autocast("cpu", enabled=False):
        found: Tensor = module._conv_forward(hidden.float(), module.weight.float(), bias)
    return found.to(hidden.dtype)
