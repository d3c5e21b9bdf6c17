"""Tuned models as folders: a whole model with merged weights, or adapters for PEFT."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.folders import NOTE_KEY, cannot_load
from bids_brainalign.features.loading import load_pretrained
from bids_brainalign.tuning.adaptation import is_adapter
from bids_brainalign.tuning.backbone import Backbone

ADAPTER_FILES = ("adapter_model.safetensors", "adapter_config.json")
_OWN_FILES = ("config.json", "model.safetensors.index.json", "pytorch_model.bin.index.json")


def merged_weights(backbone: Backbone) -> dict[str, Tensor]:
    """Give the backbone's weights with the adapters' changes added, under ``AutoModel``'s names.

    The backbone itself is left as it is. Blocks after the layer that is read are not among them.
    """
    net: Any = backbone.net
    if not _has_adapters(net):
        return {name: tensor.detach() for name, tensor in net.state_dict().items()}
    inner = net.get_base_model()
    weights = {
        name.replace(".base_layer.", "."): tensor.detach()
        for name, tensor in inner.state_dict().items()
        if not is_adapter(name)
    }
    with torch.no_grad():
        for name, module in inner.named_modules():
            if hasattr(module, "get_delta_weight"):
                change = sum(module.get_delta_weight(key) for key in module.active_adapters)
                weights[f"{name}.weight"] = weights[f"{name}.weight"] + change
    return weights


def save_merged(backbone: Backbone, folder: Path, *, note: str) -> None:
    """Write a tuned model as a folder like the one it came from.

    This is the export for all uses: `features`, transformers and other programs read it without
    PEFT. (transformers' own WavLM ignores adapters, see ``wavlm_attention``.)

    Parameters
    ----------
    backbone : Backbone
    folder : Path
        Made if absent; gets ``config.json``, ``model.safetensors`` and what lies beside the
        weights of the original: preprocessor and tokenizer. Weights that were not trained, such
        as later blocks and Whisper's decoder, are those of the original.
    note : str
        What the model should say about itself in ``config.json``.
    """
    from transformers import AutoModel

    whole = load_pretrained(AutoModel, backbone.folder, part=_part(backbone))
    weights = {name: tensor.float().cpu() for name, tensor in merged_weights(backbone).items()}
    unknown = whole.load_state_dict(weights, strict=False).unexpected_keys
    if unknown:
        raise cannot_load(backbone.folder, ValueError(f"it has no weights {unknown[:4]}"))
    setattr(whole.config, NOTE_KEY, note)
    folder.mkdir(parents=True, exist_ok=True)
    whole.save_pretrained(folder)
    for path in sorted(backbone.folder.iterdir()):
        if path.suffix in {".json", ".txt"} and path.name not in _OWN_FILES:
            shutil.copyfile(path, folder / path.name)


def save_adapters(backbone: Backbone, folder: Path, *, base_model: str) -> None:
    """Write the adapters alone, for ``PeftModel.from_pretrained(AutoModel…, folder)``.

    Parameters
    ----------
    backbone : Backbone
        With adapters.
    folder : Path
        Made if absent; gets ``adapter_model.safetensors`` and ``adapter_config.json``.
    base_model : str
        Name of the model that the adapters belong to, e.g. ``microsoft/wavlm-base-plus``; no path.

    Notes
    -----
    For WavLM they do nothing in transformers as it is: call
    ``wavlm_attention.route_wavlm_attention`` on the model first, or take the merged weights.
    """
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    net: Any = _with_adapters(backbone)
    folder.mkdir(parents=True, exist_ok=True)
    weights = get_peft_model_state_dict(net, save_embedding_layers=False)
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()},
        folder / ADAPTER_FILES[0],
        metadata={"format": "pt"},
    )
    config = copy.copy(net.peft_config["default"])
    config.base_model_name_or_path, config.inference_mode = base_model, True
    config.save_pretrained(folder)


def load_adapters(backbone: Backbone, folder: Path) -> None:
    """Read adapters that `save_adapters` wrote into a backbone that has such adapters.

    Raises
    ------
    BrainAlignError
        No file, or adapters of another shape or other modules (66).
    """
    from peft import get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file

    net: Any = _with_adapters(backbone)
    path = folder / ADAPTER_FILES[0]
    try:
        weights = load_file(path)
    except (OSError, ValueError) as error:
        raise _not_ours(path, str(error)) from error
    shapes = {k: v.shape for k, v in weights.items()}
    wanted = get_peft_model_state_dict(net, save_embedding_layers=False)
    if shapes != {k: v.shape for k, v in wanted.items()}:
        raise _not_ours(path, "adapters of other modules, blocks or rank")
    set_peft_model_state_dict(net, weights)


def _with_adapters(backbone: Backbone) -> nn.Module:
    if not _has_adapters(backbone.net):
        raise BrainAlignError(
            f"{backbone.folder.name} is trained as a whole: it has no adapters",
            fix="save its merged weights",
            exit_code=ExitCode.INTERNAL,
        )
    return backbone.net


def _has_adapters(net: nn.Module) -> bool:
    return hasattr(net, "peft_config")


def _part(backbone: Backbone) -> str:
    return "encoder." if backbone.family == "whisper" else ""


def _not_ours(path: Path, why: str) -> BrainAlignError:
    return BrainAlignError(
        f"{path} can't be read as adapters of this model: {why}",
        fix="give the folder and the settings that the adapters were trained with",
        exit_code=ExitCode.MISSING_INPUT,
    )
