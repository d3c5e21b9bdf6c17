"""Whether the voice and the high gamma of a recording keep the same time.

The loudness of the sound is cross-correlated with the high gamma of every channel. A lag has two
causes that this correlation cannot tell apart: clocks that are apart, and the time between a
cortex and a voice; areas that move the mouth are active before the sound, areas that hear it
after. Only where sound leaks into a channel (:mod:`~.contamination`) is there a link that takes no
time: its lag is the clocks' alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.lags import (
    Lag,
    Shifts,
    draw_shifts,
    drawn_counts,
    interval,
    peaks,
    per_pair,
    share_reached,
    stretches,
)

Array64 = NDArray[np.float64]

SLOW_S = 10.0
"""What changes over longer times is taken out of both sides: it knows nothing of short lags."""
_STILL = 1e-9
"""What is left of a column after its mean, or its drift, and is smaller than this share of it, is
rounding."""
_ELEMENTS = 1 << 21
"""Numbers of float64 in memory at a time."""


@dataclass(frozen=True)
class ChannelLags:
    """Where the correlation of each channel with the loudness is furthest from 0."""

    lag_s: Array64
    """(n_channels,) NaN for channels that don't vary."""
    r: Array64
    """(n_channels,) correlation at that lag, of either sign."""
    p: Array64
    """(n_channels,) of an |r| as high at any of the lags."""
    p_max: Array64
    """(n_channels,) … of any of the channels."""


@dataclass(frozen=True)
class Synchrony:
    """Lag of the high gamma behind the sound."""

    lag: Lag
    """Peak of the mean over channels of the squared correlation."""
    lags_s: Array64
    """(n_lags,) all lags searched."""
    profile: Array64
    """(n_lags,) root of that mean."""
    channels: ChannelLags


def synchrony(
    loudness: NDArray[np.floating],
    high_gamma: NDArray[np.floating],
    usable: NDArray[np.bool_],
    *,
    sfreq_hz: float,
    rng: np.random.Generator,
    max_lag_s: float = 1.0,
    n_draws: int = 1000,
    n_resamples: int = 1000,
) -> Synchrony:
    """Estimate the lag of high gamma behind the sound.

    Parameters
    ----------
    loudness : ndarray of shape (n_times,)
        Envelope of the sound on the clock of the high gamma, as the files place it.
    high_gamma : ndarray of shape (n_times, n_channels)
    usable : ndarray of shape (n_times,), bool
        Samples that count, on both sides.
    sfreq_hz : float
    rng : Generator
    max_lag_s : float
        Lags searched, to both sides.
    n_draws : int
        Draws of circular shifts of the sound for p.
    n_resamples : int
        Bootstrap draws for the interval.

    Returns
    -------
    Synchrony

    Raises
    ------
    BrainAlignError
        If nothing varies, or the recording is too short.
    """
    known = np.asarray(usable, dtype=np.bool_)
    sound = _standardised(np.asarray(loudness)[:, None], known, sfreq_hz)[:, 0]
    if not sound.any():
        raise BrainAlignError(
            "The loudness of the sound is the same all along, or not known: it has no lag.",
            fix="Check the audio of this recording.",
        )
    reach = max(1, round(max_lag_s * sfreq_hz))
    parts = stretches(known, sfreq_hz)
    shifts = draw_shifts(known, reach, n_draws=n_draws, rng=rng)
    counts = drawn_counts(len(parts), n_draws=n_resamples, rng=rng)
    spectrum, factors = fft.rfft(shifts.blocks(sound[:, None]), axis=1).conj(), shifts.factors()
    pairs = per_pair(known)[np.arange(-reach, reach + 1)]
    found = []
    for block in _blocks(np.shape(high_gamma)):
        data = _standardised(high_gamma[:, block], known, sfreq_hz)
        cross = spectrum * fft.rfft(shifts.blocks(data), axis=1)
        circular = fft.irfft(cross, shifts.length, axis=1) * factors[:, :, None]
        near = _products(sound, data, parts, reach)
        found.append(_of_channels(near, pairs, circular, shifts, counts))
    return _joined(found, n_draws, sfreq_hz)


@dataclass(frozen=True)
class _Found:
    """What a block of channels says; heights are sums over channels of squares."""

    r: Array64
    """(n_lags, n_channels)."""
    drawn: Array64
    """(n_resamples, n_lags) heights of bootstrap draws, in any unit."""
    tops: Array64
    """(1 + n_draws, n_channels) largest size of shifted products; observed ones first."""
    heights: Array64
    """(1 + n_draws, n_lags) of shifted products; observed ones first."""


def _of_channels(
    near: Array64, pairs: Array64, circular: Array64, shifts: Shifts, counts: Array64
) -> _Found:
    """Products by stretch (n_stretches, n_lags, n_channels) and block (n_blocks, length, …)."""
    _, n_lags, n_channels = near.shape
    drawn = np.zeros((len(counts), n_lags))
    heights = np.zeros((1 + len(shifts.offsets), n_lags))
    tops = np.empty((len(heights), n_channels))
    for channel in range(n_channels):
        drawn += (counts @ near[:, :, channel]) ** 2
        own = circular[:, :, channel]
        sums = np.concatenate([shifts.observed(own)[None], shifts.drawn(own)]) ** 2
        tops[:, channel] = sums.max(axis=1)
        heights += sums
    return _Found(near.sum(axis=0) * pairs[:, None], drawn, tops, heights)


def _joined(found: list[_Found], n_draws: int, sfreq_hz: float) -> Synchrony:
    r = np.concatenate([part.r for part in found], axis=1)
    tops = np.concatenate([part.tops for part in found], axis=1)
    varying = np.any(r != 0, axis=0)
    if not varying.any():
        raise BrainAlignError("High gamma does not vary in any channel: it has no lag.")
    reach = len(r) // 2
    profile = (r**2).sum(axis=1) / varying.sum()
    highest = np.sum([part.heights for part in found], axis=0).max(axis=1)
    drawn = peaks(np.sum([part.drawn for part in found], axis=0))
    low, high = interval((drawn - reach) / sfreq_hz)
    lag = Lag(
        lag_s=float(peaks(profile) - reach) / sfreq_hz,
        low_s=low,
        high_s=high,
        p=float(share_reached(highest[0], highest[1:])),
        n_draws=n_draws,
        max_lag_s=reach / sfreq_hz,
        at_edge=bool(np.argmax(profile) in (0, 2 * reach)),
    )
    channels = _channel_lags(r, tops, np.asarray(varying), sfreq_hz)
    lags = np.arange(-reach, reach + 1) / sfreq_hz
    return Synchrony(lag, lags, np.sqrt(profile), channels)


def _channel_lags(
    r: Array64, tops: Array64, varying: NDArray[np.bool_], sfreq_hz: float
) -> ChannelLags:
    size = np.abs(r)
    top = np.argmax(size, axis=0)
    columns = (
        (peaks(size.T) - len(r) // 2) / sfreq_hz,
        r[top, np.arange(r.shape[1])],
        share_reached(tops[0], tops[1:]),
        share_reached(tops[0], tops[1:].max(axis=1, keepdims=True)),
    )
    return ChannelLags(*(np.where(varying, column, np.nan) for column in columns))


def _products(
    sound: Array64, data: Array64, parts: list[NDArray[np.int64]], reach: int
) -> Array64:
    """Products with earlier to later sound, by stretch: (n_stretches, n_lags, n_channels)."""
    around = np.concatenate([sound[-reach:], sound, sound[:reach]])
    lagged = np.lib.stride_tricks.sliding_window_view(around, 2 * reach + 1)[:, ::-1]
    return np.stack([lagged[rows].T @ data[rows] for rows in parts])


def _standardised(
    data: NDArray[np.floating], known: NDArray[np.bool_], sfreq_hz: float
) -> Array64:
    """Columns about their slow drift, mean 0 and SD 1; 0 where unknown or constant."""
    inside = known[:, None]
    x = np.where(inside, data, 0.0).astype(np.float64)
    x = np.where(np.isfinite(x).all(axis=0), x, 0.0)
    rounding = _STILL * np.abs(x).max(axis=0)
    x = np.where(inside, x - x.sum(axis=0) / known.sum(), 0.0)
    size = np.sqrt((x**2).sum(axis=0) / known.sum())
    width = 2 * round(SLOW_S * sfreq_hz / 2) + 1
    share = ndimage.uniform_filter1d(known.astype(np.float64), width, mode="constant")
    slow = ndimage.uniform_filter1d(x, width, axis=0, mode="constant")
    x = np.where(inside, x - slow / np.maximum(share, 1 / width)[:, None], 0.0)
    x = np.where(inside, x - x.sum(axis=0) / known.sum(), 0.0)
    sd = np.sqrt((x**2).sum(axis=0) / known.sum())
    return np.asarray(x / np.where(sd > np.maximum(_STILL * size, rounding), sd, np.inf))


def _blocks(shape: tuple[int, ...]) -> list[slice]:
    step = max(1, _ELEMENTS // shape[0])
    return [slice(first, first + step) for first in range(0, shape[1], step)]
