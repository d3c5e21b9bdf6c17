"""Tuned models of a run as feature spaces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bids_brainalign.config.schema import Config
from bids_brainalign.config.variants import variants_of
from bids_brainalign.outputs.tuned_models import models_folder
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


def tuned_on(config: Config, fits: Sequence[Fit], original: Space) -> list[Space]:
    """List the tuned models that there are, named by the participant, too.

    Parameters
    ----------
    config : Config
    fits : sequence of Fit
    original : Space

    Returns
    -------
    list of Space
        ``NAME:tuned:sub-01``; with the recordings' other entities where a participant has
        several fits. Models that failed are left out.
    """
    found = []
    for fit, who in zip(fits, names_of_fits(fits), strict=True):
        for variant in variants_of(config.tuning):
            name = f"{original.name}:{variant.name}"
            folder = models_folder(config.paths.output_dir, fit.name, name)
            if folder.is_dir():
                found.append(space_of_folder(config, original, folder, f"{name}:{who}"))
    return found
