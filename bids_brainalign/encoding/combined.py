"""The best layers together: predictions stacked with weights from the inner folds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from bids_brainalign.encoding.design import DesignMaker
from bids_brainalign.encoding.layerwise import FeatureSpace, Problem, over_folds
from bids_brainalign.encoding.nested import inner_scores, splits_of
from bids_brainalign.encoding.ridge import make_system
from bids_brainalign.encoding.scoring import HeldOut
from bids_brainalign.statistics.folds import Fold
from bids_brainalign.statistics.tails import p_values

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]


@dataclass(frozen=True)
class CombinedFit:
    """The stack against the best single layer, both chosen without test data."""

    r_selected: Array64
    """(n_targets,)."""
    r_combined: Array64
    p: Array64
    """(n_targets,) one-sided, of r_combined minus r_selected against the same shifts; NaN without
    a null."""
    weight: Array64
    """(n_layers, n_targets) mean over folds of the layers' weights, in SD of what each predicts
    (responses have SD 1)."""
    n_null: int


@dataclass
class _Slots:
    """The k best layers of every target in one fold."""

    score: Array64
    """(k, n_targets)."""
    layer: NDArray[np.int64]
    inner: Array32
    """(k, n_inner_rows, n_targets)."""
    outer: Array32
    """(k, n_test, n_targets)."""

    @classmethod
    def empty(cls, fold: Fold, n_best: int, n_targets: int) -> _Slots:
        """Slots that any layer beats."""
        n_inner = sum(len(split.test) for split in fold.inner)
        return cls(
            np.full((n_best, n_targets), -np.inf),
            np.zeros((n_best, n_targets), dtype=np.int64),
            np.zeros((n_best, n_inner, n_targets), dtype=np.float32),
            np.zeros((n_best, len(fold.outer.test), n_targets), dtype=np.float32),
        )


@dataclass(frozen=True)
class _Stacked:
    """One fold's predictions, of the stack and of the best single layer."""

    combined: Array32
    """(n_test, n_targets)."""
    single: Array32
    layer: NDArray[np.int64]
    """(k, n_targets) layers of the stack."""
    weight: Array64
    """(k, n_targets) their weights, in SD of what each predicts."""


def combine_layers(
    space: FeatureSpace, problem: Problem, held_out: HeldOut, *, n_best: int
) -> CombinedFit | None:
    """Stack the predictions of each target's best layers.

    Parameters
    ----------
    space : FeatureSpace
    problem, held_out
        As for ``encode_layers``.
    n_best : int
        Layers to combine.

    Returns
    -------
    CombinedFit or None
        None where inner folds don't fit: there is nothing to choose by.

    Notes
    -----
    Stacked regressions (Breiman 1996, Machine Learning 24): non-negative least squares of the
    responses on the inner folds' held-out predictions; the outer test data choose nothing.
    """
    if not all(fold.inner for fold in problem.plan.folds):
        return None
    n_best = min(n_best, len(space.layers))
    slots = _best_layers(space, problem, n_best, held_out.n_targets)
    fitted = over_folds(problem, lambda k: _stacked(slots[k], problem, k))
    weight = np.zeros((len(space.layers), held_out.n_targets))
    for one in fitted:
        for layer, share in zip(one.layer, one.weight, strict=True):
            weight[layer, np.arange(held_out.n_targets)] += share / len(fitted)
    combined, single = [one.combined for one in fitted], [one.single for one in fitted]
    r_combined, r_selected = held_out.score(combined).r, held_out.score(single).r
    p, n_null = np.full(held_out.n_targets, np.nan), 0
    if held_out.has_null:
        null = held_out.null(combined) - held_out.null(single)
        p, n_null = p_values(r_combined - r_selected, null), len(null)
    return CombinedFit(r_selected, r_combined, p, weight, n_null)


def _best_layers(
    space: FeatureSpace, problem: Problem, n_best: int, n_targets: int
) -> list[_Slots]:
    """Fit every layer on all outer folds; keep each target's best ones by inner score."""
    slots = [_Slots.empty(fold, n_best, n_targets) for fold in problem.plan.folds]
    for layer in range(len(space.layers)):
        maker = DesignMaker(
            space.read(layer),
            problem.layout,
            delays=problem.delays,
            n_components=space.n_components,
        )

        def work(k: int, layer: int = layer, maker: DesignMaker = maker) -> None:
            _take_in(slots[k], layer, maker, problem, k)

        over_folds(problem, work)
    return slots


def _take_in(slots: _Slots, layer: int, maker: DesignMaker, problem: Problem, k: int) -> None:
    """Fit a layer on one outer fold; keep it where it is better than the worst of the best."""
    fold, y = problem.plan.folds[k], problem.fold_responses(k)
    grid, scale = np.asarray(problem.alphas, dtype=np.float64), np.ones(1)
    system = make_system([maker.design(fold.outer.train)], y, splits_of(fold), lags=maker.lags)
    scores = inner_scores(system, fold, grid, scale, problem.metric)
    alpha, value = grid[scores.argmax(axis=0)], scores.max(axis=0)
    worst = slots.score.argmin(axis=0)
    better = np.flatnonzero(value > slots.score[worst, np.arange(y.shape[1])])
    if not len(better):
        return
    at = worst[better]
    slots.score[at, better], slots.layer[at, better] = value[better], layer
    first = 0
    for split in fold.inner:
        rows = slice(first, first + len(split.test))
        inner = system.solve(split.train, scale).predict(split.test, alpha)
        slots.inner[at, rows, better] = inner[:, better].T
        first = rows.stop
    outer = system.solve(fold.outer.train, scale).predict(fold.outer.test, alpha)
    slots.outer[at, :, better] = outer[:, better].T


def _stacked(slots: _Slots, problem: Problem, k: int) -> _Stacked:
    """Weigh the best layers of one fold on its inner folds."""
    y = problem.fold_responses(k)
    truth = np.concatenate([y[split.test] for split in problem.plan.folds[k].inner])
    shares = _stack(slots.inner, truth)
    top = slots.score.argmax(axis=0)
    return _Stacked(
        combined=np.einsum("snt,st->nt", slots.outer, shares.astype(np.float32)),
        single=np.take_along_axis(slots.outer, top[None, None, :], axis=0)[0],
        layer=slots.layer,
        weight=shares * np.stack([inner.std(axis=0) for inner in slots.inner]),
    )


def _stack(predictions: Array32, truth: Array32) -> Array64:
    """Non-negative weights (k, n_targets) of centred predictions."""
    x = predictions - predictions.mean(axis=1, keepdims=True)
    # Penalties of useless layers are large and their predictions tiny: bring all to one size.
    size = x.std(axis=1, dtype=np.float64)  # (k, n_targets)
    size[size <= 0] = np.inf
    x /= size[:, None].astype(np.float32)
    y = truth - truth.mean(axis=0)
    gram = np.einsum("snt,rnt->tsr", x, x, dtype=np.float64)
    cross = np.einsum("snt,nt->ts", x, y, dtype=np.float64)
    weights = np.zeros((len(predictions), truth.shape[1]))
    for target in range(truth.shape[1]):
        # min |y − Xw|² needs only X'X = LL' and X'y: nnls on L' and L⁻¹X'y.
        total = np.trace(gram[target])
        if total <= 0:
            continue
        lower = np.linalg.cholesky(gram[target] + 1e-9 * total * np.eye(len(gram[target])))
        weights[:, target] = nnls(lower.T, np.linalg.solve(lower, cross[target]))[0]
        if not weights[:, target].any():  # nothing predicts: every layer as good as another
            weights[:, target] = 1 / len(predictions)
    return np.asarray(weights / size)
