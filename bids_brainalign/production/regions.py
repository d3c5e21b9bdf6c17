"""Scores within regions, and whether regions with more electrodes score higher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.production.mapping import Predictions
from bids_brainalign.production.scores import STATISTICS, corrected
from bids_brainalign.production.sensitivity import Relation, relation

Array64 = NDArray[np.float64]

LEAST_CHANNELS = 3
"""A correlation across two channels is always 1 or −1."""
LEAST_REGIONS = 4


@dataclass(frozen=True)
class RegionScores:
    """Scores restricted to the channels of each region."""

    regions: tuple[str, ...]
    """In alphabetical order; those with too few channels are not among them."""
    n_channels: NDArray[np.int64]
    """(n_regions,) channels that vary."""
    statistics: Array64
    """(n_regions, 5) of ``scores.STATISTICS``."""
    too_few: tuple[str, ...]
    """Regions with fewer than `LEAST_CHANNELS`."""


def region_scores(
    responses: Array64, predictions: Predictions, regions: Sequence[str]
) -> RegionScores:
    """Score the words by the channels of one region at a time.

    Parameters
    ----------
    responses : ndarray of shape (n_words, n_channels)
    predictions : Predictions
        Of all channels; nothing is fitted again.
    regions : sequence of str, n_channels of them
        Channels without a region are called ``n/a`` or ``unknown``, and left out.

    Returns
    -------
    RegionScores
    """
    labels = np.array(regions, dtype=object)
    used = np.isfinite(predictions.model).all(axis=0)
    kept, counts, found, few = [], [], [], []
    for name in sorted({str(label) for label in labels} - {"n/a", "unknown", ""}):
        mine = np.flatnonzero((labels == name) & used)
        if len(mine) < LEAST_CHANNELS:
            few.append(name)
            continue
        kept.append(name)
        counts.append(len(mine))
        found.append(corrected(responses[:, mine], _columns(predictions, mine)).summary())
    return RegionScores(
        tuple(kept),
        np.array(counts, dtype=np.int64),
        np.array(found, dtype=np.float64).reshape(len(kept), len(STATISTICS)),
        tuple(few),
    )


def electrodes_and_scores(
    found: RegionScores, *, statistic: str = "pattern_r", rng: np.random.Generator
) -> Relation | None:
    """Ask whether regions with more electrodes score higher; None with fewer than 4 regions.

    Many electrodes average out noise, also where nothing else is different: the relation is a
    caution, not a finding.
    """
    if len(found.regions) < LEAST_REGIONS:
        return None
    scores = found.statistics[:, STATISTICS.index(statistic)]
    return relation(found.n_channels.astype(np.float64), scores, rng=rng)


def _columns(predictions: Predictions, channels: NDArray[np.int64]) -> Predictions:
    arrays = ("model", "train_mean", "train_sd", "penalty", "ratio", "non_zero")
    return replace(
        predictions, **{name: getattr(predictions, name)[:, channels] for name in arrays}
    )
