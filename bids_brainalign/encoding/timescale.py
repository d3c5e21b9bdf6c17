"""At what precision in time a prediction holds: bands of modulation, and jittered features.

(statistics.md §11)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from bids_brainalign.statistics.correlation import correlation

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]

BANDS_HZ = ((0.0, 1.0), (1.0, 4.0), (4.0, 8.0), (8.0, 16.0))
"""Of modulation: slower than phrases, phrases and words, syllables, phones."""
ORDER = 2
"""Of the Butterworth filter, which runs forwards and backwards."""
LEAST_PERIODS = 2
"""A stretch shorter than so many periods of a band's lower edge says nothing about the band."""
SEGMENT_S = 1.0
"""Each such piece of the features gets a shift of its own."""
_ROWS = 8192


def band_correlation(
    responses: Array32,
    predicted: Array32,
    stretch: NDArray[np.int64],
    *,
    band_hz: tuple[float, float],
    rate_hz: float,
) -> Array64:
    """Correlation of responses and predictions within one band of modulation.

    Parameters
    ----------
    responses, predicted : ndarray of shape (n_samples, n_targets)
        Held-out rows of one fold.
    stretch : ndarray of int, shape (n_samples,)
        Rows with the same number follow each other without a gap; nothing is filtered across.
    band_hz : tuple of float
        A lower edge of 0 is a low-pass.
    rate_hz : float
        Samples per second.

    Returns
    -------
    ndarray of shape (n_targets,)
        NaN if the band lies above half the rate or every stretch is too short.
    """
    low, high = band_hz
    missing = np.full(responses.shape[1], np.nan)
    if high >= rate_hz / 2:
        return missing
    edges = [low, high] if low > 0 else high
    sos = butter(ORDER, edges, btype="band" if low > 0 else "low", fs=rate_hz, output="sos")
    least = LEAST_PERIODS * rate_hz / (low if low > 0 else high)
    filtered = []
    for number in np.unique(stretch):
        rows = stretch == number
        if rows.sum() >= max(least, 10 * len(sos)):
            pair = np.stack([responses[rows], predicted[rows]]).astype(np.float64)
            filtered.append(sosfiltfilt(sos, pair - pair.mean(axis=1, keepdims=True), axis=1))
    if not filtered:
        return missing
    y, yhat = np.concatenate(filtered, axis=1)
    return np.nan_to_num(correlation(y, yhat), nan=0.0)


def stretches(run: NDArray[np.int64], time_s: Array64, *, interval_s: float) -> NDArray[np.int64]:
    """Give every row the number of its stretch without gaps.

    Examples
    --------
    >>> stretches(np.array([0, 0, 0, 1]), np.array([0.0, 0.02, 0.2, 0.22]), interval_s=0.02)
    array([0, 0, 1, 2])
    """
    breaks = (np.diff(run) != 0) | (np.abs(np.diff(time_s) - interval_s) > interval_s / 2)
    return np.concatenate([[0], np.cumsum(breaks)])


def jittered(
    features: Array32, *, jitter_s: float, rate_hz: float, rng: np.random.Generator
) -> Array32:
    """Shift every piece of the features in time by a random amount.

    Parameters
    ----------
    features : ndarray of shape (n_times, n_dims)
    jitter_s : float
        Shifts are uniform within ± this.
    rate_hz : float
    rng : Generator

    Returns
    -------
    ndarray of shape (n_times, n_dims), float32
        Linear interpolation between frames: shifts need not be whole frames.
    """
    n_times, n_dims = features.shape
    size = round(SEGMENT_S * rate_hz)
    n_pieces = -(-n_times // size)
    shift = np.repeat(rng.uniform(-jitter_s, jitter_s, n_pieces) * rate_hz, size)[:n_times]
    at = np.clip(np.arange(n_times) + shift, 0, n_times - 1)
    left = np.minimum(at.astype(np.int64), max(n_times - 2, 0))
    share = (at - left).astype(np.float32)[:, None]
    right = np.minimum(left + 1, n_times - 1)
    moved = np.empty((n_times, n_dims), dtype=np.float32)
    for start in range(0, n_times, _ROWS):  # bounds memory
        part = slice(start, start + _ROWS)
        moved[part] = (
            features[left[part]] * (1 - share[part]) + features[right[part]] * share[part]
        )
    return moved
