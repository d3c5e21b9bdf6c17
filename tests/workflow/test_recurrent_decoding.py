"""The GRU decodes what was planted, and every network is kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bids_brainalign.config.schema import Config, Decoding, Paths, Resources
from bids_brainalign.decoding.identification import SCORES
from bids_brainalign.decoding.layerwise import decode_layers
from bids_brainalign.workflow import recurrent_decoding
from bids_brainalign.workflow.recurrent_decoding import decode_by_gru
from tests.decoding.planted import make

TWO_VS_TWO = SCORES.index("two_vs_two")


@pytest.fixture
def config(tmp_path):
    return Config(
        "participant",
        Paths(tmp_path, tmp_path, tmp_path),
        decoding=Decoding(("ridge", "gru"), gru_hidden=12, gru_seeds=2, gru_epochs=6),
        resources=Resources(device="cpu"),
    )


def decode(config, problem, space, folder: Path):
    (ridge,) = decode_layers([space], problem)
    return decode_by_gru(config, space, ridge, problem, folder=folder)


def test_planted_embedding_is_decoded_and_seeds_are_kept(config, tmp_path):
    problem, space = make(5, planted=0, n_runs=3, n_times=1200, noise=0.3, dims=4, n_draws=50)
    found = decode(config, problem, space, tmp_path / "kept")
    assert found.value[:, 0, TWO_VS_TWO].min() > 0.8
    names = {path.name for path in (tmp_path / "kept").iterdir()}
    assert names == {f"m_fold-{k}_seed-{s}.npy" for k in (1, 2, 3) for s in (0, 1)}
    # Kept predictions are taken as they are: nothing is trained again.
    for path in (tmp_path / "kept").iterdir():
        np.save(path, np.zeros_like(np.load(path)))
    again = decode(config, problem, space, tmp_path / "kept")
    assert again.value[:, 0, TWO_VS_TWO].max() < 0.7


def test_networks_train_on_one_thread_each_and_are_the_same_side_by_side(
    config, tmp_path, monkeypatch
):
    problem, space = make(8, planted=0, n_runs=3, n_times=600, dims=4, n_draws=20)
    threads = []
    fit = recurrent_decoding.fit_recurrent

    def watched(*args, **options):
        threads.append(torch.get_num_threads())
        return fit(*args, **options)

    monkeypatch.setattr(recurrent_decoding, "fit_recurrent", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for name, n_threads in (("alone", 1), ("side", 2)):
            one = replace(config, resources=replace(config.resources, omp_nthreads=n_threads))
            decode(one, problem, space, tmp_path / name)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert threads == [1] * 12  # two runs, three folds, two seeds
    kept = sorted((tmp_path / "alone").iterdir())
    assert len(kept) == 6
    for path in kept:
        other = np.load(tmp_path / "side" / path.name)
        np.testing.assert_allclose(np.load(path), other, atol=1e-6)


def test_scores_are_means_over_seeds(config, tmp_path):
    problem, space = make(6, planted=0, n_runs=3, n_times=900, dims=4, n_draws=50)
    both = decode(config, problem, space, tmp_path / "kept")
    one = replace(config, decoding=replace(config.decoding, gru_seeds=1))
    first = decode(one, problem, space, tmp_path / "kept")
    for path in (tmp_path / "kept").glob("*_seed-1.npy"):
        path.replace(path.with_name(path.name.replace("seed-1", "seed-0")))
    second = decode(one, problem, space, tmp_path / "kept")
    np.testing.assert_allclose(both.value, (first.value + second.value) / 2)


def test_without_inner_folds_nothing_stops_training(config, tmp_path):
    problem, space = make(7, n_runs=3, n_times=600, n_draws=20)
    folds = tuple(replace(fold, inner=()) for fold in problem.plan.folds)
    bare = replace(problem, plan=replace(problem.plan, folds=folds))
    assert decode(config, bare, space, tmp_path / "kept") is None
