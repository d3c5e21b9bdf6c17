"""How electrodes are organised by phones: chosen on odd minutes, described on even ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.phonemes.clusters import Clustering, cluster, stability
from bids_brainalign.phonemes.coherence import Coherence, coherence
from bids_brainalign.phonemes.selectivity import (
    Tokens,
    rank_sums,
    resampled_z,
    shifted_rank_sums,
)
from bids_brainalign.statistics.multiplicity import benjamini_hochberg
from bids_brainalign.statistics.tails import p_values

Array64 = NDArray[np.float64]

ALPHA = 0.05
N_CLUSTER_NULL = 200
N_BOOTSTRAPS = 100


@dataclass(frozen=True)
class Organisation:
    """Electrodes that were chosen on odd minutes, described on even ones."""

    informative: NDArray[np.bool_]
    """(n_targets,) chosen."""
    clusters: Clustering
    """Of the chosen electrodes."""
    ari: float
    coherence: Coherence | None
    """None without coordinates of enough electrodes."""
    sentences: tuple[str, ...]


def organise(
    tokens: Tokens, members: NDArray[np.bool_], targets: pd.DataFrame, *, rng: np.random.Generator
) -> Organisation:
    """Choose electrodes on odd minutes; cluster them, and test their order, on even ones."""
    chosen_on, described_on = (tokens.take(tokens.block % 2 == parity) for parity in (0, 1))
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
        "(Kruskal–Wallis H against shifted labels, q < .05); they are described in even minutes."
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
    order = _anatomy(profiles, shifted, targets[informative], groups, rng)
    return Organisation(informative, groups, ari, order, tuple(sentences))


def _cluster_sentence(groups: Clustering, ari: float, n: int) -> str:
    if not np.isfinite(groups.p):
        return f"{n} electrodes are too few for clusters."
    tested = f"p = {groups.p:.3g}, {groups.n_null} shifts"
    if groups.k < 2:
        return (
            "No clusters: no partition separates electrodes better than shifted labels do "
            f"({tested})."
        )
    return (
        f"{groups.k} clusters of electrodes (Ward; silhouette {groups.silhouette:.2f}, {tested}); "
        f"adjusted Rand index over resampled minutes {ari:.2f}."
    )


def _anatomy(
    profiles: Array64,
    shifted: Array64,
    targets: pd.DataFrame,
    groups: Clustering,
    rng: np.random.Generator,
) -> Coherence | None:
    """Coherence of the electrodes that have coordinates."""
    where = targets[["x", "y", "z"]].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    placed = np.isfinite(where).all(axis=1)
    if placed.sum() < 3:
        return None
    regions = targets["region"].astype(str)
    if (regions == "n/a").all() and "device" in targets:
        regions = targets["device"].astype(str)
    return coherence(
        profiles[placed],
        shifted[:, placed],
        positions_mm=where[placed],
        labels=groups.labels[placed],
        regions=regions.to_numpy(dtype=str)[placed],
        rng=rng,
    )
