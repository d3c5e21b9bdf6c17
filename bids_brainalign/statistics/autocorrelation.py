"""How long a response remembers itself: the time scale of gaps and nulls."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from bids_brainalign.errors import BrainAlignError, ExitCode

THRESHOLD = 0.1
"""Autocorrelation below which two samples count as unrelated (design: statistics.md §1)."""

SUMMARY_PERCENTILE = 75.0
"""One number for all targets. The median would leave half of them with more memory than the
gap and the null allow for; the maximum is set by one drifting electrode or voxel."""

_BLOCK_ELEMENTS = 1 << 22


def decorrelation_time(
    x: NDArray[np.floating],
    interval_s: float,
    *,
    segments: NDArray[np.integer] | None = None,
) -> NDArray[np.float64]:
    """First lag at which the autocorrelation of each target falls below 0.1.

    Parameters
    ----------
    x : array (n_times, n_targets)
        Responses; training data only, where folds depend on the result.
    interval_s : float
        Seconds between samples.
    segments : array (n_times,) of int, optional
        Run of each sample; a run is a stretch of equal labels. Each is centred on its own mean
        and no product reaches across a border. Without it, all samples are one run.

    Returns
    -------
    array (n_targets,), float64
        Seconds. The longest lag looked at (half of the longest segment) where the
        autocorrelation stays above 0.1 until there; NaN where a target has no variance.

    Raises
    ------
    BrainAlignError
        If the labels do not fit ``x``, or no segment has two samples.
    """
    n_times, n_targets = x.shape
    labels = np.zeros(n_times, dtype=int) if segments is None else segments
    if labels.shape != (n_times,):
        raise BrainAlignError(
            f"Segment labels of shape {labels.shape} do not fit {n_times} samples.",
            exit_code=ExitCode.INTERNAL,
        )
    borders = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), n_times]
    runs = list(pairwise(borders))
    longest = max(stop - start for start, stop in runs)
    if longest < 2:
        raise BrainAlignError(
            f"An autocorrelation needs two samples; the longest segment has {longest}.",
            fix="Give longer recordings or fewer censored samples.",
        )
    n_lags = longest // 2 + 1
    times = np.empty(n_targets)
    step = max(1, _BLOCK_ELEMENTS // (2 * longest))
    for first in range(0, n_targets, step):
        block = slice(first, first + step)
        rho = _autocorrelation(x[:, block], runs, n_lags=n_lags)
        below = rho < THRESHOLD
        lag = np.where(below.any(axis=0), below.argmax(axis=0), n_lags - 1)
        times[block] = np.where(np.isnan(rho[0]), np.nan, lag * interval_s)
    return times


def summary_decorrelation(times_s: NDArray[np.floating]) -> float:
    """One decorrelation time for all targets: the 75th percentile.

    Parameters
    ----------
    times_s : array (n_targets,)
        From :func:`decorrelation_time`; NaN targets are left out.

    Returns
    -------
    float
        Seconds; NaN if no target has variance.
    """
    known = times_s[~np.isnan(times_s)]
    return float(np.percentile(known, SUMMARY_PERCENTILE)) if known.size else float("nan")


def _autocorrelation(
    x: NDArray[np.floating], runs: Sequence[tuple[int, int]], *, n_lags: int
) -> NDArray[np.float64]:
    """Autocorrelation (n_lags, n_targets); products pooled over runs, each lag by its count."""
    products = np.zeros((n_lags, x.shape[1]))
    counts = np.zeros(n_lags)
    spread = np.zeros(x.shape[1], dtype=bool)
    for start, stop in runs:
        length = stop - start
        if length < 2:
            continue
        run = x[start:stop].astype(np.float64)
        spread |= np.ptp(run, axis=0) > 0
        run -= run.mean(axis=0)
        n_fft = fft.next_fast_len(2 * length, real=True)
        power = np.abs(fft.rfft(run, n_fft, axis=0)) ** 2
        kept = min(n_lags, length)
        products[:kept] += fft.irfft(power, n_fft, axis=0)[:kept]
        counts[:kept] += length - np.arange(kept)
    covariance = products / np.maximum(counts, 1.0)[:, None]
    variance = np.where(spread, covariance[0], np.nan)
    return np.asarray(covariance / variance)
