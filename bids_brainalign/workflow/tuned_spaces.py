"""Tuned models of a run as feature spaces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bids_brainalign.config.schema import Config
from bids_brainalign.config.variants import variants_of
from bids_brainalign.outputs.tuned_models import (
    grid_entities,
    is_shared,
    models_folder,
    shared_name,
)
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.spaces import Space
from bids_brainalign.workflow.tuned_facts import space_of_folder


def names_of_fits(fits: Sequence[Fit]) -> list[str]:
    """Name fits by their participant, and by all their entities where one has several.

    Fits of one stem differ in the kind of recording.
    """
    people = Counter(fit.participant for fit in fits)
    stems = Counter(fit.name.stem for fit in fits)
    return [
        f"sub-{fit.participant}" if people[fit.participant] == 1
        else fit.name.stem if stems[fit.name.stem] == 1
        else f"{fit.name.stem}_{fit.name.datatype}"
        for fit in fits
    ]  # fmt: skip


def groups_of(fits: Sequence[Fit]) -> list[list[Fit]]:
    """Fits that may share targets: of one kind of recording and space, two participants or more.

    Sessions of a participant are tuned on like participants.
    """
    found: dict[object, list[Fit]] = {}
    for fit in fits:
        found.setdefault((fit.name.datatype, grid_entities(fit.name)), []).append(fit)
    return [mine for mine in found.values() if len({fit.participant for fit in mine}) > 1]


@dataclass(frozen=True)
class TunedModel:
    """A model that a run tunes, as it is probed."""

    name: str
    """``NAME:tuned:sub-01``, with the recordings' other entities where a participant has several
    fits; ``NAME:together:ieeg`` of a model of several participants."""
    variant: str
    who: str
    """Whose responses or stories it is tuned on."""
    folder: Path
    """Where it lies if its training did not fail."""


def tuned_models(config: Config, fits: Sequence[Fit], original: str) -> list[TunedModel]:
    """List every model that a run tunes, once.

    Parameters
    ----------
    config : Config
    fits : sequence of Fit
    original : str
        Name of the model that is tuned.
    """
    root, variants = config.paths.output_dir, variants_of(config.tuning)
    names = {variant.name: f"{original}:{variant.name}" for variant in variants}
    found = [
        TunedModel(f"{name}:{who}", variant, who, models_folder(root, fit.name, name))
        for fit, who in zip(fits, names_of_fits(fits), strict=True)
        for variant, name in names.items()
        if not is_shared(name)
    ]
    for mine in groups_of(fits):
        first, who = mine[0].name, ", ".join(names_of_fits(mine))
        found += [
            TunedModel(shared_name(name, first), variant, who, models_folder(root, first, name))
            for variant, name in names.items()
            if is_shared(name)
        ]
    return found


def tuned_on(config: Config, fits: Sequence[Fit], original: Space) -> list[Space]:
    """Give the tuned models that there are; those that failed are left out.

    Parameters
    ----------
    config : Config
    fits : sequence of Fit
    original : Space
    """
    return [
        space_of_folder(config, original, model.folder, model.name)
        for model in tuned_models(config, fits, original.name)
        if model.folder.is_dir()
    ]
