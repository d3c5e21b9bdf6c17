import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from bids_brainalign.statistics.intervals import (
    bca_interval,
    group_interval,
    t_interval,
)


def test_t_interval_equals_statsmodels():
    x = np.array([0.1, 0.4, np.nan, 0.35, 0.2, 0.22])
    expected = sm.stats.DescrStatsW(x[~np.isnan(x)]).tconfint_mean(alpha=0.1)
    np.testing.assert_allclose(t_interval(x, level=0.9), expected)
    assert np.isnan(t_interval(x[:1])).all()


def naive_bca(x, rng, *, n_resamples=20_000):
    """Efron 1987, equations as in Efron & Tibshirani 1993, section 14.3."""
    resampled = x[rng.integers(len(x), size=(n_resamples, len(x)))].mean(axis=1)
    bias = stats.norm.ppf((resampled < x.mean()).mean())
    jack = np.array([np.delete(x, i).mean() for i in range(len(x))])
    d = jack.mean() - jack
    acceleration = (d**3).sum() / (6 * (d**2).sum() ** 1.5)
    z = bias + stats.norm.ppf([0.025, 0.975])
    return np.quantile(resampled, stats.norm.cdf(bias + z / (1 - acceleration * z)))


def test_bca_equals_efrons_equations():
    x = np.random.default_rng(0).exponential(size=14)
    expected = naive_bca(x, np.random.default_rng(1))
    np.testing.assert_allclose(bca_interval(x, np.random.default_rng(2)), expected, atol=0.02)


def test_bca_is_seeded_and_survives_equal_values():
    x = np.random.default_rng(3).standard_normal(12)
    one, two = (bca_interval(x, np.random.default_rng(4)) for _ in range(2))
    assert one == two
    assert bca_interval(np.full(12, 0.3), np.random.default_rng(4)) == (0.3, 0.3)
    assert np.isnan(bca_interval(np.array([1.0]), np.random.default_rng(4))).all()


@pytest.mark.parametrize(
    ("n", "kind"), [(0, "none"), (4, "none"), (5, "t"), (9, "t"), (10, "bca")]
)
def test_group_interval_depends_on_the_number_of_participants(n, kind):
    x = np.append(np.linspace(0.1, 0.3, n), np.nan)
    interval = group_interval(x, np.random.default_rng(5))
    assert (interval.kind, interval.n) == (kind, n)
    assert np.isnan(interval.low) == (kind == "none")
    if n:
        assert interval.mean == pytest.approx(0.2)
    if kind == "t":
        assert (interval.low, interval.high) == t_interval(x)
    if kind == "bca":
        assert interval.low < 0.2 < interval.high


def test_group_interval_covers():
    rng = np.random.default_rng(6)
    inside = 0
    for _ in range(1000):
        interval = group_interval(rng.standard_normal(6) + 1, rng)
        inside += interval.low < 1 < interval.high
    assert 925 <= inside <= 973
