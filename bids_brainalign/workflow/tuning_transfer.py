"""Transfer: participants scored with the models that were tuned on others."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.config.schema import Config
from bids_brainalign.config.variants import TUNED, Variant, variants_of
from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.outputs.tuned_models import grid_entities, models_folder, read_facts
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow import tuning_comparison
from bids_brainalign.workflow.assemble import assemble, feature_space
from bids_brainalign.workflow.encoding import fit_inputs
from bids_brainalign.workflow.extraction import feature_steps, stimuli_of
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.kept_ceilings import ceilings_of
from bids_brainalign.workflow.parcels import parcels_of
from bids_brainalign.workflow.repeats import stored_counts
from bids_brainalign.workflow.spaces import Space
from bids_brainalign.workflow.tuned_facts import space_of_folder, stories_of, why_not
from bids_brainalign.workflow.tuning_comparison import Compared, compare_pairs, comparison_rows
from bids_brainalign.workflow.tuning_steps import tuned_space

logger = logging.getLogger(__name__)

OWN = "own"
COLUMNS = {
    **{k: v for k, v in tuning_comparison.COLUMNS.items() if k not in ("model", "reference")},
    "model": "Name of the tuned models",
    "tuned_on": "Participant on whose responses the model was tuned, with further entities where "
    "a participant has several such models; the participant of this table among them",
    "reference": "What it is held against: the original, or (NAME:tuned) the model that was tuned "
    "on this participant",
    "reason": "Why there are no scores: a model that was trained or chosen on what is scored here "
    "would look better than it is",
}


@dataclass(frozen=True)
class _Other:
    """A model that was tuned on another participant."""

    label: str
    space: Space
    reason: str
    """Why it can't be scored here; empty: it can."""


def transfer_steps(
    config: Config, fit: Fit, spaces: Sequence[Space], succeeded: Collection[str]
) -> Iterator[Step]:
    """Give the steps that score a fit with the tuned models of other participants.

    Models are those that lie in the output folder, of this run or earlier ones.

    Parameters
    ----------
    config : Config
    fit : Fit
    spaces : sequence of Space
        Of the run, without tuned models: folds depend on these.
    succeeded : collection of str
        Names of steps that did not fail, those of all participants among them.
    """
    from bids_brainalign.workflow.tuning import tuned_name, tuning_step

    space, stimuli = tuned_space(config, spaces), stimuli_of(config, [fit])
    for variant in variants_of(config.tuning):
        if variant.kind != TUNED:
            continue
        name = tuned_name(space, variant)
        others = _others(config, fit, space, variant, name)
        if not others:
            logger.info("transfer %s %s: no model of another participant", fit.name.stem, name)
            continue
        own = None
        if tuning_step(config, fit, space, spaces, variant).name in succeeded:
            folder = models_folder(config.paths.output_dir, fit.name, name)
            own = space_of_folder(config, space, folder, name)
        usable = []
        for other in others:
            if other.reason:
                logger.warning("transfer %s from %s: %s", fit.name.stem, other.label, other.reason)
            else:
                extraction = feature_steps(config, other.space, stimuli)
                yield from extraction
                if not all(step.name in succeeded for step in extraction):
                    other = replace(other, reason="there are no features of its model")
            usable.append(other)
        if own is not None:
            extraction = feature_steps(config, own, stimuli)
            yield from extraction
            own = own if all(step.name in succeeded for step in extraction) else None
        yield _transfer_step(config, fit, space, own, usable, spaces, name)


def _others(config: Config, fit: Fit, space: Space, variant: Variant, name: str) -> list[_Other]:
    """List the models of this name that were tuned on other participants in the same space."""
    from bids_brainalign.workflow.tuning import settings_of_training

    settings = settings_of_training(variant)
    stories = stories_of(config, fit, stored_counts(config, fit))
    end = f"_desc-{analysis_label(name)}_{fit.name.datatype}"
    grid = [f"{key}-{value}" for key, value in grid_entities(fit.name)]
    found = [
        path for path in sorted(config.paths.output_dir.glob(f"sub-*/**/models/*{end}"))
        if path.is_dir() and not path.name.startswith(".")
    ]  # fmt: skip
    found = [path for path in found if _grid(path) == grid and _who(path) != fit.participant]
    count = Counter(_who(path) for path in found)
    return [
        _Other(
            _who(path) if count[_who(path)] == 1
            else path.name.removesuffix(end).removeprefix("sub-"),
            space_of_folder(config, space, path, name),
            why_not(read_facts(path), space, settings, stories),
        )
        for path in found
    ]  # fmt: skip


def _who(path: Path) -> str:
    return path.name.split("_")[0].removeprefix("sub-")


def _grid(path: Path) -> list[str]:
    return [part for part in path.name.split("_") if part.startswith(("space-", "den-"))]


def _transfer_step(
    config: Config,
    fit: Fit,
    original: Space,
    own: Space | None,
    others: Sequence[_Other],
    spaces: Sequence[Space],
    name: str,
) -> Step:
    def work() -> list[Path]:
        return _score(config, fit, original, own, others, spaces, name)

    return Step(
        name=f"transfer {fit.name.stem} {fit.name.datatype} {name}",
        inputs=fit_inputs(config, fit, spaces)
        | {
            "original": [original.name, original.digest],
            "own": None if own is None else own.digest,
            "others": [[o.label, o.space.digest, o.reason] for o in others],
        },
        modules=("bids_brainalign.workflow.tuning_transfer",),
        work=work,
    )


def _score(
    config: Config,
    fit: Fit,
    original: Space,
    own: Space | None,
    others: Sequence[_Other],
    spaces: Sequence[Space],
    name: str,
) -> list[Path]:
    """Compare the models of others with the original and with the participant's own model.

    Ridge is fitted on this participant's training stories, layer and penalty are chosen on the
    validation stories, and the test stories are scored once, for every model alike.
    """
    inputs = fit_inputs(config, fit, spaces)
    assembly = assemble(config, fit, spaces)
    parcels, names = parcels_of(assembly)
    _, parcels, names = ceilings_of(config, inputs, assembly, parcels, names)
    members = np.eye(len(names), dtype=bool) if parcels is None else parcels
    # Keys that no label can be: labels have no colon.
    found = {"": original} | ({} if own is None else {f":{OWN}": own})
    found |= {other.label: other.space for other in others if not other.reason}
    references = {key: original.name if not key else name for key in ("", f":{OWN}")}
    pairs = [
        (one, reference) for one in found for reference in references
        if one and reference in found and one != reference
    ]  # fmt: skip
    features = {key: feature_space(config, assembly, space) for key, space in found.items()}
    compared = compare_pairs(config, assembly, features, pairs=pairs, members=members)
    unknown = np.full(members.shape[1], np.nan)
    rows = []
    for one, reference, reason in _cells(pairs, others, own):
        values = compared.get((one, reference), Compared(unknown, unknown, None, None))
        part = comparison_rows(
            values, names, members, model=name, reference=references[reference],
            n_samples=len(assembly.plan.folds[0].outer.test),
        )  # fmt: skip
        part["tuned_on"] = fit.participant if one == f":{OWN}" else one
        part["reason"] = reason or None
        rows.append(part)
    path = config.paths.output_dir / fit.name.file("transfer.tsv", analysis=analysis_label(name))
    about = {
        "Description": "Models that were tuned on other participants, scored on this one",
        "Stories": list(assembly.plan.notes),
    }
    return list(write_tsv(path, pd.concat(rows)[list(COLUMNS)], COLUMNS, extra=about))


def _cells(
    pairs: Sequence[tuple[str, str]], others: Sequence[_Other], own: Space | None
) -> Iterator[tuple[str, str, str]]:
    """All cells of the table: model, reference, and why it has no scores."""
    reasons: Mapping[str, str] = {other.label: other.reason for other in others}
    if own is not None:
        yield f":{OWN}", "", ""
    for label, reason in reasons.items():
        if not reason:
            yield from ((one, reference, "") for one, reference in pairs if one == label)
        else:
            yield label, "", reason
            if own is not None:
                yield label, f":{OWN}", reason
