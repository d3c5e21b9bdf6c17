"""When each layer is mapped best, and whether later layers peak later or earlier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.production.folds import Rows
from bids_brainalign.production.lags import drawn_counts, interval, peaks

Array64 = NDArray[np.float64]

LEAST_LAYERS = 3
"""With a significant bin, for a slope."""


@dataclass(frozen=True)
class PeakLag:
    """The lag at which a layer is mapped best."""

    lag_s: float
    """Between bins by a parabola; NaN for a layer without a significant bin."""
    low_s: float
    high_s: float
    """95 % interval, bootstrap over words; fits are held fixed."""


@dataclass(frozen=True)
class Slope:
    """Straight line through the peak lags of the layers that have one."""

    seconds: float
    """From the first layer of the model to the last."""
    low_s: float
    high_s: float
    """95 % interval, bootstrap over words."""
    p: float
    """Two-sided: twice the share of bootstrap slopes on the other side of 0."""
    n_layers: int
    """Layers with a significant bin."""


def peak_lags(
    scores: Array64,
    content: Rows,
    lags_s: Array64,
    significant: NDArray[np.bool_],
    *,
    n_resamples: int,
    rng: np.random.Generator,
) -> tuple[tuple[PeakLag, ...], Slope | None]:
    """Find the peak of each layer's mean score over words.

    Words are drawn with all their layers and bins, so that layers that resemble each other do not
    count as so many witnesses.

    Parameters
    ----------
    scores : ndarray of shape (n_layers, n_bins, n_words)
        Of every held-out word.
    content : ndarray of shape (n_words,), int
        Repetitions of a word, or words of one passage, are drawn together.
    lags_s : ndarray of shape (n_bins,)
        Evenly spaced.
    significant : ndarray of shape (n_layers,), bool
        Layers that have a peak to speak of.
    n_resamples : int
    rng : Generator

    Returns
    -------
    peaks : tuple of PeakLag
        Of each layer.
    slope : Slope or None
        None with fewer than 3 significant layers.
    """
    _, label = np.unique(content, return_inverse=True)
    member = (np.arange(label.max() + 1)[:, None] == label).astype(np.float64)
    sums = np.moveaxis(scores @ member.T, -1, 0)  # (n_groups, n_layers, n_bins)
    counts = drawn_counts(len(sums), n_draws=n_resamples, rng=rng)
    drawn = np.tensordot(counts, sums, axes=1) / (counts @ member.sum(axis=1))[:, None, None]
    step = float(lags_s[1] - lags_s[0])
    places = lags_s[0] + step * peaks(scores.mean(axis=2))
    of_draws = lags_s[0] + step * peaks(drawn)  # (n_resamples, n_layers)
    nan = float("nan")
    found = tuple(
        PeakLag(float(places[k]), *interval(of_draws[:, k])) if known else PeakLag(nan, nan, nan)
        for k, known in enumerate(significant)
    )
    if significant.sum() < LEAST_LAYERS:
        return found, None
    depth = np.linspace(0, 1, len(places))[significant]
    observed = float(_slopes(depth, places[None, significant])[0])
    slopes = _slopes(depth, of_draws[:, significant])
    below, above = (1 + np.array([(slopes <= 0).sum(), (slopes >= 0).sum()])) / (1 + len(slopes))
    p = min(1.0, 2 * float(min(below, above)))
    return found, Slope(observed, *interval(slopes), p, int(significant.sum()))


def _slopes(depth: Array64, lags: Array64) -> Array64:
    """Least-squares slopes of lags (n, n_layers) over depth."""
    about = depth - depth.mean()
    return np.asarray(lags @ about / (about @ about))
