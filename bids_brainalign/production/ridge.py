"""Ridge from word embeddings in closed form: one decomposition per fold serves all responses.

Predictions are ȳ + H(α) y with H(α) = X_test V (s / (s² + α)) Uᵀ from the singular values of the
centred training embeddings. H knows nothing of the responses, so that hundreds of shuffles cost
matrix products only (Hastie, Tibshirani & Friedman 2009, eq. 3.47).

A penalty that channels share is chosen by the sum of their validation errors, each in variances
of its own: tr(F(α) K), with K the products of the words' standardised responses and F(α) the sum
over inner folds of Rᵀ R / n_test for R(α), the residuals as a linear map. No channel is predicted
for it, unless responses are few.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.production.folds import Rows, WordFolds, selection_rows
from bids_brainalign.production.inputs import Preparation, moments
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
    projected: Array64
    """(n_test, rank) held-out embeddings along the directions of the training embeddings."""
    gain: Array64
    """(n_penalties, rank)."""
    u: Array64
    """(n_train, rank); columns sum to 0, so that ȳ is added."""

    @cached_property
    def matrix(self) -> Array64:
        """(n_penalties, n_test, n_train) the map itself."""
        return np.asarray((self.projected * self.gain[:, None, :]) @ self.u.T)

    def about_mean(self, y: Array64) -> Callable[[int], Array64]:
        """Predict from training responses (n_train, n_columns): penalty → predictions about ȳ."""
        if len(self.projected) <= self.u.shape[1]:
            return lambda index: self.matrix[index] @ y
        along = self.u.T @ y
        return lambda index: (self.projected * self.gain[index]) @ along


@dataclass(frozen=True)
class _Forms:
    """Validation error of each penalty as a quadratic form of the responses."""

    rows: Rows
    forms: Array64
    """(n_penalties, n_rows, n_rows)."""

    @classmethod
    def of(cls, hats: list[_Hat]) -> _Forms:
        rows = selection_rows(tuple(hat.split for hat in hats))
        forms = np.zeros((len(hats[0].gain), len(rows), len(rows)))
        for hat in hats:
            train, test = (np.searchsorted(rows, r) for r in (hat.split.train, hat.split.test))
            residual = np.zeros((len(forms), len(test), len(rows)))
            residual[:, :, train] = -1 / len(train) - hat.matrix
            residual[:, np.arange(len(test)), test] = 1.0
            forms += residual.transpose(0, 2, 1) @ residual / len(test)
        return cls(rows, forms)

    def best(self, grams: Array64) -> NDArray[np.int64]:
        """Index of the penalty with the least error for each set: grams (n_sets, n, n)."""
        flat = self.forms.reshape(len(self.forms), -1) @ grams.reshape(len(grams), -1).T
        return np.asarray(np.argmin(flat, axis=0))


Grams = dict[int, Array64]
"""Products of words, (n_sets, n_rows, n_rows) for each of the inner folds, by their identity."""


def word_grams(responses: Array64, folds: WordFolds, *, n_sets: int = 1) -> Grams:
    """Products of the words' responses, channels standardised by the words of each selection.

    Parameters
    ----------
    responses : ndarray of shape (n_words, n_sets * n_channels)
    folds : WordFolds
    n_sets : int

    Returns
    -------
    Grams
        They know nothing of embeddings: one serves all plans on the same folds.
    """
    found = {}
    for inner in folds.selections():
        y = responses[selection_rows(inner)]
        mean, sd = moments(y)
        z = (y - mean) / np.where(sd > 0, sd, np.inf)
        sets = z.reshape(len(y), n_sets, -1).transpose(1, 0, 2)
        found[id(inner)] = sets @ sets.transpose(0, 2, 1)
    return found


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
        self._embeddings, self._preparation = embeddings, preparation
        self._alphas = np.array(how.penalties)
        self._inner: dict[int, list[_Hat]] = {}
        self._forms: dict[int, _Forms] = {}
        for inner in folds.selections():
            x = preparation.apply(embeddings, selection_rows(inner))
            self._inner[id(inner)] = [self._hat(x, split) for split in inner]
        self._outer: dict[int, _Hat] = {}
        self.n_weights = np.zeros(len(folds.folds), dtype=np.int64)
        """(n_folds,) dimensions that vary, of the embeddings as prepared; once predicted from."""

    def predict(
        self, responses: Array64, *, n_sets: int = 1, grams: Callable[[], Grams] | None = None
    ) -> tuple[Array64, Array64]:
        """Predict every word from folds that don't hold it.

        Parameters
        ----------
        responses : ndarray of shape (n_words, n_sets * n_channels)
            Responses, or reordered versions of them side by side.
        n_sets : int
            A shared penalty is chosen for each set on its own.
        grams : callable, optional
            Gives the result of :func:`word_grams`, where several plans predict the same responses.

        Returns
        -------
        predicted : ndarray of shape (n_words, n_sets * n_channels)
        penalties : ndarray of shape (n_folds, n_sets * n_channels)
        """
        chosen = self._chosen(responses, n_sets, grams)
        predicted = np.empty(responses.shape)
        penalties = np.empty((len(self.folds.folds), responses.shape[1]))
        for number, fold in enumerate(self.folds.folds):
            hat, best = self._of_fold(number), chosen[id(fold.inner)]
            y = responses[fold.outer.train]
            out = np.tile(y.mean(axis=0), (len(fold.outer.test), 1))
            for index in np.unique(best):
                columns = best == index
                out[:, columns] += hat.about_mean(y[:, columns])(index)
            predicted[fold.outer.test] = out
            penalties[number] = self._alphas[best]
        return predicted, penalties

    def _of_fold(self, number: int) -> _Hat:
        """Decompose the training words of an outer fold.

        Kept for the next responses, but for folds of single words: so many fill the memory.
        """
        if number in self._outer:
            return self._outer[number]
        split = self.folds.folds[number].outer
        x = self._preparation.apply(self._embeddings, split.train)
        self.n_weights[number] = int((np.ptp(x, axis=0) > 0).sum())
        hat = self._hat(x, split)
        if not self.folds.leaves_one_out:
            self._outer[number] = hat
        return hat

    def _hat(self, x: Array64, split: Split) -> _Hat:
        mean = x[split.train].mean(axis=0)
        about, held = x[split.train] - mean, x[split.test] - mean
        if about.shape[1] > len(about):  # fewer words than dimensions: by the words' products
            squares, u = np.linalg.eigh(about @ about.T)
            kept = squares > np.finfo(np.float64).eps * len(about) * squares[-1]
            u, s = u[:, kept], np.sqrt(squares[kept])
            projected = held @ about.T @ (u / s)
        else:
            u, s, vt = np.linalg.svd(about, full_matrices=False)
            projected = held @ vt.T
        gain = s / (s**2 + self._alphas[:, None])  # (n_penalties, rank)
        return _Hat(split, projected, gain, u)

    def _chosen(
        self, responses: Array64, n_sets: int, grams: Callable[[], Grams] | None
    ) -> dict[int, NDArray[np.int64]]:
        """Index of the penalty of each column, by inner folds."""
        if not self.how.shared:
            return {key: self._each(hats, responses) for key, hats in self._inner.items()}
        if not self._forms:
            if all(_few(hats, responses.shape[1]) for hats in self._inner.values()):
                return {
                    k: self._common(hats, responses, n_sets) for k, hats in self._inner.items()
                }
            self._forms = {key: _Forms.of(hats) for key, hats in self._inner.items()}
        products = grams() if grams else word_grams(responses, self.folds, n_sets=n_sets)
        n_channels = responses.shape[1] // n_sets
        best = {key: forms.best(products[key]) for key, forms in self._forms.items()}
        return {key: np.repeat(index, n_channels) for key, index in best.items()}

    def _each(self, hats: list[_Hat], responses: Array64) -> NDArray[np.int64]:
        """Index of the penalty with the least mean validation error of each column alone."""
        return np.asarray(np.argmin(self._errors(hats, responses), axis=0))

    def _common(self, hats: list[_Hat], responses: Array64, n_sets: int) -> NDArray[np.int64]:
        """Index of the penalty with the least error in variances, summed over each set."""
        _, sd = moments(responses[selection_rows(tuple(hat.split for hat in hats))])
        error = self._errors(hats, responses) / np.where(sd > 0, sd**2, np.inf)
        sets = error.reshape(len(error), n_sets, -1)
        return np.repeat(np.argmin(sets.sum(axis=2), axis=0), sets.shape[2])

    def _errors(self, hats: list[_Hat], responses: Array64) -> Array64:
        """Sum over inner folds of mean squared errors: (n_penalties, n_columns)."""
        error = np.zeros((len(self._alphas), responses.shape[1]))
        for hat in hats:
            y, held = responses[hat.split.train], responses[hat.split.test]
            about, said = held - y.mean(axis=0), hat.about_mean(y)
            for index in range(len(error)):
                missed = about - said(index)
                error[index] += np.einsum("ij,ij->j", missed, missed) / len(held)
        return error


def _few(hats: list[_Hat], n_columns: int) -> bool:
    """Whether responses are predicted sooner than quadratic forms of them are made."""
    n_words, rank = hats[0].u.shape
    return bool(n_columns * rank < n_words**2)


def rows_of_sets(orders: Rows, responses: Array64) -> Array64:
    """Reordered responses side by side: (n_words, n_orders * n_channels)."""
    return np.concatenate([responses[order] for order in orders], axis=1)
