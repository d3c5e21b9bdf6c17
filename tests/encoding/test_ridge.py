"""Against himalaya, scikit-learn and mne; both forms of our solver."""

import gc
import weakref

import numpy as np
import pytest
from himalaya.ridge import Ridge
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.metrics import r2_score

from bids_brainalign.alignment.delays import delayed
from bids_brainalign.encoding import ridge
from bids_brainalign.encoding.nested import fit_fold
from bids_brainalign.encoding.ridge import DualSystem, PrimalSystem, make_system
from bids_brainalign.encoding.shifted import Spectral, Tridiagonal
from bids_brainalign.statistics.folds import Fold, Split

ALPHAS = np.logspace(2, 6, 9)


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((600, 40)).astype(np.float32) @ rng.standard_normal((40, 40))
    y = x @ rng.standard_normal((40, 7)) + 20 * rng.standard_normal((600, 7)) + 3.0
    return x.astype(np.float32), y.astype(np.float32)


TRAIN, TEST = np.arange(0, 400), np.arange(430, 600)


FORMS = pytest.mark.parametrize("form", [0, 1, 2], ids=["primal", "dual", "primal, few targets"])


def systems(x, y):
    few = PrimalSystem([x], y, [TRAIN, TEST])
    few.n_solutions = 1  # as if targets were fewer than features
    return PrimalSystem([x], y, [TRAIN, TEST]), DualSystem([x], y), few


@FORMS
def test_predictions_equal_scikit_learn_at_every_penalty(data, form):
    x, y = data
    solution = systems(x, y)[form].solve(TRAIN, [1.0])
    for alpha in ALPHAS:
        expected = SklearnRidge(alpha=alpha).fit(x[TRAIN].astype(float), y[TRAIN]).predict(x[TEST])
        ours = solution.predict(TEST, np.full(7, alpha))
        np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-3 * y.std())


@FORMS
def test_one_penalty_per_target_equals_himalaya(data, form):
    x, y = data
    alpha = np.logspace(2, 6, 7)
    model = Ridge(alpha=alpha, fit_intercept=True).fit(
        x[TRAIN].astype(float), y[TRAIN].astype(float)
    )
    ours = systems(x, y)[form].solve(TRAIN, [1.0]).predict(TEST, alpha)
    np.testing.assert_allclose(ours, model.predict(x[TEST].astype(float)), atol=2e-3 * y.std())


@FORMS
def test_scores_are_correlations_of_the_predictions(data, form):
    x, y = data
    solution = systems(x, y)[form].solve(TRAIN, [1.0])
    scores = solution.scores(TEST, ALPHAS)
    for row, alpha in zip(scores, ALPHAS, strict=True):
        model = SklearnRidge(alpha=alpha).fit(x[TRAIN].astype(float), y[TRAIN])
        prediction = model.predict(x[TEST])
        expected = [np.corrcoef(prediction[:, j], y[TEST][:, j])[0, 1] for j in range(7)]
        np.testing.assert_allclose(row, expected, atol=2e-4)


@FORMS
def test_r2_is_that_of_the_predictions(data, form):
    x, y = data
    scores = systems(x, y)[form].solve(TRAIN, [1.0]).scores(TEST, ALPHAS, "r2")
    for row, alpha in zip(scores, ALPHAS, strict=True):
        model = SklearnRidge(alpha=alpha).fit(x[TRAIN].astype(float), y[TRAIN])
        expected = r2_score(y[TEST], model.predict(x[TEST]), multioutput="raw_values")
        np.testing.assert_allclose(row, expected, atol=5e-4)


def test_forms_are_what_they_are_called(data):
    primal, _, few = (system.solve(TRAIN, [1.0]) for system in systems(*data))
    assert isinstance(primal.fit.shifted, Spectral)
    assert isinstance(few.fit.shifted, Tridiagonal)


def test_the_form_is_chosen_by_what_is_to_be_solved(data):
    x, y = data  # 40 features
    for n_targets, options, form in (
        (2, {}, Tridiagonal),
        (7, {}, Spectral),  # times 16 penalties
        (2, {"n_kept": 1}, Spectral),  # others will follow
    ):
        system = make_system([x], y[:, :n_targets], [TRAIN, TEST], **options)
        assert isinstance(system.solve(TRAIN, [1.0]).fit.shifted, form)


def test_two_bands_equal_ridge_on_scaled_features(data):
    x, y = data
    bands, scales = [x[:, :25], x[:, 25:]], [0.3, 4.0]
    scaled = np.hstack([np.sqrt(s) * b for s, b in zip(scales, bands, strict=True)])
    expected = SklearnRidge(alpha=1e3).fit(scaled[TRAIN].astype(float), y[TRAIN])
    for system in (PrimalSystem(bands, y, [TRAIN, TEST]), DualSystem(bands, y)):
        ours = system.solve(TRAIN, scales).predict(TEST, np.full(7, 1e3))
        np.testing.assert_allclose(ours, expected.predict(scaled[TEST]), atol=2e-3 * y.std())


def test_a_band_of_scale_zero_is_not_there(data):
    x, y = data
    both = PrimalSystem([x[:, :25], x[:, 25:]], y, [TRAIN, TEST]).solve(TRAIN, [0.0, 1.0])
    alone = PrimalSystem([x[:, 25:]], y, [TRAIN, TEST]).solve(TRAIN, [1.0])
    alpha = np.full(7, 1e3)
    np.testing.assert_allclose(both.predict(TEST, alpha), alone.predict(TEST, alpha), atol=1e-4)
    np.testing.assert_allclose(both.scores(TEST, ALPHAS), alone.scores(TEST, ALPHAS), atol=1e-6)


def test_lagged_ridge_equals_mne_receptive_field(data):
    """FIR ridge over a lag window: mne.decoding.ReceptiveField at equal penalty."""
    mne_decoding = pytest.importorskip("mne.decoding")
    rng = np.random.default_rng(2)
    x = rng.standard_normal((800, 5)).astype(np.float32)
    x -= x.mean(axis=0)  # mne centres before it delays, so zeros beyond the edges mean the mean
    lags = tuple(range(-2, 7))
    y = delayed(x, lags) @ rng.standard_normal((45, 3)) + rng.standard_normal((800, 3))
    y = y.astype(np.float32)
    alpha = 500.0
    field = mne_decoding.ReceptiveField(
        -2, 6, 1.0, estimator=SklearnRidge(alpha=alpha), patterns=False
    )
    field.fit(x.astype(float), y.astype(float))
    everything = np.arange(800)
    system = make_system([delayed(x, lags)], y, [everything])
    ours = system.solve(everything, [1.0]).predict(everything, np.full(3, alpha))
    expected = field.predict(x.astype(float))
    np.testing.assert_allclose(ours, expected, atol=2e-3 * y.std())


def test_penalty_is_chosen_by_mean_inner_correlation(data):
    x, y = data
    thirds = np.array_split(TRAIN, 3)
    inner = tuple(Split(np.setdiff1d(TRAIN, part), part) for part in thirds)
    fold = Fold("test", Split(TRAIN, TEST), inner)
    fit = fit_fold([x], y, fold, alphas=tuple(ALPHAS), fixed_alpha=1.0)
    scores = np.zeros((len(ALPHAS), 7))
    for split in inner:
        for i, alpha in enumerate(ALPHAS):
            model = SklearnRidge(alpha=alpha).fit(x[split.train].astype(float), y[split.train])
            p = model.predict(x[split.test])
            scores[i] += len(split.test) * np.array(
                [np.corrcoef(p[:, j], y[split.test][:, j])[0, 1] for j in range(7)]
            )
    np.testing.assert_allclose(fit.inner_score, scores.max(axis=0) / len(TRAIN), atol=2e-4)
    np.testing.assert_allclose(fit.alpha, ALPHAS[scores.argmax(axis=0)])


def test_useless_model_leaves_the_baseline_alone():
    """Two-band ridge falls back to the baseline where the model carries nothing."""
    rng = np.random.default_rng(3)
    low = rng.standard_normal((1200, 4)).astype(np.float32)
    noise = rng.standard_normal((1200, 60)).astype(np.float32)
    y = (low @ rng.standard_normal((4, 30)) + rng.standard_normal((1200, 30))).astype(np.float32)
    train, test = np.arange(900), np.arange(900, 1200)
    inner = tuple(Split(np.setdiff1d(train, p), p) for p in np.array_split(train, 3))
    fold = Fold("x", Split(train, test), inner)
    grid = tuple(np.logspace(0, 5, 11))
    joint = fit_fold([noise, low], y, fold, alphas=grid, fixed_alpha=1, weights=(0.0, 0.5, 0.9))
    alone = fit_fold([low], y, fold, alphas=grid, fixed_alpha=1)
    assert (joint.weight == 0).mean() > 0.8

    def r(fit):
        return np.array(
            [np.corrcoef(fit.prediction[:, j], y[test][:, j])[0, 1] for j in range(30)]
        )

    assert abs((r(joint) - r(alone)).mean()) < 0.01


@pytest.mark.parametrize("form", [0, 1], ids=["primal", "dual"])
def test_a_system_is_freed_with_its_last_solution(data, form):
    """Designs are large and the collector of cycles rare: nothing may be kept by a cycle."""
    gc.disable()
    try:
        system = systems(*data)[form]
        system.solve(TRAIN, [1.0]).predict(TEST, np.ones(7))
        gone = weakref.ref(system)
        del system
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("form", [0, 1], ids=["primal", "dual"])
def test_other_responses_share_the_decomposition(data, form, monkeypatch):
    x, y = data
    made = (
        PrimalSystem([x], y[:, :3], [TRAIN, TEST]),
        DualSystem([x], y[:, :3], n_kept=1),
    )[form]
    calls = []
    name = ("_Decomposition", "_KernelDecomposition")[form]
    real = getattr(ridge, name)
    monkeypatch.setattr(ridge, name, lambda *a, **k: calls.append(1) or real(*a, **k))
    made.solve(TRAIN, [1.0])
    other = made.of(y[:, 3:]).solve(TRAIN, [1.0])
    assert len(calls) == 1
    fresh = systems(x, y[:, 3:])[form].solve(TRAIN, [1.0])
    alpha = np.logspace(2, 6, 4)
    np.testing.assert_allclose(other.predict(TEST, alpha), fresh.predict(TEST, alpha), atol=1e-5)
    np.testing.assert_allclose(other.weights(alpha), fresh.weights(alpha), atol=1e-7)
    np.testing.assert_allclose(other.scores(TEST, ALPHAS), fresh.scores(TEST, ALPHAS), atol=1e-6)
    # The first responses are still its own.
    again, whole = made.solve(TRAIN, [1.0]), systems(x, y[:, :3])[form].solve(TRAIN, [1.0])
    np.testing.assert_allclose(again.scores(TEST, ALPHAS), whole.scores(TEST, ALPHAS), atol=1e-6)


def test_penalties_scored_a_few_at_a_time_are_all_of_them(data, monkeypatch):
    x, y = data
    at_once = systems(x, y)[0].solve(TRAIN, [1.0]).scores(TEST, ALPHAS)
    monkeypatch.setattr(ridge, "_SCORED_COLUMNS", 2 * y.shape[1])
    few = systems(x, y)[0].solve(TRAIN, [1.0]).scores(TEST, ALPHAS)
    np.testing.assert_allclose(few, at_once, atol=1e-6)
