"""Choices and ranges of ``[tuning]``."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from bids_brainalign.config.tuning import Tuning
from bids_brainalign.config.variants import TUNED, settings_of

CHOICES = {
    "input": ("clips", "blocks"),
    "adaptation": ("full", "lora"),
    "cnn": ("frozen", "thawed"),
    "readout": ("trained", "pinned"),
    "normalisation": ("none", "training", "block"),
    "schedule": ("linear", "constant"),
    "source": ("windows", "dense"),
}


def choices(tuning: Tuning) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Key, value, what it may be."""
    for settings in settings_of(tuning):
        for name, known in CHOICES.items():
            yield f"tuning.{name}", getattr(settings, name), known


def ranges(tuning: Tuning) -> Iterator[tuple[str, object, str, bool]]:
    """Key, value, rule in words, and whether it holds."""
    for settings in settings_of(tuning):
        yield from _ranges(settings)
    tuned = not tuning.variants or TUNED in tuning.variants
    can = bool(tuning.variants) or not tuning.transfer
    yield (
        "tuning.transfer",
        tuning.transfer,
        "given where a model is tuned ([tuning] variants)",
        can,
    )
    yield "tuning.variants", tuning.variants, "with tuned: a control alone tells nothing", tuned


def _ranges(tuning: Tuning) -> Iterator[tuple[str, object, str, bool]]:
    for name in ("epochs", "batch_rows", "batches_per_update", "lora_rank", "lora_alpha",
                 "clip_s", "window_s", "step_s", "checkpoint_updates"):  # fmt: skip
        value = getattr(tuning, name)
        yield f"tuning.{name}", value, "above 0", 0 < value < inf
    for name in ("learning_rate", "head_learning_rate", "patience", "bottleneck", "weight_decay",
                 "clip_norm"):  # fmt: skip
        value = getattr(tuning, name)
        yield f"tuning.{name}", value, "0 or more", 0 <= value < inf
    for name in ("warmup_share", "lora_dropout"):
        value = getattr(tuning, name)
        yield f"tuning.{name}", value, "from 0 to below 1", 0 <= value < 1
    for name in ("readout_layer", "up_to_layer", "feature_layer"):
        value = getattr(tuning, name)
        yield f"tuning.{name}", value, "-1 (the last) or more", value >= -1
