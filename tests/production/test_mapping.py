"""Mappings against scikit-learn on the same folds, and what must not leak or spread."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import (
    ElasticNetCV,
    MultiTaskElasticNetCV,
)
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.elastic import ElasticNet
from bids_brainalign.production.inputs import Preparation
from bids_brainalign.production.mapping import map_words
from bids_brainalign.production.ridge import Ridge
from bids_brainalign.production.scores import corrected
from tests.production.planted import folds_of, planted, running

NEAR = {"starts_s": np.arange(40.0), "reach_s": 1.5, "cut": "contiguous"}
EXACT = {"tolerance": 1e-9, "most_rounds": 100_000, "patience": None}


def small(n_dims, *, share=0.5, n_channels=4):
    return planted(share, 3, n_words=40, n_channels=n_channels, n_dims=n_dims)


def positions(fold):
    """Inner folds as scikit-learn wants them: places among the words that penalties are chosen on,
    which are those of the training words in k-fold plans."""
    train = fold.outer.train
    return [
        (np.searchsorted(train, split.train), np.searchsorted(train, split.test))
        for split in fold.inner
    ]


def oracle(x, y, folds, fit):
    """Predictions of an estimator between two StandardScalers."""
    out = np.empty_like(y)
    for fold in folds.folds:
        train, test = fold.outer.train, fold.outer.test
        of_x, of_y = StandardScaler().fit(x[train]), StandardScaler().fit(y[train])
        said = fit(of_x.transform(x[train]), of_y.transform(y[train]), positions(fold))(
            of_x.transform(x[test])
        )
        out[test] = of_y.inverse_transform(said)
    return out


@pytest.mark.parametrize(("n_dims", "times"), [(8, {}), (60, {}), (8, NEAR)])
def test_elastic_net_per_channel_equals_scikit_learn(n_dims, times):
    x, y = small(n_dims)
    folds = folds_of(40, n_folds=3, n_inner=3, **times)
    how = ElasticNet(ratios=(0.1, 0.9), n_alphas=8, least=0.02, **EXACT)

    def fit(xs, ys, inner):
        models = [
            ElasticNetCV(
                l1_ratio=[0.1, 0.9], eps=0.02, alphas=8, cv=inner, tol=1e-9, max_iter=100_000
            ).fit(xs, target)
            for target in ys.T
        ]
        return lambda new: np.stack([m.predict(new) for m in models], axis=1)

    found = map_words(x, y, folds, how)
    np.testing.assert_allclose(found.model, oracle(x, y, folds, fit), rtol=1e-5)
    assert np.any(found.non_zero < n_dims)
    assert np.any(found.model != found.train_mean)


@pytest.mark.parametrize("n_channels", [3, 40])  # fewer and more channels than training words
def test_multi_task_equals_scikit_learn(n_channels):
    x, y = small(10, n_channels=n_channels)
    folds = folds_of(40, n_folds=3, n_inner=3)
    how = ElasticNet(ratios=(0.5,), n_alphas=6, least=0.05, multi_task=True, **EXACT)

    def fit(xs, ys, inner):
        model = MultiTaskElasticNetCV(
            l1_ratio=[0.5], eps=0.05, alphas=6, cv=inner, tol=1e-9, max_iter=100_000
        )
        return model.fit(xs, ys).predict

    found = map_words(x, y, folds, how)
    np.testing.assert_allclose(found.model, oracle(x, y, folds, fit), rtol=1e-5)
    assert (np.ptp(found.non_zero, axis=1) == 0).all()  # a dimension counts for all or none


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("n_dims", "times"), [(8, {}), (60, {}), (60, NEAR)])
def test_ridge_equals_scikit_learn(n_dims, times, shared):
    x, y = small(n_dims)
    folds = folds_of(40, n_folds=4, n_inner=3, **times)
    grid = [1.0, 10.0, 100.0, 1000.0]

    def fit(xs, ys, inner):
        def search(target):
            options = {"cv": inner, "scoring": "neg_mean_squared_error"}
            return GridSearchCV(SklearnRidge(), {"alpha": grid}, **options).fit(xs, target).predict

        if shared:
            return search(ys)
        models = [search(target) for target in ys.T]
        return lambda new: np.stack([m(new) for m in models], axis=1)

    found = map_words(x, y, folds, Ridge(tuple(grid), shared=shared))
    np.testing.assert_allclose(found.model, oracle(x, y, folds, fit), rtol=1e-8)


def test_a_patient_path_finds_what_the_whole_path_finds():
    x, y = small(60, n_channels=6)
    folds = folds_of(40, n_folds=3, n_inner=3)
    whole = map_words(x, y, folds, ElasticNet(patience=None))
    patient = map_words(x, y, folds, ElasticNet())
    same = np.isclose(whole.penalty, patient.penalty)
    assert same.mean() > 0.8
    close = np.isclose(whole.model, patient.model, rtol=1e-2)
    assert close.mean() > 0.8


def test_components_are_those_of_the_training_words():
    x, y = small(30)
    x = x * np.linspace(1, 4, 30) + x[:, :1]
    rows = np.arange(0, 40, 2)
    kept = Preparation(explained=0.9).apply(x, rows)
    scaled = StandardScaler().fit(x[rows])
    pca = PCA(n_components=0.9, svd_solver="full").fit(scaled.transform(x[rows]))
    assert kept.shape[1] == pca.n_components_ < 20
    expected = pca.transform(scaled.transform(x))
    np.testing.assert_allclose(np.abs(kept), np.abs(expected), atol=1e-9)
    found = map_words(x, y, folds_of(40), Ridge(), preparation=Preparation(explained=0.9))
    assert np.isfinite(found.model).all()
    assert (found.non_zero < 20).all()
    x[:, 4] = 1.0
    assert (map_words(x, y, folds_of(40), Ridge()).non_zero == 29).all()


@pytest.mark.parametrize("over", ["k-fold", "leave-one-word-out"])
@pytest.mark.parametrize("how", [Ridge((10.0, 1000.0)), ElasticNet(n_alphas=4, ratios=(0.5,))])
def test_the_held_out_response_does_not_reach_its_prediction(over, how):
    x, y = small(6, n_channels=3)
    folds = folds_of(40, n_folds=4, n_inner=3, over=over)
    before = map_words(x, y, folds, how)
    fold = folds.folds[2]
    changed = y.copy()
    changed[fold.outer.test] *= 50
    after = map_words(x, changed, folds, how)
    test = fold.outer.test
    np.testing.assert_array_equal(after.model[test], before.model[test])
    np.testing.assert_array_equal(after.train_mean[test], before.train_mean[test])
    assert not np.allclose(after.model, before.model)


@pytest.mark.parametrize("over", ["k-fold", "leave-one-word-out"])
@pytest.mark.parametrize("how", [Ridge((10.0, 1000.0)), ElasticNet(n_alphas=4, ratios=(0.5,))])
def test_responses_that_overlap_the_held_out_one_do_not_reach_its_prediction(over, how):
    x, y = small(6, n_channels=3)
    folds = folds_of(40, n_folds=4, n_inner=3, over=over, **NEAR)
    before = map_words(x, y, folds, how)
    test = folds.folds[2].outer.test
    near = np.abs(np.arange(40)[:, None] - test).min(axis=1) <= 1
    changed = y.copy()
    changed[near] *= 50
    after = map_words(x, changed, folds, how)
    assert near.sum() > len(test)
    np.testing.assert_array_equal(after.model[test], before.model[test])
    np.testing.assert_array_equal(after.train_mean[test], before.train_mean[test])
    assert not np.allclose(after.model, before.model)


def test_overlapping_windows_score_without_any_link_unless_near_words_are_left_out():
    """Power without memory and embeddings that drift; words come every .25 to .5 s."""
    how, rows = Ridge((1.0, 30.0, 1000.0)), []
    for seed in range(12):
        starts, x, y = running(seed)
        plans = [
            folds_of(150, n_folds=50, n_inner=10, starts_s=starts, reach_s=reach)
            for reach in (0.0, 1.02)
        ]
        rows.append([corrected(y, map_words(x, y, plan, how)).summary()[[0, 3]] for plan in plans])
    leaking, clean = np.moveaxis(np.array(rows), 1, 0)
    assert (leaking > [0.1, 0.6]).all()
    error = clean.std(axis=0, ddof=1) / np.sqrt(len(clean))
    assert (np.abs(clean.mean(axis=0) - [0, 0.5]) < 3 * error).all()
    assert (error < [0.02, 0.02]).all()


@pytest.mark.parametrize("how", [Ridge(), ElasticNet(n_alphas=5, ratios=(0.5,))])
def test_bad_channels_are_left_out_and_others_do_not_mind(how):
    x, y = small(60, n_channels=3)
    folds = folds_of(40, n_folds=3, n_inner=3)
    bad = np.column_stack([y, np.full(40, 7.3), y[:, 0]])
    bad[5, 4] = np.nan
    found, plain = map_words(x, bad, folds, how), map_words(x, y, folds, how)
    np.testing.assert_array_equal(found.model[:, :3], plain.model)
    assert np.isnan(found.model[:, 3:]).all()
    assert np.isnan(found.train_mean[:, 3:]).all()


def test_a_channel_that_is_still_in_training_is_predicted_by_its_mean():
    x, y = small(6, n_channels=3)
    folds = folds_of(40, n_folds=4, n_inner=3)
    fold = folds.folds[0]
    y[:, 1] = 2.0
    y[fold.outer.test[0], 1] = 9.0
    for how in (Ridge(), ElasticNet(n_alphas=4, ratios=(0.5,))):
        found = map_words(x, y, folds, how)
        np.testing.assert_allclose(found.model[fold.outer.test, 1], 2.0)
        assert np.isfinite(found.model).all()


def test_what_cannot_be_mapped_is_refused_by_name():
    x, y = small(6)
    folds = folds_of(40)
    hole = x.copy()
    hole[12, 3] = np.nan
    with pytest.raises(BrainAlignError, match=r"1 of 40 words.*word 13"):
        map_words(hole, y, folds, Ridge())
    with pytest.raises(BrainAlignError, match="same embedding"):
        map_words(np.ones((40, 3)), y, folds, Ridge())
    with pytest.raises(BrainAlignError, match="No channel"):
        map_words(x, np.ones((40, 3)), folds, Ridge())
    with pytest.raises(BrainAlignError, match="do not fit"):
        map_words(x[:30], y, folds, Ridge())
    with pytest.raises(BrainAlignError, match="0 of the variance"):
        Preparation(explained=0)
