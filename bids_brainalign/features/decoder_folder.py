"""What a Whisper folder must hold for its decoder to read words, checked without its weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.folders import cannot_load, read_config

TOKENIZER = "tokenizer.json"
GENERATION = "generation_config.json"


@dataclass(frozen=True)
class DecoderFacts:
    """A Whisper decoder at a glance."""

    n_layers: int
    """Blocks + 1: layer 0 is the input of the first block."""
    n_dims: int
    n_hidden: int
    """Width of the blocks' MLPs."""
    max_tokens: int
    """Tokens that one pass can take."""
    languages: tuple[str, ...]
    """Tags such as ``en``; empty: an English-only model."""


def decoder_facts(folder: Path) -> DecoderFacts:
    """Read ``config.json`` and ``generation_config.json``; require the tokenizer.

    Parameters
    ----------
    folder : Path
        A Hugging Face folder of a Whisper.

    Raises
    ------
    BrainAlignError
        No tokenizer, no generation settings, or no decoder in ``config.json`` (66).
    """
    absent = [name for name in (TOKENIZER, GENERATION) if not (folder / name).is_file()]
    if absent:
        raise BrainAlignError(
            f"{folder} has no {' and no '.join(absent)}: no words can be given to its decoder.",
            fix="download the model with its tokenizer (brainalign fetch), or leave out "
            "--decoder-features",
            exit_code=ExitCode.MISSING_INPUT,
        )
    config = read_config(folder)
    try:
        generation = json.loads((folder / GENERATION).read_text(encoding="utf-8"))
        return DecoderFacts(
            n_layers=int(config["decoder_layers"]) + 1,
            n_dims=int(config["d_model"]),
            n_hidden=int(config["decoder_ffn_dim"]),
            max_tokens=int(config["max_target_positions"]),
            languages=tuple(tag.strip("<|>") for tag in generation.get("lang_to_id", {})),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise cannot_load(folder, ValueError(f"nothing describes its decoder: {error}")) from error
