"""Held-out scores of predictions and their nulls, fold by fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.statistics.correlation import (
    correlation,
    fisher_mean,
    fold_errors,
    r2_out_of_sample,
)
from bids_brainalign.statistics.nulls import FoldDraws, FoldNull, combine

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """One set of predictions of all targets."""

    r_fold: Array64
    """(n_folds, n_targets); NaN in folds with too few samples."""
    r: Array64
    """(n_targets,) sample-weighted Fisher-z mean over folds."""
    r2: Array64
    """(n_targets,) 1 − SSE/SST over all folds, about the training means."""
    halves: Array64
    """(2, n_targets) r from the odd and from the even folds; of a single fold, from the first and
    the second half of its time."""


def scored_r(y: Array32, yhat: Array32) -> Array64:
    """Correlation per target; a constant prediction of a varying response explains nothing: 0."""
    r = correlation(y, yhat)
    return np.where((np.ptp(yhat, axis=0) == 0) & (np.ptp(y, axis=0) > 0), 0.0, r)


class HeldOut:
    """The held-out responses of a block of targets, ready to score any prediction.

    Parameters
    ----------
    responses : sequence of ndarray of shape (n_test_k, n_targets)
        Per outer fold.
    train_means : sequence of ndarray of shape (n_targets,)
        Mean of the training rows of each fold, in the same units.
    draws : sequence of FoldDraws
        One per fold that is long enough to be scored.
    min_samples : int
        Shorter folds are not scored.
    mutual_share : float
        Share of the training data that is itself held out by another fold, see :meth:`null`.
    """

    def __init__(
        self,
        responses: Sequence[Array32],
        train_means: Sequence[Array64],
        draws: Sequence[FoldDraws],
        *,
        min_samples: int,
        mutual_share: float,
    ) -> None:
        self.responses = responses
        self.train_means = train_means
        self.null_scale = float(np.sqrt(1 + mutual_share))
        self.scored = [k for k, y in enumerate(responses) if len(y) >= min_samples]
        self.weights = np.array([len(y) for y in responses], dtype=np.float64)
        self.has_null = len(draws) > 0 and all(d.kind != "none" for d in draws)
        self._nulls = (
            [FoldNull(responses[k], d) for k, d in zip(self.scored, draws, strict=True)]
            if self.has_null
            else []
        )

    @property
    def n_targets(self) -> int:
        """Targets in this block."""
        return int(self.responses[0].shape[1])

    def score(self, predictions: Sequence[Array32]) -> Scores:
        """Score predictions of every fold, each (n_test_k, n_targets)."""
        r_fold = np.full((len(self.responses), self.n_targets), np.nan)
        sse, sst = np.full_like(r_fold, np.nan), np.full_like(r_fold, np.nan)
        for k in self.scored:
            y, yhat = self.responses[k], predictions[k]
            r_fold[k] = scored_r(y, yhat)
            sse[k], sst[k] = fold_errors(y, yhat, train_mean=self.train_means[k])
        r = np.asarray(fisher_mean(r_fold, self.weights))
        return Scores(r_fold, r, r2_out_of_sample(sse, sst), self._halves(r_fold, predictions))

    def _halves(self, r_fold: Array64, predictions: Sequence[Array32]) -> Array64:
        """R from two halves of the held-out data, (2, n_targets)."""
        if len(self.scored) != 1:
            odd_even = (slice(0, None, 2), slice(1, None, 2))
            parts = [fisher_mean(r_fold[half], self.weights[half]) for half in odd_even]
            return np.asarray(np.stack(parts), dtype=np.float64)
        (k,) = self.scored
        y, yhat = self.responses[k], predictions[k]
        middle = len(y) // 2
        return np.stack(
            [scored_r(y[half], yhat[half]) for half in (slice(middle), slice(middle, None))]
        )

    def null(self, predictions: Sequence[Array32]) -> Array32:
        """Null of :attr:`Scores.r`: (n_draws, n_targets).

        Each fold is shifted by its own offset, as if scores of different folds were independent.
        They are not: fold k's prediction was fitted on fold j and the other way round, so both
        scores contain the same product of feature–response covariances c_k′c_j. For ridge with K
        mutual folds, Var Σ_k r_k is twice the sum of the variances, whatever K (at most twice with
        folds of unequal length). Null values are therefore widened by √2 on Fisher's z scale
        (√(1 + mutual share) in general); without it 12 % of null targets have p < .05
        (tests/encoding/test_calibration.py).
        """
        parts = (
            null.null(np.asarray(predictions[k]))
            for k, null in zip(self.scored, self._nulls, strict=True)
        )
        values = combine(parts, self.weights[self.scored])
        np.nan_to_num(values, nan=0.0, copy=False)
        widened: Array32 = np.tanh(np.float32(self.null_scale) * np.arctanh(values))
        return widened
