"""The step that tunes a model on one fit, and writes it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.config.variants import FEATURES, PERMUTED, STIMULUS, TOGETHER, TUNED, Variant
from bids_brainalign.outputs.tuned_models import ModelCard, models_folder, write_tuned
from bids_brainalign.store.digest import code_digest, digest_of
from bids_brainalign.store.steps import Step
from bids_brainalign.tuning.alive import require_alive
from bids_brainalign.tuning.device_memory import memory_advice
from bids_brainalign.tuning.gradient_log import NORMS_NAME
from bids_brainalign.tuning.kept_front_end import with_kept_front_end
from bids_brainalign.tuning.loop import LOG_NAME, Trained, train
from bids_brainalign.tuning.loop_settings import LoopSettings
from bids_brainalign.tuning.stories import block_permuted, moved
from bids_brainalign.workflow.assemble import assemble
from bids_brainalign.workflow.encoding import fit_inputs
from bids_brainalign.workflow.epoch_choice import EpochChoice
from bids_brainalign.workflow.extraction import device_of
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.spaces import Space, seed_of
from bids_brainalign.workflow.story_ridge import StoryRidge
from bids_brainalign.workflow.training_folders import held, remove_finished
from bids_brainalign.workflow.tuned_facts import facts_of
from bids_brainalign.workflow.tuning_data import (
    feature_targets,
    predicted_space,
    training_stories,
    tuned_targets,
    waves_of,
)
from bids_brainalign.workflow.tuning_model import (
    Task,
    backbone_of,
    batches_of,
    loop_settings,
    masked_task,
    response_task,
    weights_seed,
)

logger = logging.getLogger(__name__)

TRAINED_ON = {
    TUNED: "brain responses of one participant",
    PERMUTED: "brain responses of one participant in blocks of another order (a control)",
    STIMULUS: "the stories that one participant heard, without responses (a control)",
    FEATURES: "features of {} for the stories that one participant heard (a control)",
    TOGETHER: "brain responses of several participants in turn",
}


def tuned_name(space: Space, variant: Variant) -> str:
    """Name of a tuned model, as in the ``model`` column."""
    return f"{space.name}:{variant.name}"


def tuning_step(
    config: Config, fit: Fit, space: Space, spaces: Sequence[Space], variant: Variant
) -> Step:
    """Train one variant of the model of a space."""
    config = replace(config, tuning=variant.settings)
    inputs = fit_inputs(config, fit, spaces) | {
        "tuning": settings_of_training(variant),
        "variant": variant.kind,
        "model": [space.name, space.digest],
        "precision": config.resources.precision,
    }

    name = f"tuning {fit.name.stem} {fit.name.datatype} {tuned_name(space, variant)}"

    def work() -> list[Path]:
        folder = training_folder(config, inputs)
        with held(folder, step=name, output_dir=config.paths.output_dir):
            return tune(config, fit, space, spaces, variant, inputs)

    return Step(
        name=name,
        inputs=inputs,
        modules=("bids_brainalign.workflow.tuning",),
        work=work,
    )


def settings_of_training(variant: Variant) -> dict[str, object]:
    """List what changes a tuned model: not which others are trained, nor how it is kept."""
    left_out = {"variants", "compare", "transfer", "checkpoint_updates", "feature_layer"}
    settings = {k: v for k, v in asdict(variant.settings).items() if k not in left_out}
    if variant.kind == FEATURES:
        settings["predicts"] = [variant.features, variant.settings.feature_layer]
    return settings


def tune(
    config: Config,
    fit: Fit,
    space: Space,
    spaces: Sequence[Space],
    variant: Variant,
    inputs: dict[str, object],
) -> list[Path]:
    """Train, choose the epoch on the validation stories, and write the model of that epoch.

    `config` has the settings of the variant. Whatever is trained on, the epoch is chosen by ridge
    from the model's features to the responses that ``targets`` names.
    """
    name, folder = tuned_name(space, variant), training_folder(config, inputs)
    assembly = assemble(config, fit, spaces)
    ridge = StoryRidge(config, assembly)
    columns = tuned_targets(config, inputs, assembly)
    waves = waves_of(ridge)
    stories = training_stories(
        assembly, ridge.train, _truth(config, variant, ridge, columns, spaces), waves
    )
    if variant.kind == PERMUTED:
        seed = seed_of(config, "tuning", "order", fit.participant)
        stories = [block_permuted(story, seed=seed) for story in stories]
    backbone = backbone_of(config, space, seed=weights_seed(config))
    settings, key = loop_settings(config, variant), training_key(inputs)

    def make() -> Task:
        if variant.kind == STIMULUS:
            return masked_task(config, backbone, stories, folder)
        batches = batches_of(config, stories, backbone, assembly.delays)
        return response_task(config, backbone, batches, n_targets=stories[0].responses.shape[1])

    task = ready(config, settings, make, folder=folder, key=key)
    choice = EpochChoice(config, space, [(ridge, columns)], waves, folder)
    trained = trained_epochs(task, settings, choice, folder=folder, key=key, name=name)
    card = ModelCard(
        name=name,
        base=space.model,
        participants=(fit.participant,),
        trained_on=TRAINED_ON[variant.kind].format(variant.features),
        settings=settings_of_training(variant),
        epoch=choice.best,
        n_epochs=trained.epochs,
        n_targets=task.n_targets,
        training=sorted({story.name for story in stories}),
        roles=assembly.plan.notes,
        facts=facts_of(config, space, [assembly]),
    )
    target = models_folder(config.paths.output_dir, fit.name, name)
    return write_chosen(target, choice, card, folder=folder)


def ready(
    config: Config, settings: LoopSettings, make: Callable[[], Task], *, folder: Path, key: str
) -> Task:
    """Make what is trained, see that all of it learns, and keep what no epoch changes.

    Parameters
    ----------
    config : Config
    settings : LoopSettings
    make : callable
        Gives the task; a device that is too small for it is told of with advice.
    folder : Path
        Of the training.
    key : str
        Of the training: only what the same one has kept is used.
    """
    with memory_advice(
        batches_per_update=settings.batches_per_update, precision=settings.precision
    ):
        task = make()
        require_alive(task.model, moved(task.batches.batch(0, 0), device_of(config)), task.loss)
        batches = with_kept_front_end(
            task.batches, task.model.backbone, folder, key=key, precision=settings.precision
        )
    return replace(task, batches=batches)


def trained_epochs(
    task: Task, settings: LoopSettings, choice: EpochChoice, *, folder: Path, key: str, name: str
) -> Trained:
    """Train; `choice` looks at every epoch.

    Parameters
    ----------
    task : Task
        From :func:`ready`.
    settings : LoopSettings
    choice : EpochChoice
    folder : Path
        Of the training.
    key : str
        Of the training: only the same one is gone on with.
    name : str
        As in the ``model`` column.
    """
    trained = train(
        task.model, task.batches, task.loss, settings, folder,
        on_epoch=choice.keep, validation=choice.loss, key=key,
    )  # fmt: skip
    logger.info(
        "%s: epoch %d of %d is best on the validation stories, r %.4f (original %.4f)",
        name, choice.best, trained.epochs, choice.means[choice.best], choice.means[0],
    )  # fmt: skip
    return trained


def write_chosen(
    target: Path, choice: EpochChoice, card: ModelCard, *, folder: Path
) -> list[Path]:
    """Write the model of the chosen epoch, from the folder of its training."""
    adapters = choice.folder / "adapters"
    return write_tuned(
        target,
        model=choice.folder / "model",
        adapters=adapters if adapters.is_dir() else None,
        log=folder / LOG_NAME,
        norms=folder / NORMS_NAME,
        means=choice.means,
        card=card,
    )


def _truth(
    config: Config,
    variant: Variant,
    ridge: StoryRidge,
    columns: NDArray[np.int64],
    spaces: Sequence[Space],
) -> Callable[[NDArray[np.int64]], NDArray[np.float32]]:
    """Give what is predicted in some rows."""
    if variant.kind != FEATURES:
        return lambda rows: np.ascontiguousarray(ridge.responses[rows][:, columns])
    other = predicted_space(ridge.assembly.fit, variant.features, spaces)
    features = feature_targets(config, ridge.assembly, other, ridge.train)
    return lambda rows: features[rows]


def training_key(inputs: dict[str, object]) -> str:
    """Digest of what a training depends on, its code too: only the same one is gone on with."""
    return digest_of([inputs, code_digest((__name__,))])


def training_folder(config: Config, inputs: dict[str, object]) -> Path:
    """Where a training keeps its checkpoints and models; removed after its step is done."""
    return config.paths.work_dir / "tuning" / training_key(inputs)[:24]


def forget_training(config: Config, step: Step) -> None:
    """Remove what a finished step was made from, and what it left under other settings."""
    folder = training_folder(config, dict(step.inputs))
    remove_finished(folder, step=step.name, output_dir=config.paths.output_dir)
