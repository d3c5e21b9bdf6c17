"""What makes the training mode of transformers' encoders random, and masks that are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bids_brainalign.errors import BrainAlignError, ExitCode

_RANDOM_PARTS = (
    "hidden_dropout",
    "activation_dropout",
    "attention_dropout",
    "feat_proj_dropout",
    "layerdrop",
    "dropout",
    "encoder_layerdrop",
)
"""Probabilities in a configuration that make the encoder's training mode random."""


def switch_off(config: Any) -> None:
    """Make training mode compute what evaluation mode does; before the model is made."""
    for name in _RANDOM_PARTS:
        if hasattr(config, name):
            setattr(config, name, 0.0)


def take_given_masks(config: Any, *, draws_own: bool) -> None:
    """Make a wav2vec-like model mask the frames that it is told to.

    Parameters
    ----------
    config : transformers configuration
        Of the model, once it is made: without probabilities it would have no mask vector.
    draws_own : bool
        Whether its own SpecAugment stays on in training, if it has any.
    """
    # Configurations that don't have it (data2vec's) are taken to mean True.
    if not (draws_own and getattr(config, "apply_spec_augment", True)):
        config.mask_time_prob = config.mask_feature_prob = 0.0
    # Without it, masks that are given are passed over in silence.
    config.apply_spec_augment = True


def require_mask_vector(model: Any, folder: Path) -> None:
    """Refuse a wav2vec-like model that knows no masks.

    Raises
    ------
    BrainAlignError
        With exit code 66.
    """
    if not hasattr(model, "masked_spec_embed"):
        raise BrainAlignError(
            f"{folder.name} has no vector for masked frames (masked_spec_embed)",
            where="its config.json says that it was trained without masks",
            fix="take a model that has one for masked prediction",
            exit_code=ExitCode.MISSING_INPUT,
        )
