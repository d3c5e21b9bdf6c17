"""Coherence: found where planted by place, kept at 5 % where neighbours only share voltage."""

from pathlib import Path

import numpy as np
import pytest

from bids_brainalign.phonemes.coherence import coherence, neighbours
from scripts.phoneme_calibration import (
    COHERENCE_TESTS,
    FIRST_SEED,
    NULLS,
    draw,
    limit,
    simulate_all,
    summarise,
)


def runs(kind, size, n, first=FIRST_SEED):
    return simulate_all([kind], [size], range(first, first + n), grouped=n)


def test_tuning_by_place_is_found():
    found = runs("grouped", 20, 3)
    assert (found["ari"] > 0.8).all()
    assert (found[["p_similarity", "p_ami"]] < 0.05).all(axis=None)


@pytest.mark.parametrize("kind", ["untuned", "scattered"])
def test_shared_voltage_alone_is_no_coherence(kind):
    found = runs(kind, 20, 20)
    for test in COHERENCE_TESTS:
        assert (found[test] < 0.05).sum() <= limit(20)


def test_scattered_tuning_has_clusters():
    # Neighbours leak into each other here: the median, not every run.
    assert runs("scattered", 20, 9)["ari"].median() > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("size", [20, 60, 200])
@pytest.mark.parametrize("kind", ["grouped", "scattered"])
def test_planted_clusters_are_recovered(kind, size):
    assert runs(kind, size, 15)["ari"].median() > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("size", [20, 60, 200])
@pytest.mark.parametrize("kind", NULLS)
def test_nulls_keep_five_percent_in_200_runs(kind, size):
    found = runs(kind, size, 200)
    # Elsewhere there are clusters to be found.
    for test in (*COHERENCE_TESTS, *(["p_clusters"] if kind == "untuned" else [])):
        assert (found[test] < 0.05).sum() <= limit(200)


def test_few_different_surrogates_give_no_p():
    rng = np.random.default_rng(0)
    profiles, null = rng.standard_normal((20, 12)), rng.standard_normal((50, 20, 12))
    positions = rng.uniform(0, 40, (20, 3))
    labels = np.array([2] + [1] * 19)  # 20 arrangements
    found = coherence(
        profiles, null, positions_mm=positions, labels=labels,
        regions=np.array(["a", "b"] * 10), rng=rng, n_draws=99,
    )  # fmt: skip
    assert np.isnan(found.p_agreement)
    assert np.isfinite(found.p_similarity)
    few = coherence(
        profiles[:4], null[:, :4], positions_mm=positions[:4], labels=labels[:4],
        regions=np.array(["a"] * 4), rng=rng,
    )  # fmt: skip
    assert few.n_null == 0
    assert np.isnan(few.p_similarity)


def test_neighbours_are_the_nearest():
    positions = np.array([[0.0, 0, 0], [1, 0, 0], [3, 0, 0], [7, 0, 0], [20, 0, 0]])
    assert neighbours(positions, 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1], [3, 2]]


def test_calibration_figure_is_drawn(tmp_path: Path):
    table = summarise(runs("untuned", 20, 2))
    row = table[table["test"] == "neighbour similarity"].iloc[0]
    assert row["n_tested"] == 2
    assert row["low"] <= row["share"] <= row["high"]
    where = table.set_index("test")["tested_in"]
    assert where["clusters"] == where["neighbour similarity"] == "all runs"
    assert where["clusters and regions"] == "runs with clusters"
    draw(table, tmp_path / "figure.svg")
    assert "<svg" in (tmp_path / "figure.svg").read_text()
