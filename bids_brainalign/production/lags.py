"""Lags at which a profile over lags peaks: place, interval over stretches of time, and p."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from bids_brainalign.errors import BrainAlignError

Array64 = NDArray[np.float64]

LEVEL = 0.95
STRETCH_S = 5.0
"""Least length of a stretch: longer than syllables, words and their high gamma remember."""
MOST_STRETCHES = 60
LEAST_STRETCHES = 12
"""In a minute, with lags of a second searched, p < .05 comes in 6 to 9 % of recordings without a
link; from two minutes on in 4 to 6 % (simulated)."""


@dataclass(frozen=True)
class Lag:
    """A lag with its uncertainty; positive where the response comes after the sound."""

    lag_s: float
    low_s: float
    high_s: float
    """95 % interval: bootstrap over stretches of the recording. It holds planted lags in 98 %."""
    p: float
    """Of a peak as high anywhere among the lags that were searched, by circular shifts."""
    n_draws: int
    """Shifts behind p."""
    max_lag_s: float
    """Lags up to this were searched, to both sides."""
    at_edge: bool
    """The peak is the first or last of them: the lag may lie beyond."""


def stretches(usable: NDArray[np.bool_], sfreq_hz: float) -> list[NDArray[np.int64]]:
    """Cut the usable samples into parts of equal length, in the order of time.

    Raises
    ------
    BrainAlignError
        If they are too short for an interval.
    """
    rows = np.flatnonzero(usable)
    n_parts = min(MOST_STRETCHES, int(len(rows) / (STRETCH_S * sfreq_hz)))
    if n_parts < LEAST_STRETCHES:
        raise BrainAlignError(
            f"{len(rows) / sfreq_hz:.0f} s of usable recording are too short for a lag; "
            f"{LEAST_STRETCHES * STRETCH_S:.0f} s are needed.",
            fix="Use a longer recording, or leave fewer samples out.",
        )
    return np.array_split(rows, n_parts)


def drawn_counts(n_parts: int, *, n_draws: int, rng: np.random.Generator) -> Array64:
    """How often each stretch comes in each bootstrap draw: (n_draws, n_parts)."""
    return rng.multinomial(n_parts, np.full(n_parts, 1 / n_parts), size=n_draws).astype(float)


def peaks(profiles: Array64) -> Array64:
    """Places of the maxima of profiles (..., n_lags), between samples by a parabola."""
    top = np.argmax(profiles, axis=-1)
    inner = np.clip(top, 1, profiles.shape[-1] - 2)
    left, middle, right = (
        np.take_along_axis(profiles, (inner + step)[..., None], axis=-1)[..., 0]
        for step in (-1, 0, 1)
    )
    bend = left - 2 * middle + right
    between = 0.5 * (left - right) / np.where(bend < 0, bend, -np.inf)
    return np.asarray(np.where(top == inner, top + between, top), dtype=np.float64)


def highest_within(profile: Array64, reach: int) -> Array64:
    """Maximum within `reach` samples to both sides, around the circle, along the first axis."""
    size = 2 * reach + 1
    return np.asarray(ndimage.maximum_filter1d(profile, size, axis=0, mode="wrap"))


def shifts_apart(
    n_times: int, reach: int, *, n_draws: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Circular shifts whose lags are none of those that are searched, each once: (n_draws,)."""
    apart = np.arange(2 * reach + 1, n_times - 2 * reach)
    if len(apart) < 2 * reach + 1:
        raise BrainAlignError(
            f"{n_times} samples are too few to shift them by more than {2 * reach} either way.",
            fix="Search shorter lags, or use a longer recording.",
        )
    return apart if len(apart) <= n_draws else np.sort(rng.choice(apart, n_draws, replace=False))


def share_reached(observed: Array64, draws: Array64) -> Array64:
    """(1 + #{draws ≥ observed}) / (1 + n_draws) over the first axis of `draws`."""
    return np.asarray((1 + (draws >= observed).sum(axis=0)) / (1 + len(draws)))


def interval(drawn: Array64) -> tuple[float, float]:
    """Percentiles that hold 95 % of the draws."""
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return float(low), float(high)


def per_pair(known: NDArray[np.bool_]) -> Array64:
    """Factors (n_times,) by which products at each circular lag become correlations.

    Products of n pairs of unrelated samples grow as √n: divided by that instead of n, lags with
    few pairs scatter no more than lag 0, at which they are r.
    """
    mask = fft.rfft(known.astype(np.float64))
    n_pairs = np.round(fft.irfft(np.abs(mask) ** 2, len(known)))
    return np.where(n_pairs > 0, 1 / np.sqrt(np.maximum(n_pairs, 1) * n_pairs[0]), 0.0)
