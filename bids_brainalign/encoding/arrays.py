"""Where ridge of many targets makes its products: numpy here, torch on a device.

The solver is written once, for :class:`Matrix`: what numpy's arrays and torch's tensors do alike.
What they do differently is a method of :class:`Arrays`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.encoding import target_batches
from bids_brainalign.encoding.lag_gram import runs_of
from bids_brainalign.encoding.target_batches import Rows

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]


class Matrix(Protocol):
    """An array of numpy, or a tensor."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""

    @property
    def T(self) -> Matrix:
        """Transpose, without a copy."""

    def mean(self, *, axis: int, keepdims: bool = False) -> Matrix:
        """Mean over rows (0) or columns (1), in the matrix's precision."""

    def __len__(self) -> int: ...
    def __getitem__(self, key: Any) -> Matrix: ...
    def __matmul__(self, other: Matrix) -> Matrix: ...
    def __rmul__(self, other: float) -> Matrix: ...
    def __add__(self, other: Matrix | float) -> Matrix: ...
    def __sub__(self, other: Matrix) -> Matrix: ...
    def __mul__(self, other: Matrix) -> Matrix: ...
    def __truediv__(self, other: Matrix | float) -> Matrix: ...
    def __iadd__(self, other: Matrix | float) -> Matrix: ...
    def __isub__(self, other: Matrix) -> Matrix: ...
    def __itruediv__(self, other: Matrix | float) -> Matrix: ...


class Arrays(ABC):
    """Matrices in float32 where nothing else is said."""

    @abstractmethod
    def put(self, values: Array32) -> Matrix:
        """Bring an array to where products are made; no copy where it lies there already."""

    @abstractmethod
    def get(self, matrix: Matrix) -> NDArray[Any]:
        """Bring a matrix back, in its own precision."""

    @abstractmethod
    def double(self, matrix: Matrix) -> Matrix:
        """Copy in float64."""

    @abstractmethod
    def single(self, matrix: Matrix) -> Matrix:
        """Copy in float32."""

    @abstractmethod
    def joined(self, parts: Sequence[Matrix], axis: int = 0) -> Matrix:
        """Concatenate."""

    @abstractmethod
    def columns(self, matrix: Matrix, columns: NDArray[np.int64]) -> Matrix:
        """Take some entries of the last axis; rows stay together in memory."""

    @abstractmethod
    def sums(self, matrix: Matrix) -> Matrix:
        """Sum over the first axis, in float64."""

    @abstractmethod
    def dots(self, a: Matrix, b: Matrix) -> Matrix:
        """Products of every column of one with that of the other: (n_columns,)."""

    @abstractmethod
    def combined(self, weights: Array64, parts: Sequence[Matrix]) -> Array64:
        """Weighted sums in float64, brought back.

        Parameters
        ----------
        weights : ndarray of shape (n_sums, n_parts)
        parts : sequence of Matrix of shape (n_columns,)

        Returns
        -------
        ndarray of shape (n_sums, n_columns)
        """

    @abstractmethod
    def coarse(self, matrix: Matrix) -> Matrix:
        """Copy in bf16, for :meth:`coarse_product`."""

    @abstractmethod
    def coarse_product(self, a: Matrix, b: Matrix) -> Matrix:
        """Product of two matrices in bf16, in float32; some 2e-3 of its size are lost."""

    @abstractmethod
    def decomposed(self, matrix: Matrix) -> tuple[Matrix, Matrix]:
        """Eigenvalues, not below 0, and eigenvectors in columns.

        Parameters
        ----------
        matrix : Matrix of shape (p, p), float64
            Symmetric, decomposed in float64. It is lost.

        Returns
        -------
        values, vectors : Matrix of shape (p,) and (p, p), float32
        """

    @abstractmethod
    def n_together(self, n_threads: int) -> int:
        """Batches that are fitted at once where these threads were given."""

    @abstractmethod
    def batch_size(self, floats_per_target: float, *, reserved: float = 0.0) -> int:
        """Give the number of targets of a batch.

        Parameters
        ----------
        floats_per_target : float
            That a batch holds at the most.
        reserved : float
            Floats that will be needed beside batches.
        """

    def at_work(self) -> AbstractContextManager[None]:
        """Surround what makes products: a full device gives advice."""
        return nullcontext()

    def rows(self, matrix: Matrix, rows: Rows) -> Matrix:
        """Take some rows, without a copy where they lie together."""
        parts = runs_of(rows)
        if len(parts) == 1:
            return matrix[parts[0]]
        return self.joined([matrix[part] for part in parts])

    def mean(self, matrix: Matrix, rows: Rows | None = None) -> Matrix:
        """Mean over all rows, or over some, summed in float64: (n_columns,)."""
        if rows is None:
            return self.single(self.sums(matrix) / len(matrix))
        return self.single(self.mean64(matrix, rows))

    def mean64(self, matrix: Matrix, rows: Rows) -> Matrix:
        """Mean over some rows in float64: (n_columns,)."""
        total, *others = [self.sums(matrix[part]) for part in runs_of(rows)]
        for other in others:
            total = total + other
        return total / len(rows)


class HostArrays(Arrays):
    """Arrays of numpy."""

    def put(self, values: Array32) -> Matrix:
        """Give the array, its rows together in memory."""
        return cast(Matrix, np.ascontiguousarray(values))

    def get(self, matrix: Matrix) -> NDArray[Any]:
        """Give the array."""
        return np.asarray(matrix)

    def double(self, matrix: Matrix) -> Matrix:
        """Copy in float64."""
        return cast(Matrix, np.asarray(matrix).astype(np.float64))

    def single(self, matrix: Matrix) -> Matrix:
        """Copy in float32."""
        return cast(Matrix, np.asarray(matrix).astype(np.float32))

    def joined(self, parts: Sequence[Matrix], axis: int = 0) -> Matrix:
        """Concatenate."""
        return cast(Matrix, np.concatenate([np.asarray(part) for part in parts], axis=axis))

    def columns(self, matrix: Matrix, columns: NDArray[np.int64]) -> Matrix:
        """Take some entries of the last axis."""
        # Not matrix[:, columns], which lies in memory column by column: einsum would crawl.
        return cast(Matrix, np.asarray(matrix).take(columns, axis=-1))

    def sums(self, matrix: Matrix) -> Matrix:
        """Sum over the first axis."""
        return cast(Matrix, np.asarray(matrix).sum(axis=0, dtype=np.float64))

    def dots(self, a: Matrix, b: Matrix) -> Matrix:
        """Products of every column of one with that of the other."""
        return cast(Matrix, np.einsum("ij,ij->j", np.asarray(a), np.asarray(b)))

    def combined(self, weights: Array64, parts: Sequence[Matrix]) -> Array64:
        """Weighted sums in float64."""
        return np.asarray(weights @ np.array(parts, dtype=np.float64))

    def coarse(self, matrix: Matrix) -> Matrix:
        """Copy in bf16, which numpy lacks and torch has."""
        import torch

        writable = np.require(np.asarray(matrix), requirements=["C", "W"])
        return cast(Matrix, torch.from_numpy(writable).bfloat16())

    def coarse_product(self, a: Matrix, b: Matrix) -> Matrix:
        """Multiply two matrices in bf16."""
        import torch

        return cast(Matrix, cast(torch.Tensor, a @ b).float().numpy())

    def decomposed(self, matrix: Matrix) -> tuple[Matrix, Matrix]:
        """Eigenvalues and eigenvectors."""
        # numpy's eigh, not scipy's: it lets other threads work.
        values, vectors = np.linalg.eigh(np.asarray(matrix))
        found = np.maximum(values, 0).astype(np.float32)
        return cast(Matrix, found), cast(Matrix, np.ascontiguousarray(vectors, dtype=np.float32))

    def n_together(self, n_threads: int) -> int:
        """One batch per thread."""
        return n_threads

    def batch_size(self, floats_per_target: float, *, reserved: float = 0.0) -> int:
        """Enough for fast products, few enough for many threads' memory."""
        return target_batches.BATCH


def arrays_on(device: str) -> Arrays:
    """Choose numpy for the CPU, torch for anything else.

    Parameters
    ----------
    device : str
        ``cpu``, ``cuda`` or ``cuda:n``.
    """
    if device == "cpu":
        return HostArrays()
    from bids_brainalign.encoding.torch_arrays import TorchArrays

    return TorchArrays(device)
