"""Variance of two models: planted parts are found, himalaya's banded ridge agrees."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from himalaya.backend import set_backend
from himalaya.kernel_ridge import MultipleKernelRidgeCV
from scipy.ndimage import gaussian_filter1d
from scipy.stats import binom

from bids_brainalign.encoding.layerwise import FeatureSpace
from bids_brainalign.workflow.partition import PARTITION_COLUMNS, partition, partition_table
from tests.encoding.test_calibration import make_problem

N_RUNS, N_TIMES, N_DIMS, N_EACH = 4, 400, 4, 5
SOURCES = ("model", "shared", "other", "noise")


def plant(seed, *, sources=SOURCES):
    """Two models of two layers; their second layers share a third of what the responses follow."""
    problem, *_ = make_problem(
        seed, n_runs=N_RUNS, n_times=N_TIMES, n_targets=N_EACH * len(sources), phi=0.6
    )
    rng = np.random.default_rng(seed + 100)

    def latent():
        smooth = [
            gaussian_filter1d(rng.standard_normal((N_TIMES, N_DIMS)), 2, axis=0)
            for _ in range(N_RUNS)
        ]
        return [x / x.std(axis=0) for x in smooth]

    signal = {"model": latent(), "shared": latent(), "other": latent()}
    useless = {name: latent() for name in ("model", "other")}
    spaces = []
    for name in ("model", "other"):
        both = [np.hstack(x).astype(np.float32)
                for x in zip(signal[name], signal["shared"], strict=True)]  # fmt: skip
        layers = [[x.astype(np.float32) for x in useless[name]], both]
        spaces.append(FeatureSpace(name, ("0", "1"), lambda i, layers=layers: layers[i]))
    weights = rng.standard_normal((len(sources), N_DIMS, N_EACH)) / np.sqrt(N_DIMS)
    responses = []
    for run, noise in enumerate(problem.responses):
        added = np.zeros_like(noise)
        for place, source in enumerate(sources):
            if source != "noise":
                columns = slice(place * N_EACH, (place + 1) * N_EACH)
                added[:, columns] = np.roll(signal[source][run] @ weights[place], 3, axis=0)
        responses.append((noise / noise.std() + added).astype(np.float32))
    return replace(problem, responses=responses, delays=(0, 3), _cache={}), spaces


@pytest.fixture(scope="module")
def planted():
    problem, spaces = plant(0)
    return problem, spaces, partition(*spaces, problem)


def test_each_part_is_found_where_it_was_planted(planted):
    *_, found = planted
    n = N_EACH * len(SOURCES)
    targets = pd.DataFrame(
        {"name": [f"E{i}" for i in range(n)], "hemisphere": "L", "region": "n/a"}
    )
    table = partition_table(found, targets, names=("model", "other"), n_samples=100)
    assert list(table.columns) == list(PARTITION_COLUMNS)
    np.testing.assert_allclose(
        table.unique_model + table.unique_other + table.shared, table.explained_joint, atol=1e-12
    )
    mean = table.groupby(np.repeat(SOURCES, N_EACH))[["unique_model", "shared", "unique_other"]]
    mean = mean.mean()
    for source, column in zip(SOURCES, ("unique_model", "shared", "unique_other"), strict=False):
        assert mean.loc[source, column] > 0.15
        assert mean.loc[source].drop(column).abs().max() < 0.05
    assert mean.loc["noise"].abs().max() < 0.02
    by_source = table.q_unique_model.to_numpy().reshape(len(SOURCES), N_EACH)
    assert (by_source[0] < 0.05).all()
    assert (by_source[2:] > 0.05).mean() > 0.8


def test_the_order_of_the_models_does_not_matter(planted):
    problem, (model, other), found = planted
    turned = partition(other, model, problem)
    np.testing.assert_allclose(turned.r_joint, found.r_joint, atol=0.02)
    np.testing.assert_array_equal(turned.r_model, found.r_other)


def test_the_joint_fit_equals_himalayas_banded_ridge(planted):
    problem, spaces, found = planted
    set_backend("numpy")
    kernels = []
    for space in spaces:
        parts = []
        for x in space.read(1):
            z = (x - x.mean(axis=0)) / x.std(axis=0)
            late = np.zeros_like(z)
            late[3:] = z[:-3]
            parts.append(np.hstack([z, late]))
        design = np.concatenate(parts)
        kernels.append(design @ design.T)
    kernel = np.stack(kernels)
    y = np.concatenate([(r - r.mean(axis=0)) / r.std(axis=0) for r in problem.responses])
    alphas = np.logspace(0, 5, 6)
    shares = np.array([[w, 1 - w] for w in (0.001, 0.1, 0.5, 0.9, 0.999)])
    z = []
    for fold in problem.plan.folds:
        train, test = fold.outer.train, fold.outer.test
        place = {row: i for i, row in enumerate(train)}
        inner = [
            (np.array([place[r] for r in s.train]), np.array([place[r] for r in s.test]))
            for s in fold.inner
        ]
        model = MultipleKernelRidgeCV(
            kernels="precomputed", cv=inner, random_state=0,
            solver_params={"n_iter": shares, "alphas": alphas, "progress_bar": False},
        )  # fmt: skip
        model.fit(kernel[:, train][:, :, train], y[train])
        predicted = model.predict(kernel[:, test][:, :, train])
        z.append(
            [np.arctanh(np.corrcoef(a, b)[0, 1])
             for a, b in zip(predicted.T, y[test].T, strict=True)]
        )  # fmt: skip
    theirs = np.tanh(np.mean(z, axis=0))
    driven = slice(0, 3 * N_EACH)
    np.testing.assert_allclose(found.r_joint[driven], theirs[driven], atol=0.02)


@pytest.mark.slow
def test_a_model_that_adds_nothing_is_rarely_found():
    """The other model explains the responses; this one has nothing of its own in them."""
    found, n = 0, 0
    for seed in range(8):
        problem, spaces = plant(seed, sources=("other", "other", "other", "noise"))
        p = partition(*spaces, problem).p_model
        found, n = found + int((p < 0.05).sum()), n + len(p)
    assert found <= binom.ppf(0.999, n, 0.05), f"{found / n:.3f}"
