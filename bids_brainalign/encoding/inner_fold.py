"""One inner fold of a penalty search: predictions at penalties, and at combinations of them."""

from __future__ import annotations

from threading import Lock

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.encoding.arrays import Arrays, Matrix
from bids_brainalign.encoding.prediction_products import HeldOutBatch, squares
from bids_brainalign.encoding.ridge import Metric
from bids_brainalign.encoding.spectra import Spectrum
from bids_brainalign.statistics.folds import Split

Array64 = NDArray[np.float64]

_OPERATOR_BYTES = 1.5e9
"""That matrices from statistics to predictions may take, of all inner folds together."""


class InnerFold:
    """One inner fold.

    Parameters
    ----------
    arrays : Arrays
    spectrum : Spectrum
        Of the training rows.
    split : Split
    basis : Matrix of shape (n_test, m)
        Of the held-out rows; for correlations, about the mean of each column.
    metric : {"correlation", "r2"}
    """

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
        self._coarse: dict[int, Matrix] = {}
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

    def floats_of_coarse(self, n_used: int) -> float:
        """Give how much so many matrices of :meth:`coarse_combination` take."""
        return len(self.split.test) * float(self.spectrum.vectors.shape[1]) * n_used / 2

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

    def coarse_combination(self, j: int, inputs: Matrix) -> Matrix:
        """Predict with one combination by a product of bf16, (n_test, n_columns), float32.

        Parameters
        ----------
        j : int
        inputs : Matrix of shape (m, n_columns)
            Statistics in the eigenvectors, in bf16. (As they are they would not do: their large
            parts, which penalties shrink most, would hide the small ones.)
        """
        with self._lock:
            if j not in self._coarse:
                self._coarse[j] = self.arrays.coarse(self.basis * self.combinations[:, j])
        return self.arrays.coarse_product(self._coarse[j], inputs)

    def scores_at(
        self, held: HeldOutBatch, inputs: Matrix, place: NDArray[np.int64], alpha: Array64
    ) -> Array64:
        """Scores of pairs of a target and a penalty, in float32's precision: (n_pairs,).

        Parameters
        ----------
        held : HeldOutBatch
        inputs : Matrix of shape (m, n_columns)
            Statistics in the eigenvectors.
        place : ndarray of int, shape (n_pairs,)
            Column of each pair.
        alpha : ndarray of shape (n_pairs,)
        """
        arrays, mine = self.arrays, held.some(place)
        shrunk = arrays.columns(inputs, place)
        shrunk /= self.spectrum.values[:, None] + arrays.put(alpha.astype(np.float32))
        prediction = self.basis @ shrunk
        product = arrays.get(arrays.dots(prediction, mine.y)).astype(np.float64)
        return np.asarray(mine.scores(product[None], squares(arrays, prediction)[None])[0])
