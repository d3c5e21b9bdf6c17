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
    weight = np.zeros((len(space.layers), held_out.n_targets))

    def work(k: int) -> tuple[Array32, Array32, _Slots, Array64]:
        slots = _best_layers(space, problem, k, n_best)
        fold, y = problem.plan.folds[k], problem.fold_responses(k)
        truth = np.concatenate([y[split.test] for split in fold.inner])
        shares = _stack(slots.inner, truth)
        combined = np.einsum("snt,st->nt", slots.outer, shares.astype(np.float32))
        top = slots.score.argmax(axis=0)
        single = np.take_along_axis(slots.outer, top[None, None, :], axis=0)[0]
        return combined, single, slots, shares

    fitted = over_folds(problem, work)
    for _, _, slots, shares in fitted:
        for slot in range(n_best):
            spread = shares[slot] * slots.inner[slot].std(axis=0) / len(fitted)
            weight[slots.layer[slot], np.arange(held_out.n_targets)] += spread
    combined, single = [f[0] for f in fitted], [f[1] for f in fitted]
    r_combined, r_selected = held_out.score(combined).r, held_out.score(single).r
    p, n_null = np.full(held_out.n_targets, np.nan), 0
    if held_out.has_null:
        null = held_out.null(combined) - held_out.null(single)
        p, n_null = p_values(r_combined - r_selected, null), len(null)
    return CombinedFit(r_selected, r_combined, p, weight, n_null)


def _best_layers(space: FeatureSpace, problem: Problem, k: int, n_best: int) -> _Slots:
    """Fit every layer on one outer fold; keep each target's best ones by inner score."""
    fold, y = problem.plan.folds[k], problem.fold_responses(k)
    n_targets, n_inner = y.shape[1], sum(len(split.test) for split in fold.inner)
    grid, scale = np.asarray(problem.alphas, dtype=np.float64), np.ones(1)
    slots = _Slots(
        np.full((n_best, n_targets), -np.inf),
        np.zeros((n_best, n_targets), dtype=np.int64),
        np.zeros((n_best, n_inner, n_targets), dtype=np.float32),
        np.zeros((n_best, len(fold.outer.test), n_targets), dtype=np.float32),
    )
    for layer in range(len(space.layers)):
        maker = DesignMaker(
            space.read(layer),
            problem.layout,
            delays=problem.delays,
            n_components=space.n_components,
        )
        system = make_system([maker.design(fold.outer.train)], y, splits_of(fold), lags=maker.lags)
        scores = inner_scores(system, fold, grid, scale)
        alpha, value = grid[scores.argmax(axis=0)], scores.max(axis=0)
        worst = slots.score.argmin(axis=0)
        better = np.flatnonzero(value > slots.score[worst, np.arange(n_targets)])
        if not len(better):
            continue
        inner = np.concatenate(
            [system.solve(s.train, scale).predict(s.test, alpha) for s in fold.inner]
        )
        outer = system.solve(fold.outer.train, scale).predict(fold.outer.test, alpha)
        at = worst[better]
        slots.score[at, better], slots.layer[at, better] = value[better], layer
        slots.inner[at, :, better] = inner[:, better].T
        slots.outer[at, :, better] = outer[:, better].T
    return slots


def _stack(predictions: Array32, truth: Array32) -> Array64:
    """Non-negative weights (k, n_targets) of centred predictions."""
    x = predictions - predictions.mean(axis=1, keepdims=True)
    # Penalties of useless layers are large and their predictions tiny: bring all to one size.
    size = x.std(axis=1, dtype=np.float64)  # (k, n_targets)
    size[size <= 0] = np.inf
    x = x / size[:, None].astype(np.float32)
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
