"""Whether responses follow the sound as it was placed, or at another lag."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_TARGETS = 1000
"""Voxels are thinned to this many: enough to find the auditory ones, and quick."""
BEST_SHARE = 0.1
"""Share of targets, those that follow the sound best, of which r is the mean."""
MAX_BLOCKS = 8
REACHES_PER_BLOCK = 6
"""A block is at least this many times as long as the longest lag, so that few lags wrap."""
MIN_BLOCKS = 4
N_NULL = 500


@dataclass(frozen=True)
class OnsetCheck:
    """Where the cross-correlation of sound and responses peaks."""

    lag_s: float
    """Responses lag the sound, as placed, by this much."""
    low_s: float
    high_s: float
    """95 % interval of the lag (jackknife over blocks of the recording)."""
    r: float
    """Correlation at that lag, mean over the tenth of targets that follow the sound best."""
    p: float
    """Share of circular shifts whose highest peak is at least as high; NaN if nothing varies."""
    max_lag_s: float
    """Lags up to this were searched, to both sides."""


def onset_check(
    envelope: NDArray[np.floating],
    responses: NDArray[np.floating],
    *,
    interval_s: float,
    max_lag_s: float,
    rng: np.random.Generator,
) -> OnsetCheck:
    """Cross-correlate an audio envelope with responses.

    The recording is cut into four to eight blocks; in each, sound and responses are correlated at
    all circular lags. The height of a lag is the mean over targets of squared correlation, so
    that targets may follow the sound with either sign and none is picked beforehand. Null draws
    shift every block by an offset of its own and take the highest peak among as many lags: both
    autocorrelations stay as they are, and the search over lags is paid for.

    Parameters
    ----------
    envelope : ndarray of shape (n_times,)
        Sound level at the responses' samples, placed by the assumed onset; NaN where none played.
    responses : ndarray of shape (n_times, n_targets)
    interval_s : float
        Seconds between samples.
    max_lag_s : float
        Lags searched; at most a 24th of the recording.
    rng : numpy.random.Generator

    Returns
    -------
    OnsetCheck
    """
    n_times = len(envelope)
    reach = max(1, min(round(max_lag_s / interval_s), n_times // (REACHES_PER_BLOCK * MIN_BLOCKS)))
    n_blocks = int(np.clip(n_times // (REACHES_PER_BLOCK * reach), 1, MAX_BLOCKS))
    length = n_times // n_blocks
    step = max(1, -(-responses.shape[1] // MAX_TARGETS))
    sound = _centred_blocks(np.asarray(envelope)[:, None], n_blocks, length)
    data = _centred_blocks(np.asarray(responses)[:, ::step], n_blocks, length)
    data = data[:, :, data.any(axis=(0, 1))]
    if not sound.any() or data.shape[2] == 0:
        nan = float("nan")
        return OnsetCheck(nan, nan, nan, nan, nan, reach * interval_s)
    products = _circular(sound, data)
    lags = np.arange(-reach, reach + 1)
    near = products[:, lags % length]  # (n_blocks, n_lags, n_targets)
    r = near.sum(axis=0)
    height = np.mean(r**2, axis=1)
    peak = int(np.argmax(height))
    null = _null_peaks(products, lags, rng)
    followers = np.argsort(-np.abs(r[peak]))[: max(1, round(BEST_SHARE * r.shape[1]))]
    half = _jackknife(near, lags)
    return OnsetCheck(
        lag_s=float(lags[peak] * interval_s),
        low_s=float((lags[peak] - half) * interval_s),
        high_s=float((lags[peak] + half) * interval_s),
        r=float(np.mean(r[peak, followers])),
        p=(1 + int(np.count_nonzero(null >= height[peak]))) / (1 + len(null)),
        max_lag_s=reach * interval_s,
    )


def _centred_blocks(data: NDArray[np.floating], n_blocks: int, length: int) -> NDArray[np.float32]:
    """Blocks with mean 0, columns with sum of squares 1; missing and constant become 0.

    Returns
    -------
    ndarray of shape (n_blocks, length, n_columns)
    """
    blocks = data[: n_blocks * length].reshape(n_blocks, length, -1).astype(np.float64)
    known = np.isfinite(blocks)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    mean = np.where(known, blocks, 0.0).sum(axis=1, keepdims=True) / count
    centred = np.where(known, blocks - mean, 0.0)
    size = np.sqrt((centred**2).sum(axis=(0, 1)))
    # Columns that are constant but for rounding count as constant.
    steady = size <= 1e-9 * np.maximum(np.abs(mean).max(axis=(0, 1)), 1e-30)
    return np.where(steady, 0.0, centred / np.where(steady, 1.0, size)).astype(np.float32)


def _circular(sound: NDArray[np.float32], data: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each block's share of the correlation at every circular lag.

    Returns
    -------
    ndarray of shape (n_blocks, length, n_targets)
        Negative lags stand at the end.
    """
    n = sound.shape[1]
    spectrum = np.conj(np.fft.rfft(sound, axis=1))
    products = [
        np.fft.irfft(s * np.fft.rfft(d, axis=0), n=n, axis=0).astype(np.float32)
        for s, d in zip(spectrum, data, strict=True)
    ]
    return np.stack(products)


def _null_peaks(
    products: NDArray[np.float32], lags: NDArray[np.int_], rng: np.random.Generator
) -> NDArray[np.float64]:
    n_blocks, length, _ = products.shape
    peaks = np.empty(N_NULL)
    for i, offsets in enumerate(rng.integers(0, length, size=(N_NULL, n_blocks))):
        r = sum(block[(lags + k) % length] for block, k in zip(products, offsets, strict=True))
        peaks[i] = np.mean(np.square(r), axis=1).max()
    return peaks


def _jackknife(near: NDArray[np.float32], lags: NDArray[np.int_]) -> float:
    """1.96 standard errors of the best lag, in samples; half a sample at least."""
    without = near.sum(axis=0) - near
    peaks = lags[np.argmax(np.mean(without**2, axis=2), axis=1)].astype(float)
    n = len(peaks)
    return max(0.5, 1.96 * float(np.sqrt((n - 1) * np.mean((peaks - peaks.mean()) ** 2))))
