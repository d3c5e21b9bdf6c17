"""Elastic nets from word embeddings, per channel or over all channels, penalties nested.

    min 1/(2n) ‖y − Xw‖² + α ρ ‖w‖₁ + α (1 − ρ)/2 ‖w‖²

(Zou & Hastie 2005, on scikit-learn's scale).

The multi-task form has ‖W‖₂,₁ instead of ‖w‖₁: a dimension counts for all channels or for none.
Choice and fits equal scikit-learn's ``ElasticNetCV`` and ``MultiTaskElasticNetCV`` after a
``StandardScaler``, on the same folds, where paths are walked to their ends (``patience`` None).
The order of the work differs: embeddings are centred and, with fewer dimensions than words, their
Gram matrix is made once for all channels; a path goes on from the last weights, and ends where it
has stopped to improve, because its far end, next to interpolation, takes most of the time.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path

from bids_brainalign.production.folds import selection_rows
from bids_brainalign.statistics.folds import Split

Array64 = NDArray[np.float64]


@dataclass(frozen=True)
class ElasticNet:
    """Elastic net with α and ρ chosen on inner folds."""

    ratios: tuple[float, ...] = (0.1, 0.5, 0.9)
    """ρ, the share of the L1 penalty."""
    n_alphas: int = 50
    """Per ratio, from the least α that sets all weights to 0 downwards in equal steps of log α."""
    least: float = 1e-3
    """Last α as a share of the first."""
    patience: int | None = 10
    """A path ends once so many α in a row have not improved its validation error; None: never."""
    multi_task: bool = False
    tolerance: float = 1e-4
    most_rounds: int = 2000


NULL_GRID = ElasticNet(n_alphas=5, least=0.05, patience=None)
"""For shuffles, 3 × 5: a whole search for every channel, fold and shuffle would take days."""


@dataclass(frozen=True)
class Choice:
    """Penalty of one channel, or of all in the multi-task form."""

    alpha: float
    ratio: float


@dataclass(frozen=True)
class Embedded:
    """Centred embeddings of the training words of one split, shared by all channels."""

    split: Split
    x: Array64
    """(n_train, n_dims), in Fortran order."""
    held: Array64
    """(n_test, n_dims), about the mean of the training words."""
    gram: Array64 | None
    """(n_dims, n_dims); None with more dimensions than words, where it would slow the fit."""


def embedded(x: Array64, split: Split) -> Embedded:
    """Centre prepared embeddings (n_words, n_dims) of a split."""
    mean = x[split.train].mean(axis=0)
    train = np.asfortranarray(x[split.train] - mean)
    gram = train.T @ train if train.shape[1] < len(train) else None
    return Embedded(split, train, np.asarray(x[split.test] - mean), gram)


def choose(x: Array64, y: Array64, inner: list[Embedded], how: ElasticNet) -> Choice:
    """Choose the penalty with the least mean validation error.

    Parameters
    ----------
    x : ndarray of shape (n_selection, n_dims)
        Prepared embeddings of all words that penalties are chosen on.
    y : ndarray of shape (n_words, n_targets)
        Standardised responses: one channel, or all for the multi-task form.
    inner : list of Embedded
        Inner folds; their rows count in `y`.
    how : ElasticNet

    Returns
    -------
    Choice
    """
    rows = selection_rows(tuple(data.split for data in inner))
    best, choice = np.inf, Choice(np.inf, how.ratios[0])
    for ratio in how.ratios:
        alphas = alpha_grid(x, y[rows], ratio, how)
        error = _path_errors(y, inner, alphas, ratio, how)
        place = int(np.argmin(error))
        if error[place] < best:
            best, choice = float(error[place]), Choice(float(alphas[place]), ratio)
    return choice


def alpha_grid(x: Array64, y: Array64, ratio: float, how: ElasticNet) -> Array64:
    """Penalties of a path: from the least that leaves no weight, (n_alphas,)."""
    cross = (x - x.mean(axis=0)).T @ (y - y.mean(axis=0))
    largest = float(np.sqrt((cross**2).sum(axis=1)).max()) / (len(x) * ratio)
    if largest <= np.finfo(float).eps:
        return np.full(how.n_alphas, np.finfo(float).eps)
    return np.geomspace(largest, largest * how.least, how.n_alphas)


def fit(data: Embedded, y: Array64, alphas: Array64, ratio: float, how: ElasticNet) -> Array64:
    """Weights for each penalty, in decreasing order: (n_alphas, n_dims, n_targets).

    Parameters
    ----------
    data : Embedded
    y : ndarray of shape (n_words, n_targets)
        Of all words; centred on the training words here.
    alphas : ndarray of shape (n_alphas,), decreasing
    ratio : float
    how : ElasticNet
    """
    walker = _Walker(data, y[data.split.train], ratio, how)
    return walker.weights(alphas)


def _path_errors(
    y: Array64, inner: list[Embedded], alphas: Array64, ratio: float, how: ElasticNet
) -> Array64:
    """Mean over inner folds of the squared error; infinite where the path had ended."""
    error = np.full(len(alphas), np.inf)
    walkers = [_Walker(data, y[data.split.train], ratio, how) for data in inner]
    best, since = np.inf, 0
    for part in _parts(len(alphas), how.patience):
        found = [w.errors(alphas[part], y[w.data.split.test]) for w in walkers]
        error[part] = np.mean(found, axis=0)
        for value in error[part]:
            best, since = (float(value), 0) if value < best else (best, since + 1)
        if how.patience is not None and since >= how.patience:
            break
    return error


def _parts(n: int, patience: int | None) -> Iterator[slice]:
    step = n if patience is None else max(1, patience // 2)
    return (slice(first, first + step) for first in range(0, n, step))


class _Walker:
    """One path over decreasing penalties, each from the weights of the one before.

    Multi-task: ‖W‖₂,₁ doesn't change when targets are rotated, so the fit is made in the principal
    axes of the responses, which are never more than there are words.
    """

    def __init__(self, data: Embedded, y: Array64, ratio: float, how: ElasticNet) -> None:
        self.data, self._ratio, self._how = data, ratio, how
        self._mean = y.mean(axis=0)
        centred = y - self._mean
        self._axes: Array64 | None = None
        self._y = np.ascontiguousarray(centred[:, 0])
        self._last: Array64 | None = None
        if how.multi_task:
            u, s, self._axes = np.linalg.svd(centred, full_matrices=False)
            self._y = np.asfortranarray(u * s)

    def weights(self, alphas: Array64) -> Array64:
        """(n_alphas, n_dims, n_targets)."""
        gram = None if self._how.multi_task else self.data.gram
        options = {} if gram is None else {"Xy": self.data.x.T @ self._y}
        with warnings.catch_warnings():
            # The far end of a path, next to interpolation; its validation error tells.
            warnings.simplefilter("ignore", ConvergenceWarning)
            _, found, _ = enet_path(
                self.data.x,
                self._y,
                l1_ratio=self._ratio,
                alphas=alphas,
                precompute=False if gram is None else gram,
                coef_init=self._last,
                check_input=False,
                tol=self._how.tolerance,
                max_iter=self._how.most_rounds,
                **options,
            )
        self._last = np.array(found[..., -1], order="F")
        if self._axes is None:
            return np.asarray(found.T[:, :, None])
        return np.asarray(np.einsum("rja,rc->ajc", found, self._axes))

    def errors(self, alphas: Array64, held: Array64) -> Array64:
        """Mean squared error on held-out responses for each penalty."""
        weights = self.weights(alphas)
        missed = held - self._mean - self.data.held @ weights
        return np.asarray((missed**2).mean(axis=(1, 2)))
