"""Stacked layers: better where two layers carry the response, no better by chance."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from bids_brainalign.encoding.combined import _stack, combine_layers
from bids_brainalign.encoding.layerwise import encode_layers
from tests.encoding.test_calibration import make_problem


def test_two_layers_that_both_matter_beat_the_best_one():
    problem, space, _ = make_problem(
        1, n_runs=4, n_times=900, n_targets=8, phi=0.6, planted=0, n_layers=4
    )
    other = np.random.default_rng(0).standard_normal((20, 8))
    added = []
    for y, x in zip(problem.responses, space.read(2), strict=True):
        signal = (x / x.std(0)) @ other / np.sqrt(20)
        added.append((y + np.roll(signal, 3, axis=0)).astype(np.float32))
    problem = replace(problem, responses=added, _cache={})
    held_out = problem.held_out()
    found = combine_layers(space, problem, held_out, n_best=3)
    assert (found.r_combined > found.r_selected + 0.05).all()
    assert (found.p < 0.01).all()
    assert found.weight[[0, 2]].min() > 2 * found.weight[[1, 3]].max()
    # The best single layer is the one that the layer-wise encoding chooses.
    np.testing.assert_allclose(
        found.r_selected, encode_layers(space, problem, held_out).selected.r, atol=1e-6
    )


def test_weights_are_those_of_non_negative_least_squares():
    from scipy.optimize import nnls

    rng = np.random.default_rng(2)
    x = rng.standard_normal((3, 200, 5)).astype(np.float32)
    y = (0.5 * x[0] - 0.8 * x[1] + rng.standard_normal((200, 5))).astype(np.float32)
    found = _stack(x, y)
    for target in range(5):
        one = x[:, :, target].T - x[:, :, target].mean(axis=1)
        expected, _ = nnls(one.astype(float), (y - y.mean(0))[:, target].astype(float))
        np.testing.assert_allclose(found[:, target], expected, atol=1e-5)
    assert (found[1] == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("phi", [0.6, 0.9])
def test_the_gain_of_combining_is_rarely_found_where_one_layer_is_all(phi):
    low, n = 0, 0
    for seed in range(4):
        problem, space, _ = make_problem(
            20 + seed, n_runs=4, n_times=600, n_targets=60, phi=phi, planted=1, n_layers=3
        )
        found = combine_layers(space, problem, problem.held_out(), n_best=3)
        low, n = low + int((found.p < 0.05).sum()), n + 60
    assert low <= binom.ppf(0.999, n, 0.05), f"{low / n:.3f}"


def test_without_inner_folds_there_is_nothing_to_choose_by():
    problem, space, _ = make_problem(3, n_runs=4, n_times=300, n_targets=2, phi=0.6)
    folds = tuple(replace(fold, inner=()) for fold in problem.plan.folds)
    problem = replace(problem, plan=replace(problem.plan, folds=folds), _cache={})
    assert combine_layers(space, problem, problem.held_out(), n_best=3) is None


@pytest.mark.parametrize("n_threads", [1, 2])
def test_every_layer_is_read_once_for_all_folds(n_threads):
    problem, space, _ = make_problem(
        4, n_runs=1, n_times=3600, n_targets=5, phi=0.6, planted=0, n_layers=3
    )
    reads = []
    counted = replace(space, read=lambda layer: reads.append(layer) or space.read(layer))
    problem = replace(problem, n_threads=n_threads)
    found = combine_layers(counted, problem, problem.held_out(), n_best=2)
    assert len(problem.plan.folds) > 1
    assert reads == [0, 1, 2]
    assert (found.weight.argmax(axis=0) == 0).all()
