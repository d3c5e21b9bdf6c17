"""Scores of the channels of each region, and whether they are a matter of how many there are.

Words are told apart better with more channels, whatever the region: errors of channels average
out. Beside the scores of all channels of a region stand those of as many channels as the smallest
region has, drawn again and again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.anatomy.labelling import NO_REGION
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.mapping import Predictions
from bids_brainalign.production.scores import STATISTICS, corrected
from bids_brainalign.production.sensitivity import Relation, relation

Array64 = NDArray[np.float64]

LEAST_CHANNELS = 3
"""Of a region; fewer make no pattern."""
LEAST_REGIONS = 4
"""For a relation; of three, the order alone has a p of .33 at best."""


@dataclass(frozen=True)
class RegionScore:
    """Scores of one region."""

    region: str
    n_electrodes: int
    """Channels that were predicted."""
    statistics: Array64
    """(5,) of ``scores.STATISTICS``, from all of them."""
    matched: Array64
    """(5,) from as many channels as the smallest region has, mean over draws."""


@dataclass(frozen=True)
class RegionScores:
    """All regions with enough channels, in the order of their names."""

    regions: tuple[RegionScore, ...]
    left_out: dict[str, int]
    """Channels of the regions that have fewer than 3."""
    statistic: str
    """The one that numbers of electrodes are related to."""
    by_number: Relation | None
    """Spearman correlation over regions of score and number of electrodes; None with fewer than 4
    regions, or where either is the same in all."""
    by_number_matched: Relation | None
    """The same of the matched scores: what is left of it with equal numbers."""


def region_scores(
    responses: Array64,
    predictions: Predictions,
    regions: Sequence[str | None],
    *,
    rng: np.random.Generator,
    statistic: str = "pattern_r",
    n_subsets: int = 50,
    n_draws: int = 2000,
) -> RegionScores:
    """Score each region on its own channels.

    Parameters
    ----------
    responses : ndarray of shape (n_words, n_channels)
    predictions : Predictions
        Of all channels.
    regions : sequence of str or None
        Region of each channel; None, ``n/a`` and ``unknown`` are none.
    rng : Generator
    statistic : str
        Of ``scores.STATISTICS``, for the relation to the number of electrodes.
    n_subsets : int
        Draws of channels for the matched scores.
    n_draws : int
        Permutations of regions for p.

    Returns
    -------
    RegionScores

    Raises
    ------
    BrainAlignError
        If regions and channels differ in number.
    """
    if len(regions) != responses.shape[1]:
        raise BrainAlignError(
            f"{len(regions)} regions and {responses.shape[1]} channels do not fit."
        )
    used = np.isfinite(predictions.model).all(axis=0)
    names = sorted({name for name in regions if name is not None and name not in NO_REGION})
    members = {
        name: np.flatnonzero(used & np.array([own == name for own in regions])) for name in names
    }
    enough = {name: own for name, own in members.items() if len(own) >= LEAST_CHANNELS}
    least = min((len(own) for own in enough.values()), default=0)
    found = []
    for name, own in enough.items():
        every = _scored(responses, predictions, own)
        matched = every
        if len(own) > least:
            subsets = (rng.choice(own, least, replace=False) for _ in range(n_subsets))
            matched = np.mean([_scored(responses, predictions, s) for s in subsets], axis=0)
        found.append(RegionScore(name, len(own), every, matched))
    place = STATISTICS.index(statistic)
    numbers = np.array([region.n_electrodes for region in found], dtype=np.float64)
    return RegionScores(
        tuple(found),
        {name: len(own) for name, own in members.items() if name not in enough},
        statistic,
        _related(numbers, np.array([r.statistics[place] for r in found]), n_draws, rng),
        _related(numbers, np.array([r.matched[place] for r in found]), n_draws, rng),
    )


def _scored(responses: Array64, predictions: Predictions, channels: NDArray[np.int64]) -> Array64:
    """Statistics of some channels: (5,)."""
    part = replace(
        predictions,
        model=predictions.model[:, channels],
        train_mean=predictions.train_mean[:, channels],
        train_sd=predictions.train_sd[:, channels],
        penalty=predictions.penalty[:, channels],
        ratio=predictions.ratio[:, channels],
        non_zero=predictions.non_zero[:, channels],
    )
    return corrected(responses[:, channels], part).summary()


def _related(
    numbers: Array64, scores: Array64, n_draws: int, rng: np.random.Generator
) -> Relation | None:
    known = np.isfinite(scores)
    if known.sum() < LEAST_REGIONS or not np.ptp(numbers[known]) or not np.ptp(scores[known]):
        return None
    return relation(numbers[known], scores[known], n_draws=n_draws, rng=rng)
