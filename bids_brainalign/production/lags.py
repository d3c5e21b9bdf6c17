"""Lags at which a profile over lags peaks: place, interval over stretches of time, and p."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from bids_brainalign.errors import BrainAlignError

Array64 = NDArray[np.float64]

LEVEL = 0.95
STRETCH_S = 5.0
"""Least length of a stretch: longer than syllables, words and their high gamma remember."""
MOST_STRETCHES = 60
MOST_BLOCKS, LEAST_BLOCKS = 8, 4
LAGS_PER_BLOCK = 6
LEAST_STRETCHES = 12
"""In a minute, with lags of a second searched, p < .05 comes in 6 to 8 % of recordings without a
link; from two minutes on in 4 to 6 % (simulated)."""


@dataclass(frozen=True)
class Lag:
    """A lag with its uncertainty; positive where the response comes after the sound."""

    lag_s: float
    low_s: float
    high_s: float
    """95 % interval: bootstrap over stretches of the recording. It holds planted lags in 98 %."""
    p: float
    """Of a peak as high anywhere among the lags that were searched, by circular shifts of the
    sound."""
    n_draws: int
    """Draws of shifts behind p."""
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


@dataclass(frozen=True)
class Shifts:
    """Circular shifts of the sound against the responses, in each block by its own.

    One shift for the whole recording leaves few draws that differ: windows of a second of lags fit
    300 times into five minutes, and the one around lag 0 holds the highest of all of them once in
    300 recordings without a link, whatever p the number of shifts promises.
    """

    known: NDArray[np.bool_]
    """(n_times,) samples that count."""
    offsets: NDArray[np.int64]
    """(n_draws, n_blocks)."""
    length: int
    """Samples of a block."""
    reach: int
    """Lags searched, to both sides."""

    def blocks(self, data: Array64) -> Array64:
        """Cut (n_times, n_columns) into blocks of mean 0: (n_blocks, length, n_columns)."""
        n_blocks = self.offsets.shape[1]
        parts = data[: n_blocks * self.length].reshape(n_blocks, self.length, -1)
        inside = self._known_blocks()[:, :, None]
        n_known = np.maximum(inside.sum(axis=1, keepdims=True), 1)
        mean = np.where(inside, parts, 0.0).sum(axis=1, keepdims=True) / n_known
        return np.where(inside, parts - mean, 0.0)

    def factors(self) -> Array64:
        """Let products of few known pairs scatter as those of lag 0 do: (n_blocks, length)."""
        mask = fft.rfft(self._known_blocks().astype(np.float64), axis=1)
        n_pairs = np.round(fft.irfft(np.abs(mask) ** 2, self.length, axis=1))
        share = n_pairs / np.maximum(n_pairs[:, :1], 1)
        return np.where(n_pairs > 0, 1 / np.sqrt(np.maximum(share, 1e-9)), 0.0)

    def observed(self, products: Array64) -> Array64:
        """Sum over blocks of products (n_blocks, length) at the lags searched: (n_lags,)."""
        return np.asarray(products.sum(axis=0)[np.arange(-self.reach, self.reach + 1)])

    def drawn(self, products: Array64) -> Array64:
        """Sum the same around random lags, those of each block its own: (n_draws, n_lags)."""
        n_lags = 2 * self.reach + 1
        total = np.zeros((len(self.offsets), n_lags))
        for block, offsets in zip(products, self.offsets.T, strict=True):
            around = np.concatenate([block[-self.reach :], block, block[: self.reach]])
            total += np.lib.stride_tricks.sliding_window_view(around, n_lags)[offsets]
        return total

    def _known_blocks(self) -> NDArray[np.bool_]:
        n_blocks = self.offsets.shape[1]
        return self.known[: n_blocks * self.length].reshape(n_blocks, self.length)


def draw_shifts(
    known: NDArray[np.bool_], reach: int, *, n_draws: int, rng: np.random.Generator
) -> Shifts:
    """Draw shifts of up to eight blocks, each at least six times as long as the longest lag.

    Raises
    ------
    BrainAlignError
        If there are not four such blocks.
    """
    n_blocks = min(MOST_BLOCKS, len(known) // (LAGS_PER_BLOCK * reach))
    if n_blocks < LEAST_BLOCKS:
        raise BrainAlignError(
            f"{len(known)} samples are too few for lags of up to {reach} of them.",
            fix="Search shorter lags, or use a longer recording.",
        )
    length = len(known) // n_blocks
    return Shifts(known, rng.integers(0, length, size=(n_draws, n_blocks)), length, reach)


def share_reached(observed: Array64 | np.float64, draws: Array64) -> Array64:
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
