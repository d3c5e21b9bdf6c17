"""The random parts of a speech model in training: dropout, layer drop, SpecAugment."""

from __future__ import annotations

from typing import Any

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
    """Make training mode compute what evaluation mode does."""
    for name in _RANDOM_PARTS:
        if hasattr(config, name):
            setattr(config, name, 0.0)
    # Configurations that don't have it (data2vec's) are taken to mean True.
    config.apply_spec_augment = False
