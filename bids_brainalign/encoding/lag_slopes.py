"""Whether the best lag grows with the depth of the layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.encoding.lagged import peak_lags
from bids_brainalign.statistics.intervals import MIN_FOR_INTERVAL, t_interval

Array64 = NDArray[np.float64]


@dataclass(frozen=True)
class LagSlope:
    """Slope of the peak lag over layers for a group of targets."""

    slope_ms: float
    """Milliseconds per layer: mean over targets of each target's least-squares slope."""
    ci_low_ms: float
    """95 % interval over targets; NaN with fewer than `MIN_FOR_INTERVAL`."""
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


def curve_slopes(r: Array64, lags_s: Array64) -> Array64:
    """Slope of every target's peak lag, peaks on the window's edge left out.

    Parameters
    ----------
    r : ndarray of shape (n_layers, n_lags, n_targets)
        Held-out correlation over folds.
    lags_s : ndarray of shape (n_lags,)

    Returns
    -------
    ndarray of shape (n_targets,)
        s per layer; NaN with fewer than `MIN_LAYERS` layers.
    """
    peaks, at_edge = peak_lags(np.moveaxis(r, 1, 2), lags_s)
    return target_slopes(np.where(at_edge, np.nan, peaks))


def lag_slope(slopes: Array64) -> LagSlope:
    """Mean slope of a group of targets, with Student's t interval over targets.

    Parameters
    ----------
    slopes : ndarray of shape (n_targets,)
        From :func:`curve_slopes`, of one electrode, a region or all of them.

    Returns
    -------
    LagSlope
        NaN where no target has enough layers.

    Notes
    -----
    The recording is held fixed: its folds are too few to draw from (one fold would give an
    interval of no width). Noise that targets share is therefore not in the interval, and another
    recording may lie outside it more often than it says.
    """
    known = 1000 * slopes[np.isfinite(slopes)]
    if not len(known):
        return LagSlope(np.nan, np.nan, np.nan, 0)
    low, high = t_interval(known) if len(known) >= MIN_FOR_INTERVAL else (np.nan, np.nan)
    return LagSlope(float(known.mean()), low, high, len(known))
