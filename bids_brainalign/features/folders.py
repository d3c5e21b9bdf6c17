"""What a model folder says about itself, without opening the weights."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bids_brainalign.errors import BrainAlignError, ExitCode

FAMILIES = {
    "whisper": "Whisper encoder",
    "wav2vec2": "wav2vec 2.0",
    "hubert": "HuBERT",
    "wavlm": "WavLM",
    "data2vec-audio": "data2vec (audio)",
    "wav2vec2-bert": "Wav2Vec2-BERT",
    "wav2vec2-conformer": "Wav2Vec2-Conformer",
    "unispeech-sat": "UniSpeech-SAT",
}
"""``model_type`` of transformers → the name people use."""
NOTE_KEY = "brainalign_note"
"""In ``config.json``: what a model made by this program says about itself."""
_LONGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class ModelFacts:
    """A speech model at a glance."""

    model_type: str
    n_layers: int
    """Blocks + 1: layer 0 is the input of the first block."""
    n_dims: int
    n_parameters: int
    """Of the encoder; 0 where the weights' header can't be read."""
    note: str
    """What a folder made by this program says about its model, else empty."""
    n_loaded: int = 0
    """Parameters with those of a decoder, which is loaded and then left out."""

    @property
    def family(self) -> str:
        """Name of the architecture."""
        return FAMILIES.get(self.model_type, self.model_type)

    @property
    def is_whisper(self) -> bool:
        """Whether the input has Whisper's fixed length."""
        return self.model_type == "whisper"


def model_facts(folder: Path) -> ModelFacts:
    """Read ``config.json`` and the headers of the weights.

    Parameters
    ----------
    folder : Path
        A Hugging Face model folder.

    Raises
    ------
    BrainAlignError
        ``config.json`` is absent, no JSON object, or describes no encoder (66).
    """
    config = read_config(folder)
    blocks = config.get("encoder_layers", config.get("num_hidden_layers"))
    width = config.get("d_model", config.get("hidden_size"))
    if not isinstance(blocks, int) or not isinstance(width, int):
        raise cannot_load(
            folder, ValueError("its config.json gives no number of layers and no hidden size")
        )
    n_parameters, n_loaded = count_parameters(folder)
    return ModelFacts(
        model_type=str(config.get("model_type", "unknown")),
        n_layers=blocks + 1,
        n_dims=width,
        n_parameters=n_parameters,
        note=str(config.get(NOTE_KEY, "")),
        n_loaded=n_loaded,
    )


def read_config(folder: Path) -> dict[str, Any]:
    """Read a model's ``config.json``.

    Raises
    ------
    BrainAlignError
        Absent or no JSON object (66).
    """
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise cannot_load(folder, error) from error
    if not isinstance(content, dict):
        raise cannot_load(folder, ValueError("config.json holds no object"))
    return content


def cannot_load(folder: Path, error: Exception) -> BrainAlignError:
    """Give the error of a folder that is no speech model."""
    return BrainAlignError(
        f"{folder} can't be loaded as a speech model: {error}",
        fix="give a Hugging Face folder with config.json, preprocessor_config.json and "
        "model.safetensors (--models NAME=FOLDER); brainalign fetch makes one",
        exit_code=ExitCode.MISSING_INPUT,
    )


def count_parameters(folder: Path) -> tuple[int, int]:
    """Count weights by the headers of the safetensors files: without decoders, and all."""
    encoder = total = 0
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with path.open("rb") as stream:
                (length,) = struct.unpack("<Q", stream.read(8))
                header = json.loads(stream.read(min(length, _LONGEST_HEADER)))
        except (OSError, ValueError, struct.error):
            return 0, 0
        for name, tensor in header.items():
            if name == "__metadata__":
                continue
            size = math.prod(int(n) for n in tensor["shape"])
            total += size
            if "decoder." not in name and name != "proj_out.weight":
                encoder += size
    return encoder, total
