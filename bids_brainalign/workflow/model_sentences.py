"""What a model of a run is, in a sentence."""

from __future__ import annotations

from bids_brainalign.features.decoder_folder import decoder_facts
from bids_brainalign.features.folders import model_facts
from bids_brainalign.features.text_folder import text_facts
from bids_brainalign.workflow.spaces import Space

_RANDOM = "with random weights: what the architecture alone gives."


def speech_model_sentence(space: Space) -> str:
    """Family, size and weights of a speech model, or of the decoder that is meant."""
    assert space.source is not None  # noqa: S101 - models are folders
    facts = model_facts(space.source)
    family, size = facts.family, f"{facts.n_layers - 1} blocks, width {facts.n_dims}"
    if space.reads_words:
        decoder = decoder_facts(space.source)
        family, size = "Whisper decoder", f"{decoder.n_layers - 1} blocks, width {decoder.n_dims}"
    elif facts.n_parameters:
        size += f", {facts.n_parameters / 1e6:.3g} M parameters"
    if space.kind == "untrained":
        return f"{family} ({size}) {_RANDOM}"
    return f"{family} ({size}). {facts.note or 'Weights from a local folder.'}"


def language_model_sentence(space: Space) -> str:
    """Family, size and weights of a language model."""
    assert space.source is not None  # noqa: S101 - models are folders
    facts = text_facts(space.source)
    size = f"{facts.n_layers - 1} blocks, width {facts.n_dims}"
    if facts.n_parameters:
        size += f", {facts.n_parameters / 1e6:.3g} M parameters"
    weights = _RANDOM if space.kind == "untrained" else "from a local folder."
    return f"Language model {facts.model_type} ({size}) {weights}"
