"""Tuned models of a run as feature spaces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from bids_brainalign.config.schema import Config
from bids_brainalign.config.variants import variants_of
from bids_brainalign.outputs.tuned_models import ADAPTERS, models_folder
from bids_brainalign.store.digest import digest_of, file_digest
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.spaces import Space


def space_of_tuned(config: Config, fit: Fit, original: Space, name: str) -> Space:
    """Give a tuned model as a feature space: the windows of its original, other weights.

    Parameters
    ----------
    config : Config
    fit : Fit
        On which it was tuned; the model has been written.
    original : Space
    name : str
        As in the ``model`` column.
    """
    folder = models_folder(config.paths.output_dir, fit.name, name)
    memo = config.paths.work_dir / "digests"
    files = {
        path.name: file_digest(path, memo)
        for path in sorted(folder.iterdir())
        if path.suffix in {".safetensors", ".json"} and path.parent.name != ADAPTERS
    }
    return replace(original, name=name, source=folder, digest=digest_of(files))


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
            if models_folder(config.paths.output_dir, fit.name, name).is_dir():
                space = space_of_tuned(config, fit, original, name)
                found.append(replace(space, name=f"{name}:{who}"))
    return found
