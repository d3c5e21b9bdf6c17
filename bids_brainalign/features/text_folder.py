"""What a folder of a language model says about itself, without opening the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.folders import FAMILIES, count_parameters, read_config

PREPROCESSOR = "preprocessor_config.json"
TOKENIZERS = ("tokenizer.json", "vocab.json", "tokenizer.model", "spiece.model", "vocab.txt")
_BLOCKS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_WIDTHS = ("hidden_size", "n_embd", "d_model", "dim")
_POSITIONS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len")


@dataclass(frozen=True)
class TextFacts:
    """A language model at a glance."""

    model_type: str
    n_layers: int
    """Blocks + 1: layer 0 is the input of the first block."""
    n_dims: int
    n_parameters: int
    """0 where the weights' header can't be read."""
    n_vocabulary: int
    max_tokens: int
    """Tokens that one pass can take; 0: the model sets no limit."""
    languages: tuple[str, ...]
    """Tags such as ``en`` from its model card; empty: not stated."""


def reads_text(folder: Path) -> bool:
    """Whether a Hugging Face folder holds a model of text: a tokenizer, and nothing for audio.

    Whisper has both and is a speech model; so is a wav2vec2 whose preprocessor is missing.
    """
    if (folder / PREPROCESSOR).is_file() or not (folder / "config.json").is_file():
        return False
    if not any((folder / name).is_file() for name in TOKENIZERS):
        return False
    return read_config(folder).get("model_type") not in FAMILIES


def text_facts(folder: Path) -> TextFacts:
    """Read ``config.json``, the headers of the weights and the model card.

    Parameters
    ----------
    folder : Path
        A Hugging Face folder for which :func:`reads_text` holds.

    Raises
    ------
    BrainAlignError
        ``config.json`` describes no language model (66).
    """
    config = read_config(folder)
    text = config.get("text_config")
    described = {**config, **text} if isinstance(text, dict) else config
    blocks, width = _first(described, _BLOCKS), _first(described, _WIDTHS)
    if not blocks or not width:
        raise cannot_read(
            folder, ValueError("its config.json gives no number of layers and no hidden size")
        )
    return TextFacts(
        model_type=str(config.get("model_type", "unknown")),
        n_layers=blocks + 1,
        n_dims=width,
        n_parameters=count_parameters(folder)[1],
        n_vocabulary=_first(described, ("vocab_size",)),
        max_tokens=_first(described, _POSITIONS),
        languages=card_languages(folder),
    )


def card_languages(folder: Path) -> tuple[str, ...]:
    """Languages that the model card (``README.md``) states; empty where it says nothing.

    A card that says ``multilingual``, or that can't be read, states nothing either.
    """
    from huggingface_hub import metadata_load

    try:
        card: Any = metadata_load(folder / "README.md")
    except Exception:  # noqa: BLE001 - a card is a courtesy: nothing depends on its form
        return ()
    stated = card.get("language", ()) if isinstance(card, dict) else ()
    tags = [stated] if isinstance(stated, str) else stated
    # YAML 1.1 reads the tag of Norwegian as a truth value.
    found = tuple("no" if tag is False else str(tag).lower() for tag in tags or ())
    return () if "multilingual" in found else found


def cannot_read(folder: Path, error: Exception) -> BrainAlignError:
    """Give the error of a folder that is no language model."""
    return BrainAlignError(
        f"{folder} can't be loaded as a language model: {error}",
        fix="give a Hugging Face folder of a causal language model with config.json, "
        "tokenizer.json and model.safetensors (--models NAME=FOLDER); brainalign fetch makes one",
        exit_code=ExitCode.MISSING_INPUT,
    )


def _first(config: Mapping[str, Any], names: tuple[str, ...]) -> int:
    found = (config[name] for name in names if type(config.get(name)) is int)
    return next(found, 0)
