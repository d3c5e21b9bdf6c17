"""Rebuild the responses of a speaker from one embedding, with its nulls and plain predictors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.production import Production, draws_of
from bids_brainalign.production.cost import null_method
from bids_brainalign.production.elastic import ElasticNet
from bids_brainalign.production.folds import FoldsOver, WordFolds, word_folds
from bids_brainalign.production.inputs import Preparation, usable_channels
from bids_brainalign.production.mapping import Method, Predictions, map_words
from bids_brainalign.production.nulls import (
    Null,
    random_embeddings,
    shifted_trials,
    shuffled_words,
)
from bids_brainalign.production.regions import LEAST_CHANNELS
from bids_brainalign.production.ridge import Ridge
from bids_brainalign.production.sensitivity import FixedPenalty, penalty_grid
from bids_brainalign.production.twins import Twin, trial_index, twin
from bids_brainalign.production.verdict import Verdict, judge
from bids_brainalign.workflow.production.material import Material

Array64 = NDArray[np.float64]

RIDGE = "ridge"
BASELINE = "before the cue"
COVARIATES: Mapping[str, str] = {
    "duration": "word duration",
    "loudness": "word loudness",
    "n_letters": "number of letters",
    "n_phones": "number of phones",
    "latency": "latency to speak",
}
"""Columns of the table of words that may predict by themselves."""


@dataclass(frozen=True)
class Rebuilt:
    """What one mapping from one embedding gives."""

    predictions: dict[str, Predictions]
    """By the kind of folds."""
    nulls: tuple[Null, ...]
    """Of k-fold."""
    baseline: Null | None
    """Shuffled words with responses before the cue; ridge only."""
    twins: tuple[Twin, ...]
    verdict: Verdict | None
    """Ridge only, whose nulls can be had in the numbers that it takes."""
    grid: tuple[FixedPenalty, ...]


def method_of(mapping: str) -> Method:
    """Give the solver of a mapping by its name."""
    return Ridge() if mapping == RIDGE else ElasticNet(multi_task=mapping == "multi-task")


def is_continuous(settings: Production, material: Material) -> bool:
    """Whether words follow each other as in running speech."""
    steps = [
        step
        for _, part in material.words.groupby("run")
        for step in np.diff(part["onset"].to_numpy(dtype=float)).tolist()
    ]
    return settings.runs_on(steps)


def plan_folds(
    settings: Production, material: Material, *, over: FoldsOver, seed: int
) -> WordFolds:
    """Folds over words, or over passages of continuous speech, with gaps where windows overlap.

    Raises
    ------
    BrainAlignError
        Too few different words (65).
    """
    words, continuous = material.words, is_continuous(settings, material)
    # Words of continuous speech come again all the time: stretches are held out, not words, and
    # nulls keep which words are the same.
    content = [
        f"group {group}" if group else f"row {row}" if continuous else str(word).casefold()
        for row, (group, word) in enumerate(
            zip(words["content_group"], words["word"], strict=True)
        )
    ]
    start_s, stop_s = material.window_s
    return word_folds(
        _numbers(content),
        types=word_types(material),
        over=over,
        cut="contiguous" if continuous else "dealt",
        n_folds=settings.n_folds,
        n_inner=settings.n_inner,
        seed=seed,
        starts_s=words["onset"].to_numpy(dtype=float),
        runs=words["run"].to_numpy(dtype=np.int64),
        reach_s=stop_s - start_s + 2 * material.support_s,
    )


def word_types(material: Material) -> NDArray[np.int64]:
    """Equal numbers are the same word: (n_words,)."""
    return _numbers(material.words["word"].astype(str).str.casefold())


def _numbers(labels: Iterable[str]) -> NDArray[np.int64]:
    return pd.factorize(np.array(list(labels), dtype=object))[0].astype(np.int64)


def rebuild(
    settings: Production,
    material: Material,
    embedding: Array64,
    mapping: str,
    *,
    preparation: Preparation,
    seed: int,
) -> Rebuilt:
    """Fit, and hold the fit to everything that knows nothing of the words.

    Parameters
    ----------
    settings : Production
    material : Material
        Of the words that all embeddings know.
    embedding : ndarray of shape (n_words, n_dims)
    mapping : str
        One of ``settings.mappings``.
    preparation : Preparation
    seed : int

    Returns
    -------
    Rebuilt
    """
    how, y = method_of(mapping), material.response
    folds = {
        over: plan_folds(settings, material, over=over, seed=seed)  # type: ignore[arg-type]
        for over in settings.folds
    }
    predictions = {
        over: map_words(embedding, y, plan, how, preparation=preparation)
        for over, plan in folds.items()
    }
    dealt, n_draws = folds["k-fold"], draws_of(settings, mapping)
    rng = np.random.default_rng(seed)
    drawn = {"how": null_method(how), "rng": rng, "preparation": preparation}
    nulls = [shuffled_words(embedding, y, dealt, n_draws=n_draws, **drawn)]  # type: ignore[arg-type]
    if mapping != RIDGE:
        grid = (
            tuple(
                penalty_grid(embedding, y, dealt, how=replace(how), preparation=preparation)  # type: ignore[arg-type]
            )
            if settings.penalties
            else ()
        )
        return Rebuilt(predictions, tuple(nulls), None, (), None, grid)
    n_random = min(settings.random_draws, n_draws)
    nulls += [
        random_embeddings(embedding, y, dealt, n_draws=n_random, **drawn),  # type: ignore[arg-type]
        shifted_trials(
            embedding,
            y,
            dealt,
            n_draws=n_draws,
            least=least_shift(dealt.n_words, material),
            **drawn,  # type: ignore[arg-type]
        ),
    ]
    baseline, continuous = None, is_continuous(settings, material)
    if not continuous and usable_channels(material.baseline).sum() >= LEAST_CHANNELS:
        baseline = replace(
            shuffled_words(embedding, material.baseline, dealt, n_draws=n_draws, **drawn),  # type: ignore[arg-type]
            name=BASELINE,
        )
    twins = plain_predictors(material, predictions["k-fold"], rng=rng)
    return Rebuilt(
        predictions,
        tuple(nulls),
        baseline,
        twins,
        judge(nulls, twins, baseline=baseline, before_is_blank=not continuous),
        (),
    )


def least_shift(n_words: int, material: Material) -> int:
    """Words that shifted trials move by at least: beyond windows that overlap."""
    onsets = material.words["onset"].to_numpy(dtype=float)
    step_s = float(np.median(np.diff(onsets))) if len(onsets) > 1 else np.inf
    reach_s = material.window_s[1] - material.window_s[0] + 2 * material.support_s
    wanted = 1 if step_s <= 0 else int(np.ceil(reach_s / step_s))
    return int(np.clip(wanted, 1, max(1, n_words // 4)))


def plain_predictors(
    material: Material, predictions: Predictions, *, rng: np.random.Generator
) -> tuple[Twin, ...]:
    """Predict the same responses from what is plain about words: place, length, loudness."""
    words = material.words
    place = trial_index(len(words))
    runs = words["run"].to_numpy(dtype=np.int64)
    if len(set(runs)) > 1:  # recordings may differ in everything
        place = np.column_stack([place, *(runs == run for run in sorted(set(runs))[1:])])
    found = [twin("trial index", place, material.response, predictions, rng=rng)]
    for column, name in COVARIATES.items():
        values = _covariate(material, column)
        if np.isfinite(values).all() and np.ptp(values) > 0:
            found.append(twin(name, values, material.response, predictions, rng=rng))
    return tuple(found)


def not_compared(material: Material) -> list[str]:
    """Say which plain predictors were left out because some words lack them."""
    said = []
    for column, name in COVARIATES.items():
        lacking = int(np.isnan(_covariate(material, column)).sum())
        if lacking:
            said.append(
                f"Not compared with {name}: it is not known for {lacking} of "
                f"{len(material.words)} words."
            )
    return said


def _covariate(material: Material, column: str) -> Array64:
    if column not in material.words:
        return np.full(len(material.words), np.nan)
    values = pd.to_numeric(material.words[column], errors="coerce")
    return values.to_numpy(dtype=np.float64)
