"""All layers decoded from the same responses: one eigendecomposition per fold for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.decoding.identification import (
    SCORES,
    null_scores,
    observed_scores,
    top1_chance,
)
from bids_brainalign.decoding.segments import Segments
from bids_brainalign.encoding.design import DesignMaker, RunLayout
from bids_brainalign.encoding.lag_gram import LagStructure, structure_of
from bids_brainalign.encoding.layerwise import FeatureSpace
from bids_brainalign.encoding.nested import FoldFit, fit_system, splits_of
from bids_brainalign.encoding.ridge import System, make_system
from bids_brainalign.statistics.folds import Fold, FoldPlan
from bids_brainalign.statistics.nulls import FoldDraws

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]

MAX_COLUMNS = 512
"""Dimensions decoded at once: bounds memory where a model has many layers (90,000 samples of
512 dimensions are 0.2 GB)."""


@dataclass(frozen=True)
class DecodingProblem:
    """Responses of one fit, and how embeddings are decoded from them."""

    responses: Sequence[Array32]
    """Per run (n_times_r, n_electrodes)."""
    heard: RunLayout
    """Samples of the embedding: as for encoding."""
    recorded: RunLayout
    """The same, but ``playing`` lacks censored samples: responses there are not looked at."""
    plan: FoldPlan
    lags: tuple[int, ...]
    """Samples by which the responses follow the speech."""
    n_components: int
    """PCA dimensions of the embedding, fitted on training data."""
    electrode_components: int | None
    """PCA dimensions of the responses; None keeps every electrode."""
    alphas: tuple[float, ...]
    fixed_alpha: float
    segments: tuple[Segments, ...]
    """Per outer fold."""
    draws: tuple[FoldDraws, ...]
    """One per fold that is scored; without any of kind ``none``, else empty."""

    @property
    def scored(self) -> list[int]:
        """Folds with enough segments."""
        return [k for k, segments in enumerate(self.segments) if segments.enough]

    def inputs(self, train: NDArray[np.int64]) -> Array32:
        """Responses that follow each sample: (n_used, n_lags * n_electrodes), lag-major."""
        maker = DesignMaker(
            self.responses,
            self.recorded,
            delays=tuple(-lag for lag in self.lags),  # a negative delay looks into the future
            n_components=self.electrode_components,
        )
        return maker.design(train)

    @property
    def structure(self) -> LagStructure | None:
        """How the columns of the inputs repeat each other."""
        return structure_of([-lag for lag in self.lags], self.recorded.used)

    def embedding(self, space: FeatureSpace, layer: int, train: NDArray[np.int64]) -> Array32:
        """One layer, standardised and reduced by training rows: (n_used, n_dims)."""
        n_components = self.n_components if space.n_components is not None else None
        maker = DesignMaker(space.read(layer), self.heard, delays=(0,), n_components=n_components)
        return maker.design(train)


@dataclass(frozen=True)
class Decoded:
    """Scores of all layers of one feature space; the order of scores is that of `SCORES`."""

    layers: tuple[str, ...]
    value: Array64
    """(n_folds, n_layers, n_scores); NaN in folds that are not scored."""
    null: Array32 | None
    """(n_scored, n_layers, n_scores, n_draws)."""
    inner: Array64
    """(n_folds, n_layers): mean r over dimensions on the inner folds; NaN without any."""

    @property
    def chosen(self) -> NDArray[np.int64]:
        """(n_folds,): layer chosen on the inner folds; the middle one where there are none."""
        middle = np.full(self.inner.shape, -np.inf)
        middle[:, len(self.layers) // 2] = 0.0
        scores = np.where(np.isnan(self.inner).all(axis=1, keepdims=True), middle, self.inner)
        return np.asarray(np.nan_to_num(scores, nan=-np.inf).argmax(axis=1))


def decode_layers(spaces: Sequence[FeatureSpace], problem: DecodingProblem) -> list[Decoded]:
    """Decode every layer of every feature space by ridge.

    Parameters
    ----------
    spaces : sequence of FeatureSpace
        The model and its controls. All are targets of one regression on the same responses, so
        their kernel is decomposed once per split for all of them; each dimension has a penalty of
        its own, by its mean correlation on the inner folds.
    problem : DecodingProblem

    Returns
    -------
    list of Decoded
        One per feature space.
    """
    folds = problem.plan.folds
    n_draws = problem.draws[0].n_draws if problem.draws else 0
    found = [
        Decoded(
            space.layers,
            np.full((len(folds), len(space.layers), len(SCORES)), np.nan),
            np.empty((len(problem.draws), len(space.layers), len(SCORES), n_draws), np.float32)
            if problem.draws
            else None,
            np.full((len(folds), len(space.layers)), np.nan),
        )
        for space in spaces
    ]
    for k, fold in enumerate(folds):
        inputs = problem.inputs(fold.outer.train)
        for one in _fitted(spaces, problem, fold, inputs):
            decoded = found[one.space]
            decoded.inner[k, one.layer] = one.inner
            if k in problem.scored:
                score_fold(problem, k, one.true, one.predicted, out=decoded, layer=one.layer)
    return found


def score_fold(
    problem: DecodingProblem,
    k: int,
    true: Array32,
    predicted: Array32,
    *,
    out: Decoded,
    layer: int,
) -> None:
    """Score held-out predictions of fold k into ``out``, with their null.

    Parameters
    ----------
    problem : DecodingProblem
    k : int
        A fold of ``problem.scored``.
    true, predicted : ndarray of shape (n_test, n_dims), float32
        About the training mean of the embedding.
    out : Decoded
    layer : int
    """
    segments = problem.segments[k]
    pair = segments.averaged(true), segments.averaged(predicted)
    out.value[k, layer] = observed_scores(*pair, segments)
    if out.null is not None:
        at = problem.scored.index(k)
        out.null[at, layer] = null_scores(*pair, segments, problem.draws[at])


@dataclass(frozen=True)
class _Layer:
    """Held-out prediction of one layer in one fold, about the training mean."""

    space: int
    layer: int
    true: Array32
    predicted: Array32
    inner: float


def _fitted(
    spaces: Sequence[FeatureSpace], problem: DecodingProblem, fold: Fold, inputs: Array32
) -> Iterator[_Layer]:
    system: System | None = None
    for block in _blocks(spaces, problem, fold):
        targets = np.concatenate([embedding for _, _, embedding in block], axis=1)
        if system is None:
            system = make_system(
                [inputs],
                targets,
                splits_of(fold),
                lags=problem.structure,
                n_kept=1 + len(fold.inner),
            )
        else:  # the kernel is that of the first block
            system = system.of(targets)
        fit = fit_system(
            system,
            fold,
            n_bands=1,
            n_targets=targets.shape[1],
            alphas=problem.alphas,
            fixed_alpha=problem.fixed_alpha,
        )
        yield from _layers_of(block, targets, fit, fold)


Block = list[tuple[int, int, Array32]]
"""Feature space, layer and embedding (n_used, n_dims) of what is decoded at once."""


def _blocks(
    spaces: Sequence[FeatureSpace], problem: DecodingProblem, fold: Fold
) -> Iterator[Block]:
    block: Block = []
    for index, space in enumerate(spaces):
        for layer in range(len(space.layers)):
            embedding = problem.embedding(space, layer, fold.outer.train)
            if block and sum(y.shape[1] for _, _, y in block) + embedding.shape[1] > MAX_COLUMNS:
                yield block
                block = []
            block.append((index, layer, embedding))
    yield block


def _layers_of(block: Block, targets: Array32, fit: FoldFit, fold: Fold) -> Iterator[_Layer]:
    mean = targets[fold.outer.train].mean(axis=0, dtype=np.float64).astype(np.float32)
    stop = 0
    for space, layer, embedding in block:
        start, stop = stop, stop + embedding.shape[1]
        columns = slice(start, stop)
        yield _Layer(
            space,
            layer,
            embedding[fold.outer.test] - mean[columns],
            fit.prediction[:, columns] - mean[columns],
            float(fit.inner_score[columns].mean()),
        )


def chance_levels(problem: DecodingProblem) -> Array64:
    """Score expected without any link, in the order of `SCORES`."""
    scored = [problem.segments[k] for k in problem.scored]
    if not scored:
        return np.full(len(SCORES), np.nan)
    weights = [s.n_segments for s in scored]
    top1 = np.average([top1_chance(s) for s in scored], weights=weights)
    return np.array([0.0, 0.0, 0.5, 0.5, top1])
