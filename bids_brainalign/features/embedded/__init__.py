"""The small speech model that is shipped in the package; README.md here is its model card."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

EMBEDDED = "embedded"
"""NAME under which it runs, and in ``desc-embedded``."""
NOTE = (
    "This is the small model that brainalign ships for demonstration: it learnt to tell phones "
    "apart from synthetic English only. Use a model trained on people to study brains."
)
"""Stands in its ``config.json``, and from there in sidecars and on pages."""


def embedded_model_folder() -> Path:
    """Give the Hugging Face folder of the shipped Whisper encoder.

    Returns
    -------
    Path
        With ``config.json``, ``preprocessor_config.json`` and ``model.safetensors`` (float16).
    """
    return Path(str(files(__name__)))
