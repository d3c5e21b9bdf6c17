"""Which weights of a backbone are trained: all of them up to a layer, or LoRA adapters."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.tuning.backbone import Backbone

Kind = Literal["full", "lora"]
FrontEnd = Literal["frozen", "thawed"]
ATTENTION_INPUTS = ("q_proj", "k_proj", "v_proj")
"""Query, key and value, which bear these names in all families."""
_FRONT_ENDS = (
    "feature_extractor.",
    "encoder.conv1.",
    "encoder.conv2.",
    "encoder.embed_positions.",
)
"""Convolutions of wav2vec-like models; convolutions and positions of Whisper."""
_BLOCK = re.compile(r"encoder\.layers\.(\d+)\.")


@dataclass(frozen=True)
class Adaptation:
    """What of a backbone is trained."""

    kind: Kind = "full"
    cnn: FrontEnd = "frozen"
    """The convolutions before the transformer, and Whisper's positions; only for ``full``."""
    up_to_layer: int | None = None
    """Blocks that make layers 1 to this one are trained; None: to the layer that is read."""
    rank: int = 8
    alpha: float = 32.0
    """An adapter adds (alpha / rank) · B A to a weight. Rank 8, alpha 32 and
    dropout 0.1 are those of the multi-brain-tuning code (2025); BrainWavLM has 4, 4 and 0.1."""
    dropout: float = 0.1
    """Of what enters an adapter, in training."""
    target_modules: tuple[str, ...] = ATTENTION_INPUTS
    """Names of linear modules within a block that get an adapter."""

    def __post_init__(self) -> None:
        if self.kind == "lora" and self.cnn == "thawed":
            raise BrainAlignError(
                "LoRA adapts transformer blocks: the CNN front end can't be thawed with it",
                fix="set cnn = frozen, or train all weights with kind = full",
                exit_code=ExitCode.USAGE,
            )
        if self.rank < 1 or self.alpha <= 0 or not 0 <= self.dropout < 1:
            raise BrainAlignError(
                f"LoRA with rank {self.rank}, alpha {self.alpha:g} and dropout {self.dropout:g}",
                fix="rank at least 1, alpha above 0, dropout from 0 to below 1",
                exit_code=ExitCode.USAGE,
            )


def adapt(backbone: Backbone, adaptation: Adaptation, *, seed: int) -> Backbone:
    """Freeze and free the weights of a backbone, in place, and add adapters.

    Parameters
    ----------
    backbone : Backbone
    adaptation : Adaptation
    seed : int
        Of the adapters' first weights (A random, B zero: tuning begins at the backbone as it is);
        torch's own random stream is left as it was.

    Returns
    -------
    Backbone
        The same.

    Raises
    ------
    BrainAlignError
        A layer after the one that is read, or modules that no block has (64).
    """
    top = backbone.layer if adaptation.up_to_layer is None else adaptation.up_to_layer
    if not 0 <= top <= backbone.layer:
        raise BrainAlignError(
            f"layers up to {top} can't be trained when layer {backbone.layer} is read: what comes "
            "after it gets no gradient",
            fix=f"train layers up to one from 0 to {backbone.layer}",
            exit_code=ExitCode.USAGE,
        )
    for parameter in backbone.parameters():
        parameter.requires_grad_(False)
    if adaptation.kind == "lora":
        _freeze_front_end(backbone)
        backbone.net = with_adapters(backbone.net, adaptation, n_blocks=top, seed=seed)
        return backbone
    if adaptation.cnn == "frozen":
        _freeze_front_end(backbone)
    for name, parameter in backbone.net.named_parameters():
        parameter.requires_grad_(_is_free(name, thawed=adaptation.cnn == "thawed", top=top))
    return backbone


def with_adapters(
    net: nn.Module, adaptation: Adaptation, *, n_blocks: int, seed: int
) -> nn.Module:
    """Put LoRA adapters around modules of the first blocks of an encoder.

    Parameters
    ----------
    net : torch module
        With blocks ``encoder.layers.0…``.
    adaptation : Adaptation
    n_blocks : int
        Blocks that get adapters; at least 1.
    seed : int

    Returns
    -------
    peft.PeftModel
    """
    from peft import LoraConfig, get_peft_model

    names = {n for n, module in net.named_modules() if isinstance(module, nn.Linear)}
    for wanted in adaptation.target_modules:
        if not any(re.fullmatch(_pattern([wanted], n_blocks), name) for name in names):
            raise _no_such_module(wanted, names, n_blocks=n_blocks)
    config = LoraConfig(
        r=adaptation.rank,
        # peft's annotation says int; it only divides it by the rank.
        lora_alpha=adaptation.alpha,  # type: ignore[arg-type, unused-ignore]
        lora_dropout=adaptation.dropout,
        # One expression for names and blocks: the saved configuration then finds the same modules
        # in the whole model, where Whisper's decoder has modules of the same names.
        target_modules=_pattern(adaptation.target_modules, n_blocks),
        bias="none",
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # peft 0.21 asks transformers 5.23 by a name that has become another.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        torch.manual_seed(seed)
        adapted: nn.Module = get_peft_model(net, config)
    return adapted


def is_adapter(name: str) -> bool:
    """Whether a parameter of this name belongs to a LoRA adapter."""
    return ".lora_A." in name or ".lora_B." in name


def _is_free(name: str, *, thawed: bool, top: int) -> bool:
    if name.endswith("masked_spec_embed"):
        return False  # unused, or noise by design: see Backbone
    block = _BLOCK.match(name)
    if block:
        return int(block[1]) < top
    return thawed or not name.startswith(_FRONT_ENDS)


def _freeze_front_end(backbone: Backbone) -> None:
    """Tell transformers, too: it makes the audio require a gradient otherwise."""
    freeze = getattr(backbone.net, "freeze_feature_encoder", None)
    if freeze is not None:
        freeze()


def _pattern(names: tuple[str, ...] | list[str], n_blocks: int) -> str:
    blocks = "|".join(str(i) for i in range(n_blocks))
    ends = "|".join(re.escape(name) for name in names)
    return rf"encoder\.layers\.(?:{blocks})\.(?:.*\.)?(?:{ends})"


def _no_such_module(wanted: str, names: set[str], *, n_blocks: int) -> BrainAlignError:
    inside = sorted({_BLOCK.sub("", name) for name in names if _BLOCK.match(name)})
    return BrainAlignError(
        f"no block has a linear module {wanted!r} for a LoRA adapter"
        if n_blocks
        else "no block comes before layer 0, so LoRA has nothing to adapt",
        where="modules of a block: " + ", ".join(inside),
        fix="name modules of the list, or parts of their ends such as q_proj; read and train a "
        "layer after the first",
        exit_code=ExitCode.USAGE,
    )
