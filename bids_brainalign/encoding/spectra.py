"""Ridge in eigenvectors, where any penalty is a division: of the kernel, or of the features' Gram.

Both forms give the same ridge with an unpenalised intercept. With statistics z of the training
responses, which each form makes in its way, and eigenvalues s and eigenvectors V of the training
rows, predictions of other rows are B (V′z / (s + λ)) plus the mean response.

Kernels and Gram matrices are products of float32, summed and decomposed in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.encoding.lag_gram import runs_of
from bids_brainalign.encoding.target_batches import (
    Array32,
    Rows,
    in_threads,
    parts_by_use,
    rows_of,
)

Array64 = NDArray[np.float64]


@dataclass(frozen=True)
class Spectrum:
    """Kernel or Gram matrix of some training rows."""

    train: Rows
    values: Array32
    """(m,), not below 0."""
    vectors: Array32
    """(p, m): p training rows, or features."""


class Form(Protocol):
    """One design, as kernel or as Gram matrix."""

    def spectra(self, trains: Sequence[Rows], *, n_threads: int = 1) -> list[Spectrum]:
        """Decompose for each set of training rows."""

    def statistics(self, y: Array32, trains: Sequence[Rows]) -> list[Array32]:
        """Give z (p, n_columns) of responses (n_samples, n_columns), per set of rows."""

    def basis(self, spectrum: Spectrum, test: Rows) -> Array32:
        """Give B (n_test, m)."""

    def to_weights(self, spectrum: Spectrum) -> Array32:
        """(n_features, m): from the eigenvectors to weights of the features as given."""


class Dual:
    """Fewer samples than features: the kernel of the samples; z are the responses."""

    def __init__(self, design: Array32) -> None:
        self.x: Array32 = design - design.mean(axis=0)
        # float32 products of centred columns; their errors are 1e-7 of the largest entry.
        self.kernel: Array32 = self.x @ self.x.T

    def spectra(self, trains: Sequence[Rows], *, n_threads: int = 1) -> list[Spectrum]:
        """Decompose for each set of training rows."""

        def decompose(train: Rows) -> Spectrum:
            kernel = _square(self.kernel, train).astype(np.float64)
            kernel -= kernel.mean(axis=0)
            kernel -= kernel.mean(axis=1, keepdims=True)
            return _decomposed(train, kernel)

        return list(in_threads(decompose, trains, n_threads))

    def statistics(self, y: Array32, trains: Sequence[Rows]) -> list[Array32]:
        """Give z (p, n_columns) of responses (n_samples, n_columns), per set of rows."""
        return [np.asarray(rows_of(y, t) - mean_response(y, t)) for t in trains]

    def basis(self, spectrum: Spectrum, test: Rows) -> Array32:
        """Give B (n_test, m)."""
        train = spectrum.train
        block = self.kernel[test][:, train]
        block -= block.mean(axis=1, keepdims=True)
        inner = _square(self.kernel, train).mean(axis=0)
        block -= inner - inner.mean()
        return np.asarray(block @ spectrum.vectors)

    def to_weights(self, spectrum: Spectrum) -> Array32:
        """(n_features, m): from the eigenvectors to weights of the features as given."""
        x = self.x[spectrum.train]
        x -= x.mean(axis=0)
        return np.asarray(x.T @ spectrum.vectors)


class Primal:
    """More samples than features: Gram matrices; z are products of features and responses."""

    def __init__(self, design: Array32) -> None:
        # Centred over all rows: a shift common to all cancels, and products keep their digits.
        self.x: Array32 = design - design.mean(axis=0)

    def spectra(self, trains: Sequence[Rows], *, n_threads: int = 1) -> list[Spectrum]:
        """Decompose for each set of training rows."""
        parts, taken = parts_by_use(trains)
        products = list(in_threads(lambda rows: _gram(self.x, rows), parts, n_threads))

        def decompose(index: int) -> Spectrum:
            gram = np.zeros((self.x.shape[1],) * 2)
            for part in taken[index]:
                gram += products[part]
            mean = self._mean(trains[index])
            gram -= len(trains[index]) * np.outer(mean, mean)
            return _decomposed(trains[index], gram)

        return list(in_threads(decompose, range(len(trains)), n_threads))

    def statistics(self, y: Array32, trains: Sequence[Rows]) -> list[Array32]:
        """Give z (p, n_columns) of responses (n_samples, n_columns), per set of rows."""
        parts, taken = parts_by_use(trains)
        products = [
            _added([self.x[piece].T @ y[piece] for piece in runs_of(rows)]) for rows in parts
        ]
        total = _added(products)
        found = []
        for train, mine in zip(trains, taken, strict=True):
            others = [k for k in range(len(parts)) if k not in mine]
            sums = (-len(train) * self._mean(train)).astype(np.float32)
            z: Array32 = np.outer(sums, mean_response(y, train))
            if len(others) < len(mine):
                z += total
                for part in others:
                    z -= products[part]
            else:
                for part in mine:
                    z += products[part]
            found.append(z)
        return found

    def basis(self, spectrum: Spectrum, test: Rows) -> Array32:
        """Give B (n_test, m)."""
        about = self.x[test] - self._mean(spectrum.train).astype(np.float32)
        return np.asarray(about @ spectrum.vectors)

    def to_weights(self, spectrum: Spectrum) -> Array32:
        """(n_features, m): from the eigenvectors to weights of the features as given."""
        return spectrum.vectors

    def _mean(self, rows: Rows) -> Array64:
        sums = [self.x[part].sum(axis=0, dtype=np.float64) for part in runs_of(rows)]
        return np.asarray(np.sum(sums, axis=0) / len(rows))


def mean_response(y: Array32, rows: Rows) -> Array32:
    """Mean over some rows, (n_columns,)."""
    sums = [y[part].sum(axis=0, dtype=np.float64) for part in runs_of(rows)]
    return np.asarray(np.sum(sums, axis=0) / len(rows), dtype=np.float32)


def _decomposed(train: Rows, matrix: Array64) -> Spectrum:
    # numpy's eigh, not scipy's: it lets other threads work.
    values, vectors = np.linalg.eigh(matrix)
    return Spectrum(
        train,
        np.maximum(values, 0).astype(np.float32),
        np.ascontiguousarray(vectors, dtype=np.float32),
    )


def _square(matrix: Array32, rows: Rows) -> Array32:
    """Rows and the same columns, copied from slices where these are few."""
    pieces = runs_of(rows)
    return np.concatenate([np.concatenate([matrix[a][:, b] for b in pieces], 1) for a in pieces])


def _gram(x: Array32, rows: Rows) -> Array32:
    return _added([x[piece].T @ x[piece] for piece in runs_of(rows)])


def _added(products: Sequence[Array32]) -> Array32:
    total = products[0]
    if len(products) > 1:
        total = products[0] + products[1]
        for product in products[2:]:
            total += product
    return total
