"""The best penalty of every target without predicting at every penalty.

On an inner fold a prediction at penalty λ is B (c / (s + λ)), with eigenvalues s and what B and c
are in :mod:`~bids_brainalign.encoding.spectra`. As functions of s the curves 1 / (s + λ) of twenty
penalties are so alike that few of their combinations span them nearly: the leading ones of a
singular value decomposition, weighted by how much each eigenvector contributes. So each target is
predicted with the leading combinations only; products of these with each other and with the
response give its score at *every* penalty. Combinations are added until one penalty is best by
more than the error, which is measured on a sample of targets at all penalties.

In bf16 (:mod:`~bids_brainalign.encoding.coarse_search`) all targets are predicted with the same
number of combinations, and where that leaves several penalties, at each of these in float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.encoding.arrays import Matrix
from bids_brainalign.encoding.coarse_search import CoarseSearch
from bids_brainalign.encoding.inner_fold import InnerFold
from bids_brainalign.encoding.prediction_products import HeldOutBatch, Products
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
COARSE_ERROR = 2e-4
"""As many combinations are used in bf16 as keep to this without rounding, which adds as much."""


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
        Responses of some targets: errors are measured on these.
    n_targets : int
        How many there will be in all.
    coarse : bool
        Look at them in bf16 first, where there are many.
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
        coarse: bool = False,
    ) -> None:
        self.arrays, self.alphas, self.inner = form.arrays, alphas, inner
        self.weights = np.array([len(split.test) for split in inner], dtype=np.float64)
        self.weights /= self.weights.sum()
        self.sides = []
        for spectrum, split in zip(spectra, inner, strict=True):
            basis = form.basis(spectrum, split.test)
            if metric == "correlation":
                basis -= basis.mean(axis=0)
            self.sides.append(InnerFold(form.arrays, spectrum, split, basis, metric))
        self.steps: list[tuple[int, float]] = []
        """Numbers of combinations and the error with so many; none: try every penalty."""
        self.coarse: CoarseSearch | None = None
        if n_targets > FEW_TARGETS and len(alphas) > 2:
            self._prepare(form, sample, n_targets, coarse=coarse)

    @property
    def floats_per_target(self) -> float:
        """Give what :meth:`best` makes for a target at the most, beside its statistics."""
        tests = [len(split.test) for split in self.inner]
        inputs = [int(side.spectrum.vectors.shape[1]) for side in self.sides]
        if not self.steps:
            return sum(tests) + max(inputs) + 3.0 * max(tests)
        count = self._n_combinations
        pairs = count * (count + 1) / 2
        products = len(self.sides) * (pairs + count) + 3 * pairs + 4 * len(self.alphas)
        # Held-out responses and inputs twice: where every target is undecided.
        return (count + 2.0) * sum(tests) + 2.0 * sum(inputs) + max(tests) + products

    @property
    def floats_of_operators(self) -> float:
        """Give how much the matrices take that are made with the first targets."""
        if not self.steps:
            return 0.0
        if self.coarse is not None:
            return sum(side.floats_of_coarse(self._n_combinations) for side in self.sides)
        return sum(side.floats_of_operators(self._n_combinations) for side in self.sides)

    @property
    def _n_combinations(self) -> int:
        return self.steps[-1][0] if self.coarse is None else self.coarse.count

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
        if self.coarse is not None:
            return self.coarse.best(held, inputs)
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

    def _prepare(self, form: Form, sample: Matrix, n_targets: int, *, coarse: bool) -> None:
        """Choose combinations, and how many to use, by a sample of targets."""
        statistics = form.statistics(sample, [side.spectrum.train for side in self.sides])
        held = [side.held(sample) for side in self.sides]
        for side, z in zip(self.sides, statistics, strict=True):
            side.combine(z, self.alphas)
        exact = self._every(held, statistics)
        self.steps = self._shortened(held, statistics, exact)
        if coarse:
            most = self.steps[-1][0]
            count = next(n for n, error in self.steps if error <= COARSE_ERROR or n == most)
            self.coarse = CoarseSearch(self.sides, self.weights, self.alphas, count)
            inputs = [side.inputs(z) for side, z in zip(self.sides, statistics, strict=True)]
            self.coarse.measure(held, inputs, exact)
            return
        for side in self.sides:
            side.use_operators(self._n_combinations, n_targets, len(self.sides))

    def _shortened(
        self, held: Sequence[HeldOutBatch], statistics: Sequence[Matrix], exact: Array64
    ) -> list[tuple[int, float]]:
        """Give numbers of combinations, and the error in the sample's scores with so many."""
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
