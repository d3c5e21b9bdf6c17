"""The step that tunes a model on the responses of one fit, and writes it."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from bids_brainalign.config.schema import Config
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.audio import load_audio
from bids_brainalign.outputs.tuned_models import ModelCard, models_folder, write_tuned
from bids_brainalign.store.atomic import write_json
from bids_brainalign.store.digest import code_digest, digest_of
from bids_brainalign.store.steps import Step
from bids_brainalign.tuning.adapter_files import save_adapters, save_merged
from bids_brainalign.tuning.alive import require_alive
from bids_brainalign.tuning.device_memory import memory_advice
from bids_brainalign.tuning.gradient_log import NORMS_NAME
from bids_brainalign.tuning.kept_front_end import with_kept_front_end
from bids_brainalign.tuning.loop import LOG_NAME, train
from bids_brainalign.tuning.losses import parse_loss
from bids_brainalign.tuning.readouts import TunedModel
from bids_brainalign.tuning.stories import (
    PERMUTED_BLOCK_ROWS,
    PERMUTED_DISTANCE_ROWS,
    SAMPLE_RATE_HZ,
    Story,
    block_permuted,
    moved,
)
from bids_brainalign.workflow.assemble import Assembly, assemble
from bids_brainalign.workflow.encoding import fit_inputs
from bids_brainalign.workflow.extraction import device_of
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.kept_ceilings import ceilings_of
from bids_brainalign.workflow.parcels import parcels_of
from bids_brainalign.workflow.spaces import Space, seed_of
from bids_brainalign.workflow.story_ridge import StoryRidge, frames_of
from bids_brainalign.workflow.story_roles import rows_of
from bids_brainalign.workflow.training_folders import held, remove_finished
from bids_brainalign.workflow.tuning_model import backbone_of, batches_of, loop_settings, model_of

logger = logging.getLogger(__name__)

PERMUTED = "permuted"
EPOCHS = "epochs.json"
LAST = "last"
LEAST_ROWS = PERMUTED_BLOCK_ROWS + PERMUTED_DISTANCE_ROWS
"""Of a passage: with fewer, its blocks can't be moved far enough; `tuned` does without it, too."""


def tuned_name(space: Space, variant: str) -> str:
    """Name of a tuned model, as in the ``model`` column."""
    return f"{space.name}:{variant}"


def tuning_step(
    config: Config, fit: Fit, space: Space, spaces: Sequence[Space], variant: str
) -> Step:
    """Tune the model of a space; ``variant`` is ``tuned`` or ``permuted``."""
    inputs = fit_inputs(config, fit, spaces) | {
        "tuning": _of_training(config),
        "variant": variant,
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


def _of_training(config: Config) -> dict[str, object]:
    """List what changes a tuned model: not which others are trained, nor how it is kept."""
    left_out = ("variants", "checkpoint_updates")
    return {k: v for k, v in asdict(config.tuning).items() if k not in left_out}


def tune(
    config: Config,
    fit: Fit,
    space: Space,
    spaces: Sequence[Space],
    variant: str,
    inputs: dict[str, object],
) -> list[Path]:
    """Train, choose the epoch on the validation stories, and write the model of that epoch."""
    loss, key = parse_loss(config.tuning.loss), training_key(inputs)
    assembly = assemble(config, fit, spaces)
    ridge = StoryRidge(config, assembly)
    columns = tuned_targets(config, inputs, assembly)
    waves = waves_of(ridge)
    stories = training_stories(assembly, ridge, columns, waves)
    if variant == PERMUTED:
        seed = seed_of(config, "tuning", "order", fit.participant)
        stories = [block_permuted(story, seed=seed) for story in stories]
    seed = seed_of(config, "tuning", "weights")
    backbone = backbone_of(config, space, seed=seed)
    batches = batches_of(config, stories, backbone, assembly.delays)
    device, settings = device_of(config), loop_settings(config, variant)
    with memory_advice(
        batches_per_update=settings.batches_per_update, precision=settings.precision
    ):
        model = model_of(
            config, backbone, batches, n_targets=len(columns), seed=seed, device=device
        )
        require_alive(model, moved(batches.batch(0, 0), device), loss)
    folder = training_folder(config, inputs)
    batches = with_kept_front_end(batches, backbone, folder, key=key, precision=settings.precision)
    choice = EpochChoice(config, space, ridge, columns, waves, folder)
    trained = train(
        model, batches, loss, settings, folder,
        on_epoch=choice.keep, validation=choice.loss, key=key,
    )  # fmt: skip
    logger.info(
        "%s: epoch %d of %d is best on the validation stories, r %.4f (original %.4f)",
        tuned_name(space, variant), choice.best, trained.epochs,
        choice.means[choice.best], choice.means[0],
    )  # fmt: skip
    card = ModelCard(
        name=tuned_name(space, variant),
        base=space.model,
        participant=fit.participant,
        settings=_of_training(config),
        epoch=choice.best,
        n_epochs=trained.epochs,
        n_targets=len(columns),
        training=sorted({story.name for story in stories}),
        roles=assembly.plan.notes,
    )
    adapters = choice.folder / "adapters"
    return write_tuned(
        models_folder(config.paths.output_dir, fit.name, tuned_name(space, variant)),
        model=choice.folder / "model",
        adapters=adapters if adapters.is_dir() else None,
        log=folder / LOG_NAME,
        norms=folder / NORMS_NAME,
        means=choice.means,
        card=card,
    )


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


def waves_of(ridge: StoryRidge) -> dict[str, NDArray[np.float32]]:
    """Load the audio of all training and validation stories, by name of the stimulus."""
    stimuli = {p.stimulus.name: p.stimulus for p in ridge.assembly.fit.presentations}
    names = sorted(stimuli)
    heard = np.concatenate([ridge.train, ridge.validation])
    return {
        names[index]: load_audio(stimuli[names[index]].path)
        for index in np.unique(ridge.assembly.samples.stimulus[heard])
    }


def training_stories(
    assembly: Assembly,
    ridge: StoryRidge,
    columns: NDArray[np.int64],
    waves: Mapping[str, NDArray[np.float32]],
) -> list[Story]:
    """Presentations of the training stories: audio, times of the responses, responses."""
    samples = assembly.samples
    names = sorted({p.stimulus.name for p in assembly.fit.presentations})
    stories, short = [], 0
    for rows in rows_of(samples, ridge.train):
        if len(rows) < LEAST_ROWS:
            short += 1
            continue
        name = names[samples.stimulus[rows[0]]]
        times = samples.stimulus_s[rows]
        start, stop = _played(assembly, int(samples.run[rows[0]]), name, times)
        heard = slice(round(start * SAMPLE_RATE_HZ), round(stop * SAMPLE_RATE_HZ))
        stories.append(
            Story(
                name=name,
                wave=waves[name][heard],
                times_s=times - start,
                responses=np.ascontiguousarray(ridge.responses[rows][:, columns]),
            )
        )
    if short:
        logger.warning(
            "tuning %s: %d passages with fewer than %d samples are left out, as they can't be "
            "put in another order for the control", assembly.fit.name.stem, short, LEAST_ROWS,
        )  # fmt: skip
    if not stories:
        raise BrainAlignError(
            f"{assembly.fit.name.stem}: no training story has {LEAST_ROWS} samples in one piece",
            fix="tune on recordings of longer stories",
        )
    return stories


def _played(
    assembly: Assembly, run: int, name: str, times: NDArray[np.float64]
) -> tuple[float, float]:
    """Seconds of the stimulus that were played around these rows, from its segments."""
    mine = assembly.fit.of(assembly.fit.recordings[run])
    segments = np.array([s for p in mine if p.stimulus.name == name for s in p.segments])
    inside = (segments[:, :1] <= times) & (times <= segments[:, 1:])
    played = segments[inside.any(axis=1)]
    return float(played[:, 0].min()), float(played[:, 1].max())


def tuned_targets(
    config: Config, inputs: dict[str, object], assembly: Assembly
) -> NDArray[np.int64]:
    """Targets that are trained on: all, or a row of the scores table, or all but it.

    Raises
    ------
    BrainAlignError
        There is no such row (64).
    """
    wanted = config.tuning.targets
    n_targets = len(assembly.targets)
    if wanted == "whole":
        return np.arange(n_targets)
    parcels, names = parcels_of(assembly)
    name = wanted.removeprefix("not:")
    if parcels is None:
        regions = assembly.targets["region"].to_numpy(dtype=str)
        sides = assembly.targets["hemisphere"].to_numpy(dtype=str)
        side = {"left": "L", "right": "R"}.get(name)
        inside = regions == name if side is None else sides == side
        known = sorted({"whole", "left", "right", *regions} - {"n/a"})
    else:
        _, parcels, names = ceilings_of(config, inputs, assembly, parcels, names)
        assert parcels is not None  # noqa: S101 - given above
        known = [str(n) for n in names["name"]]
        inside = parcels[known.index(name)] if name in known else np.zeros(n_targets, bool)
    if wanted != name:
        inside = ~inside if inside.any() else inside
    if not inside.any():
        raise BrainAlignError(
            f"targets = {wanted!r} in [tuning]: {assembly.fit.name.stem} has no such targets",
            where=f"there are: {', '.join(known)}",
            fix="choose one of these, or not:NAME for all others; regions need --atlas",
            exit_code=ExitCode.USAGE,
        )
    return np.flatnonzero(inside)


class EpochChoice:
    """Scores of ridge on the validation stories, epoch by epoch, and the model of the best.

    Epoch 0 is the original. What was found lies in ``epochs.json`` and survives interruptions; of
    models only the best one and that of the last epoch are kept.
    """

    def __init__(
        self,
        config: Config,
        space: Space,
        ridge: StoryRidge,
        columns: NDArray[np.int64],
        waves: Mapping[str, NDArray[np.float32]],
        folder: Path,
    ) -> None:
        self._config, self._space, self._ridge, self._columns = config, space, ridge, columns
        self._waves, self._folder = waves, folder
        path = folder / EPOCHS
        self._score = np.nan
        """Of the epoch that was evaluated last."""
        self.means: list[float] = json.loads(path.read_text()) if path.is_file() else []

    @property
    def folder(self) -> Path:
        """Of the best model."""
        return self._folder / f"best-{self.best}"

    @property
    def best(self) -> int:
        """Epoch with the best score; the earliest of equals."""
        return int(np.argmax(self.means))

    def loss(self, model: nn.Module) -> float:
        """Minus the mean r of ridge over the targets that are tuned on."""
        if not isinstance(model, TunedModel):
            raise TypeError(f"{type(model)} is no tuned model")
        last = self._folder / LAST
        shutil.rmtree(last, ignore_errors=True)
        note = f"{self._space.model} tuned by bids_brainalign"
        save_merged(model.backbone, last / "model", note=note)
        if self._config.tuning.adaptation == "lora":
            save_adapters(model.backbone, last / "adapters", base_model=self._space.model)
        frames = frames_of(
            self._config, last / "model", self._space, self._waves,
            layer=model.backbone.layer, modality=self._ridge.assembly.fit.modality,
        )  # fmt: skip
        r = self._ridge.score(frames)[self._columns]
        self._score = float(np.nan_to_num(r).mean())
        return -self._score

    def keep(self, epoch: int, model: nn.Module) -> None:
        """Note the score of the epoch just evaluated, and its model if it is the best so far."""
        del model  # `loss` has written it
        self.means = [*self.means[:epoch], self._score]
        if self.best == epoch:
            shutil.rmtree(self.folder, ignore_errors=True)
            (self._folder / LAST).rename(self.folder)
        write_json(self._folder / EPOCHS, self.means)
        for old in self._folder.glob("best-*"):
            if old != self.folder:
                shutil.rmtree(old)
