"""A shared hidden layer beside the ridge of voxels, where the truth is planted."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.linear_model import Ridge

from bids_brainalign.encoding import voxel_networks, voxelwise
from bids_brainalign.encoding.recurrent import training
from bids_brainalign.encoding.recurrent.side_by_side import one_thread
from bids_brainalign.encoding.recurrent.training import Recipe, Sums, predict
from bids_brainalign.encoding.voxel_networks import (
    Curve,
    Readout,
    choose,
    held_out_rows,
    inner_curve,
    part_of,
    trained_network,
    what_ridge_leaves,
)
from bids_brainalign.encoding.voxelwise import Voxelwise
from bids_brainalign.statistics.tails import p_values
from tests.encoding.test_calibration import make_problem

N_TARGETS, DIMS = 12, 10


def make(kind, *, seed=0, n_times=700, n_runs=4, n_targets=N_TARGETS):
    """``linear``: as ridge assumes; ``product``: of two features; ``null``: of nothing.

    In ``product`` the second half of the targets is noise.
    """
    problem, space, _ = make_problem(
        seed, n_runs=n_runs, n_times=n_times, n_targets=n_targets, phi=0.5, dims=DIMS,
        planted=0 if kind == "linear" else None,
    )  # fmt: skip
    if kind == "product":
        responses = []
        for x, y in zip(space.read(0), problem.responses, strict=True):
            z, out = x / x.std(axis=0), y / y.std(axis=0)
            for j in range(n_targets // 2):
                out[:, j] += 1.5 * np.roll(z[:, (2 * j) % DIMS] * z[:, (2 * j + 1) % DIMS], 3)
            responses.append(out)
        problem = replace(problem, responses=responses, _cache={})
    return problem, space


def some_of(problem):
    return lambda columns: replace(
        problem, responses=[run[:, columns] for run in problem.responses], _cache={}
    )


def readout(*, shrink=True, epochs=40, hidden=32, patience=5, decays=(0.01, 1.0)):
    recipe = Recipe(epochs, 10**9, 128, 3e-3, 0.0, patience)
    return Readout(hidden, 0.2, recipe, decays, shrink)


def fitted(problem, space, folder, options, *, seed=0):
    """Held-out responses, and predictions of ridge and of ridge with the network."""
    voxels = Voxelwise(some_of(problem), problem.responses[0].shape[1], folder)
    every = slice(0, voxels.n_targets)
    linear, both = [], []
    with one_thread():
        for k, fold in enumerate(voxels.folds):
            ridge = voxels.ridge(space, 0, k)
            left, known = what_ridge_leaves(voxels, ridge, k), held_out_rows(fold.inner)
            windows = ridge.design.reshape(len(ridge.design), len(problem.delays), -1)
            curves = [
                [
                    inner_curve(windows, left, split, known, readout=options, weight_decay=decay,
                                seed=i)
                    for i, split in enumerate(fold.inner)
                ]
                for decay in options.weight_decays
            ]  # fmt: skip
            chosen = choose(curves, options.weight_decays, shrink=True)
            network = trained_network(
                windows, left, known, readout=options, chosen=chosen, seed=seed
            )
            test = fold.outer.test
            own = chosen.gain * predict(network, windows, rows=test)
            linear.append(np.array(ridge.prediction))
            both.append(ridge.prediction + own * voxels.fold_units(k)[1])
    return voxels.held_out(every)[1], linear, both


def test_where_all_is_linear_nothing_is_lost(tmp_path):
    problem, space = make("linear")
    held_out, ridge, network = fitted(problem, space, tmp_path, readout(epochs=10))
    difference = held_out.score(network).r - held_out.score(ridge).r
    assert held_out.score(ridge).r.mean() > 0.5
    assert difference.min() > -0.01


def test_products_of_features_are_found_where_ridge_finds_nothing(tmp_path):
    problem, space = make("product", n_times=700)
    held_out, ridge, network = fitted(problem, space, tmp_path, readout(epochs=40))
    half = N_TARGETS // 2
    before, after = held_out.score(ridge).r, held_out.score(network).r
    assert before[:half].mean() < 0.1
    assert after[:half].mean() > 0.3
    p = p_values(after - before, held_out.null(network) - held_out.null(ridge))
    assert p[:half].max() < 0.01
    # Targets without signal are left as they were, or nearly so.
    assert np.abs(after - before)[half:].max() < 0.05


def null_rate(seeds, folder):
    p = []
    for seed in seeds:
        problem, space = make("null", seed=seed, n_times=400, n_runs=3, n_targets=20)
        options = readout(epochs=8, hidden=16, patience=4)
        held_out, ridge, network = fitted(problem, space, folder, options, seed=seed)
        difference = held_out.score(network).r - held_out.score(ridge).r
        p.append(p_values(difference, held_out.null(network) - held_out.null(ridge)))
    return np.concatenate(p)


def test_no_more_than_the_nominal_rate_without_any_link(tmp_path):
    p = null_rate(range(6), tmp_path)
    assert (p < 0.05).sum() <= binom.ppf(0.999, len(p), 0.05), (p < 0.05).mean()


@pytest.mark.slow
def test_no_more_than_the_nominal_rate_in_many_runs(tmp_path):
    p = null_rate(range(60), tmp_path)
    assert (p < 0.05).sum() <= binom.ppf(0.999, len(p), 0.05), (p < 0.05).mean()


def test_what_ridge_leaves_is_cross_fitted(tmp_path):
    problem, space = make("linear", n_times=300)
    voxels = Voxelwise(some_of(problem), N_TARGETS, tmp_path)
    ridge, fold = voxels.ridge(space, 0, 1), voxels.folds[1]
    left = what_ridge_leaves(voxels, ridge, 1)
    assert isinstance(left, np.memmap)
    split, target = fold.inner[-1], 3
    oracle = Ridge(alpha=ridge.alpha[target])
    oracle.fit(ridge.design[split.train], voxels.responses[split.train, target])
    expected = voxels.responses[split.test, target] - oracle.predict(ridge.design[split.test])
    np.testing.assert_allclose(left[split.test, target], expected, atol=2e-3)
    assert not left[fold.outer.test].any()


def test_test_rows_change_nothing_that_is_chosen_or_learnt(tmp_path):
    problem, space = make("product", n_times=300)
    test = problem.plan.folds[0].outer.test
    other = [run.copy() for run in problem.responses]
    other[0][:] = 5 * np.random.default_rng(0).standard_normal(other[0].shape)
    assert set(test) == set(range(300))  # the first run
    options = readout(epochs=3, hidden=8, decays=(0.01,))
    found = []
    for responses in (problem.responses, other):
        changed = replace(problem, responses=responses, _cache={})
        found.append(fitted(changed, space, tmp_path, options)[2][0])
    np.testing.assert_allclose(*found, atol=1e-5)


def sums_of(rng, n, slope):
    """Sums of one inner fold: a prediction that explains ``slope`` of itself, and noise."""
    predicted = rng.standard_normal((n, len(slope)))
    y = slope * predicted + rng.standard_normal(predicted.shape)
    return Sums(n, (predicted**2).sum(axis=0), (predicted * y).sum(axis=0), (y**2).sum(axis=0))


def test_targets_take_the_part_that_helps_on_other_folds():
    rng = np.random.default_rng(0)
    slope = np.r_[np.full(200, 0.5), np.zeros(2000)]
    part = part_of([sums_of(rng, 400, slope) for _ in range(3)])
    np.testing.assert_allclose(part[:200], 0.5, atol=0.1)
    # Without a link the factor is above 0 in half of the targets; fewer of them help elsewhere.
    assert (part[200:] > 0).mean() < 0.35
    assert part[200:].mean() < 0.02


def test_epochs_that_help_no_fold_but_their_own_are_not_chosen():
    rng = np.random.default_rng(1)
    nothing = np.zeros(500)
    curve = [Curve(tuple(sums_of(rng, 300, nothing) for _ in range(4))) for _ in range(3)]
    silent = Sums(300, nothing, nothing, np.full(500, 300.0))
    started = [Curve((silent, *one.sums[1:])) for one in curve]
    for one in started:
        for sums in one.sums[1:]:
            sums.own[:] = 300.0
    assert choose([started], (0.01,), shrink=True).epochs == 0


def test_the_decay_with_the_smaller_error_is_chosen():
    rng = np.random.default_rng(2)
    weak = [Curve((sums_of(rng, 300, np.full(50, 0.0)),)) for _ in range(2)]
    strong = [Curve((sums_of(rng, 300, np.full(50, 0.9)),)) for _ in range(2)]
    for curve in (*weak, *strong):  # the same responses
        curve.sums[0].own[:] = 600.0
    assert choose([weak, strong], (0.1, 0.7), shrink=True).weight_decay == 0.7


def test_rows_are_predicted_a_few_at_a_time_where_there_are_many_targets(tmp_path, monkeypatch):
    problem, space = make("linear", n_times=300)
    voxels = Voxelwise(some_of(problem), N_TARGETS, tmp_path)
    fold, ridge = voxels.folds[0], voxels.ridge(space, 0, 0)
    windows = ridge.design.reshape(len(ridge.design), len(problem.delays), -1)
    options = readout(epochs=2, hidden=8)
    curves = []
    for values in (training.PREDICT_VALUES, 1):
        monkeypatch.setattr(training, "PREDICT_VALUES", values)
        curves.append(
            inner_curve(windows, voxels.responses, fold.inner[0], fold.outer.train,
                        readout=options, weight_decay=0.0, seed=0)
        )  # fmt: skip
    for one, other in zip(*(curve.sums for curve in curves), strict=True):
        np.testing.assert_allclose(one.power, other.power, rtol=1e-5)
        np.testing.assert_allclose(one.shared, other.shared, rtol=1e-4, atol=1e-3)
    expected = np.square(voxels.responses[fold.inner[0].test]).sum(axis=0)
    np.testing.assert_allclose(curves[0].sums[0].own, expected, rtol=1e-5)
    assert not curves[0].sums[0].power.any()  # it begins at the training mean


def test_blocks_of_targets_give_the_same_residual(tmp_path, monkeypatch):
    problem, space = make("linear", n_times=300)
    parts = []
    for block in (4096, 5):
        monkeypatch.setattr(voxelwise, "BLOCK_TARGETS", block)
        voxels = Voxelwise(some_of(problem), N_TARGETS, tmp_path)
        parts.append(voxel_networks.what_ridge_leaves(voxels, voxels.ridge(space, 0, 0), 0))
    np.testing.assert_allclose(*parts, atol=1e-5)
