"""The best penalty of every target without predicting at every penalty.

On an inner fold a prediction at penalty λ is B (c / (s + λ)), with eigenvalues s and what B and c
are in :mod:`~bids_brainalign.encoding.spectra`. As functions of s the curves 1 / (s + λ) of twenty
penalties are so alike that few of their combinations span them nearly: the leading ones of a
singular value decomposition, weighted by how much each eigenvector contributes. So each target is
predicted with the leading combinations only; products of these with each other and with the
response give its score at *every* penalty. Combinations are added until one penalty is best by
more than the error, which is measured on a sample of targets at all penalties.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.encoding.ridge import Metric
from bids_brainalign.encoding.spectra import Form, Spectrum, mean_response
from bids_brainalign.encoding.target_batches import Array32, rows_of
from bids_brainalign.statistics.folds import Split

Array64 = NDArray[np.float64]

SAMPLE = 128
"""Targets that are scored at every penalty to measure the error of fewer combinations."""
FEW_TARGETS = 1024
"""Up to so many, every penalty is tried: preparing the search would cost more."""
ERRORS = (1e-3, 2e-4, 3e-5, 2e-6)
"""Of a score. As many combinations as keep to the first are used for every target, as keep to the
next for those that it leaves undecided, and so on. Penalties that differ by less than the last are
equal: so large is the rounding of float32."""
SAFETY = 1.5
"""Times the largest error in the sample is taken for that of all targets."""
_OPERATOR_BYTES = 1.5e9
_TINY = 1e-10
"""Of the square of a prediction, relative to the response: less is rounding."""


class PenaltySearch:
    """Inner folds of one training set, ready for batches of targets.

    Parameters
    ----------
    form : Form
    spectra : sequence of Spectrum
        Of the inner training sets.
    inner : sequence of Split
    alphas : ndarray of shape (n_alphas,)
    metric : {"correlation", "r2"}
    sample : ndarray of shape (n_samples, n_sample)
        Responses of some targets, for :meth:`shorten`.
    n_targets : int
        How many there will be in all.
    """

    def __init__(
        self,
        form: Form,
        spectra: Sequence[Spectrum],
        inner: Sequence[Split],
        alphas: Array64,
        metric: Metric,
        *,
        sample: Array32,
        n_targets: int,
    ) -> None:
        self.alphas = alphas
        self.weights = np.array([len(split.test) for split in inner], dtype=np.float64)
        self.weights /= self.weights.sum()
        self.sides = []
        for spectrum, split in zip(spectra, inner, strict=True):
            basis = form.basis(spectrum, split.test)
            if metric == "correlation":
                basis -= basis.mean(axis=0)
            self.sides.append(_Side(spectrum, split, basis, metric))
        self.steps: list[tuple[int, float]] = []
        """Numbers of combinations and the error with so many; none: try every penalty."""
        if n_targets > FEW_TARGETS and len(alphas) > 2:
            self.steps = self._shorten(form, sample)
            for side in self.sides:
                side.use_operators(self.steps[-1][0], n_targets, len(self.sides))

    def best(self, y: Array32, statistics: Sequence[Array32]) -> tuple[Array64, NDArray[np.int64]]:
        """Find the best penalty of some targets.

        Parameters
        ----------
        y : ndarray of shape (n_samples, n_columns)
        statistics : sequence of ndarray of shape (p, n_columns)
            Per inner fold, what its form makes of the responses.

        Returns
        -------
        score : ndarray of shape (n_columns,)
            Mean over inner folds at the chosen penalty, weighted by samples.
        index : ndarray of int, shape (n_columns,)
            Which penalty that is; the first of equals.
        """
        held = [side.held(y) for side in self.sides]
        if not self.steps:
            scores = self._every(held, statistics)
            index = scores.argmax(axis=0)
            return scores[index, np.arange(len(index))], index
        inputs = [side.inputs(z) for side, z in zip(self.sides, statistics, strict=True)]
        n_columns = y.shape[1]
        score, index = np.full(n_columns, np.nan), np.zeros(n_columns, dtype=np.int64)
        columns = np.arange(n_columns)
        products = [_Products() for _ in self.sides]
        for count, error in self.steps:
            scores = self._scores(count, held, inputs, products)
            leader = scores.argmax(axis=0)
            top = scores[leader, np.arange(len(leader))]
            score[columns], index[columns] = top, leader
            undecided = np.flatnonzero((scores >= top - 2 * error).sum(axis=0) > 1)
            if not len(undecided):
                break
            columns = columns[undecided]
            held = [part.some(undecided) for part in held]
            inputs = [part.take(undecided, axis=1) for part in inputs]
            for product in products:
                product.keep(undecided)
        return score, index

    def _scores(
        self,
        count: int,
        held: Sequence[_Held],
        inputs: Sequence[Array32],
        products: Sequence[_Products],
    ) -> Array64:
        """Scores at every penalty from so many combinations, (n_alphas, n_columns)."""
        parts = []
        for side, mine, given, product in zip(self.sides, held, inputs, products, strict=True):
            for j in range(len(product), count):
                product.add(side.combination(j, given), mine.y)
            parts.append(mine.scores(*product.at(side.coefficients[:count])))
        return self._mean(parts)

    def _every(self, held: Sequence[_Held], statistics: Sequence[Array32]) -> Array64:
        """Scores at every penalty, (n_alphas, n_columns)."""
        parts = [
            side.every(held_out, z, self.alphas)
            for side, held_out, z in zip(self.sides, held, statistics, strict=True)
        ]
        return self._mean(parts)

    def _mean(self, parts: Sequence[Array64]) -> Array64:
        """Mean over inner folds, by samples."""
        return np.asarray(np.tensordot(self.weights, np.stack(parts), axes=1))

    def _shorten(self, form: Form, sample: Array32) -> list[tuple[int, float]]:
        """Choose combinations, and how many to use, by a sample of targets."""
        statistics = form.statistics(sample, [side.spectrum.train for side in self.sides])
        held = [side.held(sample) for side in self.sides]
        for side, z in zip(self.sides, statistics, strict=True):
            side.combine(z, self.alphas)
        exact = self._every(held, statistics)
        inputs = [side.inputs(z) for side, z in zip(self.sides, statistics, strict=True)]
        products = [_Products() for _ in self.sides]
        steps: list[tuple[int, float]] = []
        wanted = list(ERRORS)
        for count in range(1, len(self.alphas) + 1):
            scores = self._scores(count, held, inputs, products)
            error = SAFETY * float(np.abs(scores - exact).max())
            if error <= wanted[0] or count == len(self.alphas):
                steps.append((count, error))
                wanted = [level for level in wanted if level < error]
            if not wanted:
                break
        return steps


class _Side:
    """One inner fold."""

    def __init__(self, spectrum: Spectrum, split: Split, basis: Array32, metric: Metric) -> None:
        self.spectrum, self.split, self.basis, self.metric = spectrum, split, basis, metric
        self.combinations: Array32 = np.empty((0, 0), np.float32)
        """(m, n_alphas): functions of the eigenvalues, the leading ones first."""
        self.coefficients: Array64 = np.empty((0, 0))
        """(n_alphas, n_alphas): combination × penalty."""
        self._operators: dict[int, Array32] | None = None
        self._lock = Lock()

    def held(self, y: Array32) -> _Held:
        """Held-out responses, about what predictions are about."""
        test = rows_of(y, self.split.test)
        if self.metric == "correlation":
            about = test - test.mean(axis=0, dtype=np.float64).astype(np.float32)
            return _Held(about, _squares(about), None)
        mean = mean_response(y, self.split.train)
        spread = test - test.mean(axis=0, dtype=np.float64).astype(np.float32)
        return _Held(test - mean, _squares(spread), _squares(test - mean))

    def every(self, held: _Held, z: Array32, alphas: Array64) -> Array64:
        """Scores at every penalty, (n_alphas, n_columns)."""
        rotated = self.spectrum.vectors.T @ z
        product, square = np.empty((2, len(alphas), z.shape[1]))
        for k, alpha in enumerate(alphas):
            shrunk = self.basis / (self.spectrum.values + np.float32(alpha))
            prediction = shrunk @ rotated
            product[k] = np.einsum("ij,ij->j", prediction, held.y)
            square[k] = _squares(prediction)
        return held.scores(product, square)

    def combine(self, z: Array32, alphas: Array64) -> None:
        """Find the combinations that say most about the predictions of a sample."""
        rotated = self.spectrum.vectors.T @ z
        size = (rotated.astype(np.float64) ** 2).mean(axis=1)
        size *= (self.basis.astype(np.float64) ** 2).mean(axis=0)
        curves = 1 / (self.spectrum.values[:, None] + alphas)
        weighted = curves * np.sqrt(size)[:, None]
        norm = np.linalg.norm(weighted, axis=0)
        norm[norm == 0] = 1
        weighted = weighted / norm
        vectors = np.linalg.eigh(weighted.T @ weighted)[1][:, ::-1]
        self.combinations = ((curves / norm) @ vectors).astype(np.float32)
        self.coefficients = vectors.T * norm

    def use_operators(self, n_used: int, n_targets: int, n_sides: int) -> None:
        """Make matrices from statistics to predictions, where that is the cheaper way."""
        n_test, p = len(self.split.test), len(self.spectrum.vectors)
        fits = 4.0 * n_test * p * n_used * n_sides <= _OPERATOR_BYTES
        if fits and n_targets > n_test * n_used:
            self._operators = {}

    def inputs(self, z: Array32) -> Array32:
        """Give what combinations apply to: statistics as they are, or in the eigenvectors."""
        return z if self._operators is not None else self.spectrum.vectors.T @ z

    def combination(self, j: int, inputs: Array32) -> Array32:
        """Predict with one combination, (n_test, n_columns)."""
        if self._operators is None:
            return np.asarray((self.basis * self.combinations[:, j]) @ inputs)
        with self._lock:
            if j not in self._operators:
                shrunk = self.basis * self.combinations[:, j]
                operator = shrunk @ self.spectrum.vectors.T
                self._operators[j] = np.asarray(operator, dtype=np.float32)
        return np.asarray(self._operators[j] @ inputs)


@dataclass(frozen=True)
class _Held:
    """Responses of one inner test set, (n_test, n_columns)."""

    y: Array32
    """About their mean, or, for R², about the mean of the training rows."""
    spread: Array64
    """(n_columns,) sum of squares about the mean."""
    total: Array64 | None
    """Sum of squares of ``y``, for R²; None for correlations."""

    def some(self, columns: NDArray[np.int64]) -> _Held:
        """Take some of the targets."""
        total = None if self.total is None else self.total[columns]
        return _Held(self.y.take(columns, axis=1), self.spread[columns], total)

    def scores(self, product: Array64, square: Array64) -> Array64:
        """Correlation or R², (n, n_columns).

        Parameters
        ----------
        product, square : ndarray of shape (n, n_columns)
            Of predictions with ``y``, and with themselves.
        """
        real = self.spread > 0
        if self.total is None:
            norm = np.sqrt(np.maximum(square, 0) * self.spread)
            real = real & (square > _TINY * self.spread)
            return np.divide(product, norm, out=np.zeros_like(norm), where=real)
        error = square - 2 * product + self.total
        share = np.divide(error, self.spread, out=np.ones_like(error), where=real)
        return np.asarray(1 - share)


class _Products:
    """Predictions with combinations, and their products with each other and with the responses."""

    def __init__(self) -> None:
        self.predictions: list[Array32] = []
        self.with_y: list[Array32] = []
        self.pairs: dict[tuple[int, int], Array32] = {}

    def __len__(self) -> int:
        return len(self.predictions)

    def add(self, prediction: Array32, y: Array32) -> None:
        """Take in one more combination, (n_test, n_columns)."""
        self.predictions.append(prediction)
        self.with_y.append(np.einsum("ij,ij->j", prediction, y))
        last = len(self) - 1
        for j, other in enumerate(self.predictions):
            self.pairs[j, last] = np.einsum("ij,ij->j", other, prediction)

    def keep(self, columns: NDArray[np.int64]) -> None:
        """Go on with some targets."""
        # Not part[:, columns], which lies in memory column by column: einsum would crawl.
        self.predictions = [part.take(columns, axis=1) for part in self.predictions]
        self.with_y = [part[columns] for part in self.with_y]
        self.pairs = {key: part[columns] for key, part in self.pairs.items()}

    def at(self, coefficients: Array64) -> tuple[Array64, Array64]:
        """Products of predictions at every penalty, with responses and with themselves.

        Parameters
        ----------
        coefficients : ndarray of shape (n_combinations, n_alphas)

        Returns
        -------
        tuple of ndarray of shape (n_alphas, n_columns)
        """
        product = coefficients.T @ np.array(self.with_y, dtype=np.float64)
        keys = list(self.pairs)
        twice = [coefficients[i] * coefficients[j] * (1 if i == j else 2) for i, j in keys]
        pairs = np.array([self.pairs[key] for key in keys], dtype=np.float64)
        return product, np.array(twice).T @ pairs


def _squares(values: Array32) -> Array64:
    """Sum of squares of every column."""
    return np.asarray(np.einsum("ij,ij->j", values, values), dtype=np.float64)
