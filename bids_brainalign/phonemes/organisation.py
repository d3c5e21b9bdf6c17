"""How electrodes are organised by phones: chosen on odd minutes, clustered on even ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.anatomy.labelling import NO_REGION
from bids_brainalign.phonemes.clusters import Clustering, cluster, most_clusters, stability
from bids_brainalign.phonemes.coherence import Coherence, coherence
from bids_brainalign.phonemes.selectivity import (
    Tokens,
    rank_sums,
    resampled_z,
    shifted_rank_sums,
)
from bids_brainalign.phonemes.sharing import Sharing
from bids_brainalign.statistics.multiplicity import benjamini_hochberg
from bids_brainalign.statistics.tails import p_values

Array64 = NDArray[np.float64]

ALPHA = 0.05
N_CLUSTER_NULL = 200
N_BOOTSTRAPS = 100
REGIONS, DEVICES = "regions", "devices"


@dataclass(frozen=True)
class Organisation:
    """Electrodes that were chosen on odd minutes; their clusters and order in even ones."""

    informative: NDArray[np.bool_]
    """(n_targets,) chosen."""
    clusters: Clustering
    """Of the chosen electrodes."""
    ari: float
    coherence: Coherence | None
    """None without coordinates of enough electrodes, or where these give no distances."""
    sentences: tuple[str, ...]
    parts: str = REGIONS
    """What ``coherence.ami`` compares clusters with: regions, or devices where none is known."""


def halves(tokens: Tokens) -> tuple[Tokens, Tokens]:
    """Odd minutes, which choose electrodes, and even ones, which describe them."""
    first, second = (tokens.take(tokens.block % 2 == parity) for parity in (0, 1))
    return first, second


def organise(
    tokens: Tokens,
    members: NDArray[np.bool_],
    targets: pd.DataFrame,
    *,
    no_distances: str | None = None,
    rng: np.random.Generator,
) -> Organisation:
    """Choose electrodes on odd minutes; cluster them, and test their order, on even ones.

    Parameters
    ----------
    tokens : Tokens
    members : ndarray of bool, shape (n_categories, n_phones)
    targets : DataFrame
        ``x``, ``y``, ``z`` (mm), ``region`` and, if known, ``device`` of each electrode.
    no_distances : str, optional
        Why the coordinates say nothing about neighbours: their order is not tested then.
    rng : Generator
    """
    chosen_on, described_on = halves(tokens)
    n_targets = tokens.responses.shape[1]
    none = np.zeros(n_targets, dtype=bool)
    if min(len(chosen_on.phone), len(described_on.phone)) < 4 * len(tokens.names):
        why = "The recordings are too short to choose electrodes on other minutes than described."
        return Organisation(none, cluster(np.zeros((0, 1)), np.zeros((0, 0, 1))), float("nan"),
                            None, (why,))  # fmt: skip
    null = shifted_rank_sums(chosen_on, members, n_draws=1000, rng=rng)
    p = p_values(rank_sums(chosen_on, members).omnibus, null.omnibus)
    informative = benjamini_hochberg(p) < ALPHA
    part = Tokens(
        described_on.responses[:, informative], described_on.phone, described_on.names,
        described_on.run, described_on.block,
    )  # fmt: skip
    sentences = [
        f"{int(informative.sum())} of {n_targets} electrodes tell phones apart in odd minutes "
        "(Kruskal–Wallis H against shifted labels, q < .05). Their clusters and the "
        "order of these are those of even minutes."
    ]
    if not informative.any():
        empty = cluster(np.zeros((0, 1)), np.zeros((0, 0, 1)))
        return Organisation(informative, empty, float("nan"), None, tuple(sentences))
    profiles = rank_sums(part, members).z.T
    draws = shifted_rank_sums(part, members, n_draws=N_CLUSTER_NULL, rng=rng).z
    shifted = np.swapaxes(draws, 1, 2)
    groups = cluster(profiles, shifted)
    again = (z.T for z in resampled_z(part, members, n_draws=N_BOOTSTRAPS, rng=rng))
    ari = stability(groups.labels, again)
    sentences.append(_cluster_sentence(groups, ari, int(informative.sum())))
    if no_distances is not None:
        sentences.append(f"Their anatomical order is not tested: {no_distances}.")
        return Organisation(informative, groups, ari, None, tuple(sentences))
    # Electrodes of one tuning are alike under shifted labels too: that is not shared voltage.
    noise = shifted_rank_sums(part.untuned(), members, n_draws=N_CLUSTER_NULL, rng=rng).z
    order, parts = _anatomy(profiles, np.swapaxes(noise, 1, 2), targets[informative], groups, rng)
    if order is not None and order.sharing is not None:
        sentences.append(_sharing_sentence(order.sharing))
    return Organisation(informative, groups, ari, order, tuple(sentences), parts)


def _cluster_sentence(groups: Clustering, ari: float, n: int) -> str:
    if not np.isfinite(groups.p):
        return f"{n} electrodes are too few for clusters."
    tested = f"p = {groups.p:.3g}, {groups.n_null} shifts"
    if groups.k < 2:
        return (
            "Electrodes are not shown to differ in their profiles of phones: one profile that all "
            "follow, each with its own strength, plus the noise of shifted labels is not rejected "
            f"({tested})."
        )
    limit = " (the most that were tried)" if groups.k == most_clusters(n) else ""
    return (
        f"Electrodes do not all share one profile of phones ({tested}). Their best partition has "
        f"{groups.k} groups{limit}: Ward, silhouette {groups.silhouette:.2f}, adjusted Rand index "
        f"over resampled minutes {ari:.2f}. A gradual change between profiles is parted too."
    )


def _sharing_sentence(sharing: Sharing) -> str:
    if sharing.share == 0:
        return (
            "Neighbouring electrodes are no more alike than others in what phones don't explain."
        )
    return (
        f"Of what phones don't explain, {100 * sharing.share:.0f} % of electrodes' variance is "
        f"shared with those near by, and falls to 37 % of that over {sharing.length_mm:.3g} mm. "
        "Tuning is taken to spread as far before it counts as anatomical order."
    )


def _anatomy(
    profiles: Array64,
    noise: Array64,
    targets: pd.DataFrame,
    groups: Clustering,
    rng: np.random.Generator,
) -> tuple[Coherence | None, str]:
    """Coherence of the electrodes that have coordinates, and with what clusters are compared."""
    where = targets[["x", "y", "z"]].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    placed = np.isfinite(where).all(axis=1)
    regions, parts = _parts(targets[placed])
    if placed.sum() < 3:
        return None, parts
    found = coherence(
        profiles[placed],
        noise[:, placed],
        positions_mm=where[placed],
        labels=groups.labels[placed],
        regions=regions,
        rng=rng,
    )
    return found, parts


def _parts(targets: pd.DataFrame) -> tuple[NDArray[np.str_], str]:
    """Region of each electrode, or its device where no region is known; ``n/a`` if unknown."""
    regions = targets["region"].astype(str)
    if regions.isin(NO_REGION).all() and "device" in targets:
        return targets["device"].astype(str).to_numpy(dtype=str), DEVICES
    return regions.where(~regions.isin(NO_REGION), "n/a").to_numpy(dtype=str), REGIONS
