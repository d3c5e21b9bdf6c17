"""Weights per delay in feature units, against planted weights and the predictions they make."""

import numpy as np
import pytest

from bids_brainalign.alignment.delays import delayed
from bids_brainalign.encoding.design import RunLayout
from bids_brainalign.encoding.layerwise import FeatureSpace, Problem, encode_layers
from bids_brainalign.encoding.ridge import make_system
from bids_brainalign.encoding.weights import target_weights
from bids_brainalign.statistics.folds import GapRule, Samples, plan_folds

DELAYS = (-1, 0, 2)
N_DIMS, N_TARGETS = 6, 4


def planted(lengths, *, seed=0):
    """Layer 1 drives all targets by known weights; layer 0 is noise."""
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((len(DELAYS), N_DIMS, N_TARGETS))
    units = rng.uniform(0.1, 5, N_DIMS)
    noise, driving, responses = [], [], []
    for n in lengths:
        x = (rng.standard_normal((n, N_DIMS)) * units + 3).astype(np.float32)
        centred = (x - x.mean(axis=0)).astype(np.float32)
        y = delayed(centred, DELAYS) @ weights.reshape(-1, N_TARGETS)
        noise.append(rng.standard_normal((n, N_DIMS)).astype(np.float32))
        driving.append(x)
        responses.append((y + 0.01 * y.std() * rng.standard_normal(y.shape)).astype(np.float32))
    space = FeatureSpace("m", ("0", "1"), lambda i: (noise, driving)[i], None)
    return space, responses, weights


def problem_of(responses, *, whole_runs):
    lengths = [len(y) for y in responses]
    run = np.repeat(np.arange(len(lengths)), lengths)
    samples = Samples(
        run=run, group=run if whole_runs else np.zeros_like(run),
        time_s=np.concatenate([np.arange(n, dtype=float) for n in lengths]),
        stimulus=run, stimulus_s=np.concatenate([np.arange(n, dtype=float) for n in lengths]),
        interval_s=1.0,
    )  # fmt: skip
    names = [str(i) for i in np.unique(samples.group)]
    plan = plan_folds(
        samples, names, gap=GapRule(hard_s=5.0, soft_s=0.0, soft_share=0.15), max_inner=3,
        min_samples=30,
    )  # fmt: skip
    assert plan.whole_runs == whole_runs
    every = tuple(np.ones(n, dtype=bool) for n in lengths)
    return Problem(
        responses=responses, layout=RunLayout(every, every, plan.whole_runs), plan=plan,
        delays=DELAYS, alphas=(1e-3, 1.0, 1e3), fixed_alpha=1.0, band_weights=(), draws=(),
    )  # fmt: skip


@pytest.mark.parametrize("whole_runs", [True, False])
@pytest.mark.parametrize("n_components", [None, N_DIMS - 1])
def test_planted_weights_come_back_in_the_features_units(whole_runs, n_components):
    space, responses, weights = planted([400] * 4 if whole_runs else [1500])
    space = FeatureSpace("m", space.layers, space.read, n_components)
    problem = problem_of(responses, whole_runs=whole_runs)
    fit = encode_layers(space, problem, problem.held_out())
    found = target_weights(space, problem, fit)
    np.testing.assert_array_equal(found.layer, 1)
    assert found.weights.shape == (len(DELAYS), N_DIMS, N_TARGETS)
    sd = np.mean([y.std(axis=0) for y in responses], axis=0)
    if n_components is None:
        np.testing.assert_allclose(
            found.weights, weights / sd, atol=0.03 * np.abs(weights / sd).max()
        )
    else:  # the last component is lost, and with it a part of the weights
        assert np.corrcoef(found.weights.ravel(), (weights / sd).ravel())[0, 1] > 0.8


def test_weights_make_the_predictions():
    """Features times weights differ from the held-out predictions by a constant only."""
    space, responses, _ = planted([900])
    problem = problem_of(responses, whole_runs=False)
    fit = encode_layers(space, problem, problem.held_out())
    found = target_weights(space, problem, fit)
    raw = delayed(space.read(1)[0], DELAYS) @ found.weights.reshape(-1, N_TARGETS)
    for fold, prediction in zip(problem.plan.folds, fit.predictions, strict=True):
        inside = fold.outer.test[2:-2]
        r = [
            np.corrcoef(a, b)[0, 1] for a, b in zip(raw[inside].T, prediction[2:-2].T, strict=True)
        ]
        assert min(r) > 0.999


@pytest.mark.parametrize("n_features", [5, 60])
def test_primal_and_dual_weights_equal_scikit_learn(n_features):
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(1)
    x = (rng.standard_normal((40, n_features)) + 2).astype(np.float32)
    y = rng.standard_normal((40, 3)).astype(np.float32)
    train = np.arange(30)
    alpha = np.array([0.5, 5.0, 50.0])
    solution = make_system([x], y, [train, np.arange(30, 40)]).solve(train, np.ones(1))
    expected = Ridge(alpha=alpha).fit(x[train], y[train]).coef_.T
    np.testing.assert_allclose(solution.weights(alpha), expected, atol=2e-5)
