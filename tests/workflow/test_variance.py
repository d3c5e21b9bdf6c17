"""Parts of explained variance: planted shares are found, and what adds nothing is rarely found."""

from dataclasses import replace

import nibabel
import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from sklearn.linear_model import LinearRegression

from bids_brainalign.workflow.encoding import encoding_step
from bids_brainalign.workflow.inference import concatenate, infer_block
from bids_brainalign.workflow.tables import ScoreBlock
from bids_brainalign.workflow.variance import VARIANCE_COLUMNS, explained, variance_table
from tests.encoding.test_calibration import make_problem
from tests.workflow.planted import make_fit


def infer(seed, *, low_share=0.0, n_targets=30, phi=0.6, n_times=900):
    """The model's signal is planted; the low-level features' too where a share is given."""
    problem, space, low = make_problem(
        seed, n_runs=4, n_times=n_times, n_targets=n_targets, phi=phi, planted=0
    )
    added = [
        (y + low_share * x[:, :1] * y.std()).astype(np.float32)
        for y, x in zip(problem.responses, low.read(0), strict=True)
    ]
    problem = replace(problem, responses=added, delays=(0, 3), _cache={})
    return problem, space, low, infer_block(problem, low, space, None)


def block_of(result, parts, **extra):
    n = len(result.p)
    joined = concatenate([result])
    return ScoreBlock("m", ("0",), joined, 1000, 0.0, 0.0, np.ones(n), np.ones(n), **extra)


def table_of(found):
    model = block_of(
        found.model, found, delta_lowlevel=found.delta_lowlevel, delta_model=found.delta_model,
    )  # fmt: skip
    names = [f"E{i}" for i in range(len(found.model.p))]
    targets = pd.DataFrame({"name": names, "hemisphere": "L", "region": "n/a"})
    low = block_of(found.lowlevel, found)
    parts = explained(model, low)
    return None if parts is None else variance_table(model, parts, targets, n_samples=100)


def test_independent_sources_have_their_own_variance_and_share_none():
    problem, space, low, found = infer(1, low_share=0.6)
    table = table_of(found)
    assert list(table.columns) == list(VARIANCE_COLUMNS)
    np.testing.assert_allclose(
        table.unique_model + table.unique_lowlevel + table.shared,
        table.explained_joint,
        atol=1e-12,
    )
    assert (table.q_unique_model < 0.01).all()
    assert (table.q_unique_lowlevel < 0.01).all()
    assert table.shared.abs().max() < 0.05
    # Ordinary least squares on all features, hardly shrunk here, is what the joint fit tends to.
    low_runs, model_runs = low.read(0), space.read(0)
    designs = []
    for x, z in zip(model_runs, low_runs, strict=True):
        both = np.concatenate([x, z], axis=1)
        both = (both - both.mean(0)) / both.std(0)
        late = np.zeros_like(both)
        late[3:] = both[:-3]
        designs.append(np.concatenate([both, late], axis=1))
    x = np.concatenate(designs)
    y = np.concatenate([(r - r.mean(0)) / r.std(0) for r in problem.responses])
    z = []
    for fold in problem.plan.folds:
        fit = LinearRegression().fit(x[fold.outer.train], y[fold.outer.train])
        predicted, truth = fit.predict(x[fold.outer.test]), y[fold.outer.test]
        r = [np.corrcoef(a, b)[0, 1] for a, b in zip(predicted.T, truth.T, strict=True)]
        z.append(np.arctanh(r))
    np.testing.assert_allclose(table.explained_joint, np.tanh(np.mean(z, axis=0)) ** 2, atol=0.03)


def test_nothing_without_a_joint_fit():
    *_, found = infer(2, n_targets=3)
    assert table_of(replace(found, delta_model=None)) is None


def test_parcels_have_the_mean_variance_of_their_voxels(tmp_path):
    """Half of the voxels follow the model: the mean of squares is not the square of the mean."""
    planted = make_fit(tmp_path, "fmri", seconds=(120,) * 4)
    own = next(s for s in planted.spaces if s.name == "own")
    paths = encoding_step(planted.config, planted.fit, own, None, planted.spaces).work()
    maps = {
        stat: np.asarray(nibabel.load(path).dataobj).ravel()
        for stat in ("unique", "shared")
        for path in paths
        if path.name.endswith(f"stat-{stat}_desc-own_statmap.nii.gz")
    }
    (path,) = (p for p in paths if p.name.endswith("variance.tsv"))
    table = pd.read_csv(path, sep="\t", na_values="n/a").set_index("target")
    n = planted.n_planted
    members = {"whole": slice(None), "left": slice(n), "right": slice(n, None)}
    for name, columns in members.items():
        assert table.unique_model[name] == pytest.approx(maps["unique"][columns].mean(), abs=1e-5)
        assert table.shared[name] == pytest.approx(maps["shared"][columns].mean(), abs=1e-5)
    assert maps["unique"][:n].min() > 0.05
    assert np.abs(maps["unique"][n:]).mean() < 0.05
    assert (table.q_unique_model[["whole", "left"]] < 0.05).all()


@pytest.mark.slow
@pytest.mark.parametrize("phi", [0.6, 0.9])
def test_useless_lowlevel_features_are_rarely_found(phi):
    low, n = 0, 0
    for seed in range(4):
        *_, found = infer(10 + seed, n_targets=60, phi=phi)
        low, n = low + int((found.delta_model.p < 0.05).sum()), n + 60
    assert low <= binom.ppf(0.999, n, 0.05), f"{low / n:.3f}"
