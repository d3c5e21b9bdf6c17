"""Clusters: planted ones are recovered, none are made of noise or of one common profile."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import cut_tree, linkage
from sklearn.metrics import adjusted_rand_score, silhouette_score

from bids_brainalign.phonemes.clusters import cluster, directions, partition, stability
from scripts.phoneme_calibration import KINDS, profiles_of, simulate

N_PHONES = 24


def draw(kind, n=24, *, seed=0, n_null=49):
    rng = np.random.default_rng(seed)
    modes = rng.standard_normal((4, N_PHONES))
    labels = np.arange(n) % 4
    profiles = rng.standard_normal((n, N_PHONES))
    if kind == "four":
        profiles += 3 * modes[labels]
    if kind == "one":
        profiles += 3 * modes[0]
    return profiles, rng.standard_normal((n_null, n, N_PHONES)), labels


def test_planted_clusters_are_recovered():
    profiles, null, labels = draw("four")
    found = cluster(profiles, null)
    assert found.k == 4
    assert adjusted_rand_score(labels, found.labels) == 1
    assert found.silhouette == pytest.approx(
        silhouette_score(directions(profiles), found.labels), abs=1e-9
    )
    rng = np.random.default_rng(1)
    again = [profiles + 0.3 * rng.standard_normal(profiles.shape) for _ in range(10)]
    assert stability(found.labels, again) > 0.95


@pytest.mark.parametrize("kind", ["none", "one"])
def test_nothing_to_part_is_one_cluster(kind):
    found = [cluster(*draw(kind, seed=seed)[:2]) for seed in range(40)]
    assert sum(f.k > 1 for f in found) <= 5  # binomial 97.5 % at 5 %
    assert all(f.k == 1 for f in found if f.p >= 0.05)


def test_few_electrodes_are_not_clustered():
    profiles, null, _ = draw("four", n=5)
    found = cluster(profiles, null)
    assert found.k == 1
    assert np.isnan(found.p)
    assert np.isnan(stability(found.labels, []))


def test_clusters_are_numbered_from_the_largest():
    rng = np.random.default_rng(0)
    modes = 10 * rng.standard_normal((2, N_PHONES))
    labels = np.array([0] * 3 + [1] * 9)
    found = partition(modes[labels] + rng.standard_normal((12, N_PHONES)), 2)
    assert found.tolist() == [2] * 3 + [1] * 9


@pytest.mark.parametrize("k", [2, 3, 8])
def test_partitions_are_those_of_scipy(k):
    profiles = np.random.default_rng(k).standard_normal((40, 10))
    tree = linkage(directions(profiles), method="ward")
    expected = cut_tree(tree, n_clusters=k)[:, 0]
    assert adjusted_rand_score(expected, partition(profiles, k)) == 1


def test_electrodes_that_follow_nothing_are_held_against_draws_as_they_are():
    """Draws with the data's mean profile alone would find clusters in these (p = .045)."""
    rng = np.random.default_rng([60_064, 20, 0])
    data = simulate(KINDS["untuned"], 20, rng=rng)
    profiles, null = profiles_of(data, rng)
    found = cluster(profiles, null)
    assert found.p > 0.1
    assert found.k == 1
