"""Ridge in eigenvectors, where any penalty is a division: of the kernel, or of the features' Gram.

Both forms give the same ridge with an unpenalised intercept. With statistics z of the training
responses, which each form makes in its way, and eigenvalues s and eigenvectors V of the training
rows, predictions of other rows are B (V′z / (s + λ)) plus the mean response.

Kernels and Gram matrices are products of float32, summed and decomposed in float64. All matrices
are numpy's, or tensors on a device (:mod:`~bids_brainalign.encoding.arrays`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bids_brainalign.encoding.arrays import Arrays, HostArrays, Matrix
from bids_brainalign.encoding.lag_gram import runs_of
from bids_brainalign.encoding.target_batches import Array32, Rows, in_threads, parts_by_use


@dataclass(frozen=True)
class Spectrum:
    """Kernel or Gram matrix of some training rows."""

    train: Rows
    values: Matrix
    """(m,), not below 0."""
    vectors: Matrix
    """(p, m): p training rows, or features."""


class Form(Protocol):
    """One design, as kernel or as Gram matrix."""

    arrays: Arrays

    def spectra(self, trains: Sequence[Rows], *, n_threads: int = 1) -> list[Spectrum]:
        """Decompose for each set of training rows."""

    def statistics(self, y: Matrix, trains: Sequence[Rows]) -> list[Matrix]:
        """Give z (p, n_columns) of responses (n_samples, n_columns), per set of rows."""

    def n_statistics(self, train: Rows) -> int:
        """Give p."""

    def basis(self, spectrum: Spectrum, test: Rows) -> Matrix:
        """Give B (n_test, m)."""

    def to_weights(self, spectrum: Spectrum) -> Matrix:
        """(n_features, m): from the eigenvectors to weights of the features as given."""


class Dual:
    """Fewer samples than features: the kernel of the samples; z are the responses."""

    def __init__(self, design: Array32, arrays: Arrays | None = None) -> None:
        self.arrays = arrays or HostArrays()
        self.x = self.arrays.put(design - design.mean(axis=0))
        # float32 products of centred columns; their errors are 1e-7 of the largest entry.
        self.kernel = self.x @ self.x.T

    def spectra(self, trains: Sequence[Rows], *, n_threads: int = 1) -> list[Spectrum]:
        """Decompose for each set of training rows."""

        def decompose(train: Rows) -> Spectrum:
            kernel = self.arrays.double(self._square(train))
            kernel -= kernel.mean(axis=0)
            kernel -= kernel.mean(axis=1, keepdims=True)
            return Spectrum(train, *self.arrays.decomposed(kernel))

        return list(in_threads(decompose, trains, n_threads))

    def statistics(self, y: Matrix, trains: Sequence[Rows]) -> list[Matrix]:
        """Give z (p, n_columns) of responses (n_samples, n_columns), per set of rows."""
        return [self.arrays.rows(y, t) - self.arrays.mean(y, t) for t in trains]

    def n_statistics(self, train: Rows) -> int:
        """Give p."""
        return len(train)

    def basis(self, spectrum: Spectrum, test: Rows) -> Matrix:
        """Give B (n_test, m)."""
        train = spectrum.train
        block = self.kernel[test][:, train]
        block -= block.mean(axis=1, keepdims=True)
        inner = self._square(train).mean(axis=0)
        block -= inner - inner.mean(axis=0)
        return block @ spectrum.vectors

    def to_weights(self, spectrum: Spectrum) -> Matrix:
        """(n_features, m): from the eigenvectors to weights of the features as given."""
        x = self.x[spectrum.train]
        x -= x.mean(axis=0)
        return x.T @ spectrum.vectors

    def _square(self, rows: Rows) -> Matrix:
        """Rows of the kernel and the same columns, copied from slices where these are few."""
        pieces = runs_of(rows)
        joined = self.arrays.joined
        return joined([joined([self.kernel[a][:, b] for b in pieces], 1) for a in pieces])


class Primal:
    """More samples than features: Gram matrices; z are products of features and responses."""

    def __init__(self, design: Array32, arrays: Arrays | None = None) -> None:
        self.arrays = arrays or HostArrays()
        # Centred over all rows: a shift common to all cancels, and products keep their digits.
        self.x = self.arrays.put(design - design.mean(axis=0))

    def spectra(self, trains: Sequence[Rows], *, n_threads: int = 1) -> list[Spectrum]:
        """Decompose for each set of training rows."""
        parts, taken = parts_by_use(trains)
        products = list(in_threads(lambda rows: _gram(self.x, rows), parts, n_threads))

        def decompose(index: int) -> Spectrum:
            train, (first, *others) = trains[index], taken[index]
            gram = self.arrays.double(products[first])
            for part in others:
                gram += products[part]
            mean = self.arrays.mean64(self.x, train)
            gram -= len(train) * (mean[:, None] * mean)
            return Spectrum(train, *self.arrays.decomposed(gram))

        return list(in_threads(decompose, range(len(trains)), n_threads))

    def statistics(self, y: Matrix, trains: Sequence[Rows]) -> list[Matrix]:
        """Give z (p, n_columns) of responses (n_samples, n_columns), per set of rows."""
        parts, taken = parts_by_use(trains)
        products = [
            _added([self.x[piece].T @ y[piece] for piece in runs_of(rows)]) for rows in parts
        ]
        total = _added(products)
        found = []
        for train, mine in zip(trains, taken, strict=True):
            others = [k for k in range(len(parts)) if k not in mine]
            sums = self.arrays.single(-len(train) * self.arrays.mean64(self.x, train))
            z = sums[:, None] * self.arrays.mean(y, train)
            if len(others) < len(mine):
                z += total
                for part in others:
                    z -= products[part]
            else:
                for part in mine:
                    z += products[part]
            found.append(z)
        return found

    def n_statistics(self, train: Rows) -> int:
        """Give p."""
        return self.x.shape[1]

    def basis(self, spectrum: Spectrum, test: Rows) -> Matrix:
        """Give B (n_test, m)."""
        about = self.x[test] - self.arrays.mean(self.x, spectrum.train)
        return about @ spectrum.vectors

    def to_weights(self, spectrum: Spectrum) -> Matrix:
        """(n_features, m): from the eigenvectors to weights of the features as given."""
        return spectrum.vectors


def _gram(x: Matrix, rows: Rows) -> Matrix:
    return _added([x[piece].T @ x[piece] for piece in runs_of(rows)])


def _added(products: Sequence[Matrix]) -> Matrix:
    total = products[0]
    if len(products) > 1:
        total = products[0] + products[1]
        for product in products[2:]:
            total += product
    return total
