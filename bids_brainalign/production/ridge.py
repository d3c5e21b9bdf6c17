"""Ridge from word embeddings in closed form: one decomposition per fold serves all responses.

Predictions are ȳ + H(α) y with H(α) = X_test V (s / (s² + α)) Uᵀ from the singular values of the
centred training embeddings. H knows nothing of the responses, so that hundreds of shuffles cost
matrix products only (Hastie, Tibshirani & Friedman 2009, eq. 3.47).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.production.folds import Rows, WordFolds, selection_rows
from bids_brainalign.production.inputs import Preparation
from bids_brainalign.statistics.folds import Split

Array64 = NDArray[np.float64]

PENALTIES = tuple(float(a) for a in np.logspace(0, 6, 13))
"""In scikit-learn's convention, ``min ‖y − Xw‖² + α‖w‖²``, on standardised embeddings."""


@dataclass(frozen=True)
class Ridge:
    """Ridge with penalties chosen on inner folds."""

    penalties: tuple[float, ...] = PENALTIES
    shared: bool = True
    """One penalty for all channels; one for each scatters with 100 words, and without any signal
    its skill is about −.01 instead of 0."""


@dataclass(frozen=True)
class _Hat:
    """Predictions of one split as a linear map of its training responses."""

    split: Split
    matrix: Array64
    """(n_penalties, n_test, n_train); every row sums to 0, so that ȳ is added."""


class RidgePlan:
    """Decompositions of all folds, ready for any responses to the same words.

    Parameters
    ----------
    embeddings : ndarray of shape (n_words, n_dims)
    folds : WordFolds
    how : Ridge
    preparation : Preparation
        Standardises the embeddings by training words, and reduces them.
    """

    def __init__(
        self, embeddings: Array64, folds: WordFolds, how: Ridge, *, preparation: Preparation
    ) -> None:
        self.folds, self.how = folds, how
        self._alphas = np.array(how.penalties)
        self._inner: dict[int, list[_Hat]] = {}
        for inner in folds.selections():
            x = preparation.apply(embeddings, selection_rows(inner))
            self._inner[id(inner)] = [self._hat(x, split) for split in inner]
        prepared = [preparation.apply(embeddings, fold.outer.train) for fold in folds.folds]
        self.n_weights = np.array([int((np.ptp(x, axis=0) > 0).sum()) for x in prepared])
        """(n_folds,) dimensions that vary, of the embeddings as prepared."""
        self._outer = [
            self._hat(x, fold.outer) for x, fold in zip(prepared, folds.folds, strict=True)
        ]

    def predict(self, responses: Array64, *, n_sets: int = 1) -> tuple[Array64, Array64]:
        """Predict every word from folds that don't hold it.

        Parameters
        ----------
        responses : ndarray of shape (n_words, n_sets * n_channels)
            Responses, or reordered versions of them side by side.
        n_sets : int
            A shared penalty is chosen for each set on its own.

        Returns
        -------
        predicted : ndarray of shape (n_words, n_sets * n_channels)
        penalties : ndarray of shape (n_folds, n_sets * n_channels)
        """
        chosen = {key: self._choose(hats, responses, n_sets) for key, hats in self._inner.items()}
        predicted = np.empty(responses.shape)
        penalties = np.empty((len(self._outer), responses.shape[1]))
        for number, (fold, hat) in enumerate(zip(self.folds.folds, self._outer, strict=True)):
            best = chosen[id(fold.inner)]
            y = responses[fold.outer.train]
            out = np.tile(y.mean(axis=0), (len(fold.outer.test), 1))
            for index in np.unique(best):
                columns = best == index
                out[:, columns] += hat.matrix[index] @ y[:, columns]
            predicted[fold.outer.test] = out
            penalties[number] = self._alphas[best]
        return predicted, penalties

    def _hat(self, x: Array64, split: Split) -> _Hat:
        mean = x[split.train].mean(axis=0)
        u, s, vt = np.linalg.svd(x[split.train] - mean, full_matrices=False)
        projected = (x[split.test] - mean) @ vt.T
        gain = s / (s**2 + self._alphas[:, None])  # (n_penalties, rank)
        return _Hat(split, np.asarray((projected * gain[:, None, :]) @ u.T))

    def _choose(self, hats: list[_Hat], responses: Array64, n_sets: int) -> NDArray[np.int64]:
        """Index of the penalty with the least mean validation error: one for each column."""
        rows = selection_rows(tuple(hat.split for hat in hats))
        error = np.zeros((len(self._alphas), responses.shape[1]))
        for hat in hats:
            y, held = responses[hat.split.train], responses[hat.split.test]
            about = held - y.mean(axis=0)
            for index, matrix in enumerate(hat.matrix):
                missed = about - matrix @ y
                error[index] += np.einsum("ij,ij->j", missed, missed) / len(held)
        if self.how.shared:
            variance = responses[rows].var(axis=0)
            error /= np.where(variance > 0, variance, np.inf)
            sets = error.reshape(len(error), n_sets, -1)
            error = np.repeat(sets.sum(axis=2), sets.shape[2], axis=1)
        return np.asarray(np.argmin(error, axis=0))


def rows_of_sets(orders: Rows, responses: Array64) -> Array64:
    """Reordered responses side by side: (n_words, n_orders * n_channels)."""
    return np.concatenate([responses[order] for order in orders], axis=1)
