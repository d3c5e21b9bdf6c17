"""Stories, audio and targets that models are tuned on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.audio import load_audio
from bids_brainalign.tuning.stories import (
    PERMUTED_BLOCK_ROWS,
    PERMUTED_DISTANCE_ROWS,
    SAMPLE_RATE_HZ,
    Story,
)
from bids_brainalign.workflow.assemble import Assembly, feature_space
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.kept_ceilings import ceilings_of
from bids_brainalign.workflow.parcels import parcels_of
from bids_brainalign.workflow.spaces import Space
from bids_brainalign.workflow.story_ridge import StoryRidge
from bids_brainalign.workflow.story_roles import rows_of

logger = logging.getLogger(__name__)

Array32 = NDArray[np.float32]

LEAST_ROWS = PERMUTED_BLOCK_ROWS + PERMUTED_DISTANCE_ROWS
"""Of a passage: with fewer, its blocks can't be moved far enough; `tuned` does without it, too."""


def waves_of(ridge: StoryRidge) -> dict[str, Array32]:
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
    train: NDArray[np.int64],
    truth: Callable[[NDArray[np.int64]], Array32],
    waves: Mapping[str, Array32],
) -> list[Story]:
    """Presentations of the training stories: audio, times of the responses, what is predicted.

    Parameters
    ----------
    assembly : Assembly
    train : ndarray of int
        Rows of the training stories.
    truth : callable
        Gives responses, or what stands in their place, of some rows: (n_rows, n_targets).
    waves : mapping of str to ndarray of shape (n_samples,)
        Audio of every training story.
    """
    samples = assembly.samples
    names = sorted({p.stimulus.name for p in assembly.fit.presentations})
    stories, short = [], 0
    for rows in rows_of(samples, train):
        if len(rows) < LEAST_ROWS:
            short += 1
            continue
        name = names[samples.stimulus[rows[0]]]
        times = samples.stimulus_s[rows]
        start, stop = _played(assembly, int(samples.run[rows[0]]), name, times)
        heard = slice(round(start * SAMPLE_RATE_HZ), round(stop * SAMPLE_RATE_HZ))
        stories.append(Story(name, waves[name][heard], times - start, truth(rows)))
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


def predicted_space(fit: Fit, name: str, spaces: Sequence[Space]) -> Space:
    """Give the feature space that a control predicts in the place of responses.

    Parameters
    ----------
    fit : Fit
    name : str
        Of a space of this run.
    spaces : sequence of Space
        Those that can be made of all stories of the fit.

    Raises
    ------
    BrainAlignError
        It reads words, and can't read those of every story (66).
    """
    for space in spaces:
        if space.name == name:
            return space
    heard = {p.stimulus.name: p.stimulus.words for p in fit.presentations}
    silent = sorted(k for k, words in heard.items() if words is None or not len(words.table))
    lacking = f"{', '.join(silent)} {'has' if len(silent) == 1 else 'have'} none with times"
    raise BrainAlignError(
        f"features={name}: there are no such features of all stories of {fit.name.stem}, so that "
        "no model can be tuned to predict them",
        where=f"{name} reads words, and "
        + (lacking if silent else "doesn't know the language of all these stories"),
        fix="write <stimulus>_words.tsv beside the audio (columns onset, duration, word), choose "
        "a model that hears sound, or leave this control out of variants in [tuning]",
        exit_code=ExitCode.MISSING_INPUT,
    )


def feature_targets(
    config: Config, assembly: Assembly, space: Space, train: NDArray[np.int64]
) -> Array32:
    """Features of another model on the clock of the responses, to be predicted in their place.

    A control of Moussa, Klakow & Toneva (2025): what is learnt from a language model or a larger
    speech model, which tell of the stimulus and not of the brain.

    Parameters
    ----------
    config : Config
        Its ``feature_layer`` is taken.
    assembly : Assembly
    space : Space
        Its features are stored.
    train : ndarray of int
        Rows over which every dimension gets mean 0 and SD 1.

    Returns
    -------
    ndarray of shape (n_samples, n_dims)
        Dimensions that never change in the training stories are left out.

    Raises
    ------
    BrainAlignError
        The model has no such layer (64).
    """
    found, wanted = feature_space(config, assembly, space), config.tuning.feature_layer
    if wanted >= len(found.layers):
        raise BrainAlignError(
            f"feature_layer = {wanted} in [tuning]: {space.name} has layers 0 to "
            f"{len(found.layers) - 1}",
            fix="choose one of these, or -1 for the last",
            exit_code=ExitCode.USAGE,
        )
    runs = found.read(wanted if wanted >= 0 else len(found.layers) - 1)
    features = np.concatenate(
        [run[rows] for run, rows in zip(runs, assembly.layout.used, strict=True)]
    )
    mean, scale = features[train].mean(axis=0), features[train].std(axis=0)
    varies = scale > 1e-6 * max(float(scale.max()), 1e-30)
    scaled: Array32 = (features[:, varies] - mean[varies]) / scale[varies]
    return scaled


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
