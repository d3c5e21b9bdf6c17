"""Whether the best lag grows with the depth of the layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.encoding.lagged import peak_lags
from bids_brainalign.statistics.correlation import fisher_mean

Array64 = NDArray[np.float64]


@dataclass(frozen=True)
class LagSlope:
    """Slope of the peak lag over layers for a group of targets."""

    slope_ms: float
    """Milliseconds per layer: mean over targets of each target's least-squares slope."""
    ci_low_ms: float
    ci_high_ms: float
    n_targets: int
    """With at least `MIN_LAYERS` layers whose peak lies inside the window."""


MIN_LAYERS = 3
"""A line through two points says nothing about order."""


def target_slopes(peaks_s: Array64) -> Array64:
    """Least-squares slope of each target's peak lag on the number of the layer.

    Parameters
    ----------
    peaks_s : ndarray of shape (n_layers, n_targets)
        NaN where a layer has no peak inside the window.

    Returns
    -------
    ndarray of shape (n_targets,)
        s per layer; NaN with fewer than `MIN_LAYERS` layers.
    """
    known = np.isfinite(peaks_s)
    n = np.maximum(known.sum(axis=0), 1)
    depth = np.where(known, np.arange(len(peaks_s), dtype=np.float64)[:, None], 0.0)
    value = np.where(known, peaks_s, 0.0)
    x = np.where(known, depth - depth.sum(axis=0) / n, 0.0)
    y = np.where(known, value - value.sum(axis=0) / n, 0.0)
    spread = (x**2).sum(axis=0)
    slope = np.divide((x * y).sum(axis=0), spread, out=np.zeros_like(spread), where=spread > 0)
    return np.where((known.sum(axis=0) >= MIN_LAYERS) & (spread > 0), slope, np.nan)


def resampled_slopes(
    r_fold: Array64,
    weights: Array64,
    lags_s: Array64,
    *,
    rng: np.random.Generator,
    n_boot: int = 1000,
) -> tuple[Array64, Array64]:
    """Slope of every target, and the same from resampled folds.

    Parameters
    ----------
    r_fold : ndarray of shape (n_layers, n_folds, n_lags, n_targets)
    weights : ndarray of shape (n_folds,)
        Samples of each fold.
    lags_s : ndarray of shape (n_lags,)
    rng : Generator
        Seeded by the caller.
    n_boot : int

    Returns
    -------
    observed : ndarray of shape (n_targets,)
        s per layer.
    resampled : ndarray of shape (n_boot, n_targets)
        Folds (stretches of the recording) drawn with replacement.
    """
    n_folds = r_fold.shape[1]
    drawn = rng.multinomial(n_folds, np.full(n_folds, 1 / n_folds), size=n_boot)
    # Few folds have few distinct resamples: each is computed once.
    distinct, index = np.unique(drawn, axis=0, return_inverse=True)
    slopes = np.stack([_slopes(r_fold, weights * counts, lags_s) for counts in distinct])
    return _slopes(r_fold, weights, lags_s), slopes[index.ravel()]


def _slopes(r_fold: Array64, weights: Array64, lags_s: Array64) -> Array64:
    r = np.stack(
        [fisher_mean(layer, weights) for layer in r_fold]
    )  # (n_layers, n_lags, n_targets)
    peaks, at_edge = peak_lags(np.moveaxis(r, 1, 2), lags_s)
    return target_slopes(np.where(at_edge, np.nan, peaks))


def lag_slope(
    observed: Array64, resampled: Array64, *, rng: np.random.Generator, level: float = 0.95
) -> LagSlope:
    """Mean slope of a group of targets, with an interval from resampled folds and targets.

    Parameters
    ----------
    observed : ndarray of shape (n_targets,)
        Of one electrode, a region or all of them.
    resampled : ndarray of shape (n_boot, n_targets)
        Both from :func:`resampled_slopes`.
    rng : Generator
        Seeded by the caller.
    level : float

    Returns
    -------
    LagSlope
        NaN where no target has enough layers. Each draw resamples the folds (the recording's
        stretches differ) and the targets (electrodes differ): the interval describes this
        participant, and no other.
    """
    count = int(np.isfinite(observed).sum())
    if not count:
        return LagSlope(np.nan, np.nan, np.nan, 0)
    picked = rng.integers(len(observed), size=resampled.shape)
    drawn = np.take_along_axis(resampled, picked, axis=1)
    known = np.isfinite(drawn)
    total = np.where(known, drawn, 0.0).sum(axis=1)
    means = 1000 * total[known.any(axis=1)] / known.sum(axis=1)[known.any(axis=1)]
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(means, [tail, 100 - tail]) if len(means) else (np.nan, np.nan)
    return LagSlope(1000 * float(np.nanmean(observed)), float(low), float(high), count)
