"""Ridge regression over many penalties, splits and targets at once.

Two exact forms behind one interface: the primal one works from Gram matrices (more samples than
features: ECoG), the dual one from the sample kernel (fewer samples than features: fMRI).
Penalties are in scikit-learn's convention: ``min ‖y − Xw‖² + α‖w‖²``, with an unpenalised
intercept. Features may come in bands that are scaled against each other (banded ridge:
Nunez-Elizalde et al. 2019; Dupré la Tour et al. 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from itertools import pairwise
from math import inf
from typing import Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.encoding.lag_gram import LagStructure, gram, runs_of
from bids_brainalign.encoding.lapack import eigenvectors
from bids_brainalign.encoding.shifted import decomposed

Rows = NDArray[np.int64]
Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]
Scales = Sequence[float] | Array64
Metric = Literal["correlation", "r2"]
"""What penalties and layers are chosen by; R² is about the mean of the test rows."""


KEPT_SOLUTIONS = 6
"""Decompositions per system: those of an outer fold and its inner ones are asked for again to
predict, and for other responses."""
PENALTIES = 16
"""That are usually tried."""
_SCORED_COLUMNS = 4096
"""Targets × penalties scored at once: bounds memory."""


class Solution(Protocol):
    """Ridge fits of all targets on one training set, for every penalty."""

    def scores(self, test: Rows, alphas: Array64, metric: Metric = "correlation") -> Array64:
        """Scores of predictions on ``test``, (n_alphas, n_targets): correlation, or R²."""

    def predict(self, test: Rows, alpha: Array64) -> Array32:
        """Predictions (n_test, n_targets) with one penalty per target, ``alpha`` (n_targets,)."""

    def weights(self, alpha: Array64) -> Array32:
        """Weights (n_features, n_targets) of the features as given, bands of scale 0 left out."""


class System(Protocol):
    """Features and responses of all samples, ready to be fitted on any training set."""

    def traces(self, train: Rows) -> Array64:
        """Total variance of each band on the training rows: (n_bands,)."""

    def solve(self, train: Rows, scales: Scales) -> Solution:
        """Fit on ``train``; band b's features are multiplied by ``sqrt(scales[b])``."""

    def of(self, responses: Array32) -> System:
        """Take other responses (n_samples, n_targets) to the same features.

        Kernels and Gram matrices are shared, and so are decompositions that are kept.
        """


def make_system(
    bands: Sequence[Array32],
    responses: Array32,
    splits: Sequence[Rows],
    *,
    lags: LagStructure | None = None,
    n_kept: int = 0,
) -> System:
    """Choose the cheaper exact form.

    Parameters
    ----------
    bands : sequence of ndarray of shape (n_samples, n_features_b), float32
    responses : ndarray of shape (n_samples, n_targets), float32
    splits : sequence of ndarray of int
        Every set of rows that will be fitted on or scored with :meth:`Solution.scores`: Gram
        matrices are accumulated once for all of them.
    lags : LagStructure, optional
        Where the features are the same at several lags: their Gram is then cheaper.
    n_kept : int
        Decompositions to keep at least; as many as there are training sets where other responses
        will follow (:meth:`System.of`).

    Returns
    -------
    System
    """
    n_features = sum(band.shape[1] for band in bands)
    largest = max(len(rows) for rows in splits)
    if n_features < largest:
        return PrimalSystem(bands, responses, splits, lags=lags, n_kept=n_kept)
    return DualSystem(bands, responses, n_kept=n_kept)


def safe_correlation(covariance: Array64, norm_a: Array64, norm_b: Array64) -> Array64:
    """Covariance over the product of norms; 0 where either side does not vary."""
    product = norm_a * norm_b
    return np.divide(covariance, product, out=np.zeros_like(covariance), where=product > 1e-12)


def _r2(covariance: Array64, square: Array64, square_y: Array64, offset: Array64) -> Array64:
    """R² from sums of squares and products about the means, and that of the means' difference."""
    error = square - 2 * covariance + square_y + offset
    return np.asarray(1 - np.divide(error, square_y, out=np.ones_like(error), where=square_y > 0))


Decomposed = TypeVar("Decomposed")


def _kept_or_made(
    kept: dict[bytes, Decomposed],
    train: Rows,
    scales: Scales,
    make: Callable[[], Decomposed],
    *,
    n_kept: int,
) -> Decomposed:
    """Give the decomposition of some training rows; the last few are kept.

    Nothing that is kept may point back to a system: its features would stay until Python looks
    for cycles, which it rarely does while numpy works.
    """
    key = train.tobytes() + np.asarray(scales, dtype=np.float64).tobytes()
    if key in kept:
        return kept[key]
    while kept and len(kept) >= n_kept:
        kept.pop(next(iter(kept)))
    made = make()
    if n_kept:
        kept[key] = made
    return made


class PrimalSystem:
    """Sufficient statistics per atom of rows; any union of atoms is a sum of theirs."""

    def __init__(
        self,
        bands: Sequence[Array32],
        responses: Array32,
        splits: Sequence[Rows],
        *,
        lags: LagStructure | None = None,
        n_kept: int = 0,
    ) -> None:
        self.features = bands[0] if len(bands) == 1 else np.concatenate(bands, axis=1)
        edges = np.cumsum([0, *(band.shape[1] for band in bands)])
        self.slices = [slice(a, b) for a, b in pairwise(edges)]
        self.lags = lags
        atom = _atoms(len(responses), splits)
        self.atom = atom
        self._rows = [np.flatnonzero(atom == a) for a in range(int(atom.max()) + 1)]
        # float32 products, float64 sums: exact to ~1e-6 of the largest entry.
        self._grams = [gram(self.features, rows, self.slices, lags) for rows in self._rows]
        self._sums = [self._sum(self.features, rows) for rows in self._rows]
        self._solved: dict[bytes, _Decomposition] = {}
        self._n_kept = max(n_kept, KEPT_SOLUTIONS)
        self.n_solutions = inf if n_kept else PENALTIES * responses.shape[1]
        """That each decomposition will serve, at most."""
        self._take(responses)

    def of(self, responses: Array32) -> PrimalSystem:
        """Take other responses to the same features, Gram matrices and decompositions."""
        twin = copy(self)
        twin._take(responses)
        return twin

    def _take(self, responses: Array32) -> None:
        self.responses = responses
        self._crosses = [self._cross(rows) for rows in self._rows]
        self._response_sums = [self._sum(responses, rows) for rows in self._rows]
        self._squares = [self._square(rows) for rows in self._rows]

    def _cross(self, rows: Rows) -> Array64:
        products = [self.features[part].T @ self.responses[part] for part in runs_of(rows)]
        return np.asarray(np.sum(products, axis=0, dtype=np.float64))

    def _square(self, rows: Rows) -> Array64:
        parts = [self.responses[part] for part in runs_of(rows)]
        squares = [np.einsum("ij,ij->j", y, y, dtype=np.float64) for y in parts]
        return np.asarray(np.sum(squares, axis=0))

    @staticmethod
    def _sum(values: Array32, rows: Rows) -> Array64:
        sums = [values[part].sum(axis=0, dtype=np.float64) for part in runs_of(rows)]
        return np.asarray(np.sum(sums, axis=0))

    def _total(self, statistics: Sequence[Array64], rows: Rows) -> Array64:
        first, *others = (statistics[a] for a in np.unique(self.atom[rows]))
        total = first.copy()
        for other in others:
            total += other
        return np.asarray(total)

    def mean_x(self, rows: Rows) -> Array64:
        """Mean of the features: (n_features,)."""
        if sum(len(self._rows[a]) for a in np.unique(self.atom[rows])) != len(rows):
            raise ValueError("rows must be a union of the splits the system was made for")
        return self._total(self._sums, rows) / len(rows)

    def centred_gram(self, rows: Rows) -> Array64:
        """Gram about the mean of these rows: (n_features, n_features)."""
        mean = self.mean_x(rows)
        products = self._total(self._grams, rows)
        products -= len(rows) * np.outer(mean, mean)
        return products

    def centred_cross(self, rows: Rows) -> tuple[Array64, Array64, Array64]:
        """Cross-product, mean of y, and norm of y about the means of these rows."""
        n, mean_x = len(rows), self.mean_x(rows)
        mean_y = self._total(self._response_sums, rows) / n
        cross = self._total(self._crosses, rows)
        cross -= n * np.outer(mean_x, mean_y)
        norm_y = np.sqrt(np.maximum(self._total(self._squares, rows) - n * mean_y**2, 0))
        return cross, mean_y, norm_y

    def traces(self, train: Rows) -> Array64:
        """Total variance of each band on the training rows: (n_bands,)."""
        diagonal = np.diag(self.centred_gram(train))
        return np.array([diagonal[s].sum() for s in self.slices])

    def solve(self, train: Rows, scales: Scales) -> Solution:
        """Eigendecompose the scaled Gram of the training rows; the last few are kept."""
        fit = _kept_or_made(
            self._solved,
            train,
            scales,
            lambda: _Decomposition(self, train, scales),
            n_kept=self._n_kept,
        )
        return _PrimalSolution(self, fit, train)


class _Decomposition:
    """Scaled Gram of the training rows, decomposed.

    Statistics are summed and centred in float64, decomposed and multiplied in float32.
    Eigenvalues are then off by about 1e-7 of the largest; penalties on standardised features are
    orders of magnitude above that (tested against float64 closed forms).
    """

    def __init__(self, system: PrimalSystem, train: Rows, scales: Scales) -> None:
        pairs = [(s, scale) for s, scale in zip(system.slices, scales, strict=True) if scale > 0]
        self.whole = len(pairs) == len(system.slices)
        self.columns = np.concatenate([np.arange(s.start, s.stop) for s, _ in pairs])
        root = np.concatenate([np.full(s.stop - s.start, np.sqrt(v)) for s, v in pairs])
        products = self.block(system.centred_gram(train))
        scaled = (products * root[:, None] * root).astype(np.float32)
        self.shifted = decomposed(scaled, n_solutions=system.n_solutions)
        self.root = root
        self.mean_x = system.mean_x(train)[self.columns]

    def block(self, products: Array64) -> Array64:
        return products if self.whole else products[np.ix_(self.columns, self.columns)]


class _PrimalSolution:
    def __init__(self, system: PrimalSystem, fit: _Decomposition, train: Rows) -> None:
        self.system, self.fit = system, fit
        cross, self.mean_y, _ = system.centred_cross(train)
        scaled = fit.root[:, None] * cross[fit.columns]
        self.turned = fit.shifted.turn(scaled.astype(np.float32))
        self.root = fit.root.astype(np.float32)[:, None]

    def weights(self, alpha: Array64) -> Array32:
        """(n_columns, n_targets) in the units of the unscaled features."""
        return self.root * self.fit.shifted.solve(self.turned, alpha.astype(np.float32))

    def scores(self, test: Rows, alphas: Array64, metric: Metric = "correlation") -> Array64:
        gram32 = self.fit.block(self.system.centred_gram(test)).astype(np.float32)
        cross, mean_y, norm_y = self.system.centred_cross(test)
        cross = cross[self.fit.columns]
        step = max(1, _SCORED_COLUMNS // cross.shape[1])
        parts = []
        for first in range(0, len(alphas), step):
            some = alphas[first : first + step]
            w = self.root * self.fit.shifted.solve_all(self.turned, some.astype(np.float32))
            shape = len(some), cross.shape[1]
            square = np.einsum("ij,ij->j", w, gram32 @ w, dtype=np.float64).reshape(shape)
            covariance = np.einsum(
                "iaj,ij->aj", w.reshape(len(w), *shape), cross, dtype=np.float64
            )
            if metric == "correlation":
                norm = np.sqrt(np.maximum(square, 0))
                parts.append(safe_correlation(covariance, norm, norm_y))
                continue
            moved = self.system.mean_x(test)[self.fit.columns] - self.fit.mean_x
            offset = self.mean_y + (moved @ w).reshape(shape) - mean_y
            parts.append(_r2(covariance, square, norm_y**2, len(test) * offset**2))
        return np.concatenate(parts)

    def predict(self, test: Rows, alpha: Array64) -> Array32:
        w = self.weights(alpha)
        offset = self.mean_y - self.fit.mean_x @ w
        x = self.system.features[test]
        prediction: Array32 = (x if self.fit.whole else x[:, self.fit.columns]) @ w
        prediction += offset.astype(np.float32)
        return prediction


class DualSystem:
    """The sample kernel of each band, computed once."""

    def __init__(self, bands: Sequence[Array32], responses: Array32, *, n_kept: int = 0) -> None:
        # Columns centred over all rows first: a shift common to all rows cancels below, and the
        # kernel keeps its digits.
        self.bands = bands
        self.kernels = []
        for band in bands:
            x = band - band.mean(axis=0)
            self.kernels.append(np.asarray(x @ x.T, dtype=np.float64))
        self.responses = responses
        self._solved: dict[bytes, _KernelDecomposition] = {}
        self._n_kept = n_kept

    def of(self, responses: Array32) -> DualSystem:
        """Take other responses to the same kernels and decompositions."""
        twin = copy(self)
        twin.responses = responses
        return twin

    def traces(self, train: Rows) -> Array64:
        """Total variance of each band on the training rows: (n_bands,)."""
        return np.array([np.trace(_centred_kernel(k, train, train)) for k in self.kernels])

    def solve(self, train: Rows, scales: Scales) -> Solution:
        """Eigendecompose the scaled, centred kernel of the training rows (float64)."""
        fit = _kept_or_made(
            self._solved,
            train,
            scales,
            lambda: _KernelDecomposition(self.kernels, train, scales),
            n_kept=self._n_kept,
        )
        return _DualSolution(self, fit, train, scales)


class _KernelDecomposition:
    """Scaled kernel of all rows; that of the training rows in its eigenvectors."""

    def __init__(self, kernels: Sequence[Array64], train: Rows, scales: Scales) -> None:
        parts = [s * k for s, k in zip(scales, kernels, strict=True) if s > 0]
        self.kernel: Array64 = sum(parts[1:], start=parts[0])
        centred = _centred_kernel(self.kernel, train, train)
        values, self.vectors = eigenvectors(centred)
        self.values = np.maximum(values, 0).astype(np.float32)


class _DualSolution:
    def __init__(
        self, system: DualSystem, fit: _KernelDecomposition, train: Rows, scales: Scales
    ) -> None:
        self.kernel, self.values, self.vectors = fit.kernel, fit.values, fit.vectors
        self.scaled_bands = [(b, s) for b, s in zip(system.bands, scales, strict=True) if s > 0]
        self.train, self.responses = train, system.responses
        y = self.responses[train]
        self.mean_y = y.mean(axis=0, dtype=np.float64)
        centred = y - self.mean_y.astype(np.float32)
        self.rotated = (self.vectors.T.astype(np.float32)) @ centred

    def weights(self, alpha: Array64) -> Array32:
        """X'a, with the dual coefficients a of the centred training rows."""
        shrunk = self.rotated / (self.values[:, None] + alpha.astype(np.float32))
        dual = self.vectors.astype(np.float32) @ shrunk
        dual -= dual.mean(axis=0)
        parts = [
            np.float32(scale) * (band[self.train].T @ dual) for band, scale in self.scaled_bands
        ]
        return np.concatenate(parts)

    def _basis(self, test: Rows) -> Array32:
        rotated = _centred_kernel(self.kernel, test, self.train) @ self.vectors
        return np.asarray(rotated, dtype=np.float32)

    def scores(self, test: Rows, alphas: Array64, metric: Metric = "correlation") -> Array64:
        basis, y = self._basis(test), self.responses[test]
        mean_basis, mean_y = basis.mean(axis=0), y.mean(axis=0, dtype=np.float64)
        basis = basis - mean_basis
        y = y - mean_y.astype(np.float32)
        norm_y = np.sqrt(np.einsum("ij,ij->j", y, y, dtype=np.float64))
        out = np.empty((len(alphas), y.shape[1]))
        for index, alpha in enumerate(alphas.astype(np.float32)):
            shrunk = self.rotated / (self.values[:, None] + alpha)
            prediction = basis @ shrunk
            square = np.einsum("ij,ij->j", prediction, prediction, dtype=np.float64)
            covariance = np.einsum("ij,ij->j", prediction, y, dtype=np.float64)
            if metric == "correlation":
                out[index] = safe_correlation(covariance, np.sqrt(square), norm_y)
            else:
                offset = self.mean_y + mean_basis @ shrunk - mean_y
                out[index] = _r2(covariance, square, norm_y**2, len(test) * offset**2)
        return out

    def predict(self, test: Rows, alpha: Array64) -> Array32:
        shrunk = self.rotated / (self.values[:, None] + alpha.astype(np.float32))
        prediction: Array32 = self._basis(test) @ shrunk + self.mean_y.astype(np.float32)
        return prediction


def _centred_kernel(kernel: Array64, rows: Rows, train: Rows) -> Array64:
    """Kernel between rows and training rows after removing the training mean of the features."""
    block = kernel[np.ix_(rows, train)]
    inner = kernel[np.ix_(train, train)]
    return np.asarray(
        block - inner.mean(axis=0) - block.mean(axis=1, keepdims=True) + inner.mean()
    )


def _atoms(n_samples: int, splits: Sequence[Rows]) -> NDArray[np.int64]:
    """Label rows by which splits they belong to; rows of no split get the label -1."""
    label = np.zeros(n_samples, dtype=np.int64)
    for rows in splits:
        # Labels stay small, whatever the number of splits: each is renumbered as it is refined.
        label *= 2
        label[rows] += 1
        present = np.bincount(label) > 0
        label = (np.cumsum(present) - 1)[label]
    used = np.zeros(n_samples, dtype=bool)
    for rows in splits:
        used[rows] = True
    return np.where(used, label - (0 if used.all() else 1), -1)
