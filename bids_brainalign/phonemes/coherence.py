"""Whether electrodes that lie near each other prefer the same phones.

Neighbours share voltage through the tissue and the reference, so they are alike whatever they
encode: shuffling electrodes would find coherence everywhere. How far voltage is shared is seen in
what phones don't explain: profiles of shifted labels, after the mean response to each phone was
taken away. Surrogates shuffle the tuning, let it spread as far, and add this noise. The
similarity of neighbours must also exceed that of the noise itself: its p is the larger of both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform

from bids_brainalign.phonemes.clusters import Labels, directions, partition
from bids_brainalign.phonemes.sharing import Sharing, fit_sharing, likeness

Array64 = NDArray[np.float64]

N_NEIGHBOURS = 3
N_SURROGATES = 999
MIN_DISTINCT = 100
"""With fewer different surrogates there is no p (design: statistics.md §9)."""
_TINY = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Coherence:
    """Statistics of one participant with their surrogates; NaN where there is none."""

    n_electrodes: int
    n_null: int
    """Surrogates; 0 where fewer than 100 different ones exist."""
    similarity: float
    """Mean correlation of profiles between an electrode and its nearest neighbours, less that
    between all pairs (a Moran's I over all phones at once)."""
    similarity_null: float
    p_similarity: float
    agreement: float
    """Share of nearest neighbours in the same cluster."""
    agreement_null: float
    p_agreement: float
    ami: float
    """Adjusted mutual information of clusters and regions."""
    ami_null: float
    p_ami: float
    sharing: Sharing | None
    """How far voltage is shared, as the surrogates have it."""


def surrogates(
    profiles: Array64,
    null: Array64,
    kernel: Array64,
    *,
    n_draws: int,
    rng: np.random.Generator,
) -> Array64:
    """Draw maps of tuning that lies anywhere, spreads to neighbours and is measured with noise.

    Parameters
    ----------
    profiles : ndarray of shape (n_electrodes, n_phones)
    null : ndarray of shape (n_draws, n_electrodes, n_phones)
        Profiles of noise: shifted labels, no tuning.
    kernel : ndarray of shape (n_electrodes, n_electrodes)
        How much electrodes share, without noise of their own:
        :meth:`~.sharing.Sharing.kernel`.
    n_draws : int
    rng : Generator

    Returns
    -------
    ndarray of shape (n_draws, n_electrodes, n_phones)
        μ + a K^½ Π T + E. μ: mean profile. T: what electrodes differ by, without the noise
        (Wiener filter over phones). Π: a random order. K: the kernel. E: noise. a: the power
        of T beyond noise.

    Notes
    -----
    Noise of each electrode's own is not spread. Surrogates that unmix and mix profiles with the
    correlation of noise, as these once were, take such noise for a sign of sharp
    maps: with as much own as shared noise they found order in 91 to 100 % of simulated runs
    without any (60 electrodes).
    """
    centred = profiles - profiles.mean(axis=-1, keepdims=True)
    noise = null - null.mean(axis=-1, keepdims=True)
    mean, mean_noise = centred.mean(axis=0), noise.mean(axis=1)
    apart, apart_noise = centred - mean, noise - mean_noise[:, None]
    n = len(profiles)
    by_noise = np.einsum("dep,deq->pq", apart_noise, apart_noise, optimize=True) / (len(null) * n)
    tuned = _positive(apart.T @ apart / n - by_noise)
    tuning = apart @ np.linalg.pinv(tuned + by_noise, hermitian=True) @ tuned
    order = rng.permuted(np.tile(np.arange(n), (n_draws, 1)), axis=1)
    spread = _root(kernel) @ tuning[order]
    spread -= spread.mean(axis=1, keepdims=True)
    power = max(float((apart**2).sum() - n * np.trace(by_noise)), 0.0)
    drawn = float((spread**2).sum(axis=(1, 2)).mean())
    spread *= np.sqrt(power / drawn) if drawn > 0 else 0.0
    length = float((mean**2).sum())
    beyond = max(length - float((mean_noise**2).sum(axis=-1).mean()), 0.0)
    common = mean * (np.sqrt(beyond / length) if length > 0 else 0.0)
    draws = rng.permutation(np.resize(np.arange(len(null)), n_draws))
    return np.asarray(common + spread + noise[draws])


def _positive(matrix: Array64) -> Array64:
    """Nearest positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, 0)) @ vectors.T)


def _root(matrix: Array64) -> Array64:
    """Symmetric root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def coherence(
    profiles: Array64,
    null: Array64,
    *,
    positions_mm: Array64,
    labels: Labels,
    regions: NDArray[np.str_],
    rng: np.random.Generator,
    n_draws: int = N_SURROGATES,
) -> Coherence:
    """Compare the anatomical order of phone profiles with that of surrogates.

    Parameters
    ----------
    profiles : ndarray of shape (n_electrodes, n_phones)
    null : ndarray of shape (n_draws, n_electrodes, n_phones)
        Profiles of noise: shifted labels, no tuning
        (:meth:`~.selectivity.Tokens.untuned`).
    positions_mm : ndarray of shape (n_electrodes, 3)
    labels : ndarray of int, shape (n_electrodes,)
        Clusters from 1; with one cluster only ``similarity`` is tested.
    regions : ndarray of str, shape (n_electrodes,)
        Or devices; ``n/a`` where unknown.
    rng : Generator
    n_draws : int

    Returns
    -------
    Coherence
    """
    n, k = len(profiles), int(labels.max())
    near = neighbours(positions_mm)
    point = directions(profiles)
    observed = [
        float(neighbour_similarity(point, near)),
        float((labels[near] == labels[:, None]).mean()),
        _ami(labels, regions),
    ]
    possible = math.perm(n) >= MIN_DISTINCT if n < 20 else True
    if n <= N_NEIGHBOURS + 2 or not possible or len(null) < 2:
        return _untested(n, observed, k)
    sharing = fit_sharing(likeness(null), positions_mm)
    drawn = surrogates(profiles, null, sharing.kernel(positions_mm), n_draws=n_draws, rng=rng)
    clusters = k if k > 1 and _arrangements(labels) >= MIN_DISTINCT else 1
    values = statistics_of(drawn, near, regions, clusters)
    p = p_of(observed, values).tolist()
    # Clusters of noise follow what neighbours share, so only similarity has this floor.
    shifted = statistics_of(null, near, regions, 1)
    p[0] = max(p[0], float(p_of(observed, shifted)[0]))
    mean = values.mean(axis=0)
    return Coherence(
        n, n_draws, observed[0], float(mean[0]), p[0],
        observed[1] if k > 1 else float("nan"), float(mean[1]), p[1],
        observed[2] if k > 1 else float("nan"), float(mean[2]), p[2],
        sharing,
    )  # fmt: skip


def statistics_of(
    maps: Array64, near: NDArray[np.int64], regions: NDArray[np.str_], k: int
) -> Array64:
    """(n_maps, 3): similarity, and agreement and AMI of new clusters of each map."""
    values = np.full((len(maps), 3), np.nan)
    values[:, 0] = neighbour_similarity(directions(maps), near)
    for index, draw in enumerate(maps if k > 1 else ()):
        labels = partition(draw, k)
        values[index, 1] = (labels[near] == labels[:, None]).mean()
        values[index, 2] = _ami(labels, regions)
    return values


def p_of(observed: list[float], drawn: Array64) -> Array64:
    """One-sided; NaN where anything is."""
    above = (drawn >= np.asarray(observed)).sum(axis=0)
    known = np.isfinite(observed) & np.isfinite(drawn).all(axis=0)
    return np.where(known, (1 + above) / (1 + len(drawn)), np.nan)


def neighbours(positions_mm: Array64, count: int = N_NEIGHBOURS) -> NDArray[np.int64]:
    """(n_electrodes, count) nearest other electrodes."""
    distances = squareform(pdist(positions_mm))
    np.fill_diagonal(distances, np.inf)
    order = np.argsort(distances, axis=1, kind="stable")
    return np.asarray(order[:, : min(count, len(distances) - 1)], dtype=np.int64)


def neighbour_similarity(points: Array64, near: NDArray[np.int64]) -> Array64:
    """Mean correlation with neighbours, less the mean over all pairs.

    Parameters
    ----------
    points : ndarray of shape (…, n_electrodes, n_phones)
        From :func:`~bids_brainalign.phonemes.clusters.directions`.
    near : ndarray of int, shape (n_electrodes, n_neighbours)

    Returns
    -------
    ndarray of shape (…)
    """
    n = points.shape[-2]
    nearest = [
        np.einsum("...ep,...ep->...", points, points[..., column, :]) / n for column in near.T
    ]
    total = (points.sum(axis=-2) ** 2).sum(axis=-1) - (points**2).sum(axis=(-2, -1))
    return np.asarray(np.mean(nearest, axis=0) - total / (n * (n - 1)))


def _ami(labels: Labels, regions: NDArray[np.str_]) -> float:
    """Adjust mutual information for chance (mean of entropies); NaN with one region or cluster.

    What scikit-learn's ``adjusted_mutual_info_score`` gives, without its checks of the input:
    they would take most of the time of a thousand surrogates.
    """
    from sklearn.metrics.cluster import expected_mutual_information

    known = regions != "n/a"
    names, region = np.unique(regions[known], return_inverse=True)
    clusters, cluster = np.unique(labels[known], return_inverse=True)
    if len(names) < 2 or len(clusters) < 2:
        return float("nan")
    flat = np.bincount(region * len(clusters) + cluster, minlength=len(names) * len(clusters))
    counts = flat.reshape(len(names), len(clusters))
    n = int(counts.sum())
    expected = float(expected_mutual_information(counts, n))
    marginals = _entropy(counts.sum(axis=0)), _entropy(counts.sum(axis=1))
    shared = sum(marginals) - _entropy(flat)
    spread = sum(marginals) / 2 - expected
    return (shared - expected) / (spread if abs(spread) > _TINY else _TINY)


def _entropy(counts: NDArray[np.int64]) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())


def _arrangements(labels: Labels) -> int:
    """Different ways to give these clusters to the electrodes."""
    total = math.factorial(len(labels))
    for size in np.unique(labels, return_counts=True)[1]:
        total //= math.factorial(int(size))
    return total


def _untested(n: int, observed: list[float], k: int) -> Coherence:
    nan = float("nan")
    second, third = observed[1:] if k > 1 else (nan, nan)
    return Coherence(n, 0, observed[0], nan, nan, second, nan, nan, third, nan, nan,
                     None)  # fmt: skip
