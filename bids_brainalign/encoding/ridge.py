"""Ridge regression over many penalties, splits and targets at once.

Two exact forms behind one interface: the primal one works from Gram matrices (more samples than
features: ECoG), the dual one from the sample kernel (fewer samples than features: fMRI).
Penalties are in scikit-learn's convention: ``min ‖y − Xw‖² + α‖w‖²``, with an unpenalised
intercept. Features may come in bands that are scaled against each other (banded ridge:
Nunez-Elizalde et al. 2019; Dupré la Tour et al. 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from bids_brainalign.encoding.lag_gram import LagStructure, gram, runs_of

Rows = NDArray[np.int64]
Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]
Scales = Sequence[float] | Array64


KEPT_SOLUTIONS = 6
"""Per system: those of an outer fold and its inner ones are asked for again to predict."""


class Solution(Protocol):
    """Ridge fits of all targets on one training set, for every penalty."""

    def scores(self, test: Rows, alphas: Array64) -> Array64:
        """Correlation of predictions and responses on ``test``: (n_alphas, n_targets)."""

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


def make_system(
    bands: Sequence[Array32],
    responses: Array32,
    splits: Sequence[Rows],
    *,
    lags: LagStructure | None = None,
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

    Returns
    -------
    System
    """
    n_features = sum(band.shape[1] for band in bands)
    largest = max(len(rows) for rows in splits)
    if n_features < largest:
        return PrimalSystem(bands, responses, splits, lags=lags)
    return DualSystem(bands, responses)


def safe_correlation(covariance: Array64, norm_a: Array64, norm_b: Array64) -> Array64:
    """Covariance over the product of norms; 0 where either side does not vary."""
    product = norm_a * norm_b
    return np.divide(covariance, product, out=np.zeros_like(covariance), where=product > 1e-12)


class PrimalSystem:
    """Sufficient statistics per atom of rows; any union of atoms is a sum of theirs."""

    def __init__(
        self,
        bands: Sequence[Array32],
        responses: Array32,
        splits: Sequence[Rows],
        *,
        lags: LagStructure | None = None,
    ) -> None:
        self.features = bands[0] if len(bands) == 1 else np.concatenate(bands, axis=1)
        edges = np.cumsum([0, *(band.shape[1] for band in bands)])
        self.slices = [slice(a, b) for a, b in pairwise(edges)]
        self.responses = responses
        self.lags = lags
        self.atom = _atoms(len(responses), splits)
        self._solved: dict[bytes, _Decomposition] = {}
        self._statistics = [self._accumulate(a) for a in range(int(self.atom.max()) + 1)]

    def _accumulate(self, atom: int) -> tuple[Any, ...] | None:
        rows = np.flatnonzero(self.atom == atom)
        if not len(rows):
            return None
        # float32 products, float64 sums: exact to ~1e-6 of the largest entry.
        parts = [(self.features[part], self.responses[part]) for part in runs_of(rows)]
        return (
            gram(self.features, rows, self.slices, self.lags),
            np.sum([x.T @ y for x, y in parts], axis=0, dtype=np.float64),
            np.sum([x.sum(axis=0, dtype=np.float64) for x, _ in parts], axis=0),
            np.sum([y.sum(axis=0, dtype=np.float64) for _, y in parts], axis=0),
            np.sum([np.einsum("ij,ij->j", y, y, dtype=np.float64) for _, y in parts], axis=0),
            np.float64(len(rows)),
        )

    def centred(self, rows: Rows) -> tuple[Array64, ...]:
        """Gram, cross-product, means of x and y, and norm of y about the means of these rows."""
        parts = [self._statistics[a] for a in np.unique(self.atom[rows])]
        products, cross, sum_x, sum_y, square_y, n = (
            sum(column[1:], start=column[0].copy() if column[0].ndim else column[0])
            for column in zip(*(p for p in parts if p is not None), strict=True)
        )
        if n != len(rows):
            raise ValueError("rows must be a union of the splits the system was made for")
        mean_x, mean_y = sum_x / n, sum_y / n
        products -= n * np.outer(mean_x, mean_x)
        cross -= n * np.outer(mean_x, mean_y)
        norm_y = np.sqrt(np.maximum(square_y - n * mean_y**2, 0))
        return products, cross, mean_x, mean_y, norm_y

    def traces(self, train: Rows) -> Array64:
        """Total variance of each band on the training rows: (n_bands,)."""
        diagonal = np.diag(self.centred(train)[0])
        return np.array([diagonal[s].sum() for s in self.slices])

    def solve(self, train: Rows, scales: Scales) -> Solution:
        """Eigendecompose the scaled Gram of the training rows; the last few are kept."""
        key = train.tobytes() + np.asarray(scales, dtype=np.float64).tobytes()
        if key not in self._solved:
            while len(self._solved) >= KEPT_SOLUTIONS:
                self._solved.pop(next(iter(self._solved)))
            self._solved[key] = _Decomposition(self, train, scales)
        # Nothing that is kept may point back here: the features would stay until Python looks for
        # cycles, which it rarely does while numpy works.
        return _PrimalSolution(self, self._solved[key])


class _Decomposition:
    """Scaled Gram of the training rows in its eigenvectors.

    Statistics are summed and centred in float64, decomposed and multiplied in float32.
    Eigenvalues are then off by about 1e-7 of the largest; penalties on standardised features are
    orders of magnitude above that (tested against float64 closed forms).
    """

    def __init__(self, system: PrimalSystem, train: Rows, scales: Scales) -> None:
        products, cross, self.mean_x, self.mean_y, _ = system.centred(train)
        pairs = [(s, scale) for s, scale in zip(system.slices, scales, strict=True) if scale > 0]
        self.whole = len(pairs) == len(system.slices)
        self.columns = np.concatenate([np.arange(s.start, s.stop) for s, _ in pairs])
        root = np.concatenate([np.full(s.stop - s.start, np.sqrt(v)) for s, v in pairs])
        scaled = (self.block(products) * root[:, None] * root).astype(np.float32)
        values, vectors = eigh(scaled, driver="evd", overwrite_a=True, check_finite=False)
        self.values = np.maximum(values, 0)
        self.root = root.astype(np.float32)
        self.vectors = vectors
        self.rotated = vectors.T @ (root[:, None] * cross[self.columns]).astype(np.float32)

    def block(self, products: Array64) -> Array64:
        return products if self.whole else products[np.ix_(self.columns, self.columns)]

    def weights(self, alpha: Array64) -> Array32:
        shrunk = self.rotated / (self.values[:, None] + alpha.astype(np.float32))
        weights: Array32 = self.root[:, None] * (self.vectors @ shrunk)
        return weights


class _PrimalSolution:
    def __init__(self, system: PrimalSystem, fit: _Decomposition) -> None:
        self.system, self.fit = system, fit

    def weights(self, alpha: Array64) -> Array32:
        """(n_columns, n_targets) in the units of the unscaled features."""
        return self.fit.weights(alpha)

    def scores(self, test: Rows, alphas: Array64) -> Array64:
        products, cross, _, _, norm_y = self.system.centred(test)
        gram32 = self.fit.block(products).astype(np.float32)
        cross32 = cross[self.fit.columns]
        n_targets = cross.shape[1]
        w = np.concatenate([self.weights(alphas[i : i + 1]) for i in range(len(alphas))], axis=1)
        norm = np.einsum("ij,ij->j", w, gram32 @ w, dtype=np.float64)
        norm = np.sqrt(np.maximum(norm, 0)).reshape(len(alphas), n_targets)
        covariance = np.einsum(
            "iaj,ij->aj", w.reshape(len(w), len(alphas), n_targets), cross32, dtype=np.float64
        )
        return safe_correlation(covariance, norm, norm_y)

    def predict(self, test: Rows, alpha: Array64) -> Array32:
        w = self.weights(alpha)
        offset = self.fit.mean_y - self.fit.mean_x[self.fit.columns] @ w
        x = self.system.features[test]
        prediction: Array32 = (x if self.fit.whole else x[:, self.fit.columns]) @ w
        prediction += offset.astype(np.float32)
        return prediction


class DualSystem:
    """The sample kernel of each band, computed once."""

    def __init__(self, bands: Sequence[Array32], responses: Array32) -> None:
        # Columns centred over all rows first: a shift common to all rows cancels below, and the
        # kernel keeps its digits.
        self.bands = bands
        self.kernels = []
        for band in bands:
            x = band - band.mean(axis=0)
            self.kernels.append(np.asarray(x @ x.T, dtype=np.float64))
        self.responses = responses

    def traces(self, train: Rows) -> Array64:
        """Total variance of each band on the training rows: (n_bands,)."""
        return np.array([np.trace(_centred_kernel(k, train, train)) for k in self.kernels])

    def solve(self, train: Rows, scales: Scales) -> Solution:
        """Eigendecompose the scaled, centred kernel of the training rows (float64)."""
        return _DualSolution(self, train, scales)


class _DualSolution:
    def __init__(self, system: DualSystem, train: Rows, scales: Scales) -> None:
        parts = [s * k for s, k in zip(scales, system.kernels, strict=True) if s > 0]
        self.kernel: Array64 = sum(parts[1:], start=parts[0])
        self.scaled_bands = [(b, s) for b, s in zip(system.bands, scales, strict=True) if s > 0]
        self.train, self.responses = train, system.responses
        y = self.responses[train]
        self.mean_y = y.mean(axis=0, dtype=np.float64)
        centred = _centred_kernel(self.kernel, train, train)
        values, vectors = eigh(centred, driver="evd", overwrite_a=True, check_finite=False)
        self.values = np.maximum(values, 0).astype(np.float32)
        self.vectors = vectors
        self.rotated = (vectors.T.astype(np.float32)) @ (y - self.mean_y.astype(np.float32))

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

    def scores(self, test: Rows, alphas: Array64) -> Array64:
        basis, y = self._basis(test), self.responses[test]
        basis = basis - basis.mean(axis=0)
        y = y - y.mean(axis=0, dtype=np.float64).astype(np.float32)
        norm_y = np.sqrt(np.einsum("ij,ij->j", y, y, dtype=np.float64))
        out = np.empty((len(alphas), y.shape[1]))
        for index, alpha in enumerate(alphas.astype(np.float32)):
            prediction = basis @ (self.rotated / (self.values[:, None] + alpha))
            norm = np.sqrt(np.einsum("ij,ij->j", prediction, prediction, dtype=np.float64))
            covariance = np.einsum("ij,ij->j", prediction, y, dtype=np.float64)
            out[index] = safe_correlation(covariance, norm, norm_y)
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
    member = np.zeros((n_samples, len(splits)), dtype=bool)
    for column, rows in enumerate(splits):
        member[rows, column] = True
    used = member.any(axis=1)
    atom = np.full(n_samples, -1, dtype=np.int64)
    _, atom[used] = np.unique(member[used], axis=0, return_inverse=True)
    return atom
