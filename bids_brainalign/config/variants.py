"""Trainings of one run: the tuned model, its controls, and the settings that are compared."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from bids_brainalign.config.toml import nearest
from bids_brainalign.config.tuning import Tuning
from bids_brainalign.errors import BrainAlignError, ExitCode

TUNED, PERMUTED, STIMULUS, FEATURES = "tuned", "permuted", "stimulus", "features"
TOGETHER = "together"
KINDS = (TUNED, PERMUTED, STIMULUS, FEATURES, TOGETHER)
_FEATURES = re.compile(rf"{FEATURES}[:=](.+)")
FIXED = ("variants", "compare", "model", "test_stories", "validation_stories",
         "allow_few_stories", "lora_modules", "checkpoint_updates", "transfer")  # fmt: skip
"""Settings that all trainings of a run share."""
LAST = "last"
"""Stands for −1 where a layer is asked for."""


@dataclass(frozen=True)
class Variant:
    """One training."""

    name: str
    """As in the ``model`` column, after the model's own name: ``tuned``, ``permuted``,
    ``tuned:cnn=thawed``, ``features=gpt2``."""
    kind: str
    """What it is trained on: ``tuned`` (responses), ``permuted`` (responses in blocks of another
    order), ``stimulus`` (its own masked frames), ``features`` (features of another model),
    ``together`` (responses of all participants of the run)."""
    settings: Tuning
    changed: tuple[tuple[str, str], ...] = ()
    """Settings in which it differs from ``tuned``, and their values as given."""
    features: str = ""
    """NAME of the feature space that is predicted; empty: none."""

    @property
    def is_control(self) -> bool:
        """Whether `tuned` is held against it as a control."""
        return self.kind not in (TUNED, TOGETHER)


def variants_of(tuning: Tuning) -> tuple[Variant, ...]:
    """List the trainings of a run: ``tuned`` first, controls, then every compared setting.

    Values given for several settings are crossed.

    Raises
    ------
    BrainAlignError
        An unknown control, setting or value; two trainings with one name (64).
    """
    if not tuning.variants:
        if tuning.compare:
            raise BrainAlignError(
                "settings can only be compared where a model is tuned",
                where=f"compare = {' '.join(tuning.compare)}",
                fix='choose a recipe that tunes (--recipe brain-tuning), or variants = ["tuned"] '
                "in [tuning]",
                exit_code=ExitCode.USAGE,
            )
        return ()
    first = sorted(dict.fromkeys(tuning.variants), key=lambda name: name != TUNED)
    found = [_control(name, tuning) for name in first]
    choices = [_choices(word, tuning) for word in tuning.compare]
    keys = [key for key, _ in choices]
    if len(set(keys)) < len(keys):
        raise _usage(f"--compare has {', '.join(keys)}", "give each setting once, with all values")
    for values in itertools.product(*(given for _, given in choices)):
        changed = tuple(
            (key, text)
            for key, (text, value) in zip(keys, values, strict=True)
            if value != getattr(tuning, key)
        )
        if changed:
            chosen: dict[str, Any] = {k: v for k, (_, v) in zip(keys, values, strict=True)}
            settings = replace(tuning, **chosen)
            name = ":".join((TUNED, *(f"{_written(key)}={text}" for key, text in changed)))
            found.append(Variant(name, TUNED, settings, changed))
    _require_distinct(found)
    return tuple(found)


def variant_label(text: str) -> str:
    """Camel case of a part of a model's name, for BIDS labels.

    Examples
    --------
    >>> variant_label("cnn=thawed"), variant_label("untrained"), variant_label("targets=not:left")
    ('CnnThawed', 'Untrained', 'TargetsNotLeft')
    """
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", text))


def _control(name: str, tuning: Tuning) -> Variant:
    match = _FEATURES.fullmatch(name)
    if match:
        return Variant(f"{FEATURES}={match[1]}", FEATURES, tuning, features=match[1])
    if name not in KINDS or name == FEATURES:
        known = (TUNED, PERMUTED, STIMULUS, f"{FEATURES}=NAME", TOGETHER)
        raise _usage(f"tuning.variants: {name} is not known", nearest(name, known))
    return Variant(name, name, tuning)


def _choices(word: str, tuning: Tuning) -> tuple[str, list[tuple[str, object]]]:
    """Split ``key=a,b``; values as given and of the setting's type."""
    key, equals, text = word.partition("=")
    name = key.replace("-", "_")
    known = [f.name for f in dataclasses.fields(Tuning) if f.name not in FIXED]
    values = [value for value in text.split(",") if value]
    if not equals or not values:
        raise _usage(
            f"--compare: {word!r} is not SETTING=VALUE,VALUE",
            "write --compare readout-layer=6,last; put options after BIDS_DIR OUTPUT_DIR "
            "participant",
        )
    if name not in known:
        raise _usage(
            f"--compare: {key} is no setting of [tuning] that can differ",
            nearest(_written(name), [_written(k) for k in known]),
        )
    of_type = [(value, _value(key, value, getattr(tuning, name))) for value in values]
    distinct = [pair for i, pair in enumerate(of_type) if pair[1] not in
                [other for _, other in of_type[:i]]]  # fmt: skip
    return name, distinct


def _value(key: str, text: str, like: object) -> object:
    """Read one value of the type of the setting."""
    if isinstance(like, bool):
        words = {"true": True, "false": False}
        if text not in words:
            raise _usage(f"--compare {key}: {text!r} is neither true nor false", "")
        return words[text]
    if isinstance(like, int | float):
        if text == LAST and key.endswith("layer"):
            return -1
        try:
            return type(like)(text)
        except ValueError:
            kind = "a whole number" if isinstance(like, int) else "a number"
            raise _usage(f"--compare {key}: {text!r} is not {kind}", "") from None
    return text


def _written(key: str) -> str:
    return key.replace("_", "-")


def _require_distinct(variants: list[Variant]) -> None:
    labels: dict[str, str] = {}
    for variant in variants:
        label = variant_label(variant.name)
        if label in labels:
            raise _usage(
                f"{variant.name} and {labels[label]} would both be written as desc-…{label}",
                "write the values so that they differ in letters or digits",
            )
        labels[label] = variant.name


def _usage(what: str, fix: str) -> BrainAlignError:
    return BrainAlignError(what, fix=fix, exit_code=ExitCode.USAGE)


def settings_of(tuning: Tuning) -> Iterator[Tuning]:
    """Give the settings of every training, each of which must be possible."""
    yield tuning
    for variant in variants_of(tuning):
        if variant.changed:
            yield variant.settings
