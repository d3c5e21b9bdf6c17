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
    found = shared_geometry(
        [x, noise], bad, types=np.arange(80), least_shift=1, n_draws=99, rng=rng
    )
    z = (y - y.mean(axis=0)) / y.std(axis=0)
    centred = [e - e.mean(axis=0) for e in (x, noise)]
    expected = [unbiased_cka(e, z) for e in centred]
    np.testing.assert_allclose(found.value[:, 0], expected, atol=1e-4)
    assert found.p[0, 0] == pytest.approx(1 / 80)  # 79 shifts
    assert found.p[1, 0] > 0.05


def drifting(rng, n_words, n_columns, drift):
    x = rng.standard_normal((n_words, n_columns))
    for word in range(1, n_words):
        x[word] = drift * x[word - 1] + np.sqrt(1 - drift**2) * x[word]
    return x


def geometry(x, y, types, rng, *, least_shift=3):
    return shared_geometry([x], y, types=types, least_shift=least_shift, n_draws=99, rng=rng)


def least_p(n, make):
    rng = np.random.default_rng(0)
    return np.array([geometry(*make(rng), rng).p[0, 0] for _ in range(n)])


def both_drift(rng, n_words=120, drift=0.5):
    return drifting(rng, n_words, 6, drift), drifting(rng, n_words, 8, drift), np.arange(n_words)


def come_again(rng, n_words=120, n_types=30):
    """Vectors and responses of words, unrelated; each occurrence of a word has both again."""
    types = rng.integers(0, n_types, n_words)
    x, y = rng.standard_normal((n_types, 6))[types], rng.standard_normal((n_types, 8))[types]
    return x, y + rng.standard_normal(y.shape), types


@pytest.mark.parametrize("make", [both_drift, come_again])
def test_drifts_and_words_that_come_again_are_no_geometry(make):
    found = (least_p(25, make) <= 0.05).sum()
    assert found <= binom.ppf(0.999, 25, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("make", [both_drift, come_again])
def test_a_geometry_that_is_not_there_is_found_in_one_of_twenty_at_most(make):
    assert (least_p(300, make) <= 0.05).sum() <= binom.ppf(0.999, 300, 0.05)


def test_p_of_shifts_is_that_of_means_of_shifted_words():
    rng = np.random.default_rng(0)
    x, y, types = come_again(rng, 40, 15)
    found = geometry(x, y, types, rng, least_shift=12)
    z = (y - y.mean(axis=0)) / y.std(axis=0)

    def value(order):
        means = [
            np.array([part[types == word].mean(axis=0) for word in np.unique(types)])
            for part in (x[order], z)
        ]
        return unbiased_cka(*(part - part.mean(axis=0) for part in means))

    words = np.arange(40)
    np.testing.assert_allclose(found.value[0, 0], value(words), atol=1e-4)
    reached = sum(value(np.roll(words, k)) >= value(words) for k in range(12, 29))
    assert found.p[0, 0] >= (1 + reached) / 18 - 1e-9


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
