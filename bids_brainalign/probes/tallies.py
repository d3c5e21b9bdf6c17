"""Scores of probes from sums over blocks of test rows.

All scores are functions of sums that add up over rows. Kept per block, they give the score, its
value in every draw of blocks, and the difference between two models on the same draws.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array64 = NDArray[np.float64]
Kind = Literal["numbers", "classes", "labels"]
"""What is predicted: columns of numbers; one class of each row; any labels of each row."""

METRICS: dict[str, tuple[str, str]] = {
    "numbers": ("r", "r2"),
    "classes": ("balanced_accuracy", "f1_macro"),
    "labels": ("f1_macro", "f1_micro"),
}


def tally(
    truth: NDArray[np.floating], said: NDArray[np.floating], block: NDArray[np.int64], kind: Kind
) -> Array64:
    """Sum up each block and column.

    Parameters
    ----------
    truth, said : ndarray of shape (n_rows, n_columns)
        For numbers: standardised by training rows, and predictions of that. Else 0 and 1.
    block : ndarray of shape (n_rows,)
        0 … n_blocks − 1.
    kind : {"numbers", "classes", "labels"}

    Returns
    -------
    ndarray of shape (n_blocks, n_columns, n_sums)
        Numbers: n, Σy, Σŷ, Σy², Σŷ², Σyŷ. Else: how often true, said, and both.
    """
    y, p = truth.astype(np.float64), said.astype(np.float64)
    member = np.eye(int(block.max()) + 1)[block].T  # (n_blocks, n_rows)
    parts = [y, p, y * p]
    if kind == "numbers":
        parts = [np.ones_like(y), y, p, y * y, p * p, y * p]
    return np.stack([member @ part for part in parts], axis=-1)


def scores(sums: Array64, kind: Kind) -> Array64:
    """Scores of summed tallies.

    Parameters
    ----------
    sums : ndarray of shape (..., n_columns, n_sums)
    kind : {"numbers", "classes", "labels"}

    Returns
    -------
    ndarray of shape (..., n_metrics)
        In the order of `METRICS`. Means over columns leave out columns that the test rows don't
        hold: numbers that don't vary, classes and labels that don't come. A prediction that does
        not vary has r = 0.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return _numbers(sums) if kind == "numbers" else _hits(sums, kind)


def _numbers(sums: Array64) -> Array64:
    n, sy, sp, syy, spp, syp = np.moveaxis(sums, -1, 0)
    varies = syy - sy**2 / n
    spread = spp - sp**2 / n
    flat = spread <= 1e-12 * np.maximum(spp, 1e-12)
    r = np.where(flat, 0.0, (syp - sy * sp / n) / np.sqrt(varies * np.where(flat, 1.0, spread)))
    # Columns are standardised by training rows, so that Σy² is about the training mean.
    r2 = 1 - (syy - 2 * syp + spp) / syy
    held = varies > 1e-9
    return np.stack([_mean(r, held), _mean(r2, held)], axis=-1)


def _hits(sums: Array64, kind: Kind) -> Array64:
    true, said, both = np.moveaxis(sums, -1, 0)
    held = true > 0
    f1 = _mean(2 * both / (true + said), held)
    if kind == "classes":
        return np.stack([_mean(both / true, held), f1], axis=-1)
    micro = 2 * both.sum(axis=-1) / (true + said).sum(axis=-1)
    return np.stack([f1, micro], axis=-1)


def _mean(values: Array64, held: NDArray[np.bool_]) -> Array64:
    count = held.sum(axis=-1)
    total = np.where(held, values, 0.0).sum(axis=-1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def interval(
    blocks: Array64, kind: Kind, *, counts: Array64, minus: Array64 | None = None
) -> tuple[Array64, Array64]:
    """95 % percentile interval over draws of blocks, of a score or of a paired difference.

    Parameters
    ----------
    blocks : ndarray of shape (n_blocks, n_columns, n_sums)
    kind : {"numbers", "classes", "labels"}
    counts : ndarray of shape (n_draws, n_blocks)
        How often each block comes in each draw.
    minus : ndarray, optional
        Tallies of another model on the same rows: the interval is of the difference.

    Returns
    -------
    low, high : ndarray of shape (n_metrics,)
    """

    def drawn(tallies: Array64) -> Array64:
        return scores(np.tensordot(counts, tallies, axes=1), kind)

    values = drawn(blocks) if minus is None else drawn(blocks) - drawn(minus)
    low, high = np.nanpercentile(values, [2.5, 97.5], axis=0)
    return low, high
