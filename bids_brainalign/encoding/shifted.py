"""A symmetric matrix plus multiples of the identity, inverted for many multiples at once.

Two exact forms: eigenvectors, and Householder's tridiagonal form, which is the first third of the
work for eigenvectors. There every solution takes a pass through T and one through the reflectors,
which is about twice the time of a product with the eigenvectors: it pays where solutions are not
many more than rows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal

from bids_brainalign.encoding.lapack import Householder, eigenvectors

Array32 = NDArray[np.float32]

LEAST_ROWS = 32
"""Below it eigenvectors cost nothing."""
SOLUTIONS_PER_ROW = 2
"""Up to which the tridiagonal form is the faster one."""


class Shifted(Protocol):
    """Solutions of (A + s) x = b, A positive semi-definite but for rounding, all s above 0."""

    def turn(self, right: Array32) -> Array32:
        """Bring right-hand sides (n, n_columns) into the basis that :meth:`solve` wants."""

    def solve(self, turned: Array32, shifts: Array32) -> Array32:
        """Solve each column at its own shift, or all at one: (n, n_columns)."""

    def solve_all(self, turned: Array32, shifts: Array32) -> Array32:
        """Solve all columns at every shift, shift by shift: (n, n_shifts * n_columns)."""


def decomposed(matrix: Array32, *, n_solutions: float) -> Shifted:
    """Decompose a symmetric matrix, in float32, the cheaper way.

    Parameters
    ----------
    matrix : ndarray of shape (n, n), float32
        May be overwritten.
    n_solutions : float
        Columns times shifts that will be solved for; infinite if unknown.

    Returns
    -------
    Shifted
        Eigenvalues are off by about 1e-7 of the largest: shifts should be far above that.
    """
    if len(matrix) >= LEAST_ROWS and n_solutions < SOLUTIONS_PER_ROW * len(matrix):
        return Tridiagonal(matrix)
    return Spectral(matrix)


class Spectral:
    """By eigenvectors. Parameters and errors as of :func:`decomposed`."""

    def __init__(self, matrix: Array32) -> None:
        values, self.vectors = eigenvectors(matrix)
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
        self._form = Householder.of(matrix)

    def turn(self, right: Array32) -> Array32:
        """Bring right-hand sides into the basis."""
        return self._form.reflect(right, "T")

    def solve(self, turned: Array32, shifts: Array32) -> Array32:
        """Solve each column at its own shift."""
        out = np.empty(turned.shape, dtype=np.float32, order="F")
        each = np.broadcast_to(shifts, turned.shape[1:])
        for shift in np.unique(each).tolist():
            columns = each == shift
            out[:, columns] = self._solver(shift)(turned[:, columns])
        return self._form.reflect(out, "N")

    def solve_all(self, turned: Array32, shifts: Array32) -> Array32:
        """Solve all columns at every shift."""
        n, width = turned.shape
        out = np.empty((n, len(shifts) * width), dtype=np.float32, order="F")
        for place, shift in enumerate(shifts.tolist()):
            out[:, place * width : (place + 1) * width] = self._solver(shift)(turned)
        return self._form.reflect(out, "N")

    @cached_property
    def _spectrum(self) -> tuple[Array32, Array32]:
        """Eigenvalues and eigenvectors of T."""
        form = self._form
        values, vectors = eigh_tridiagonal(form.diagonal, form.beside, check_finite=False)
        return np.maximum(values, 0), vectors

    def _solver(self, shift: float) -> Callable[[Array32], Array32]:
        """Solve T + s."""
        solve = self._form.solver(shift)
        # Rounding leaves eigenvalues below 0. Where one is nearly as far below as the shift is
        # above, the solution would be anything: eigenvalues are then set to 0, as in `Spectral`.
        if solve is not None and self._form.solver(shift / 2) is not None:
            return solve
        values, vectors = self._spectrum
        return lambda right: (
            vectors @ ((vectors.T @ right) / (values[:, None] + np.float32(shift)))
        )
