"""Products of predictions with each other and with held-out responses, and scores from these."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.encoding.arrays import Arrays, Matrix

Array64 = NDArray[np.float64]

_TINY = 1e-10
"""Of the square of a prediction, relative to the response: less is rounding."""


@dataclass(frozen=True)
class HeldOutBatch:
    """Responses of one inner test set, (n_test, n_columns)."""

    arrays: Arrays
    y: Matrix
    """About their mean, or, for R², about the mean of the training rows."""
    spread: Array64
    """(n_columns,) sum of squares about the mean."""
    total: Array64 | None
    """Sum of squares of ``y``, for R²; None for correlations."""

    def some(self, columns: NDArray[np.int64]) -> HeldOutBatch:
        """Take some of the targets."""
        total = None if self.total is None else self.total[columns]
        y = self.arrays.columns(self.y, columns)
        return HeldOutBatch(self.arrays, y, self.spread[columns], total)

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


class Products:
    """Predictions with combinations, and their products with each other and with the responses."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays
        self.predictions: list[Matrix] = []
        self.with_y: list[Matrix] = []
        self.pairs: dict[tuple[int, int], Matrix] = {}

    def __len__(self) -> int:
        return len(self.predictions)

    def add(self, prediction: Matrix, y: Matrix) -> None:
        """Take in one more combination, (n_test, n_columns)."""
        self.predictions.append(prediction)
        self.with_y.append(self.arrays.dots(prediction, y))
        last = len(self) - 1
        for j, other in enumerate(self.predictions):
            self.pairs[j, last] = self.arrays.dots(other, prediction)

    def keep(self, columns: NDArray[np.int64]) -> None:
        """Go on with some targets."""
        take = self.arrays.columns
        for j in range(len(self)):  # one after another: all twice would fill a device
            self.predictions[j] = take(self.predictions[j], columns)
        self.with_y = [take(part, columns) for part in self.with_y]
        self.pairs = {key: take(part, columns) for key, part in self.pairs.items()}

    def at(self, coefficients: Array64) -> tuple[Array64, Array64]:
        """Products of predictions at every penalty, with responses and with themselves.

        Parameters
        ----------
        coefficients : ndarray of shape (n_combinations, n_alphas)

        Returns
        -------
        tuple of ndarray of shape (n_alphas, n_columns)
        """
        product = self.arrays.combined(coefficients.T, self.with_y)
        twice = [coefficients[i] * coefficients[j] * (1 if i == j else 2) for i, j in self.pairs]
        return product, self.arrays.combined(np.array(twice).T, list(self.pairs.values()))


def squares(arrays: Arrays, values: Matrix) -> Array64:
    """Sum of squares of every column."""
    return np.asarray(arrays.get(arrays.dots(values, values)), dtype=np.float64)
