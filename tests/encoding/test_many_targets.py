"""Ridge of many targets against himalaya, scikit-learn and the other solver."""

import numpy as np
import pytest
from himalaya.ridge import RidgeCV
from himalaya.scoring import correlation_score
from himalaya.scoring import r2_score as himalaya_r2
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from bids_brainalign.encoding import penalty_search, target_batches
from bids_brainalign.encoding.many_targets import OwnTargets, many_targets
from bids_brainalign.encoding.spectra import Dual, Primal
from bids_brainalign.statistics.folds import Split

ALPHAS = np.logspace(0, 5, 14)
FORMS = pytest.mark.parametrize("form", [Primal, Dual])


@pytest.fixture(params=["every penalty", "combinations"])
def search(request, monkeypatch):
    """Make the search take its way for few targets, or for many."""
    if request.param == "combinations":
        monkeypatch.setattr(penalty_search, "FEW_TARGETS", 2)


def fitted(system, train, test, inner, alphas, **options):
    """All batches as (score, alpha, prediction); NaN where a target was not fitted."""
    n = system.responses.shape[1]
    score, alpha = np.full((2, n), np.nan)
    prediction = np.full((len(test), n), np.nan, dtype=np.float32)
    for part in system.fit(train, test, inner, alphas, **options):
        assert np.isnan(alpha[part.columns]).all()
        score[part.columns], alpha[part.columns] = part.score, part.alpha
        prediction[:, part.columns] = part.prediction
    return score, alpha, prediction


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    n, f, v = 260, 90, 40
    x = rng.standard_normal((n, f)) @ rng.standard_normal((f, f)) + 2.0
    noise = rng.standard_normal((n, v))
    y = rng.uniform(0, 0.05, v) * (x @ rng.standard_normal((f, v))) + noise + 3.0
    return x.astype(np.float32), y.astype(np.float32)


TRAIN, TEST = np.r_[0:100, 120:220], np.arange(225, 260)
INNER = tuple(
    Split(np.setdiff1d(TRAIN, gap), np.intersect1d(TRAIN, test))
    for test, gap in (
        (np.arange(60), np.arange(70)),
        (np.arange(60, 140), np.arange(50, 150)),
        (np.arange(140, 220), np.arange(130, 220)),
    )
)


def brute(x, y, metric):
    """Mean over inner folds of the scores of scikit-learn's ridge, (n_alphas, n_targets)."""
    total = 0.0
    for split in INNER:
        rows = []
        for alpha in ALPHAS:
            fit = Ridge(alpha=alpha).fit(x[split.train].astype(float), y[split.train])
            prediction, true = fit.predict(x[split.test]), y[split.test]
            if metric == "r2":
                rows.append(r2_score(true, prediction, multioutput="raw_values"))
            else:
                pairs = zip(prediction.T, true.T, strict=True)
                rows.append([np.corrcoef(a, b)[0, 1] for a, b in pairs])
        total = total + len(split.test) * np.array(rows)
    return total / sum(len(split.test) for split in INNER)


@FORMS
@pytest.mark.usefixtures("search")
@pytest.mark.parametrize("metric", ["correlation", "r2"])
def test_penalties_and_scores_are_those_of_every_penalty_tried(data, form, metric):
    x, y = data
    expected = brute(x, y, metric)
    score, alpha, _ = fitted(OwnTargets(form(x), y), TRAIN, TEST, INNER, ALPHAS, metric=metric)
    np.testing.assert_array_equal(alpha, ALPHAS[expected.argmax(axis=0)])
    np.testing.assert_allclose(score, expected.max(axis=0), atol=1e-3)
    np.testing.assert_allclose(np.median(np.abs(score - expected.max(axis=0))), 0, atol=2e-4)


def all_weights(system, train, alpha):
    out = np.full((system.responses.shape[1], 90), np.nan)
    for some, weights in system.weights(train, alpha):
        assert np.isnan(out[some]).all()
        out[some] = weights.T
    return out.T


@FORMS
@pytest.mark.usefixtures("search")
@pytest.mark.parametrize("metric", ["correlation", "r2"])
def test_himalaya_chooses_the_same_penalties(data, form, metric):
    x, y = data
    folds = [np.arange(k * 52, (k + 1) * 52) for k in range(5)]
    every = np.arange(260)
    inner = tuple(Split(np.setdiff1d(every, test), test) for test in folds)
    score = correlation_score if metric == "correlation" else himalaya_r2
    model = RidgeCV(
        alphas=ALPHAS, fit_intercept=True, cv=[(s.train, s.test) for s in inner],
        solver_params={"score_func": score},
    )  # fmt: skip
    model.fit(x.astype(float), y.astype(float))
    found = OwnTargets(form(x), y)
    alpha = fitted(found, every, every[:3], inner, ALPHAS, metric=metric)[1]
    np.testing.assert_allclose(alpha, model.best_alphas_, rtol=1e-6)
    np.testing.assert_allclose(all_weights(found, every, alpha), model.coef_, atol=2e-4)


@FORMS
@pytest.mark.parametrize("metric", ["correlation", "r2"])
def test_predictions_and_weights_equal_scikit_learn(data, form, metric):
    x, y = data
    system = OwnTargets(form(x), y)
    _, alpha, prediction = fitted(system, TRAIN, TEST, INNER, ALPHAS, metric=metric)
    assert len(np.unique(alpha)) > 3
    expected = Ridge(alpha=alpha).fit(x[TRAIN].astype(float), y[TRAIN].astype(float))
    np.testing.assert_allclose(prediction, expected.predict(x[TEST]), atol=2e-3)
    np.testing.assert_allclose(all_weights(system, TRAIN, alpha), expected.coef_.T, atol=5e-4)
    some = np.where(np.arange(40) % 3 == 0, alpha, np.nan)
    partly = all_weights(system, TRAIN, some)
    assert np.isnan(partly[:, np.isnan(some)]).all()
    np.testing.assert_allclose(partly[:, ::3], expected.coef_.T[:, ::3], atol=5e-4)


@FORMS
def test_without_inner_folds_the_only_penalty_is_taken(data, form):
    x, y = data
    system = OwnTargets(form(x), y)
    score, alpha, prediction = fitted(
        system, TRAIN, TEST, (), np.array([30.0]), metric="correlation"
    )
    assert np.isnan(score).all()
    assert (alpha == 30).all()
    expected = Ridge(alpha=30).fit(x[TRAIN].astype(float), y[TRAIN].astype(float))
    np.testing.assert_allclose(prediction, expected.predict(x[TEST]), atol=2e-3)
    with pytest.raises(ValueError, match="14 penalties to choose from, and no inner folds"):
        next(system.fit(TRAIN, TEST, (), ALPHAS, metric="correlation"))
    with pytest.raises(ValueError, match="penalties must be above 0, not 0"):
        next(system.fit(TRAIN, TEST, INNER, np.array([0.0, 1.0]), metric="correlation"))


@FORMS
@pytest.mark.usefixtures("search")
def test_batches_change_nothing(data, form, monkeypatch, tmp_path):
    x, y = data
    whole = fitted(OwnTargets(form(x), y), TRAIN, TEST, INNER, ALPHAS, metric="correlation")
    monkeypatch.setattr(target_batches, "BATCH", 7)
    np.save(tmp_path / "y.npy", y)
    mapped = np.load(tmp_path / "y.npy", mmap_mode="r")
    parts = fitted(OwnTargets(form(x), mapped), TRAIN, TEST, INNER, ALPHAS, metric="correlation")
    np.testing.assert_array_equal(parts[1], whole[1])
    np.testing.assert_allclose(parts[0], whole[0], atol=1e-5)
    np.testing.assert_allclose(parts[2], whole[2], atol=1e-5)


@FORMS
def test_some_targets_alone_are_fitted_as_among_all(data, form):
    x, y = data
    system, only = OwnTargets(form(x), y), np.array([3, 4, 17, 38])
    every = fitted(system, TRAIN, TEST, INNER, ALPHAS, metric="correlation")
    some = fitted(system, TRAIN, TEST, INNER, ALPHAS, metric="correlation", only=only)
    for alone, among in zip(some, every, strict=True):
        np.testing.assert_allclose(alone[..., only], among[..., only], atol=1e-5)
        assert np.isnan(np.delete(alone, only, axis=-1)).all()


@pytest.mark.usefixtures("search")
def test_constant_targets_and_constant_features_score_nothing(data):
    x, y = data[0].copy(), data[1].copy()
    y[:, 3] = 5.0
    for metric in ("correlation", "r2"):
        for form in (Primal, Dual):
            system = OwnTargets(form(x), y)
            score = fitted(system, TRAIN, TEST, INNER, ALPHAS, metric=metric)[0]
            assert score[3] == pytest.approx(0, abs=1e-6)
    for form in (Primal, Dual):
        system = OwnTargets(form(np.ones_like(x)), y)
        score, _, prediction = fitted(system, TRAIN, TEST, INNER, ALPHAS, metric="correlation")
        assert (np.abs(score) < 1e-6).all()
        np.testing.assert_allclose(prediction, np.tile(y[TRAIN].mean(0), (35, 1)), rtol=1e-5)


def test_the_form_follows_the_shape(data):
    x, y = data
    assert isinstance(many_targets(x, y, n_train=89).form, Dual)
    assert isinstance(many_targets(x, y, n_train=91).form, Primal)
