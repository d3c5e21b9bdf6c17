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
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.encoding.arrays import Arrays, Matrix
from bids_brainalign.encoding.prediction_products import HeldOutBatch, Products, squares
from bids_brainalign.encoding.ridge import Metric
from bids_brainalign.encoding.spectra import Form, Spectrum
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
        sample: Matrix,
        n_targets: int,
    ) -> None:
        self.arrays, self.alphas, self.inner = form.arrays, alphas, inner
        self.weights = np.array([len(split.test) for split in inner], dtype=np.float64)
        self.weights /= self.weights.sum()
        self.sides = []
        for spectrum, split in zip(spectra, inner, strict=True):
            basis = form.basis(spectrum, split.test)
            if metric == "correlation":
                basis -= basis.mean(axis=0)
            self.sides.append(_Side(form.arrays, spectrum, split, basis, metric))
        self.steps: list[tuple[int, float]] = []
        """Numbers of combinations and the error with so many; none: try every penalty."""
        if n_targets > FEW_TARGETS and len(alphas) > 2:
            self.steps = self._shorten(form, sample)
            for side in self.sides:
                side.use_operators(self.steps[-1][0], n_targets, len(self.sides))

    @property
    def floats_per_target(self) -> float:
        """Give what :meth:`best` makes for a target at the most, beside its statistics."""
        tests = [len(split.test) for split in self.inner]
        inputs = [int(side.spectrum.vectors.shape[1]) for side in self.sides]
        if not self.steps:
            return sum(tests) + max(inputs) + 3.0 * max(tests)
        count = self.steps[-1][0]
        pairs = count * (count + 1) / 2
        products = len(self.sides) * (pairs + count) + 3 * pairs + 4 * len(self.alphas)
        # Held-out responses and inputs twice: where every target is undecided.
        return (count + 2.0) * sum(tests) + 2.0 * sum(inputs) + max(tests) + products

    @property
    def floats_of_operators(self) -> float:
        """Give how much the matrices take that are made with the first targets."""
        return sum(
            side.floats_of_operators(self.steps[-1][0]) for side in self.sides if self.steps
        )

    def best(self, y: Matrix, statistics: Sequence[Matrix]) -> tuple[Array64, NDArray[np.int64]]:
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
        products = [Products(self.arrays) for _ in self.sides]
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
            inputs = [self.arrays.columns(part, undecided) for part in inputs]
            for product in products:
                product.keep(undecided)
        return score, index

    def _scores(
        self,
        count: int,
        held: Sequence[HeldOutBatch],
        inputs: Sequence[Matrix],
        products: Sequence[Products],
    ) -> Array64:
        """Scores at every penalty from so many combinations, (n_alphas, n_columns)."""
        parts = []
        for side, mine, given, product in zip(self.sides, held, inputs, products, strict=True):
            for j in range(len(product), count):
                product.add(side.combination(j, given), mine.y)
            parts.append(mine.scores(*product.at(side.coefficients[:count])))
        return self._mean(parts)

    def _every(self, held: Sequence[HeldOutBatch], statistics: Sequence[Matrix]) -> Array64:
        """Scores at every penalty, (n_alphas, n_columns)."""
        parts = [
            side.every(held_out, z, self.alphas)
            for side, held_out, z in zip(self.sides, held, statistics, strict=True)
        ]
        return self._mean(parts)

    def _mean(self, parts: Sequence[Array64]) -> Array64:
        """Mean over inner folds, by samples."""
        return np.asarray(np.tensordot(self.weights, np.stack(parts), axes=1))

    def _shorten(self, form: Form, sample: Matrix) -> list[tuple[int, float]]:
        """Choose combinations, and how many to use, by a sample of targets."""
        statistics = form.statistics(sample, [side.spectrum.train for side in self.sides])
        held = [side.held(sample) for side in self.sides]
        for side, z in zip(self.sides, statistics, strict=True):
            side.combine(z, self.alphas)
        exact = self._every(held, statistics)
        inputs = [side.inputs(z) for side, z in zip(self.sides, statistics, strict=True)]
        products = [Products(self.arrays) for _ in self.sides]
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

    def __init__(
        self, arrays: Arrays, spectrum: Spectrum, split: Split, basis: Matrix, metric: Metric
    ) -> None:
        self.arrays, self.metric = arrays, metric
        self.spectrum, self.split, self.basis = spectrum, split, basis
        self.combinations: Matrix = arrays.put(np.empty((0, 0), np.float32))
        """(m, n_alphas): functions of the eigenvalues, the leading ones first."""
        self.coefficients: Array64 = np.empty((0, 0))
        """(n_alphas, n_alphas): combination × penalty."""
        self._operators: dict[int, Matrix] | None = None
        self._lock = Lock()

    def held(self, y: Matrix) -> HeldOutBatch:
        """Held-out responses, about what predictions are about."""
        arrays = self.arrays
        test = arrays.rows(y, self.split.test)
        spread = test - arrays.mean(test)
        if self.metric == "correlation":
            return HeldOutBatch(arrays, spread, squares(arrays, spread), None)
        about = test - arrays.mean(y, self.split.train)
        return HeldOutBatch(arrays, about, squares(arrays, spread), squares(arrays, about))

    def every(self, held: HeldOutBatch, z: Matrix, alphas: Array64) -> Array64:
        """Scores at every penalty, (n_alphas, n_columns)."""
        arrays = self.arrays
        rotated = self.spectrum.vectors.T @ z
        product, square = np.empty((2, len(alphas), z.shape[1]))
        for k, alpha in enumerate(alphas):
            shrunk = self.basis / (self.spectrum.values + float(alpha))
            prediction = shrunk @ rotated
            product[k] = arrays.get(arrays.dots(prediction, held.y))
            square[k] = squares(arrays, prediction)
        return held.scores(product, square)

    def combine(self, z: Matrix, alphas: Array64) -> None:
        """Find the combinations that say most about the predictions of a sample."""
        get = self.arrays.get
        rotated = get(self.spectrum.vectors.T @ z)
        size = (rotated.astype(np.float64) ** 2).mean(axis=1)
        size *= (get(self.basis).astype(np.float64) ** 2).mean(axis=0)
        curves = 1 / (get(self.spectrum.values)[:, None] + alphas)
        weighted = curves * np.sqrt(size)[:, None]
        norm = np.linalg.norm(weighted, axis=0)
        norm[norm == 0] = 1
        weighted = weighted / norm
        vectors = np.linalg.eigh(weighted.T @ weighted)[1][:, ::-1]
        self.combinations = self.arrays.put(((curves / norm) @ vectors).astype(np.float32))
        self.coefficients = vectors.T * norm

    def use_operators(self, n_used: int, n_targets: int, n_sides: int) -> None:
        """Make matrices from statistics to predictions, where that is the cheaper way."""
        n_test, p = len(self.split.test), len(self.spectrum.vectors)
        fits = 4.0 * n_test * p * n_used * n_sides <= _OPERATOR_BYTES
        if fits and n_targets > n_test * n_used:
            self._operators = {}

    def floats_of_operators(self, n_used: int) -> float:
        """Give how much so many matrices take, where they are made."""
        n_test, p = len(self.split.test), len(self.spectrum.vectors)
        return 0.0 if self._operators is None else float(n_test * p * n_used)

    def inputs(self, z: Matrix) -> Matrix:
        """Give what combinations apply to: statistics as they are, or in the eigenvectors."""
        return z if self._operators is not None else self.spectrum.vectors.T @ z

    def combination(self, j: int, inputs: Matrix) -> Matrix:
        """Predict with one combination, (n_test, n_columns)."""
        if self._operators is None:
            return (self.basis * self.combinations[:, j]) @ inputs
        with self._lock:
            if j not in self._operators:
                shrunk = self.basis * self.combinations[:, j]
                self._operators[j] = shrunk @ self.spectrum.vectors.T
        return self._operators[j] @ inputs
