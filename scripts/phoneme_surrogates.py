"""Coherence with our surrogates beside surrogates of matched variogram (brainsmash).

``python -m scripts.phoneme_surrogates --runs 40`` simulates the arrays of
:mod:`scripts.phoneme_calibration` and tests each with both kinds of surrogates. Variogram-matched
surrogates (Burt et al. 2020, NeuroImage 220:117038) are made of one map at a time: here of every
principal component of the profiles, put together again. They know nothing of noise that
neighbours share: in arrays that follow nothing they find order in forced clusters.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from bids_brainalign.phonemes.clusters import cluster, directions
from bids_brainalign.phonemes.coherence import (
    neighbours,
    p_of,
    statistics_of,
    surrogates,
)
from bids_brainalign.phonemes.sharing import fit_sharing, likeness
from scripts.phoneme_calibration import KINDS, noise_of, profiles_of, simulate

N_DRAWS = 99
N_COMPONENTS = 8
"""Principal components that are simulated; the rest of the profiles is shuffled."""
STATISTICS = ("similarity", "agreement", "ami")


def variogram_surrogates(
    profiles: NDArray[np.float64],
    positions_mm: NDArray[np.float64],
    *,
    n_draws: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Shuffle profiles so that each principal component keeps its variogram.

    Returns
    -------
    ndarray of shape (n_draws, n_electrodes, n_phones)
    """
    from brainsmash.mapgen.base import Base  # type: ignore[import-untyped]

    points = directions(profiles)
    mean = points.mean(axis=0)
    left, size, right = np.linalg.svd(points - mean, full_matrices=False)
    distances = cdist(positions_mm, positions_mm)
    scores = left * size
    drawn = np.stack([scores[rng.permutation(len(scores))] for _ in range(n_draws)])
    for column in range(min(N_COMPONENTS, len(size))):
        seed = int(rng.integers(2**31))
        maps = Base(scores[:, column], distances, pv=70, nh=10, resample=True, seed=seed)
        drawn[:, :, column] = maps(n=n_draws)
    return np.asarray(drawn @ right + mean)


def both(name: str, n_electrodes: int, seed: int) -> dict[str, object]:
    """Test one simulated array with both kinds of surrogates: p of every statistic."""
    rng = np.random.default_rng([seed, n_electrodes, list(KINDS).index(name), 9])
    data = simulate(KINDS[name], n_electrodes, rng=rng)
    profiles, null = profiles_of(data, rng)
    groups = cluster(profiles, null)
    near = neighbours(data.positions_mm)
    # Four clusters, found or not: the surrogates are compared, not the clusters' own test.
    measured = statistics_of(directions(profiles)[None], near, data.quarter, 4)[0].tolist()
    noise = noise_of(data, rng)
    kernel = fit_sharing(likeness(noise), data.positions_mm).kernel(data.positions_mm)
    kinds = {
        "ours": surrogates(profiles, noise, kernel, n_draws=N_DRAWS, rng=rng),
        "variogram": variogram_surrogates(profiles, data.positions_mm, n_draws=N_DRAWS, rng=rng),
    }
    row: dict[str, object] = {"kind": name, "n_electrodes": n_electrodes, "k": groups.k}
    for label, maps in kinds.items():
        p = p_of(measured, statistics_of(maps, near, data.quarter, 4))
        row |= {f"{s}_{label}": float(v) for s, v in zip(STATISTICS, p, strict=True)}
    return row


def compare(names: Sequence[str], n_electrodes: int, seeds: range) -> pd.DataFrame:
    """Test several arrays of each kind."""
    return pd.DataFrame([both(name, n_electrodes, seed) for name in names for seed in seeds])


def main() -> None:
    """Print the shares of p < .05 of both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40, help="of each kind")
    parser.add_argument("--electrodes", type=int, default=60)
    given = parser.parse_args()
    found = compare(("untuned", "scattered", "grouped"), given.electrodes, range(given.runs))
    tests = [column for column in found.columns if column.partition("_")[0] in STATISTICS]
    print((found[tests] < 0.05).groupby(found["kind"], sort=False).mean().T.round(3))


if __name__ == "__main__":
    main()
