"""p values from null draws, with a fitted tail where draws are too few to count."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError, ExitCode

ENOUGH_EXCEEDANCES = 10
"""With this many draws above the observed value, counting is precise enough (Knijnenburg)."""

MAX_TAIL_DRAWS = 250
"""Largest draws a tail is fitted on …"""

MAX_TAIL_SHARE = 0.125
"""… as long as they are no more than this share of all draws."""

MIN_TAIL_DRAWS = 50
"""With fewer draws in the tail, its shape is a guess: p is counted."""

FLOOR_FACTOR = 100
"""A fitted p is never smaller than 1 / (100 · n_draws): two decades are as far as a tail can be
extrapolated, and beyond the end of a fitted bounded tail there is nothing better to say."""

SHRINKAGE = 0.5
"""A bounded tail's shape (k > 0) is halved, its mean kept. Estimates scatter (± .08 with 250
draws), and an overestimate ends the tail too early: unshrunk, p ≤ 1e-4 came 4 times too often with
2,000 Gaussian draws and 10 times with 500; halved, 0.6 and 1.6 times (simulated)."""

_BLOCK_TARGETS = 4096


def p_values(
    observed: NDArray[np.floating], null: NDArray[np.floating], *, tail_fit: bool = True
) -> NDArray[np.float64]:
    """One-sided p value of each target: how often its null reaches what was observed.

    Parameters
    ----------
    observed : array (n_targets,)
        Observed scores.
    null : array (n_draws, n_targets)
        Null scores.
    tail_fit : bool
        Where fewer than 10 draws reach the observed value, read p off a generalised Pareto
        distribution fitted to the largest draws, instead of counting.

    Returns
    -------
    array (n_targets,), float64
        Counted: (1 + #{null ≥ observed}) / (1 + n_draws). Fitted: at least :func:`p_floor`, at
        most what 10 exceedances would count as. NaN where anything is NaN.

    Raises
    ------
    BrainAlignError
        If the shapes do not fit or there are no draws.

    References
    ----------
    Knijnenburg et al. 2009, Bioinformatics 25(12), i161; Phipson & Smyth 2010 (the 1 + …).
    """
    n_draws, n_targets = null.shape
    if observed.shape != (n_targets,) or n_draws < 1:
        raise BrainAlignError(
            f"Observed scores of shape {observed.shape} do not fit a null of {null.shape}.",
            exit_code=ExitCode.INTERNAL,
        )
    reached = (null >= observed).sum(axis=0)
    p = (1.0 + reached) / (1.0 + n_draws)
    if tail_fit and _tail_draws(n_draws) >= MIN_TAIL_DRAWS:
        rare = np.flatnonzero(reached < ENOUGH_EXCEEDANCES)
        for first in range(0, len(rare), _BLOCK_TARGETS):
            block = rare[first : first + _BLOCK_TARGETS]
            fitted = _tail_p(observed[block].astype(np.float64), null[:, block])
            p[block] = np.where(np.isnan(fitted), p[block], fitted)
    unknown = np.isnan(observed) | np.isnan(null).any(axis=0)
    return np.where(unknown, np.nan, p)


def p_floor(n_draws: int, *, tail_fit: bool = True) -> float:
    """Smallest p value that :func:`p_values` gives with this many draws."""
    if tail_fit and _tail_draws(n_draws) >= MIN_TAIL_DRAWS:
        return 1.0 / (FLOOR_FACTOR * n_draws)
    return 1.0 / (1.0 + n_draws)


def _tail_draws(n_draws: int) -> int:
    return min(MAX_TAIL_DRAWS, int(MAX_TAIL_SHARE * n_draws))


def _tail_p(observed: NDArray[np.float64], null: NDArray[np.floating]) -> NDArray[np.float64]:
    """P by generalised Pareto tails fitted by probability-weighted moments; NaN where invalid.

    Hosking & Wallis 1987, Technometrics 29(3), sections 2 and 4:
    F(z) = 1 − (1 − k z / a)^(1/k), with mean a / (1 + k).
    """
    n_draws = null.shape[0]
    n_tail = _tail_draws(n_draws)
    top = np.partition(null, n_draws - n_tail - 1, axis=0)[n_draws - n_tail - 1 :]
    top = np.sort(top.astype(np.float64), axis=0)
    threshold = (top[0] + top[1]) / 2
    excess = top[1:] - threshold
    plotting = (np.arange(1, n_tail + 1) - 0.35) / n_tail
    moment0 = excess.mean(axis=0)
    moment1 = ((1.0 - plotting) @ excess) / n_tail
    z = observed - threshold
    with np.errstate(divide="ignore", invalid="ignore"):
        shape = moment0 / (moment0 - 2 * moment1) - 2
        shape = np.where(shape > 0, SHRINKAGE * shape, shape)
        scale = moment0 * (1 + shape)
        inside = np.maximum(1.0 - shape * z / scale, 0.0)
        beyond = np.where(np.abs(shape) < 1e-6, np.exp(-z / scale), inside ** (1.0 / shape))
    p = n_tail / n_draws * beyond
    # The moments exist for k > −1/2 only, and ties can leave no spread above the threshold.
    valid = np.isfinite(p) & (moment0 > 0) & (shape > -0.5) & (z > 0)
    most = (1.0 + ENOUGH_EXCEEDANCES) / (1.0 + n_draws)
    return np.where(valid, np.clip(p, p_floor(n_draws), most), np.nan)
