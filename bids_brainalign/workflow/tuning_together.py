"""The step that tunes one model on several participants, and writes it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.config.variants import TOGETHER, Variant, variants_of
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.outputs.names import FitName
from bids_brainalign.outputs.tuned_models import ModelCard, grid_entities, models_folder
from bids_brainalign.store.digest import code_digest
from bids_brainalign.store.steps import Step
from bids_brainalign.tuning.stories import Story
from bids_brainalign.tuning.together_batches import TogetherBatches
from bids_brainalign.workflow.assemble import Assembly, assemble
from bids_brainalign.workflow.common_targets import common_columns
from bids_brainalign.workflow.encoding import fit_inputs
from bids_brainalign.workflow.epoch_choice import EpochChoice
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.spaces import Space, usable_spaces
from bids_brainalign.workflow.story_ridge import StoryRidge
from bids_brainalign.workflow.training_folders import held
from bids_brainalign.workflow.tuned_facts import facts_of, require_same_roles, stories_of
from bids_brainalign.workflow.tuned_spaces import groups_of
from bids_brainalign.workflow.tuning import (
    TRAINED_ON,
    ready,
    settings_of_training,
    trained_epochs,
    training_folder,
    training_key,
    tuned_name,
    write_chosen,
)
from bids_brainalign.workflow.tuning_data import training_stories, tuned_targets, waves_of
from bids_brainalign.workflow.tuning_model import (
    backbone_of,
    batches_of,
    loop_settings,
    response_task,
    weights_seed,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Member:
    """One participant (or session) of a common training."""

    assembly: Assembly
    ridge: StoryRidge
    columns: NDArray[np.int64]
    """Targets that are trained on, before those that others lack are left out."""

    @property
    def name(self) -> str:
        return self.assembly.fit.name.stem


def together_name(space: Space, variant: Variant, name: FitName) -> str:
    """Name of the step, by any of the fits that are tuned on."""
    grid = "_".join(f"{key}-{value}" for key, value in grid_entities(name))
    return " ".join(
        filter(None, ("tuning group", grid, name.datatype, tuned_name(space, variant)))
    )


def require_together(config: Config, fits: Sequence[Fit]) -> None:
    """Refuse a common training without participants for it, before any work.

    Raises
    ------
    BrainAlignError
        Fewer than two participants with recordings of one kind in one space (64).
    """
    if any(v.kind == TOGETHER for v in variants_of(config.tuning)) and not groups_of(fits):
        raise BrainAlignError(
            "variants in [tuning]: together needs two participants in the run with recordings of "
            "one kind in one space",
            where=f"this run has {', '.join(fit.name.stem for fit in fits)}",
            fix="run all participants at once (leave out --participant-label, or name several), "
            "or leave together out",
            exit_code=ExitCode.USAGE,
        )


def together_step(
    config: Config, fits: Sequence[Fit], space: Space, spaces: Sequence[Space], variant: Variant
) -> Step:
    """Train one model on all of some fits; their responses and features are stored."""
    config = replace(config, tuning=variant.settings)
    modules = (__name__,)
    inputs: dict[str, object] = {
        "fits": [fit_inputs(config, fit, _spaces_of(fit, spaces)) for fit in fits],
        "tuning": settings_of_training(variant),
        "variant": variant.kind,
        "model": [space.name, space.digest],
        "precision": config.resources.precision,
        "code": code_digest(modules),
    }

    def work() -> list[Path]:
        folder = training_folder(config, inputs)
        with held(folder, step=name, output_dir=config.paths.output_dir):
            return _tune(config, fits, space, spaces, variant, inputs)

    name = together_name(space, variant, fits[0].name)
    return Step(name=name, inputs=inputs, modules=modules, work=work)


def _spaces_of(fit: Fit, spaces: Sequence[Space]) -> tuple[Space, ...]:
    """Spaces that folds of this fit depend on, as where it is scored."""
    return usable_spaces(spaces, [p.stimulus for p in fit.presentations])


def _tune(
    config: Config,
    fits: Sequence[Fit],
    space: Space,
    spaces: Sequence[Space],
    variant: Variant,
    inputs: dict[str, object],
) -> list[Path]:
    """Train on the responses of all in turn, and write the model of the best epoch.

    The epoch is that of the highest mean over participants of ridge on the validation stories.
    """
    name, folder = tuned_name(space, variant), training_folder(config, inputs)
    members = _members(config, fits, spaces)
    require_same_roles(
        {m.name: stories_of(config, m.assembly.fit, m.assembly.stored_repeats) for m in members}
    )
    _require_one_clock(members)
    columns = common_columns([m.assembly for m in members], [m.columns for m in members])
    waves = {k: wave for m in members for k, wave in waves_of(m.ridge).items()}
    backbone = backbone_of(config, space, seed=weights_seed(config))
    settings = replace(loop_settings(config, variant), shuffle=False)
    sources, names = [], []
    for member, mine in zip(members, columns, strict=True):
        stories = _stories_of(member, mine, waves)
        source = batches_of(config, stories, backbone, member.assembly.delays)
        sources.append(source)
        names.append([stories[source.story(k)].name for k in range(len(source))])
    choice = EpochChoice(
        config, space, [(m.ridge, mine) for m, mine in zip(members, columns, strict=True)],
        waves, folder,
    )  # fmt: skip
    batches = TogetherBatches(sources, names, seed=settings.seed)
    key = training_key(inputs)
    task = ready(
        config, settings,
        lambda: response_task(config, backbone, batches, n_targets=len(columns[0])),
        folder=folder, key=key,
    )  # fmt: skip
    trained = trained_epochs(task, settings, choice, folder=folder, key=key, name=name)
    assemblies = [m.assembly for m in members]
    card = ModelCard(
        name=name,
        base=space.model,
        participants=sorted({fit.participant for fit in fits}),
        trained_on=TRAINED_ON[TOGETHER],
        settings=settings_of_training(variant),
        epoch=choice.best,
        n_epochs=trained.epochs,
        n_targets=len(columns[0]),
        training=sorted({story for mine in names for story in mine}),
        roles=[f"{m.name}: {note}" for m in members for note in m.assembly.plan.notes],
        facts=facts_of(config, space, assemblies),
    )
    target = models_folder(config.paths.output_dir, fits[0].name, name)
    return write_chosen(target, choice, card, folder=folder)


def _members(config: Config, fits: Sequence[Fit], spaces: Sequence[Space]) -> list[_Member]:
    members = []
    for fit in fits:
        mine = _spaces_of(fit, spaces)
        assembly = assemble(config, fit, mine)
        columns = tuned_targets(config, fit_inputs(config, fit, mine), assembly)
        members.append(_Member(assembly, StoryRidge(config, assembly), columns))
    return members


def _stories_of(
    member: _Member, columns: NDArray[np.int64], waves: dict[str, NDArray[np.float32]]
) -> list[Story]:
    responses = member.ridge.responses
    return training_stories(
        member.assembly,
        member.ridge.train,
        lambda rows: np.ascontiguousarray(responses[rows][:, columns]),
        waves,
    )


def _require_one_clock(members: Sequence[_Member]) -> None:
    """Refuse responses that one readout can't follow."""
    first = members[0]
    for other in members[1:]:
        same = np.isclose(other.assembly.interval_s, first.assembly.interval_s, rtol=1e-3)
        if not same or other.assembly.delays != first.assembly.delays:
            raise BrainAlignError(
                f"{other.name} can't be tuned on together with {first.name}: a response every "
                f"{other.assembly.interval_s:g} s and every {first.assembly.interval_s:g} s",
                where=f"delays {other.assembly.delays} and {first.assembly.delays} in samples",
                fix="choose participants recorded in the same way (--participant-label), or leave "
                "together out of variants in [tuning]",
            )
