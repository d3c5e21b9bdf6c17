"""Prediction from features at one lag at a time: lag curves of every layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.encoding.design import DesignMaker
from bids_brainalign.encoding.layerwise import FeatureSpace, Problem, over_folds
from bids_brainalign.encoding.nested import fit_fold
from bids_brainalign.encoding.scoring import HeldOut, scored_r
from bids_brainalign.statistics.correlation import fisher_mean, fisher_z
from bids_brainalign.statistics.nulls import FoldNull
from bids_brainalign.statistics.tails import p_values

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]


@dataclass(frozen=True)
class LagCurves:
    """Held-out prediction at every lag; arrays end in (n_lags, n_targets)."""

    r_fold: Array64
    """(n_layers, n_folds, n_lags, n_targets); NaN in folds with too few samples."""
    r: Array64
    """(n_layers, n_lags, n_targets) over folds."""
    selected_r: Array64
    """(n_lags, n_targets), each fold with the layer that its inner folds chose."""
    p: Array64
    """(n_lags, n_targets) of `selected_r` against the null of its maximum over lags; NaN without
    a null. At the peak it is the peak's own p."""
    n_null: int


def lag_curves(
    space: FeatureSpace, problem: Problem, held_out: HeldOut, chosen: NDArray[np.int64]
) -> LagCurves:
    """Ridge from features at each of the problem's delays alone, on its folds.

    Parameters
    ----------
    space : FeatureSpace
    problem : Problem
        Its ``delays`` are the lags, its ``draws`` keep at least their span from the alignment.
    held_out : HeldOut
        From :meth:`Problem.held_out`.
    chosen : ndarray of int, shape (n_folds, n_targets)
        Layer of every fold and target, chosen without the fold's test data.

    Returns
    -------
    LagCurves
    """
    folds, n_lags, n_targets = problem.plan.folds, len(problem.delays), held_out.n_targets
    r_fold = np.full((len(space.layers), len(folds), n_lags, n_targets), np.nan)
    n_draws = problem.draws[0].n_draws if held_out.has_null else 0
    null = np.zeros((n_lags, n_draws, n_targets), dtype=np.float32)
    draws = dict(zip(held_out.scored, problem.draws, strict=False))
    share = held_out.weights / held_out.weights[held_out.scored].sum()
    for layer in range(len(space.layers)):
        maker = DesignMaker(
            space.read(layer),
            problem.layout,
            delays=problem.delays,
            n_components=space.n_components,
        )

        def work(k: int, layer: int = layer, maker: DesignMaker = maker) -> Array32:
            fold, y = problem.plan.folds[k], held_out.responses[k]
            mine = np.flatnonzero(chosen[k] == layer)
            shifted = np.zeros((n_lags, n_draws, len(mine)), dtype=np.float32)
            wanted = n_draws > 0 and k in held_out.scored and len(mine) > 0
            fold_null = FoldNull(y[:, mine], draws[k]) if wanted else None
            for i, design in enumerate(maker.designs_by_delay(fold.outer.train)):
                fit = fit_fold(
                    [design],
                    problem.fold_responses(k),
                    fold,
                    alphas=problem.alphas,
                    fixed_alpha=problem.fixed_alpha,
                    metric=problem.metric,
                )
                if k in held_out.scored:
                    r_fold[layer, k, i] = scored_r(y, fit.prediction)
                if fold_null is not None:
                    z = fisher_z(fold_null.null(fit.prediction[:, mine]))
                    shifted[i] = np.nan_to_num(z) * np.float32(share[k])
            return shifted

        for k, shifted in enumerate(over_folds(problem, work)):
            null[:, :, chosen[k] == layer] += shifted
    by_fold = np.stack(
        [r_fold[chosen[k], k, :, np.arange(n_targets)].T for k in range(len(folds))]
    )
    selected_r = np.asarray(fisher_mean(by_fold, held_out.weights))
    p = np.full(selected_r.shape, np.nan)
    if n_draws:
        # Widened because folds train each other, see HeldOut.null.
        largest = np.tanh(np.float32(held_out.null_scale) * null.max(axis=0))
        p = np.stack([p_values(r, largest) for r in selected_r])
    r = np.stack([fisher_mean(layer_r, held_out.weights) for layer_r in r_fold])
    return LagCurves(r_fold, r, selected_r, p, n_draws)


def peak_lags(r: Array64, lags_s: Array64) -> tuple[Array64, NDArray[np.bool_]]:
    """Where curves are largest, between the lags by a parabola through three points.

    Parameters
    ----------
    r : ndarray of shape (..., n_lags)
    lags_s : ndarray of shape (n_lags,)
        Equally spaced.

    Returns
    -------
    peak_s : ndarray of shape (...)
        NaN where a curve has no finite value.
    at_edge : ndarray of bool, shape (...)
        The largest value is the first or last one: the peak may lie outside.
    """
    known = np.isfinite(r).any(axis=-1)
    filled = np.where(np.isfinite(r), r, -np.inf)
    top = filled.argmax(axis=-1)
    at_edge = known & ((top == 0) | (top == len(lags_s) - 1))
    if len(lags_s) < 3:
        return np.where(known, lags_s[top], np.nan), at_edge
    inner = np.clip(top, 1, len(lags_s) - 2)
    left, middle, right = (
        np.take_along_axis(filled, (inner + step)[..., None], axis=-1)[..., 0]
        for step in (-1, 0, 1)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = (left - right) / (2 * (left - 2 * middle + right))
    shift = np.where(np.isfinite(shift) & ~at_edge, np.clip(shift, -0.5, 0.5), 0.0)
    peak = lags_s[top] + shift * (lags_s[1] - lags_s[0])
    return np.where(known, peak, np.nan), at_edge
