"""Likeness of two representations of the same rows: linear CKA (debiased) and RSA, with nulls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform
from scipy.stats import rankdata

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]


@dataclass(frozen=True)
class Geometry:
    """How rows lie to each other, in a form that is cheap to compare."""

    matrix: Array32
    """(n_rows, n_rows), symmetric: inner products with a zero diagonal, or ranked distances."""


def kernel(x: NDArray[np.floating]) -> Geometry:
    """Linear kernel of centred columns, its diagonal set to 0."""
    centred = x - x.mean(axis=0)
    matrix = (centred @ centred.T).astype(np.float64)
    np.fill_diagonal(matrix, 0.0)
    scale = np.abs(matrix).max()
    return Geometry((matrix / (scale or 1.0)).astype(np.float32))


def ranked_distances(x: NDArray[np.floating]) -> Geometry:
    """Ranks of Euclidean distances between rows, columns standardised."""
    sd = x.std(axis=0)
    z = (x - x.mean(axis=0)) / np.where(sd > 1e-12, sd, np.inf)
    ranks = rankdata(pdist(z.astype(np.float64)))
    return Geometry(squareform(ranks / len(ranks)).astype(np.float32))


def hsic(k: Array64, l: Array64) -> float:  # noqa: E741 - the names of the paper
    """Unbiased estimate of the Hilbert-Schmidt independence criterion.

    Parameters
    ----------
    k, l : ndarray of shape (n_rows, n_rows)
        Kernels with a zero diagonal.

    References
    ----------
    Song et al. 2012, J Mach Learn Res 13:1393, eq. 5.
    """
    n = len(k)
    ones_k, ones_l = k.sum(axis=0), l.sum(axis=0)
    total = (
        np.einsum("ij,ij->", k, l)
        + ones_k.sum() * ones_l.sum() / ((n - 1) * (n - 2))
        - 2 / (n - 2) * (ones_k @ ones_l)
    )
    return float(total / (n * (n - 3)))


def cka(a: Geometry, b: Geometry) -> float:
    """Linear centred kernel alignment from unbiased HSIC; 0 where one side doesn't vary.

    References
    ----------
    Kornblith et al. 2019 (ICML), eq. 1; with the unbiased HSIC as in Nguyen et al. 2021 (ICLR),
    section 3.
    """
    k, l = a.matrix.astype(np.float64), b.matrix.astype(np.float64)  # noqa: E741
    own = hsic(k, k) * hsic(l, l)
    return hsic(k, l) / np.sqrt(own) if own > 0 else 0.0


def rsa(a: Geometry, b: Geometry, apart: NDArray[np.bool_]) -> float:
    """Spearman correlation of distances over pairs of rows that are apart.

    Parameters
    ----------
    a, b : Geometry
        Of :func:`ranked_distances`.
    apart : ndarray of shape (n_rows, n_rows), bool
        Pairs that count.

    References
    ----------
    Kriegeskorte et al. 2008, Front Syst Neurosci 2:4.
    """
    x, y = a.matrix[apart].astype(np.float64), b.matrix[apart].astype(np.float64)
    x, y = x - x.mean(), y - y.mean()
    norm = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / norm) if norm > 0 else 0.0
