"""A first look in bf16, and what it leaves undecided in float32, find the same penalties."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bids_brainalign.encoding import penalty_search, voxelwise
from bids_brainalign.encoding.arrays import HostArrays
from bids_brainalign.encoding.many_targets import OwnTargets, many_targets
from bids_brainalign.encoding.penalty_search import ERRORS, PenaltySearch
from bids_brainalign.encoding.spectra import Dual, Primal
from bids_brainalign.encoding.torch_arrays import TorchArrays
from bids_brainalign.encoding.voxelwise import Voxelwise
from bids_brainalign.statistics.folds import Split
from tests.encoding.test_penalty_search import ALPHAS, INNER, N_TARGETS, N, make, searches
from tests.encoding.test_voxelwise import make as make_problem
from tests.encoding.test_voxelwise import some_of

FORMS = pytest.mark.parametrize(("form", "n_features"), [(Primal, 90), (Dual, 400)])
NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
ARRAYS = pytest.mark.parametrize(
    "arrays", ["numpy", "cpu", pytest.param("cuda", marks=NEEDS_CUDA)]
)


def exact_scores(form, y, metric, statistics):
    full, _ = searches(form, y, metric, n_targets=2)
    return full._every([side.held(y) for side in full.sides], statistics)


@ARRAYS
@FORMS
@pytest.mark.parametrize("metric", ["correlation", "r2"])
def test_the_choice_is_that_of_all_penalties(arrays, form, n_features, metric):
    x, y = make(n_features)
    made = HostArrays() if arrays == "numpy" else TorchArrays(arrays)
    y_there, there = made.put(y), form(x, made)
    trains = [split.train for split in INNER]
    short = PenaltySearch(
        there, there.spectra(trains), INNER, ALPHAS, metric,
        sample=made.put(y[:, ::23]), n_targets=10**6, coarse=True,
    )  # fmt: skip
    score, index = short.best(y_there, there.statistics(y_there, trains))
    host = form(x)
    every = exact_scores(host, y, metric, host.statistics(y, trains))
    best = every.max(axis=0)
    assert (index == every.argmax(axis=0)).mean() > 0.999
    lost = best - every[index, np.arange(N_TARGETS)]
    assert lost.max() < 10 * ERRORS[-1]
    assert np.abs(score - best).max() < 1.5 * ERRORS[0]


@FORMS
def test_the_first_look_is_coarse_and_its_error_is_known(form, n_features):
    x, y = make(n_features)
    made = form(x)
    short, statistics = searches(made, y, "correlation", n_targets=10**6, coarse=True)
    every = exact_scores(made, y, "correlation", statistics)
    held = [side.held(y) for side in short.sides]
    inputs = [side.inputs(z) for side, z in zip(short.sides, statistics, strict=True)]
    found = short.coarse.scores(held, inputs)
    assert 2e-5 < np.abs(found - every).max() < 5e-3
    # Of all targets, not only of the sample.
    right = every.argmax(axis=0), np.arange(N_TARGETS)
    missed = found.max(axis=0) - found[right] > short.coarse.shortfall
    assert missed.mean() < 1e-3
    # Some targets need float32, and these for some penalties.
    near = found >= found.max(axis=0) - short.coarse.shortfall
    assert 0.02 < (near.sum(axis=0) > 1).mean() < 0.95
    assert near.sum() < 0.25 * near.size


def test_predictions_are_those_of_float32():
    x, y = make(90)
    train, test = np.arange(200), np.arange(200, N)
    inner = [Split(np.setdiff1d(train, p), p) for p in np.array_split(train, 3)]
    before = torch.get_num_threads()
    results = []
    for scoring in ("fp32", "bf16"):
        system = many_targets(x, y, n_train=200, scoring=scoring, n_threads=2)
        alpha, prediction = np.empty(N_TARGETS), np.empty((len(test), N_TARGETS))
        for part in system.fit(train, test, inner, ALPHAS, metric="correlation"):
            alpha[part.columns], prediction[:, part.columns] = part.alpha, part.prediction
        results.append((alpha, prediction))
    (exact, expected), (found, predicted) = results
    same = found == exact
    assert same.mean() > 0.999
    np.testing.assert_array_equal(predicted[:, same], expected[:, same])
    assert torch.get_num_threads() == before


def test_voxels_are_looked_at_as_their_problem_says(tmp_path, monkeypatch):
    problem, space, _ = make_problem(whole_runs=True)
    asked, real = [], voxelwise.many_targets
    monkeypatch.setattr(
        voxelwise, "many_targets", lambda *a, **k: (asked.append(k["scoring"]), real(*a, **k))[1]
    )
    for scoring in ("fp32", "bf16"):
        voxels = Voxelwise(some_of(replace(problem, scoring=scoring)), 30, tmp_path)
        voxels.ridge(space, 1, 0)
    assert asked == ["fp32", "bf16"]


def test_few_targets_are_not_looked_at_coarsely():
    x, y = make(90)
    y = y[:, : penalty_search.FEW_TARGETS]
    train = np.arange(N)
    fits = [
        list(OwnTargets(Primal(x), y, coarse=coarse).fit(
            train, train[:3], INNER, ALPHAS, metric="correlation"
        ))
        for coarse in (False, True)
    ]  # fmt: skip
    for one, other in zip(*fits, strict=True):
        np.testing.assert_array_equal(one.score, other.score)
