"""Voxels layer by layer give what electrodes give block by block."""

from dataclasses import replace

import numpy as np
import pytest

from bids_brainalign.encoding import himalaya_targets, target_batches, voxelwise
from bids_brainalign.encoding.design import RunLayout
from bids_brainalign.encoding.layerwise import (
    FeatureSpace,
    Problem,
    encode_jointly,
    encode_layers,
)
from bids_brainalign.encoding.voxelwise import Voxelwise
from bids_brainalign.encoding.weights import target_weights
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.statistics.folds import Fold, FoldPlan, Split
from bids_brainalign.statistics.nulls import draw_folds

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


def test_himalaya_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(himalaya_targets, "find_spec", lambda name: None)
    problem, space, _ = make(whole_runs=True)
    voxels = Voxelwise(some_of(replace(problem, solver="himalaya")), N_TARGETS, tmp_path)
    with pytest.raises(BrainAlignError, match="needs the package himalaya") as caught:
        voxels.encode(space)
    assert "pip install himalaya" in str(caught.value)
