"""The check before training: everything that should learn does, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.tuning.adaptation import is_adapter
from bids_brainalign.tuning.losses import Loss
from bids_brainalign.tuning.stories import Batch

_LISTED = 4
_PROBE_SHARE = 0.1
"""Size of the adapters' weights in the trial, as a share of the weights that they change."""
_AGREEMENT = 0.02
"""Merged and separate adapters may differ by this share of what the adapters change: they round
differently, most of all with bf16 or TF32."""


def require_alive(model: nn.Module, batch: Batch, loss: Loss) -> None:
    """Refuse to train a model whose weights don't learn, or whose frozen weights would.

    Three trials on one batch, without dropout; the model is left exactly as it was, without
    gradients.

    1. As training begins: every trainable parameter gets a finite gradient that is not zero, no
       frozen one gets any. A of a LoRA adapter is left out, as its gradient is zero while B is.
    2. With small random numbers in place of B: A gets a gradient, too.
    3. With the same numbers: the adapters change what the readout reads, and merging them into the
       weights gives the same. PEFT on transformers' own WavLM fails both 1 and 3.

    Parameters
    ----------
    model : torch module
        A ``TunedModel``: its output is the prediction for a batch; ``features`` what the readout
        reads.
    batch : Batch
        On the device of the model.
    loss : callable

    Raises
    ------
    BrainAlignError
        Names the parameters (70).
    """
    was_training = model.training
    model.eval()
    _keep_checkpointing(model)
    try:
        _check_gradients(model, batch, loss, first_step=True)
        if any(is_adapter(name) for name, _ in model.named_parameters()):
            with _trial_weights(model):
                _check_gradients(model, batch, loss, first_step=False)
                _check_merging(model, batch)
    finally:
        model.zero_grad(set_to_none=True)
        model.train(was_training)


def _keep_checkpointing(model: nn.Module) -> None:
    """Let blocks that are computed again in the backward pass do so here, too, to save memory.

    Only the block itself is told so: the dropout modules within stay off.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer) and module.gradient_checkpointing:
            module.training = True


def _check_gradients(model: nn.Module, batch: Batch, loss: Loss, *, first_step: bool) -> None:
    model.zero_grad(set_to_none=True)
    value = loss(model(batch), batch.responses)
    if not torch.isfinite(value):
        raise _dead(f"the loss of the first batch is {value.item()}", [])
    value.backward()  # type: ignore[no-untyped-call]
    for problem, is_wrong in _PROBLEMS.items():
        named = model.named_parameters()
        wrong = [
            name
            for name, p in named
            if is_wrong(name, p) and not (first_step and ".lora_A." in name)
        ]
        if wrong:
            raise _dead(f"{len(wrong)} {problem}", wrong)


def _is_dead(name: str, parameter: nn.Parameter) -> bool:
    if not parameter.requires_grad or _has_no_effect(name):
        return False
    return parameter.grad is None or not bool(parameter.grad.any())


def _is_wild(name: str, parameter: nn.Parameter) -> bool:
    return parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all())


def _moves_though_frozen(name: str, parameter: nn.Parameter) -> bool:
    return not parameter.requires_grad and parameter.grad is not None


_PROBLEMS: dict[str, Callable[[str, nn.Parameter], bool]] = {
    "trainable parameters get no gradient in the first step": _is_dead,
    "parameters get a gradient that is not finite": _is_wild,
    "frozen parameters get a gradient": _moves_though_frozen,
}


def _has_no_effect(name: str) -> bool:
    """Whether a parameter can't change the loss, by its place.

    A constant added to all keys leaves a softmax as it is; one added to all predictions of a
    target (or of a row) leaves correlations as they are.
    """
    return name.endswith("k_proj.bias") or ("head." in name and name.endswith(".bias"))


@contextmanager
def _trial_weights(model: nn.Module) -> Iterator[None]:
    """Put small numbers in place of the zeros that adapters begin with; restore all weights."""
    layers = list(_adapted(model))
    kept = [{name: p.detach().clone() for name, p in m.named_parameters()} for m in layers]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for layer in layers:
            size = layer.get_base_layer().weight.square().mean().sqrt()
            for key, lora_b in layer.lora_B.items():
                noise = torch.randn(lora_b.weight.shape, generator=generator)
                lora_b.weight.copy_(noise.to(lora_b.weight))
                change = layer.get_delta_weight(key).square().mean().sqrt()
                lora_b.weight.mul_(_PROBE_SHARE * size / change.clamp(min=1e-30))
    try:
        yield
    finally:
        with torch.no_grad():
            for layer, weights in zip(layers, kept, strict=True):
                if layer.merged:
                    layer.unmerge()
                # Adding and subtracting a change doesn't give back the same bits.
                for name, parameter in layer.named_parameters():
                    parameter.copy_(weights[name])


def _check_merging(model: nn.Module, batch: Batch) -> None:
    layers = list(_adapted(model))
    with torch.no_grad():
        separate = _read(model, batch)
        _each(layers, "enable_adapters", False)
        without = _read(model, batch)
        _each(layers, "enable_adapters", True)
        _each(layers, "merge")
        merged = _read(model, batch)
    change = float((separate - without).abs().max())
    difference = float((separate - merged).abs().max())
    if not difference <= _AGREEMENT * change or change == 0:
        raise _dead(
            f"adapters change what the readout reads by up to {change:.3g}, and merged into the "
            f"weights they differ from that by up to {difference:.3g}",
            [],
        )


def _read(model: nn.Module, batch: Batch) -> Tensor:
    features: Tensor = model.features(batch)  # type: ignore[operator]
    return features.float()


def _each(layers: list[Any], method: str, *arguments: bool) -> None:
    for layer in layers:
        getattr(layer, method)(*arguments)


def _adapted(model: nn.Module) -> Iterator[Any]:
    from peft.tuners.lora import LoraLayer

    return (module for module in model.modules() if isinstance(module, LoraLayer))


def _dead(what: str, names: list[str]) -> BrainAlignError:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return BrainAlignError(
        f"the model can't be trained as set up: {what}",
        where=", ".join(names[:_LISTED]) + more,
        fix="adapt modules that the model calls, of layers up to the one that is read; if they "
        "are, the installed versions of transformers and peft don't fit each other",
        exit_code=ExitCode.INTERNAL,
    )
