"""LAPACK without Python's lock: eigenvectors, and Householder's tridiagonal form.

scipy's wrappers hold the lock, so that folds in threads wait for each other, and lack ``ormtr``;
numpy's ``eigh`` takes float32 through float64. The routines are called at the addresses that
``scipy.linalg.cython_lapack`` offers; ctypes gives the lock back meanwhile.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cython_lapack

from bids_brainalign.errors import BrainAlignError, ExitCode

Array32 = NDArray[np.float32]
Real = TypeVar("Real", np.float32, np.float64)


def eigenvectors(matrix: NDArray[Real]) -> tuple[NDArray[Real], NDArray[Real]]:
    """Decompose a symmetric matrix by divide and conquer (``syevd``).

    Parameters
    ----------
    matrix : ndarray of shape (n, n), float32 or float64
        Overwritten if it is contiguous.

    Returns
    -------
    values : ndarray of shape (n,)
        Rising.
    vectors : ndarray of shape (n, n)
        In columns.

    Raises
    ------
    BrainAlignError
        If it does not converge: something is not finite.
    """
    n, kind = len(matrix), matrix.dtype
    vectors, values = np.asfortranarray(matrix.T), np.empty(len(matrix), dtype=kind)
    name = {"float32": "ssyevd", "float64": "dsyevd"}[kind.name]
    # What the routine needs at least is what it wants; in float32 it could not say so exactly.
    work, integers = np.empty(1 + 6 * n + 2 * n**2, kind), np.empty(3 + 5 * n, np.intc)
    if _call(name, "V", "L", n, vectors, n, values, work, len(work), integers, len(integers)):
        raise BrainAlignError(
            f"The eigenvectors of a matrix of {n} rows were not found.",
            fix="look for features or responses that are infinite or NaN",
        )
    return values, vectors


@dataclass(frozen=True)
class Householder:
    """A = Q T Qᵀ with T tridiagonal (Golub & Van Loan 2013, Matrix Computations, 8.3.1)."""

    diagonal: Array32
    """(n,) of T."""
    beside: Array32
    """(n − 1,) of T."""
    _reflectors: Array32
    """(n, n) in Fortran's order: Q, below the diagonal."""
    _factors: Array32
    """(n − 1,)."""

    @classmethod
    def of(cls, matrix: Array32) -> Householder:
        """Decompose a symmetric matrix of 2 rows at least; it is overwritten."""
        n = len(matrix)
        packed = np.asfortranarray(matrix.T, dtype=np.float32)
        diagonal, beside, factors = (np.empty(size, np.float32) for size in (n, n - 1, n - 1))

        def call(work: Array32, size: int) -> None:
            _call("ssytrd", "L", n, packed, n, diagonal, beside, factors, work, size)

        _with_workspace(call)
        return cls(diagonal, beside, packed, factors)

    def reflect(self, columns: Array32, way: Literal["N", "T"]) -> Array32:
        """Q (N) or Qᵀ (T) times columns (n, n_columns), in a new array in Fortran's order."""
        out = np.array(columns, dtype=np.float32, order="F", ndmin=2)
        n, n_columns = out.shape
        if not n_columns:
            return out

        def call(work: Array32, size: int) -> None:
            _call("sormtr", "L", "L", way, n, n_columns, self._reflectors, n, self._factors, out,
                  n, work, size)  # fmt: skip

        _with_workspace(call)
        return out

    def solver(self, shift: float) -> Callable[[Array32], Array32] | None:
        """Solve T + s for any columns; None if by rounding T + s is not positive definite."""
        n = len(self.diagonal)
        diagonal, beside = self.diagonal + np.float32(shift), self.beside.copy()
        if _call("spttrf", n, diagonal, beside):
            return None

        def solve(columns: Array32) -> Array32:
            out = np.array(columns, dtype=np.float32, order="F", ndmin=2)
            _call("spttrs", n, out.shape[1], diagonal, beside, out, n)
            return out

        return solve


def _with_workspace(call: Callable[[Array32, int], None]) -> None:
    """Ask how much workspace is best, and call with it."""
    best = np.empty(1, np.float32)
    call(best, -1)
    size = int(best[0])
    call(np.empty(size, np.float32), size)


def _call(name: str, *arguments: str | int | NDArray[Any]) -> int:
    """Call a routine, and give its ``info``: above 0, it could not."""
    info = ctypes.c_int(0)
    passed: list[Any] = []
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            passed.append(argument.ctypes.data_as(ctypes.c_void_p))
        elif isinstance(argument, str):
            passed.append(ctypes.byref(ctypes.c_char(argument.encode())))
        else:
            passed.append(ctypes.byref(ctypes.c_int(argument)))
    _routine(name, len(passed) + 1)(*passed, ctypes.byref(info))
    if info.value < 0:
        raise BrainAlignError(
            f"LAPACK's {name} says that its argument {-info.value} is wrong.",
            exit_code=ExitCode.INTERNAL,
        )
    return info.value


@cache
def _routine(name: str, n_arguments: int) -> Callable[..., None]:
    capsule = cython_lapack.__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    address = api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * n_arguments)(address)
