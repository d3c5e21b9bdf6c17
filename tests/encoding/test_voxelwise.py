"""Voxels layer by layer give what electrodes give block by block."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from bids_brainalign.encoding import target_batches, voxelwise
from bids_brainalign.encoding.design import DesignMaker, RunLayout
from bids_brainalign.encoding.layerwise import (
    FeatureSpace,
    Problem,
    encode_jointly,
    encode_layers,
)
from bids_brainalign.encoding.voxelwise import Voxelwise
from bids_brainalign.encoding.weights import target_weights
from bids_brainalign.statistics.correlation import correlation
from bids_brainalign.statistics.folds import Fold, FoldPlan, Split
from bids_brainalign.statistics.nulls import draw_folds
from bids_brainalign.workflow.variance import Explained

N_RUNS, N_TIMES, N_TARGETS, N_LAYERS, DIMS = 4, 160, 30, 3, 20
DELAYS = (1, 2, 3)


def make(*, whole_runs, inner=True, dims=DIMS, n_threads=1):
    rng = np.random.default_rng(5)
    layers = rng.standard_normal((N_LAYERS, N_RUNS, N_TIMES, dims)).astype(np.float32)
    low = rng.standard_normal((1, N_RUNS, N_TIMES, 4)).astype(np.float32)
    weights = rng.standard_normal((dims, N_TARGETS)) / np.sqrt(dims)
    weights[:, N_TARGETS // 2 :] = 0
    signal = np.roll(layers[1], 2, axis=1) @ weights
    signal += 0.5 * np.roll(low[0], 1, axis=1) @ rng.standard_normal((4, N_TARGETS))
    responses = (signal + rng.standard_normal(signal.shape) + 3.0).astype(np.float32)
    used = tuple(
        np.r_[False, False, False, np.ones(N_TIMES - 3, dtype=bool)] for _ in range(N_RUNS)
    )
    layout = RunLayout(
        tuple(np.ones(N_TIMES, dtype=bool) for _ in range(N_RUNS)), used, whole_runs
    )
    n = N_TIMES - 3
    rows = [np.arange(run * n, (run + 1) * n) for run in range(N_RUNS)]
    folds = []
    for run in range(N_RUNS):
        rest = [rows[other] for other in range(N_RUNS) if other != run]
        splits = [Split(np.concatenate([r for r in rest if r is not test]), test) for test in rest]
        folds.append(
            Fold(str(run), Split(np.concatenate(rest), rows[run]), tuple(splits) if inner else ())
        )
    plan = FoldPlan(tuple(folds), "runs", whole_runs, 0.0, 0.0, ())
    draws = draw_folds([n] * N_RUNS, 2.0, n_draws=100, min_offset=5, rng=rng)
    parcels = np.stack([np.ones(N_TARGETS, dtype=bool), np.arange(N_TARGETS) < N_TARGETS // 2])
    problem = Problem(
        responses=list(responses), layout=layout, plan=plan, delays=DELAYS,
        alphas=tuple(np.logspace(0, 5, 12)), fixed_alpha=300.0, band_weights=(0.5, 0.9),
        draws=draws, parcels=parcels, n_threads=n_threads,
    )  # fmt: skip
    space = FeatureSpace("model", ("0", "1", "2"), lambda i: list(layers[i]))
    baseline = FeatureSpace("lowlevel", ("low",), lambda i: list(low[i]))
    return problem, space, baseline


def some_of(problem):
    return lambda columns: replace(
        problem,
        responses=[run[:, columns] for run in problem.responses],
        parcels=problem.parcels[:, columns],
        _cache={},
    )


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(voxelwise, "BLOCK_TARGETS", 13)
    monkeypatch.setattr(target_batches, "BATCH", 8)


@pytest.mark.parametrize("dims", [DIMS, 200], ids=["primal", "dual"])
@pytest.mark.parametrize("whole_runs", [True, False])
@pytest.mark.parametrize("inner", [True, False])
def test_scores_layers_and_nulls_are_those_of_electrodes(tmp_path, dims, whole_runs, inner):
    problem, space, _ = make(whole_runs=whole_runs, inner=inner, dims=dims)
    expected = encode_layers(space, problem, problem.held_out())
    voxels = Voxelwise(some_of(problem), N_TARGETS, tmp_path)
    found = voxels.encode(space)
    np.testing.assert_array_equal(found.chosen, expected.chosen)
    np.testing.assert_allclose(found.alpha, expected.alpha, rtol=1e-6)
    np.testing.assert_allclose(found.inner, expected.inner, atol=1e-5)
    np.testing.assert_allclose(found.parcel_null, expected.parcel_null, atol=2e-3)
    for columns in voxels.blocks():
        _, held_out = voxels.held_out(columns)
        block = found.block(columns, held_out, parcel_null=False)
        for ours, theirs in zip(block.layer_scores, expected.layer_scores, strict=True):
            np.testing.assert_allclose(ours.r_fold, theirs.r_fold[:, columns], atol=1e-4)
            np.testing.assert_allclose(ours.r, theirs.r[columns], atol=1e-4)
            np.testing.assert_allclose(ours.r2, theirs.r2[columns], atol=2e-4)
        np.testing.assert_allclose(block.layer_p, expected.layer_p[:, columns], atol=0.021)
        np.testing.assert_allclose(block.selected.r, expected.selected.r[columns], atol=1e-4)
        np.testing.assert_allclose(block.null_max, expected.null_max[:, columns], atol=2e-4)
        np.testing.assert_allclose(
            block.null_selected, expected.null_selected[:, columns], atol=2e-4
        )
        for ours, theirs in zip(block.predictions, expected.predictions, strict=True):
            np.testing.assert_allclose(ours, theirs[:, columns], atol=2e-3)
    if inner:
        assert (found.chosen[:, : N_TARGETS // 2] == 1).mean() > 0.9


@pytest.mark.parametrize("whole_runs", [True, False])
def test_weights_are_those_of_electrodes(tmp_path, whole_runs):
    problem, space, _ = make(whole_runs=whole_runs)
    expected = target_weights(space, problem, encode_layers(space, problem, problem.held_out()))
    voxels = Voxelwise(some_of(problem), N_TARGETS, tmp_path)
    found = voxels.weights(space, voxels.encode(space))
    np.testing.assert_array_equal(found.layer, expected.layer)
    np.testing.assert_allclose(found.alpha, expected.alpha, rtol=1e-6)
    np.testing.assert_allclose(found.weights, expected.weights, atol=1e-4)


@pytest.mark.parametrize("dims", [DIMS, 200], ids=["primal", "dual"])
def test_both_bands_do_as_well_as_for_electrodes(tmp_path, dims):
    problem, space, baseline = make(whole_runs=True, dims=dims)
    held_out = problem.held_out()
    chosen = encode_layers(space, problem, held_out).chosen
    theirs = held_out.score(encode_jointly(space, baseline, chosen, problem, held_out)).r
    voxels = Voxelwise(some_of(problem), N_TARGETS, tmp_path)
    fit, alone = voxels.encode(space), voxels.encode(baseline)
    joint = voxels.encode_jointly(space, fit, baseline, alone)
    ours = held_out.score([np.asarray(part) for part in joint]).r
    planted = np.arange(N_TARGETS) < N_TARGETS // 2
    # The baseline alone is taken with its own penalties there, with scaled ones here.
    np.testing.assert_allclose(ours, theirs, atol=0.03)
    assert np.abs(ours - theirs)[planted].max() < 2e-3
    assert ours[planted].mean() > alone.r[0, planted].mean() + 0.1
    same = [np.array_equal(a, b) for a, b in zip(joint[0].T, alone.predictions[0].T, strict=True)]
    assert not np.array(same)[planted].any()


def by_scikit_learn(problem, space, baseline, chosen):
    """Two bands by hand: scaled, joined, and fitted by Ridge for every share and penalty."""
    low_maker = design_maker(problem, baseline, 0)
    predictions = []
    for k, fold in enumerate(problem.plan.folds):
        train, y = fold.outer.train, problem.fold_responses(k)
        low = low_maker.design(train)
        best = np.full(N_TARGETS, -np.inf)
        predicted = np.zeros((len(fold.outer.test), N_TARGETS))
        designs = {0.0: {layer: low for layer in range(N_LAYERS)}}
        for share in problem.band_weights:
            designs[share] = {}
            for layer in range(N_LAYERS):
                high = design_maker(problem, space, layer).design(train)
                ratio = high[train].var(axis=0).sum() / low[train].var(axis=0).sum()
                designs[share][layer] = np.hstack(
                    [np.sqrt(share) * high, np.sqrt((1 - share) * ratio) * low]
                )
        for of_layer in designs.values():
            for layer, x in of_layer.items():
                mine = chosen[k] == layer
                for alpha in problem.alphas:
                    score = np.zeros(N_TARGETS)
                    for split in fold.inner:
                        fit = Ridge(alpha=alpha).fit(x[split.train], y[split.train])
                        score += correlation(y[split.test], fit.predict(x[split.test]))
                    better = mine & (score / len(fold.inner) > best)
                    best[better] = score[better] / len(fold.inner)
                    fit = Ridge(alpha=alpha).fit(x[train], y[train])
                    predicted[:, better] = fit.predict(x[fold.outer.test])[:, better]
        predictions.append(predicted)
    return predictions


def design_maker(problem, space, layer):
    return DesignMaker(space.read(layer), problem.layout, delays=problem.delays, n_components=None)


@pytest.mark.parametrize("whole_runs", [True, False])
def test_both_bands_are_those_of_scikit_learn(tmp_path, whole_runs):
    problem, space, baseline = make(whole_runs=whole_runs)
    voxels = Voxelwise(some_of(problem), N_TARGETS, tmp_path)
    fit, alone = voxels.encode(space), voxels.encode(baseline)
    ours = voxels.encode_jointly(space, fit, baseline, alone)
    theirs = by_scikit_learn(problem, space, baseline, fit.chosen)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)
    held_out = problem.held_out()
    expected = held_out.score([part.astype(np.float32) for part in theirs]).r
    np.testing.assert_allclose(held_out.score(list(ours)).r, expected, atol=1e-4)


def test_no_system_is_made_for_folds_in_which_no_target_chose_the_layer(tmp_path, monkeypatch):
    problem, space, baseline = make(whole_runs=True)
    voxels = Voxelwise(some_of(problem), N_TARGETS, tmp_path)
    fit, alone = voxels.encode(space), voxels.encode(baseline)
    fit.chosen[:] = 1
    fit.chosen[0, 3] = 2
    made, real = [], voxelwise.many_targets
    monkeypatch.setattr(
        voxelwise, "many_targets", lambda *a, **k: (made.append(1), real(*a, **k))[1]
    )
    voxels.encode_jointly(space, fit, baseline, alone)
    # Two shares: layer 1 in all four folds, layer 2 in the first alone.
    assert len(made) == 2 * (N_RUNS + 1)


def test_planted_unique_and_shared_variance_is_recovered(tmp_path):
    """Both sets hold the same source; each has one of its own, and every voxel its mixture."""
    rng = np.random.default_rng(3)
    n_times, n_targets, dims = 900, 40, 4
    shape = (N_RUNS, n_times, dims)
    common, model, low = (rng.standard_normal(shape).astype(np.float32) for _ in range(3))
    parts = rng.dirichlet((1, 1, 1, 1), n_targets).T  # shared, model, low-level, noise
    signal = np.zeros((N_RUNS, n_times, n_targets))
    for source, share in zip((common, model, low), parts, strict=False):
        weights = rng.standard_normal((dims, n_targets))
        signal += np.sqrt(share) * (source @ (weights / np.linalg.norm(weights, axis=0)))
    signal += np.sqrt(parts[3]) * rng.standard_normal(signal.shape)
    every = tuple(np.ones(n_times, dtype=bool) for _ in range(N_RUNS))
    rows = np.split(np.arange(N_RUNS * n_times), N_RUNS)
    folds = []
    for run in range(N_RUNS):
        rest = [r for i, r in enumerate(rows) if i != run]
        inner = [Split(np.concatenate([o for o in rest if o is not r]), r) for r in rest]
        folds.append(Fold(str(run), Split(np.concatenate(rest), rows[run]), tuple(inner)))
    problem = Problem(
        responses=list(signal.astype(np.float32)), layout=RunLayout(every, every, True),
        plan=FoldPlan(tuple(folds), "runs", True, 0.0, 0.0, ()), delays=(0,),
        alphas=tuple(np.logspace(0, 4, 9)), fixed_alpha=10.0, band_weights=(0.5, 0.9), draws=(),
        parcels=np.ones((1, n_targets), dtype=bool),
    )  # fmt: skip
    both = np.concatenate([common, model], axis=2), np.concatenate([common, low], axis=2)
    space, baseline = (
        FeatureSpace(name, (name,), lambda _, runs=runs: list(runs))
        for name, runs in zip(("model", "lowlevel"), both, strict=True)
    )
    voxels = Voxelwise(some_of(problem), n_targets, tmp_path)
    fit, alone = voxels.encode(space), voxels.encode(baseline)
    joint = voxels.encode_jointly(space, fit, baseline, alone)
    held_out = problem.held_out()
    r_model, r_low, r_joint = (
        held_out.score([np.asarray(part) for part in one]).r
        for one in (fit.predictions, alone.predictions, joint)
    )
    found = Explained(r_model**2, r_low**2, r_joint**2)
    np.testing.assert_allclose(found.shared, parts[0], atol=0.06)
    np.testing.assert_allclose(found.unique_model, parts[1], atol=0.06)
    np.testing.assert_allclose(found.unique_lowlevel, parts[2], atol=0.06)
    assert np.abs(found.shared - parts[0]).mean() < 0.02


def test_responses_stay_in_files(tmp_path):
    problem, space, _ = make(whole_runs=True)
    voxels = Voxelwise(some_of(problem), N_TARGETS, tmp_path)
    fit = voxels.encode(space)
    for array in (voxels.responses, fit.null_max, *fit.predictions):
        assert isinstance(array, np.memmap)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dims", [DIMS, 200], ids=["primal", "dual"])
@pytest.mark.parametrize("metric", ["correlation", "r2"])
def test_himalaya_finds_the_same(tmp_path, dims, metric):
    problem, space, _ = make(whole_runs=True, dims=dims)
    problem = replace(problem, metric=metric)
    ours = Voxelwise(some_of(problem), N_TARGETS, tmp_path).encode(space)
    other = Voxelwise(some_of(replace(problem, solver="himalaya")), N_TARGETS, tmp_path)
    theirs = other.encode(space)
    assert (ours.chosen == theirs.chosen).mean() > 0.99
    same = ours.chosen == theirs.chosen
    np.testing.assert_allclose(ours.alpha[same], theirs.alpha[same], rtol=1e-6)
    np.testing.assert_allclose(ours.r, theirs.r, atol=1e-3)
    np.testing.assert_allclose(
        np.asarray(Voxelwise(some_of(problem), N_TARGETS, tmp_path).weights(space, ours).weights),
        np.asarray(other.weights(space, ours).weights), atol=1e-3,
    )  # fmt: skip
