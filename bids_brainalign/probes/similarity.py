"""Likeness of two representations of the same rows: linear CKA (debiased) and RSA, with nulls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform
from scipy.stats import rankdata, t

from bids_brainalign.statistics.autocorrelation import decorrelation_time, summary_decorrelation
from bids_brainalign.statistics.nulls import SHIFT_TIMES

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]
Metric = Literal["cka", "rsa"]

METRICS: tuple[Metric, ...] = ("cka", "rsa")
N_BLOCKS = 10
"""Blocks of time that the jackknife leaves out, one after the other."""
_LEAST_ROWS = 4
"""For the unbiased estimate; far more are needed for anything to be seen."""


@dataclass(frozen=True)
class Likeness:
    """Of every pair of a first and a second representation; arrays (n_first, n_second)."""

    value: Array64
    low: Array64
    high: Array64
    """95 % interval: jackknife over blocks of time."""
    chance: Array64
    """Mean over draws in which one side is shifted in time; NaN of rows too few for a null."""
    p: Array64
    p_max: Array64
    """Corrected over the first representations: against the highest of them in each draw."""
    n_null: int


def kernel(x: NDArray[np.floating]) -> Array32:
    """Linear kernel of centred columns, its diagonal set to 0, scaled to at most 1."""
    centred = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
    matrix = centred @ centred.T
    np.fill_diagonal(matrix, 0.0)
    scale = float(np.abs(matrix).max())
    return np.asarray(matrix / (scale or 1.0), dtype=np.float32)


def ranked_distances(x: NDArray[np.floating]) -> Array32:
    """Ranks, from 0 to 1, of Euclidean distances between rows; columns are standardised first."""
    wide = x.astype(np.float64)
    sd = wide.std(axis=0)
    z = (wide - wide.mean(axis=0)) / np.where(sd > 1e-12, sd, np.inf)
    distances = pdist(z)
    return np.asarray(squareform(rankdata(distances) / len(distances)), dtype=np.float32)


def apart(stretch: NDArray[np.int64], *, rows: int) -> NDArray[np.bool_]:
    """Pairs of rows that RSA looks at: neighbours in time are alike whatever they stand for.

    Parameters
    ----------
    stretch : ndarray of shape (n_rows,)
        Rows in the order of time; equal numbers belong together.
    rows : int
        Pairs within a stretch that are less far apart don't count.
    """
    place = np.arange(len(stretch))
    near = np.abs(place[:, None] - place) < max(1, rows)
    same = stretch[:, None] == stretch
    return np.asarray(~(near & same))


def likeness(
    first: Sequence[NDArray[np.floating]],
    second: Sequence[NDArray[np.floating]],
    metric: Metric,
    *,
    stretch: NDArray[np.int64],
    far: NDArray[np.bool_],
    draws: NDArray[np.int64],
    exact: bool = False,
) -> Likeness:
    """Compare every first with every second representation.

    Parameters
    ----------
    first, second : sequence of ndarray of shape (n_rows, n_dims)
        Of the same rows; the numbers of dimensions may differ.
    metric : {"cka", "rsa"}
        ``cka``: linear centred kernel alignment from the unbiased estimate of HSIC. ``rsa``:
        Spearman correlation of distances over the pairs of `far`.
    stretch : ndarray of shape (n_rows,)
        Rows in the order of time; the jackknife leaves out parts of it.
    far : ndarray of shape (n_rows, n_rows), bool
        Of :func:`apart`.
    draws : ndarray of shape (n_draws, n_rows)
        Rows shifted within their stretches (:func:`~.draws.shifted_rows`).
    exact : bool
        The draws are as good as the order given, whatever the rows remember: of rows too few for
        shifts, too, there is a p.

    Returns
    -------
    Likeness
    """
    if len(stretch) < _LEAST_ROWS:
        raise ValueError(f"{len(stretch)} rows are too few to compare")
    make = kernel if metric == "cka" else ranked_distances

    def shape_of(x: NDArray[np.floating]) -> Array32:
        return make(centred_within(x, stretch))

    draws = draws if exact or long_enough(second, stretch) else draws[:0]
    stack = np.stack([shape_of(x) for x in first])  # (n_first, n_rows, n_rows)
    kind = _Cka if metric == "cka" else _Rsa
    compare, plain = kind(stack, far), np.arange(len(stretch))
    left_out = np.array_split(plain, min(N_BLOCKS, len(stretch) // _LEAST_ROWS))
    matrices = [shape_of(x) for x in second]
    without = np.stack([_left(stack, matrices, kind, far, block) for block in left_out])
    found: list[tuple[Array64, ...]] = []
    for number, matrix in enumerate(matrices):
        value = compare(matrix, plain)
        null = np.full((len(draws), len(stack)), np.nan)
        for draw, order in enumerate(draws):
            null[draw] = compare(matrix, order)
        half = _half_width(without[:, number])
        found.append((value, value - half, value + half, *_tested(value, null)))
    value, low, high, chance, p, p_max = (
        np.stack(part, axis=1) for part in zip(*found, strict=True)
    )
    return Likeness(value, low, high, chance, p, p_max, len(draws))


def centred_within(x: NDArray[np.floating], stretch: NDArray[np.int64]) -> Array64:
    """Subtract the mean of every stretch: shifts in time could not draw differences of stories."""
    out = x.astype(np.float64)
    for name in np.unique(stretch):
        out[stretch == name] -= out[stretch == name].mean(axis=0)
    return out


def long_enough(second: Sequence[NDArray[np.floating]], stretch: NDArray[np.int64]) -> bool:
    """Whether the rows last 50 decorrelation times: shifts of less find too much by chance.

    With 10 to 20 times p < .05 came in 9 to 11 % of data without a link, with 50 in 5 %
    (tests/probes/test_similarity.py).
    """
    known = [summary_decorrelation(decorrelation_time(x, 1.0, segments=stretch)) for x in second]
    longest = np.nanmax([1.0, *known])
    return bool(len(stretch) >= SHIFT_TIMES * longest)


def _left(
    stack: Array32,
    matrices: Sequence[Array32],
    kind: type[_Cka] | type[_Rsa],
    far: NDArray[np.bool_],
    block: NDArray[np.int64],
) -> Array64:
    """Values without the rows of a block: (n_second, n_first)."""
    rows = np.setdiff1d(np.arange(len(far)), block)
    part = np.ix_(rows, rows)
    compare, plain = kind(stack[:, part[0], part[1]], far[part]), np.arange(len(rows))
    return np.stack([compare(matrix[part], plain) for matrix in matrices])


def _tested(value: Array64, null: Array64) -> tuple[Array64, Array64, Array64]:
    """Chance, p and p corrected over the first axis of values; NaN without draws."""
    n = len(null)
    if not n:
        nothing = np.full_like(value, np.nan)
        return nothing, nothing, nothing
    p = (1 + (null >= value).sum(axis=0)) / (1 + n)
    highest = null.max(axis=1)
    p_max = (1 + (highest[:, None] >= value).sum(axis=0)) / (1 + n)
    return null.mean(axis=0), p, p_max


def _half_width(without: Array64) -> Array64:
    """Half of the 95 % interval from values with one block left out each.

    References
    ----------
    Efron & Tibshirani 1993, An Introduction to the Bootstrap, eq. 11.5; Student's t for as many
    blocks, less one.
    """
    n = len(without)
    if n < 2:
        return np.full(without.shape[1], np.nan)
    spread = ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    return np.asarray(t.ppf(0.975, n - 1) * np.sqrt((n - 1) / n * spread))


class _Cka:
    """Linear CKA of every matrix of a stack with others; 0 where one side doesn't vary.

    References
    ----------
    Song et al. 2012, J Mach Learn Res 13:1393, eq. 5 (unbiased HSIC); Kornblith et al. 2019
    (ICML), eq. 1; both together as in Nguyen et al. 2021 (ICLR), section 3.
    """

    def __init__(self, stack: Array32, far: NDArray[np.bool_]) -> None:
        self._n = len(far)
        self._flat = stack.reshape(len(stack), -1)
        self._ones = stack.sum(axis=2, dtype=np.float64)
        self._totals = self._ones.sum(axis=1)
        squares = np.einsum("ij,ij->i", self._flat, self._flat, dtype=np.float64)
        self._own = self._hsic(squares, (self._ones**2).sum(axis=1), self._totals**2)

    def __call__(self, matrix: Array32, order: NDArray[np.int64]) -> Array64:
        """Compare with a matrix whose rows and columns are put into another order."""
        ones = matrix.sum(axis=1, dtype=np.float64)
        square = np.einsum("ij,ij->", matrix, matrix, dtype=np.float64)
        other = self._hsic(np.array([square]), np.array([ones @ ones]), ones.sum() ** 2)
        turned = matrix[np.ix_(order, order)].ravel()
        cross = self._hsic(
            self._flat @ turned, self._ones @ ones[order], self._totals * ones.sum()
        )
        root = np.sqrt(np.maximum(self._own * other, 0))
        return np.asarray(np.divide(cross, root, out=np.zeros(len(cross)), where=root > 0))

    def _hsic(self, trace: NDArray[np.floating], sums: Array64, totals: Array64) -> Array64:
        """Unbiased HSIC from tr(KL), 1ᵀKL1 and 1ᵀK1·1ᵀL1 of kernels with a zero diagonal."""
        n = self._n
        found = trace + totals / ((n - 1) * (n - 2)) - 2 / (n - 2) * sums
        return np.asarray(found / (n * (n - 3)), dtype=np.float64)


def cka(first: Iterable[NDArray[np.floating]], second: NDArray[np.floating]) -> Array64:
    """Linear CKA, debiased, of each of several representations with one other: (n_first,)."""
    n = len(second)
    matrix, rows, far = kernel(second), np.arange(n), np.ones((n, n), dtype=np.bool_)
    return np.array([_Cka(kernel(x)[None], far)(matrix, rows)[0] for x in first])


class _Rsa:
    """Correlation of ranked distances over the pairs that are apart.

    References
    ----------
    Kriegeskorte et al. 2008, Front Syst Neurosci 2:4.
    """

    def __init__(self, stack: Array32, far: NDArray[np.bool_]) -> None:
        self._rows, self._columns = np.nonzero(np.triu(far, 1))
        x = stack[:, self._rows, self._columns]
        x -= x.mean(axis=1, keepdims=True, dtype=np.float64)
        norm = np.sqrt(np.einsum("ij,ij->i", x, x, dtype=np.float64))
        x /= np.where(norm > 0, norm, np.inf)[:, None]
        self._x = x.astype(np.float32)

    def __call__(self, matrix: Array32, order: NDArray[np.int64]) -> Array64:
        """Compare with a matrix whose rows and columns are put into another order."""
        y = matrix[order[self._rows], order[self._columns]]
        y = y - np.float32(y.mean(dtype=np.float64))
        norm = np.sqrt(np.einsum("i,i->", y, y, dtype=np.float64))
        return np.asarray(self._x @ y / (norm or np.inf), dtype=np.float64)
