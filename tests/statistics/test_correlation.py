import numpy as np
import pytest
from scipy import stats

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.statistics import correlation as module
from bids_brainalign.statistics.correlation import (
    correlation,
    fisher_mean,
    fold_errors,
    r2_out_of_sample,
)


def test_correlation_equals_scipy_whatever_the_axis_and_block(monkeypatch):
    rng = np.random.default_rng(0)
    a = rng.standard_normal((40, 3, 5)).astype(np.float32)
    b = (a + rng.standard_normal(a.shape)).astype(np.float32)
    expected = [[stats.pearsonr(a[:, i, j], b[:, i, j])[0] for j in range(5)] for i in range(3)]
    monkeypatch.setattr(module, "_BLOCK_ELEMENTS", 80)  # two columns at a time
    np.testing.assert_allclose(correlation(a, b), expected, atol=1e-6)
    turned = correlation(np.moveaxis(a, 0, 2), np.moveaxis(b, 0, 2), axis=2)
    np.testing.assert_allclose(turned, expected, atol=1e-6)


def test_large_offset_in_float32_keeps_the_correlation():
    rng = np.random.default_rng(1)
    a = (1e4 + rng.standard_normal((5000, 1))).astype(np.float32)
    b = (a - 1e4 + rng.standard_normal((5000, 1)) + 3e4).astype(np.float32)
    oracle = np.corrcoef(a[:, 0].astype(np.float64), b[:, 0].astype(np.float64))[0, 1]
    np.testing.assert_allclose(correlation(a, b), oracle, atol=1e-9)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6 + 0.1])
def test_column_without_variance_has_no_correlation(constant):
    rng = np.random.default_rng(2)
    b = rng.standard_normal((33, 2))
    a = b.copy()
    a[:, 0] = constant
    for first, second in ((a, b), (b, a)):
        r = correlation(first, second)
        assert np.isnan(r[0])
        assert r[1] == pytest.approx(1.0)


def test_small_but_real_variance_counts():
    b = np.random.default_rng(3).standard_normal((50, 1))
    assert correlation(b * 1e-20, b)[0] == pytest.approx(1.0)


def test_missing_samples_and_single_sample_give_nan():
    x = np.array([[1.0, 1.0], [2.0, np.nan], [4.0, 3.0]])
    assert np.isnan(correlation(x, x)[1])
    assert np.isnan(correlation(x[:1], x[:1])).all()


def test_shapes_must_agree():
    with pytest.raises(BrainAlignError, match=r"shapes \(3, 2\) and \(3, 1\)"):
        correlation(np.zeros((3, 2)), np.zeros((3, 1)))


def test_fisher_mean_by_hand():
    r = np.array([[0.2, np.nan, np.nan], [0.6, 0.5, np.nan]])
    got = fisher_mean(r, [100, 300])
    by_hand = np.tanh((np.arctanh(0.2) + 3 * np.arctanh(0.6)) / 4)
    np.testing.assert_allclose(got[:2], [by_hand, 0.5])
    assert np.isnan(got[2])


def test_fisher_mean_leaves_out_weightless_folds_and_stays_finite():
    np.testing.assert_allclose(fisher_mean(np.array([0.9, 0.1]), [0, 10]), 0.1)
    assert np.isfinite(np.arctanh(fisher_mean(np.array([1.0, 1.0]), [1, 1])))
    assert fisher_mean(np.array([1.0, -1.0]), [1, 1]) == pytest.approx(0.0)


def test_r2_pools_errors_about_the_training_mean():
    rng = np.random.default_rng(4)
    y = [rng.standard_normal((n, 2)) + 1 for n in (20, 50)]
    yhat = [0.5 * fold for fold in y]
    mean = [np.array([0.9, 1.1]), np.array([1.2, 0.8])]
    errors = [fold_errors(a, b, train_mean=m) for a, b, m in zip(y, yhat, mean, strict=True)]
    sse, sst = (np.stack(part) for part in zip(*errors, strict=True))
    for target in range(2):
        top = sum(((a - b)[:, target] ** 2).sum() for a, b in zip(y, yhat, strict=True))
        bottom = sum(((a - m)[:, target] ** 2).sum() for a, m in zip(y, mean, strict=True))
        assert r2_out_of_sample(sse, sst)[target] == pytest.approx(1 - top / bottom)


def test_r2_of_the_training_mean_is_zero_and_lost_folds_leave_both_sums():
    y = np.random.default_rng(5).standard_normal((30, 1))
    sse, sst = fold_errors(y, np.full_like(y, 0.3), train_mean=np.array([0.3]))
    assert r2_out_of_sample(sse[None], sst[None])[0] == 0
    lost = np.array([[np.nan]])
    assert r2_out_of_sample(np.vstack([sse, lost]), np.vstack([sst, sst]))[0] == 0
    assert np.isnan(r2_out_of_sample(np.zeros((1, 1)), np.zeros((1, 1)))[0])


def test_means_of_more_than_targets():
    r = np.random.default_rng(3).uniform(-0.9, 0.9, (3, 4, 5))
    found = fisher_mean(r, [1, 2, 3])
    for place in np.ndindex(4, 5):
        assert found[place] == pytest.approx(fisher_mean(r[(slice(None), *place)], [1, 2, 3]))


def test_r2_needs_a_baseline_that_errs():
    with np.errstate(all="raise"):
        found = r2_out_of_sample(np.array([[1.0, 0.5]]), np.array([[0.0, 2.0]]))
    np.testing.assert_array_equal(found, [np.nan, 0.75])


def test_no_correlation_exceeds_one():
    x = np.random.default_rng(4).standard_normal((7, 2000))
    assert correlation(x, 3.7 * x).max() == 1.0
    assert correlation(x, -0.3 * x).min() == -1.0
