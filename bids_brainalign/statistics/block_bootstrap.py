"""Intervals for scores of one participant: blocks of held-out time are drawn again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.statistics.correlation import fisher_mean

Array64 = NDArray[np.float64]

MIN_BLOCKS = 6
"""With fewer blocks a bootstrap interval says nothing."""
_EPSILON = 1e-12


@dataclass(frozen=True)
class Blocks:
    """Held-out time of all folds, cut into blocks."""

    label: tuple[NDArray[np.int64], ...]
    """Per fold (n_test_k,): index of the block of each row, counted over all folds."""
    fold: NDArray[np.int64]
    """(n_blocks,): the fold that each block lies in."""

    @property
    def n_blocks(self) -> int:
        """Blocks of all folds."""
        return len(self.fold)


def make_blocks(
    times: Sequence[NDArray[np.float64]],
    runs: Sequence[NDArray[np.int64]],
    *,
    block_s: float,
    interval_s: float,
) -> Blocks:
    """Cut the held-out rows of every fold and run into blocks of equal length.

    Parameters
    ----------
    times, runs : sequence of ndarray of shape (n_test_k,)
        Seconds on the recording's clock, and the run, of each fold's held-out rows.
    block_s : float
        Least length of a block. A run shorter than that within a fold is one block.
    interval_s : float
        Seconds between rows.
    """
    labels, folds, start = [], [], 0
    for k, (seconds, run) in enumerate(zip(times, runs, strict=True)):
        label = np.empty(len(seconds), dtype=np.int64)
        for name in np.unique(run):
            rows = np.flatnonzero(run == name)
            n_blocks = max(1, int(len(rows) * interval_s / block_s))
            order = rows[np.argsort(seconds[rows], kind="stable")]
            for part in np.array_split(order, n_blocks):
                label[part] = start
                folds.append(k)
                start += 1
        labels.append(label)
    return Blocks(tuple(labels), np.asarray(folds, dtype=np.int64))


def draw_counts(n_blocks: int, *, n_draws: int, rng: np.random.Generator) -> Array64:
    """How often each block comes in each draw: (n_draws, n_blocks)."""
    return rng.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=n_draws).astype(float)


def drawn_scores(
    responses: Sequence[NDArray[np.floating]],
    predictions: Sequence[NDArray[np.floating]],
    blocks: Blocks,
    counts: Array64,
) -> Array64:
    """Score over folds in every draw of blocks.

    Parameters
    ----------
    responses, predictions : sequence of ndarray of shape (n_test_k, n_targets)
        Per fold.
    blocks : Blocks
    counts : ndarray of shape (n_draws, n_blocks)
        From :func:`draw_counts`; the same counts for two encoders make their difference paired.

    Returns
    -------
    ndarray of shape (n_draws, n_targets)
        r of each fold from its drawn blocks, then the mean on Fisher's z over folds weighted by
        the rows drawn, as for the score itself.
    """
    n_targets = responses[0].shape[1]
    sizes = np.bincount(np.concatenate(blocks.label), minlength=blocks.n_blocks).astype(float)
    r = np.full((len(responses), len(counts), n_targets), np.nan)
    weight = np.zeros((len(responses), len(counts)))
    for k, (y, yhat) in enumerate(zip(responses, predictions, strict=True)):
        mine = np.flatnonzero(blocks.fold == k)
        drawn = counts[:, mine]
        n = drawn @ sizes[mine]
        sums = _sums(y.astype(np.float64), yhat.astype(np.float64), blocks.label[k], mine)
        sy, sp, syy, spp, syp = (drawn @ part for part in sums)
        safe = np.maximum(n, 1)[:, None]
        covariance = syp - sy * sp / safe
        spread = np.sqrt(np.maximum(syy - sy**2 / safe, 0) * np.maximum(spp - sp**2 / safe, 0))
        flat = spread <= _EPSILON
        # A constant prediction explains nothing: r = 0, as in the scores.
        r[k] = np.where(flat, 0.0, covariance / np.where(flat, 1.0, spread))
        r[k][n == 0] = np.nan
        weight[k] = n
    total = np.stack([fisher_mean(r[:, d], weight[:, d]) for d in range(len(counts))])
    return np.asarray(total)


def _sums(
    y: Array64, yhat: Array64, label: NDArray[np.int64], mine: NDArray[np.int64]
) -> tuple[Array64, ...]:
    """Give the sums per block: y, ŷ, y², ŷ², yŷ, each (n_blocks_k, n_targets)."""
    member = (label[:, None] == mine).astype(np.float64).T  # (n_blocks_k, n_rows)
    return tuple(member @ part for part in (y, yhat, y * y, yhat * yhat, y * yhat))


def widened(draws: Array64, value: Array64, *, scale: float) -> Array64:
    """Stretch drawn values around the observed one.

    Drawing held-out blocks holds the fitted models fixed. Folds that train each other share the
    products of their covariances, so that scores vary more than the draws say: on data without a
    link 82 % of 95 % intervals held 0 (tests/encoding/recurrent/test_calibration.py). The factor
    is that of the null (:attr:`~bids_brainalign.encoding.scoring.HeldOut.null_scale`); where a
    response is predicted well it is more than is needed.

    Parameters
    ----------
    draws : ndarray of shape (n_draws, n_targets)
    value : ndarray of shape (n_targets,)
    scale : float
    """
    return np.asarray(value + scale * (draws - value))


def percentile_interval(draws: Array64, *, level: float) -> tuple[Array64, Array64]:
    """Percentile interval over the first axis.

    Parameters
    ----------
    draws : ndarray of shape (n_draws, ...)
    level : float
        Coverage, e.g. .95.
    """
    tail = 100 * (1 - level) / 2
    low, high = np.nanpercentile(draws, [tail, 100 - tail], axis=0)
    return low, high
