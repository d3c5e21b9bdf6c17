"""Ridge of many targets against himalaya, scikit-learn and the other solver."""

import numpy as np
import pytest
from himalaya.ridge import RidgeCV
from himalaya.scoring import correlation_score
from himalaya.scoring import r2_score as himalaya_r2
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from bids_brainalign.encoding import many_targets as mt
from bids_brainalign.encoding.many_targets import Dual, Primal, Resolvent, many_targets
from bids_brainalign.statistics.folds import Split

ALPHAS = np.logspace(0, 5, 14)
FORMS = pytest.mark.parametrize("form", [Primal, Dual])


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
@pytest.mark.parametrize("metric", ["correlation", "r2"])
def test_penalties_and_scores_are_those_of_every_penalty_tried(data, form, metric):
    x, y = data
    expected = brute(x, y, metric)
    found = form(x, y).choose(TRAIN, INNER, ALPHAS, metric=metric)
    np.testing.assert_array_equal(found.alpha, ALPHAS[expected.argmax(axis=0)])
    np.testing.assert_allclose(found.score, expected.max(axis=0), atol=2e-5)


def all_weights(system, train, alpha):
    out = np.full((system.responses.shape[1], 90), np.nan)
    for some, weights in system.weights(train, alpha):
        assert np.isnan(out[some]).all()
        out[some] = weights.T
    return out.T


@FORMS
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
    found = form(x, y)
    choice = found.choose(every, inner, ALPHAS, metric=metric)
    np.testing.assert_allclose(choice.alpha, model.best_alphas_, rtol=1e-6)
    np.testing.assert_allclose(all_weights(found, every, choice.alpha), model.coef_, atol=2e-4)


@FORMS
def test_predictions_and_weights_equal_scikit_learn(data, form):
    x, y = data
    alpha = np.geomspace(1, 1e4, 40)
    system = form(x, y)
    expected = Ridge(alpha=alpha).fit(x[TRAIN].astype(float), y[TRAIN].astype(float))
    some = slice(5, 31)
    np.testing.assert_allclose(
        system.predictor(TRAIN, TEST, alpha)(some), expected.predict(x[TEST])[:, some], atol=2e-3
    )
    np.testing.assert_allclose(all_weights(system, TRAIN, alpha), expected.coef_.T, atol=5e-4)


@FORMS
def test_batches_change_nothing(data, form, monkeypatch, tmp_path):
    x, y = data
    whole = form(x, y).choose(TRAIN, INNER, ALPHAS, metric="correlation")
    monkeypatch.setattr(mt, "BATCH", 7)
    np.save(tmp_path / "y.npy", y)
    mapped = np.load(tmp_path / "y.npy", mmap_mode="r")
    parts = form(x, mapped).choose(TRAIN, INNER, ALPHAS, metric="correlation")
    np.testing.assert_array_equal(parts.alpha, whole.alpha)
    np.testing.assert_allclose(parts.score, whole.score, atol=1e-6)


@FORMS
def test_some_targets_alone_are_fitted_as_among_all(data, form):
    x, y = data
    system, only = form(x, y), np.array([3, 4, 17, 38])
    every = system.choose(TRAIN, INNER, ALPHAS, metric="correlation")
    some = system.choose(TRAIN, INNER, ALPHAS, metric="correlation", only=only)
    np.testing.assert_array_equal(some.alpha, every.alpha[only])
    np.testing.assert_allclose(some.score, every.score[only], atol=1e-6)
    predict = system.predictor(TRAIN, TEST, every.alpha)
    np.testing.assert_allclose(predict(only), predict(slice(0, 40))[:, only], atol=1e-5)


@pytest.mark.parametrize("alpha", [1e-2, 1.0, 1e4])
def test_any_part_is_left_out_as_if_never_seen(data, alpha):
    x, y = data
    kernel = x.astype(float) @ x.T.astype(float)
    resolvent = Resolvent(kernel)
    for split in INNER:
        rest = split.train
        operator = resolvent.operator(rest, split.test, alpha)
        fit = Ridge(alpha=alpha, solver="svd").fit(x[rest].astype(float), y[rest].astype(float))
        np.testing.assert_allclose(operator @ y[rest], fit.predict(x[split.test]), atol=5e-3)
        np.testing.assert_allclose(operator.sum(axis=1), 1, atol=1e-6)


def test_constant_targets_and_constant_features_score_nothing(data):
    x, y = data[0].copy(), data[1].copy()
    y[:, 3] = 5.0
    for metric in ("correlation", "r2"):
        for form in (Primal, Dual):
            found = form(x, y).choose(TRAIN, INNER, ALPHAS, metric=metric)
            assert found.score[3] == pytest.approx(0, abs=1e-6)
    for form in (Primal, Dual):
        found = form(np.ones_like(x), y).choose(TRAIN, INNER, ALPHAS, metric="correlation")
        assert (np.abs(found.score) < 1e-6).all()


def test_the_form_follows_the_shape(data):
    x, y = data
    assert isinstance(many_targets(x, y, n_train=89), Dual)
    assert isinstance(many_targets(x, y, n_train=91), Primal)
