"""Fixed penalties against scikit-learn; geometry against the definition of CKA."""

import numpy as np
import pytest
from scipy.stats import binom, spearmanr
from sklearn.linear_model import ElasticNet as SklearnElasticNet
from sklearn.linear_model import MultiTaskElasticNet
from sklearn.preprocessing import StandardScaler

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.elastic import ElasticNet
from bids_brainalign.production.sensitivity import penalty_grid, relation, shared_geometry
from tests.production.planted import folds_of, planted


@pytest.mark.parametrize("multi_task", [False, True])
def test_weights_that_are_not_zero_are_those_of_scikit_learn(multi_task):
    x, y = planted(0.5, 1, n_words=40, n_channels=4, n_dims=12)
    folds = folds_of(40, n_folds=4, n_inner=3)
    how = ElasticNet(tolerance=1e-9, most_rounds=100_000, multi_task=multi_task)
    rows = penalty_grid(x, y, folds, alphas=(0.1, 1.0, 0.3), ratios=(0.5,), how=how)
    assert [row.alpha for row in rows] == [1.0, 0.3, 0.1]
    for row in rows:
        counts = []
        for fold in folds.folds:
            xs = StandardScaler().fit_transform(x[fold.outer.train])
            ys = StandardScaler().fit_transform(y[fold.outer.train])
            kind = MultiTaskElasticNet if multi_task else SklearnElasticNet
            options = {"alpha": row.alpha, "l1_ratio": 0.5, "tol": 1e-9, "max_iter": 100_000}
            if multi_task:
                weights = kind(**options).fit(xs, ys).coef_
            else:
                weights = np.stack([kind(**options).fit(xs, t).coef_ for t in ys.T])
            counts.append((np.abs(weights) > 1e-9).sum(axis=1))
        np.testing.assert_allclose(row.non_zero, np.mean(counts, axis=0))
    assert 0 < rows[0].non_zero.sum() < rows[2].non_zero.sum()


def test_the_default_penalty_is_the_train_mean_and_says_nothing():
    x, y = planted(0.5, 1, n_words=40, n_channels=12, n_dims=12)
    y = np.column_stack([y, np.ones(40)])
    rows = penalty_grid(x, y, folds_of(40, n_inner=3), alphas=(1.0, 0.1), ratios=(0.9,))
    default, weaker = rows
    np.testing.assert_array_equal(default.across.pcc[0], default.across.pcc[1])
    np.testing.assert_allclose(default.statistics, [0, 0, 0.5, 0.5, 0], atol=1e-12)
    assert weaker.statistics[0] > 0.2
    assert np.isnan(weaker.non_zero[-1])
    assert np.isfinite(weaker.non_zero[:-1]).all()


def unbiased_cka(x, y):
    """Song et al. 2012, eq. 5, with plain matrices."""

    def hsic(k, m):
        n = len(k)
        k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
        one = np.ones(n)
        total = np.trace(k @ m) + one @ k @ one * (one @ m @ one) / ((n - 1) * (n - 2))
        return (total - 2 / (n - 2) * one @ k @ m @ one) / (n * (n - 3))

    k, m = x @ x.T, y @ y.T
    return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))


def test_geometry_is_the_unbiased_cka_of_standardised_channels():
    x, y = planted(0.6, 2, n_words=80, n_channels=30, n_dims=6)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((80, 6))
    bad = np.column_stack([y, np.ones(80)])
    found = shared_geometry([x, noise], bad, n_draws=99, rng=rng)
    z = (y - y.mean(axis=0)) / y.std(axis=0)
    centred = [e - e.mean(axis=0) for e in (x, noise)]
    expected = [unbiased_cka(e, z) for e in centred]
    np.testing.assert_allclose(found.value[:, 0], expected, atol=1e-4)
    assert found.p[0, 0] == 0.01
    assert found.p[1, 0] > 0.05


def drifting(rng, n_words, n_columns, drift=0.9):
    x = rng.standard_normal((n_words, n_columns))
    for word in range(1, n_words):
        x[word] = drift * x[word - 1] + np.sqrt(1 - drift**2) * x[word]
    return x


def test_shuffles_tell_nothing_where_both_sides_drift():
    rng = np.random.default_rng(0)
    x, y = drifting(rng, 100, 6), drifting(rng, 100, 8)
    still = rng.standard_normal((100, 20))
    found = shared_geometry([x, still], y, n_draws=99, rng=rng)
    assert np.isnan(found.p[0, 0])
    assert np.isfinite([found.p[1, 0], found.value[0, 0]]).all()
    assert np.isfinite(shared_geometry([x], y, n_draws=99, rng=rng, in_time=False).p).all()


@pytest.mark.slow
def test_shuffled_geometry_is_found_in_one_of_twenty_where_responses_drift():
    rng = np.random.default_rng(0)
    p = [
        shared_geometry(
            [rng.standard_normal((60, 20))], drifting(rng, 60, 10), n_draws=99, rng=rng
        ).p[0, 0]
        for _ in range(300)
    ]
    assert np.isfinite(p).mean() > 0.5
    found = np.array(p)[np.isfinite(p)]
    assert binom.ppf(0.001, len(found), 0.05) <= (found <= 0.05).sum()
    assert (found <= 0.05).sum() <= binom.ppf(0.999, len(found), 0.05)


def test_relation_is_spearmans_and_needs_four_embeddings():
    rng = np.random.default_rng(0)
    geometry = rng.standard_normal(9)
    scores = geometry + rng.standard_normal(9)
    found = relation(geometry, scores, n_draws=999, rng=rng)
    expected = spearmanr(geometry, scores)
    assert found.r == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue, abs=0.05)
    assert found.n == 9
    with pytest.raises(BrainAlignError, match="3 embeddings"):
        relation(geometry[:3], scores[:3], rng=rng)


def test_numbers_that_are_all_alike_have_no_relation():
    found = relation(np.ones(5), np.arange(5.0), rng=np.random.default_rng(0))
    assert np.isnan([found.r, found.p]).all()
