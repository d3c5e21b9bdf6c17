"""All layers of one model against the same responses: curves, nested choice, nulls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bids_brainalign.encoding.design import DesignMaker, RunLayout, standardised_responses
from bids_brainalign.encoding.lag_gram import LagStructure
from bids_brainalign.encoding.nested import FoldFit, fit_fold
from bids_brainalign.encoding.ridge import Metric
from bids_brainalign.encoding.scoring import HeldOut, Scores
from bids_brainalign.statistics.folds import FoldPlan
from bids_brainalign.statistics.nulls import FoldDraws
from bids_brainalign.statistics.tails import p_values

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]


@dataclass(frozen=True)
class FeatureSpace:
    """Features of all runs on the response clock, layer by layer."""

    name: str
    layers: tuple[str, ...]
    read: Callable[[int], Sequence[Array32]]
    """Layer index → one array (n_times_r, n_dims) per run."""
    n_components: int | None = None
    """PCA dimensions per layer; None keeps all."""


@dataclass(frozen=True)
class Problem:
    """One fit: responses of a block of targets, their samples and folds."""

    responses: Sequence[Array32]
    """Per run (n_times_r, n_targets)."""
    layout: RunLayout
    plan: FoldPlan
    delays: tuple[int, ...]
    alphas: tuple[float, ...]
    fixed_alpha: float
    band_weights: tuple[float, ...]
    draws: tuple[FoldDraws, ...]
    """Shared by all blocks of targets."""
    min_samples: int = 30
    n_threads: int = 1
    """Outer folds fitted at once."""
    metric: Metric = "correlation"
    """What penalties, layers and band weights are chosen by."""
    solver: str = "own"
    """Of voxels: ``own`` or ``himalaya``."""
    device: str = "cpu"
    """Where our solver of voxels makes its products."""
    scoring: str = "fp32"
    """Of voxels: precision of its first look at all penalties, ``fp32`` or ``bf16``."""
    parcels: NDArray[np.bool_] | None = None
    """(n_parcels, n_targets): groups of targets whose mean r is tested too."""
    _cache: dict[int, Array32] = field(default_factory=dict, repr=False, compare=False)

    def fold_responses(self, k: int) -> Array32:
        """Standardised responses of the used samples for outer fold k."""
        key = -1 if self.layout.whole_runs else k
        if key not in self._cache:
            train = self.plan.folds[k].outer.train
            self._cache[key] = standardised_responses(self.responses, self.layout, train)
        return self._cache[key]

    def keep_responses(self, standardised: Array32) -> None:
        """Take the standardised responses of whole runs, (n_used, n_targets), as known."""
        self._cache[-1] = standardised

    def held_out(self) -> HeldOut:
        """Held-out responses of every fold, with their nulls."""
        test, means = [], []
        for k, fold in enumerate(self.plan.folds):
            y = self.fold_responses(k)
            test.append(y[fold.outer.test])
            means.append(y[fold.outer.train].mean(axis=0, dtype=np.float64))
        return HeldOut(
            test,
            means,
            self.draws,
            min_samples=self.min_samples,
            mutual_share=self.plan.mutual_share(),
        )


@dataclass(frozen=True)
class KeptDesigns:
    """Designs of one feature space, for blocks of targets that are fitted one after another."""

    of_layer: tuple[tuple[Array32, ...], ...]
    """Per layer and outer fold (n_used, n_delays · n_components)."""
    lags: LagStructure | None
    """How the columns of every design repeat each other."""


def keep_designs(space: FeatureSpace, problem: Problem) -> KeptDesigns:
    """Make the designs of all layers and folds; worth it where they are small.

    Parameters
    ----------
    space : FeatureSpace
    problem : Problem
        Its responses are not looked at.

    Returns
    -------
    KeptDesigns
    """
    folds = problem.plan.folds
    made, lags = [], None
    for layer in range(len(space.layers)):
        maker = _designs(space, layer, problem)
        made.append(tuple(maker.design(fold.outer.train) for fold in folds))
        lags = maker.lags
    return KeptDesigns(tuple(made), lags)


@dataclass(frozen=True)
class LayerwiseFit:
    """What all layers of one feature space give for a block of targets."""

    layer_scores: tuple[Scores, ...]
    layer_p: Array64
    """(n_layers, n_targets) plain p of each layer; NaN without a null."""
    inner: Array64
    """(n_layers, n_folds) score on the inner folds, mean over targets; NaN without any."""
    chosen: NDArray[np.int64]
    """(n_folds, n_targets) layer index chosen on the inner folds."""
    alpha: Array64
    """(n_folds, n_targets) penalty of the chosen layer."""
    predictions: tuple[Array32, ...]
    """Per fold (n_test, n_targets), from the chosen layer."""
    selected: Scores
    null_selected: Array32 | None
    """(n_draws, n_targets) null of the selected predictions."""
    null_max: Array32 | None
    """(n_draws, n_targets) maximum over layers of the per-layer nulls."""
    null_range: Array32 | None
    """(n_draws, n_targets) maximum less minimum over layers of the per-layer nulls."""
    r_max: Array64
    """(n_targets,) maximum over layers of r: what ``null_max`` is the null of."""
    parcel_null: Array32 | None
    """(n_layers, n_draws, n_parcels) sum over the parcel's targets of the per-layer nulls."""


def encode_layers(
    space: FeatureSpace,
    problem: Problem,
    held_out: HeldOut,
    *,
    designs: KeptDesigns | None = None,
    layer_nulls: bool = True,
) -> LayerwiseFit:
    """Fit every layer on identical folds; choose a layer per target on the inner folds.

    Parameters
    ----------
    space : FeatureSpace
    problem : Problem
    held_out : HeldOut
        From :meth:`Problem.held_out`.
    designs : KeptDesigns, optional
        Those of ``space``; without them its layers are read.
    layer_nulls : bool
        Draw the null of every layer, which costs more than fitting it. False leaves ``layer_p``
        NaN, and ``null_max``, ``null_range`` and ``parcel_null`` None; ``null_selected`` is drawn
        all the same.

    Returns
    -------
    LayerwiseFit
        Without inner folds the middle layer is taken for all targets.
    """
    folds = problem.plan.folds
    n_targets = held_out.n_targets
    best = np.full((len(folds), n_targets), -np.inf)
    chosen = np.full((len(folds), n_targets), len(space.layers) // 2)
    inner = np.full((len(space.layers), len(folds)), np.nan)
    alpha = np.zeros((len(folds), n_targets))
    kept = [np.zeros_like(y) for y in held_out.responses]
    scores: list[Scores] = []
    layer_p = np.full((len(space.layers), n_targets), np.nan)
    null_max: Array32 | None = None
    null_min: Array32 | None = None
    parcel_null = []
    for layer in range(len(space.layers)):
        fits = _fit_layer(space, layer, problem, designs)
        predictions = [fit.prediction for fit in fits]
        for k, fit in enumerate(fits):
            score = fit.inner_score
            inner[layer, k] = score.mean()
            if np.isnan(score).all():  # no inner folds
                score = np.full(n_targets, 0.0 if layer == len(space.layers) // 2 else -1.0)
            better = score > best[k]
            best[k, better], chosen[k, better] = score[better], layer
            alpha[k, better] = fit.alpha[better]
            kept[k][:, better] = fit.prediction[:, better]
        scores.append(held_out.score(predictions))
        if held_out.has_null and layer_nulls:
            null = held_out.null(predictions)
            layer_p[layer] = p_values(scores[-1].r, null)
            null_max = null if null_max is None else np.fmax(null_max, null)
            null_min = null if null_min is None else np.fmin(null_min, null)
            if problem.parcels is not None:
                parcel_null.append(null @ problem.parcels.T.astype(np.float32))
    return LayerwiseFit(
        layer_scores=tuple(scores),
        layer_p=layer_p,
        inner=inner,
        chosen=chosen,
        alpha=alpha,
        predictions=tuple(kept),
        selected=held_out.score(kept),
        null_selected=held_out.null(kept) if held_out.has_null else None,
        null_max=null_max,
        null_range=None if null_max is None or null_min is None else null_max - null_min,
        r_max=np.max([s.r for s in scores], axis=0),
        parcel_null=np.stack(parcel_null) if parcel_null else None,
    )


def _designs(space: FeatureSpace, layer: int, problem: Problem) -> DesignMaker:
    return DesignMaker(
        space.read(layer),
        problem.layout,
        delays=problem.delays,
        n_components=space.n_components,
    )


def _designs_by_fold(
    space: FeatureSpace, layer: int, problem: Problem, kept: KeptDesigns | None
) -> tuple[Callable[[int], Array32], LagStructure | None]:
    if kept is not None:
        return kept.of_layer[layer].__getitem__, kept.lags
    maker = _designs(space, layer, problem)
    return lambda k: maker.design(problem.plan.folds[k].outer.train), maker.lags


Part = TypeVar("Part")


def over_folds(problem: Problem, work: Callable[[int], Part]) -> list[Part]:
    """Map over outer folds; threads, because BLAS and LAPACK are called without the GIL."""
    count = len(problem.plan.folds)
    workers = min(problem.n_threads, count)
    if workers <= 1:
        return [work(k) for k in range(count)]
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, range(count)))


def _fit_layer(
    space: FeatureSpace, layer: int, problem: Problem, designs: KeptDesigns | None
) -> list[FoldFit]:
    design, lags = _designs_by_fold(space, layer, problem, designs)

    def work(k: int) -> FoldFit:
        return fit_fold(
            [design(k)],
            problem.fold_responses(k),
            problem.plan.folds[k],
            alphas=problem.alphas,
            fixed_alpha=problem.fixed_alpha,
            lags=lags,
            metric=problem.metric,
        )

    return [fit for fit in over_folds(problem, work) if fit is not None]


def encode_jointly(
    space: FeatureSpace,
    baseline: FeatureSpace,
    chosen: NDArray[np.int64],
    problem: Problem,
    held_out: HeldOut,
    *,
    chosen_baseline: NDArray[np.int64] | None = None,
    weights: tuple[float, ...] | None = None,
) -> tuple[Array32, ...]:
    """Two-band ridge: the baseline's features together with each target's chosen layer.

    Parameters
    ----------
    space, baseline : FeatureSpace
        The model, and the low-level features (one layer) or another model.
    chosen : ndarray of int, shape (n_folds, n_targets)
        Layer per outer fold and target, from the inner folds.
    problem, held_out
        As for :func:`encode_layers`.
    chosen_baseline : ndarray of int, shape (n_folds, n_targets), optional
        Layer of the baseline; its first one if not given.
    weights : tuple of float, optional
        Shares of the model in the kernel; those below if not given.

    Returns
    -------
    tuple of ndarray of shape (n_test, n_targets)
        Held-out predictions per fold. The share of the bands is chosen on the inner folds among
        the baseline alone and ``problem.band_weights``.
    """
    second = np.zeros_like(chosen) if chosen_baseline is None else chosen_baseline
    shares = (0.0, *problem.band_weights) if weights is None else weights
    predictions = tuple(np.zeros_like(y) for y in held_out.responses)
    makers: dict[int, DesignMaker] = {}  # of the baseline's layer at hand
    # Sorted by the baseline's layer: each of them is read once.
    pairs = np.unique(np.stack([second.ravel(), chosen.ravel()]), axis=1).T
    for low_layer, layer in pairs:
        if low_layer not in makers:
            makers = {low_layer: _designs(baseline, int(low_layer), problem)}
        maker, low = _designs(space, int(layer), problem), makers[low_layer]
        mine = (chosen == layer) & (second == low_layer)

        def work(
            k: int,
            mine: NDArray[np.bool_] = mine,
            maker: DesignMaker = maker,
            low: DesignMaker = low,
        ) -> FoldFit | None:
            fold, targets = problem.plan.folds[k], mine[k]
            if not targets.any():
                return None
            return fit_fold(
                [maker.design(fold.outer.train), low.design(fold.outer.train)],
                np.ascontiguousarray(problem.fold_responses(k)[:, targets]),
                fold,
                alphas=problem.alphas,
                fixed_alpha=problem.fixed_alpha,
                weights=shares,
                lags=maker.lags,
                metric=problem.metric,
            )

        for k, fit in enumerate(over_folds(problem, work)):
            if fit is not None:
                predictions[k][:, mine[k]] = fit.prediction
    return predictions
