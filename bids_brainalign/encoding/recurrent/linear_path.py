"""The FIR ridge of one fold, and what it leaves unexplained of rows it hasn't seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.encoding.lag_gram import LagStructure
from bids_brainalign.encoding.nested import fit_system, splits_of
from bids_brainalign.encoding.ridge import Metric, make_system
from bids_brainalign.statistics.folds import Fold

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]


@dataclass(frozen=True)
class LinearPath:
    """Ridge on one design and outer fold."""

    prediction: Array32
    """(n_test, n_targets) of the held-out rows, fitted on all training rows."""
    inner_score: Array64
    """(n_targets,) mean score over inner folds at the chosen penalty; NaN without any."""
    alpha: Array64
    """(n_targets,)."""
    residual: Array32
    """(n_train, n_targets) responses of the training rows less the prediction of a ridge that was
    fitted without their inner fold; NaN for rows that no inner fold holds out."""


def linear_path(
    design: Array32,
    responses: Array32,
    fold: Fold,
    *,
    alphas: Sequence[float],
    fixed_alpha: float,
    lags: LagStructure | None = None,
    metric: Metric = "correlation",
) -> LinearPath:
    """Fit the ridge that a network is compared to, and may start from.

    A ridge explains more of the rows it was fitted on than of new ones. A network trained on what
    is left of those would learn the ridge's overfit. The residuals are therefore cross-fitted:
    each inner fold's rows are predicted from the other inner folds, at the penalty that they
    chose together.

    Parameters
    ----------
    design : ndarray of shape (n_samples, n_lags * n_dims), float32
    responses : ndarray of shape (n_samples, n_targets), float32
    fold : Fold
    alphas, fixed_alpha, lags, metric
        As for :func:`~bids_brainalign.encoding.nested.fit_fold`.
    """
    system = make_system([design], responses, splits_of(fold), lags=lags)
    fit = fit_system(
        system, fold, n_bands=1, n_targets=responses.shape[1],
        alphas=alphas, fixed_alpha=fixed_alpha, metric=metric,
    )  # fmt: skip
    train = fold.outer.train
    place = np.full(len(responses), -1)
    place[train] = np.arange(len(train))
    residual = np.full((len(train), responses.shape[1]), np.nan, dtype=np.float32)
    for split in fold.inner:
        predicted = system.solve(split.train, np.ones(1)).predict(split.test, fit.alpha)
        residual[place[split.test]] = responses[split.test] - predicted
    return LinearPath(fit.prediction, fit.inner_score, fit.alpha, residual)
