"""A first look at all penalties with products of bf16; what it leaves undecided, in float32.

bf16 keeps 8 bits of a number. A prediction is then off by some 2e-3 of its size, at random, and
its correlation with some hundred held-out samples by 1e-4. So a look at all penalties in bf16
leaves the few of them that may be best; these are scored from predictions in float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.encoding.arrays import Matrix
from bids_brainalign.encoding.inner_fold import InnerFold
from bids_brainalign.encoding.prediction_products import HeldOutBatch, Products

Array64 = NDArray[np.float64]


NEAR = 5e-3
"""Penalties that score less than the best by more are not mistaken for it."""
SAFETY = 3.0
"""Times the largest error in the sample is taken for that of all targets: rounding has tails."""


class CoarseSearch:
    """Inner folds, scored in bf16 first.

    Parameters
    ----------
    sides : sequence of InnerFold
        With their combinations.
    weights : ndarray of shape (n_sides,)
        Of their scores in the mean.
    alphas : ndarray of shape (n_alphas,)
    count : int
        Combinations to use.
    """

    def __init__(
        self, sides: Sequence[InnerFold], weights: Array64, alphas: Array64, count: int
    ) -> None:
        self.sides, self.weights, self.alphas, self.count = sides, weights, alphas, count
        self.shortfall = np.inf
        """Of the best penalty's score below the largest one, both in bf16; from a sample."""

    def measure(
        self, held: Sequence[HeldOutBatch], inputs: Sequence[Matrix], exact: Array64
    ) -> None:
        """Measure by how much the best penalty may seem worse than another.

        Parameters
        ----------
        held, inputs
            Of the targets of a sample.
        exact : ndarray of shape (n_alphas, n_sample)
            Their scores.
        """
        error = self.scores(held, inputs) - exact
        best = exact.argmax(axis=0), np.arange(exact.shape[1])
        near = exact >= exact[best] - NEAR
        self.shortfall = SAFETY * float(np.abs(np.where(near, error - error[best], 0)).max())

    def scores(self, held: Sequence[HeldOutBatch], inputs: Sequence[Matrix]) -> Array64:
        """Scores at every penalty, (n_alphas, n_columns)."""
        total: Array64 = np.zeros(())
        for weight, side, mine, given in zip(self.weights, self.sides, held, inputs, strict=True):
            coarse, products = side.arrays.coarse(given), Products(side.arrays)
            for j in range(self.count):
                products.add(side.coarse_combination(j, coarse), mine.y)
            total = total + weight * mine.scores(*products.at(side.coefficients[: self.count]))
        return total

    def best(
        self, held: Sequence[HeldOutBatch], inputs: Sequence[Matrix]
    ) -> tuple[Array64, NDArray[np.int64]]:
        """Find the best penalty of some targets; see :meth:`~.PenaltySearch.best`."""
        scores = self.scores(held, inputs)
        index = scores.argmax(axis=0)
        score = scores[index, np.arange(len(index))]
        near = scores >= score - self.shortfall
        undecided = np.flatnonzero(near.sum(axis=0) > 1)
        if len(undecided):
            exact = self._exact(near[:, undecided], undecided, held, inputs)
            index[undecided] = exact.argmax(axis=0)
            score[undecided] = exact.max(axis=0)
        return score, index

    def _exact(
        self,
        near: NDArray[np.bool_],
        columns: NDArray[np.int64],
        held: Sequence[HeldOutBatch],
        inputs: Sequence[Matrix],
    ) -> Array64:
        """Scores of the penalties that may be best, -inf elsewhere: (n_alphas, n_columns)."""
        penalty, place = np.nonzero(near)
        total = np.zeros(len(place))
        for weight, side, mine, given in zip(self.weights, self.sides, held, inputs, strict=True):
            some = mine.some(columns)
            part_of = side.arrays.columns(given, columns)
            # As many at a time as there are targets: bounds memory.
            for start in range(0, len(place), len(columns)):
                part = slice(start, start + len(columns))
                alpha = self.alphas[penalty[part]]
                total[part] += weight * side.scores_at(some, part_of, place[part], alpha)
        found = np.full(near.shape, -np.inf)
        found[penalty, place] = total
        return found
