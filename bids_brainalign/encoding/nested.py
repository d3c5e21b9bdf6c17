"""Penalties and band weights chosen on inner folds, predictions made on the outer one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.encoding.lag_gram import LagStructure
from bids_brainalign.encoding.ridge import Array32, Array64, Metric, Rows, System, make_system
from bids_brainalign.statistics.folds import Fold


@dataclass(frozen=True)
class FoldFit:
    """All targets on one outer fold."""

    prediction: Array32
    """(n_test, n_targets)."""
    inner_score: Array64
    """(n_targets,) mean score over inner folds at the chosen penalty; NaN without any."""
    alpha: Array64
    """(n_targets,)."""
    weight: Array64
    """(n_targets,) share of the first band in the kernel; 1 with a single band."""


def splits_of(fold: Fold) -> list[Rows]:
    """Every set of rows that fitting this fold needs statistics of."""
    return [fold.outer.train, *(rows for s in fold.inner for rows in (s.train, s.test))]


def fit_fold(
    bands: Sequence[Array32],
    responses: Array32,
    fold: Fold,
    *,
    alphas: Sequence[float],
    fixed_alpha: float,
    weights: Sequence[float] = (1.0,),
    lags: LagStructure | None = None,
    metric: Metric = "correlation",
) -> FoldFit:
    """Nested ridge of all targets on one outer fold.

    Parameters
    ----------
    bands : sequence of one or two ndarray of shape (n_samples, n_features_b), float32
    responses : ndarray of shape (n_samples, n_targets), float32
    fold : Fold
    alphas : sequence of float
        Penalties tried on the inner folds, by mean score.
    fixed_alpha : float
        Used where the fold has no inner folds.
    weights : sequence of float
        Shares of the first band in a two-band kernel, each tried with every penalty. Bands are
        brought to the first one's total variance, so that a penalty means the same at every share.
    lags : LagStructure, optional
        Of the bands, see :mod:`~bids_brainalign.encoding.lag_gram`.
    metric : {"correlation", "r2"}
        What penalties and weights are chosen by.

    Returns
    -------
    FoldFit
    """
    system = make_system(bands, responses, splits_of(fold), lags=lags)
    return fit_system(
        system, fold, n_bands=len(bands), n_targets=responses.shape[1],
        alphas=alphas, fixed_alpha=fixed_alpha, weights=weights, metric=metric,
    )  # fmt: skip


def fit_system(
    system: System,
    fold: Fold,
    *,
    n_bands: int,
    n_targets: int,
    alphas: Sequence[float],
    fixed_alpha: float,
    weights: Sequence[float] = (1.0,),
    metric: Metric = "correlation",
) -> FoldFit:
    """Do what :func:`fit_fold` does with a system that was made for all splits of the fold."""
    grid = np.asarray(alphas, dtype=np.float64)
    scales = [_scales(system, fold.outer.train, n_bands, w) for w in weights]
    best = np.full(n_targets, -np.inf)
    alpha = np.full(n_targets, float(fixed_alpha))
    choice = np.full(n_targets, len(weights) // 2)
    if fold.inner:
        for index, scale in enumerate(scales):
            mean = inner_scores(system, fold, grid, scale, metric)
            top = mean.argmax(axis=0)
            value = mean[top, np.arange(n_targets)]
            better = value > best
            best[better], alpha[better] = value[better], grid[top[better]]
            choice[better] = index
    else:
        best[:] = np.nan
    prediction = np.empty((len(fold.outer.test), n_targets), dtype=np.float32)
    for index in np.unique(choice):
        columns = np.flatnonzero(choice == index)
        solution = system.solve(fold.outer.train, scales[index])
        # All targets share the solution; only those that chose this weight are kept.
        prediction[:, columns] = solution.predict(fold.outer.test, alpha)[:, columns]
    return FoldFit(prediction, best, alpha, np.asarray(weights, dtype=np.float64)[choice])


def inner_scores(
    system: System,
    fold: Fold,
    grid: Array64,
    scale: NDArray[np.float64],
    metric: Metric = "correlation",
) -> Array64:
    """Mean score over inner folds, by samples: (n_alphas, n_targets)."""
    total, samples = np.zeros((len(grid), 1)), 0
    for split in fold.inner:
        scores = system.solve(split.train, scale).scores(split.test, grid, metric)
        total = total + len(split.test) * scores
        samples += len(split.test)
    return np.asarray(total / samples)


def _scales(system: System, train: Rows, n_bands: int, weight: float) -> NDArray[np.float64]:
    if n_bands == 1:
        return np.ones(1)
    variance = system.traces(train)
    return np.array([weight, (1 - weight) * variance[0] / variance[1]])
