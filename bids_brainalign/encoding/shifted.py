"""A symmetric matrix plus multiples of the identity, inverted for many multiples at once.

Two exact forms: eigenvectors, and Householder's tridiagonal form A = Q T Qᵀ (Golub & Van Loan
2013, Matrix Computations, section 8.3.1), which is the first third of the work for eigenvectors.
T + s is solved in as many steps as it has rows, but every solution has to be reflected back by
itself: it pays where solutions are fewer than rows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, eigh_tridiagonal, lapack

from bids_brainalign.errors import BrainAlignError

Array32 = NDArray[np.float32]

LEAST_ROWS = 32
"""Below it eigenvectors cost nothing."""


class Shifted(Protocol):
    """Solutions of (A + s) x = b, A positive semi-definite but for rounding, all s above 0."""

    def turn(self, right: Array32) -> Array32:
        """Bring right-hand sides (n, n_columns) into the basis that :meth:`solve` wants."""

    def solve(self, turned: Array32, shifts: Array32) -> Array32:
        """Solve each column at its own shift: (n, n_columns)."""

    def solve_all(self, turned: Array32, shifts: Array32) -> Array32:
        """Solve all columns at every shift, shift by shift: (n, n_shifts * n_columns)."""


def decomposed(matrix: Array32, *, n_solutions: float) -> Shifted:
    """Decompose a symmetric matrix, in float32, the cheaper way.

    Parameters
    ----------
    matrix : ndarray of shape (n, n), float32
        Overwritten.
    n_solutions : float
        Columns times shifts that will be solved for; infinite if unknown.

    Returns
    -------
    Shifted
        Eigenvalues are off by about 1e-7 of the largest: shifts should be far above that.
    """
    if len(matrix) >= LEAST_ROWS and n_solutions < len(matrix):
        return Tridiagonal(matrix)
    return Spectral(matrix)


class Spectral:
    """By eigenvectors. Parameters and errors as of :func:`decomposed`."""

    def __init__(self, matrix: Array32) -> None:
        values, self.vectors = eigh(matrix, driver="evd", overwrite_a=True, check_finite=False)
        self.values = np.maximum(values, 0)

    def turn(self, right: Array32) -> Array32:
        """Bring right-hand sides into the basis."""
        return np.asarray(self.vectors.T @ right)

    def solve(self, turned: Array32, shifts: Array32) -> Array32:
        """Solve each column at its own shift."""
        return np.asarray(self.vectors @ (turned / (self.values[:, None] + shifts)))

    def solve_all(self, turned: Array32, shifts: Array32) -> Array32:
        """Solve all columns at every shift."""
        shrunk = [turned / (self.values[:, None] + shift) for shift in shifts]
        return np.asarray(self.vectors @ np.concatenate(shrunk, axis=1))


class Tridiagonal:
    """By Householder's tridiagonal form. Parameters as of :func:`decomposed`, 2 rows at least."""

    def __init__(self, matrix: Array32) -> None:
        size = int(lapack.ssytrd_lwork(len(matrix), lower=1)[0])
        packed, self.diagonal, self.beside, self._tau, info = lapack.ssytrd(
            matrix.T, lower=1, lwork=size, overwrite_a=1
        )
        if info:
            raise BrainAlignError(f"LAPACK's ssytrd failed: its argument {-info} is wrong.")
        self._reflectors = np.asfortranarray(packed[1:, :-1])

    def turn(self, right: Array32) -> Array32:
        """Bring right-hand sides into the basis."""
        return self._reflected(right, "T")

    def solve(self, turned: Array32, shifts: Array32) -> Array32:
        """Solve each column at its own shift."""
        out = np.empty(turned.shape, dtype=np.float32, order="F")
        for shift in np.unique(shifts):
            columns = shifts == shift
            out[:, columns] = self._solver(shift)(turned[:, columns])
        return self._reflected(out, "N")

    def solve_all(self, turned: Array32, shifts: Array32) -> Array32:
        """Solve all columns at every shift."""
        n, width = turned.shape
        out = np.empty((n, len(shifts) * width), dtype=np.float32, order="F")
        for place, shift in enumerate(shifts):
            out[:, place * width : (place + 1) * width] = self._solver(shift)(turned)
        return self._reflected(out, "N")

    @cached_property
    def _spectrum(self) -> tuple[Array32, Array32]:
        """Eigenvalues and eigenvectors of T."""
        values, vectors = eigh_tridiagonal(self.diagonal, self.beside, check_finite=False)
        return np.maximum(values, 0), vectors

    def _solver(self, shift: np.float32) -> Callable[[Array32], Array32]:
        """Solve T + s."""
        diagonal, beside, info = lapack.spttrf(self.diagonal + shift, self.beside)
        if not info:
            return lambda right: lapack.spttrs(diagonal, beside, right)[0]
        # By rounding, an eigenvalue is further below 0 than the shift is above.
        values, vectors = self._spectrum
        return lambda right: vectors @ ((vectors.T @ right) / (values[:, None] + shift))

    def _reflected(self, columns: Array32, way: str) -> Array32:
        """Q or Qᵀ times columns (n, n_columns)."""
        below = np.asfortranarray(columns[1:])
        arguments = "L", way, self._reflectors, self._tau, below
        size = int(lapack.sormqr(*arguments, lwork=-1)[1][0])
        out = np.empty(columns.shape, dtype=np.float32, order="F")
        out[0] = columns[0]
        out[1:] = lapack.sormqr(*arguments, lwork=size)[0]
        return out
