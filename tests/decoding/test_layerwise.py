"""Planted embeddings are decoded; the shared kernel is plain ridge; null runs are not found."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.linear_model import Ridge

from bids_brainalign.decoding import layerwise
from bids_brainalign.decoding.inference import infer_layers
from bids_brainalign.decoding.layerwise import _fitted, decode_layers
from bids_brainalign.encoding import ridge
from bids_brainalign.statistics.folds import Split
from tests.decoding.planted import make

HALVES = ((slice(0, 20), slice(20, 40)), (slice(20, 40), slice(0, 20)))


def test_planted_layer_is_chosen_and_identified():
    problem, space = make(1, planted=1, n_layers=3, n_electrodes=20)
    (decoded,) = decode_layers([space], problem)
    result = infer_layers(decoded, problem)
    assert (decoded.chosen == 1).all()
    assert result.value[-1, 2] > 0.95  # 2-vs-2
    assert (result.p_max[-1] < 0.01).all()
    assert (result.value[[0, 2], 2] < 0.75).all()


def test_shared_kernel_is_plain_ridge_per_layer():
    """One penalty: every layer by itself with scikit-learn gives the same predictions."""
    problem, space = make(2, planted=0, n_layers=2, n_times=800)
    problem = replace(problem, alphas=(500.0,))
    fold = problem.plan.folds[1]
    x = problem.inputs(fold.outer.train)
    for one in _fitted([space], problem, fold, x):
        y = problem.embedding(space, one.layer, fold.outer.train)
        oracle = Ridge(500.0).fit(x[fold.outer.train].astype(float), y[fold.outer.train])
        expected = oracle.predict(x[fold.outer.test]) - y[fold.outer.train].mean(axis=0)
        np.testing.assert_allclose(one.predicted, expected, atol=2e-3 * y.std())


@pytest.mark.parametrize("form", ["primal", "dual"])
def test_blocks_of_layers_share_one_decomposition_per_split(form, monkeypatch):
    problem, space = make(5, planted=0, n_layers=5, n_times=400)
    fold = problem.plan.folds[0]
    if form == "dual":  # fewer samples than lags × electrodes
        train = fold.outer.train[:40]
        inner = tuple(Split(train[a], train[b]) for a, b in HALVES)
        fold = replace(fold, outer=Split(train, fold.outer.test[:40]), inner=inner)
    x = problem.inputs(fold.outer.train)
    whole = list(_fitted([space], problem, fold, x))
    calls = []
    name = "_KernelDecomposition" if form == "dual" else "_Decomposition"
    real = getattr(ridge, name)
    monkeypatch.setattr(ridge, name, lambda *a, **k: calls.append(1) or real(*a, **k))
    monkeypatch.setattr(layerwise, "MAX_COLUMNS", 20)  # two layers
    parts = list(_fitted([space], problem, fold, x))
    assert len(calls) == 1 + len(fold.inner)
    assert [one.layer for one in parts] == [0, 1, 2, 3, 4]
    for part, every in zip(parts, whole, strict=True):
        np.testing.assert_allclose(part.predicted, every.predicted, atol=1e-5)
        np.testing.assert_array_equal(part.true, every.true)
        assert part.inner == pytest.approx(every.inner, abs=1e-6)


def test_inputs_are_responses_after_the_sample():
    problem, _ = make(3, n_times=500, n_runs=3)
    x = problem.inputs(problem.plan.folds[0].outer.train)
    run = problem.responses[0]
    z = (run - run.mean(axis=0)) / run.std(axis=0)
    n = run.shape[1]
    np.testing.assert_allclose(x[100, n : 2 * n], z[105], atol=1e-4)  # second lag: 5 samples
    assert (x[499, n:] == 0).all()  # beyond the end of the run


def test_constant_electrodes_change_nothing_and_alone_are_at_chance():
    some, space = make(4, planted=0, constant=3, n_times=1500)
    assert infer_layers(decode_layers([space], some)[0], some).value[0, 2] > 0.9
    none, space = make(4, planted=0, constant=12, n_times=1500)
    np.testing.assert_allclose(decode_layers([space], none)[0].value[:, 0, 2:4], 0.5, atol=1e-9)


@pytest.mark.slow
def test_null_runs_are_found_at_most_at_the_nominal_rate():
    p = []
    for seed in range(120):
        problem, space = make(seed + 1, phi=0.9, n_draws=200)
        p.append(infer_layers(decode_layers([space], problem)[0], problem).p[0])
    assert ((np.array(p) < 0.05).sum(axis=0) <= binom.ppf(0.999, 120, 0.05)).all()
