import numpy as np
import pytest
from scipy import stats

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.statistics import tails as module
from bids_brainalign.statistics.tails import p_floor, p_values

DISTRIBUTIONS = [
    pytest.param(stats.norm(), id="gauss"),
    pytest.param(stats.t(10), id="t10"),
    pytest.param(stats.gumbel_r(), id="maximum over layers"),
]


def test_counting_equals_a_loop():
    rng = np.random.default_rng(0)
    null = rng.integers(0, 20, (199, 6)).astype(np.float32)
    observed = np.array([5.0, 19.0, 25.0, 0.0, 10.0, -1.0])
    loop = [(1 + sum(null[:, i] >= observed[i])) / 200 for i in range(6)]
    np.testing.assert_allclose(p_values(observed, null, tail_fit=False), loop)
    np.testing.assert_allclose(p_values(observed, null), loop)  # too few draws for a tail


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("level", [0.05, 0.01, 0.001, 1e-4])
def test_p_at_known_quantiles(distribution, level):
    null = distribution.rvs((2000, 400), random_state=np.random.default_rng(1))
    p = p_values(np.full(400, distribution.isf(level)), null)
    factor = 1.2 if level >= 0.01 else 2.0 if level == 0.001 else 3.0
    assert level / factor < np.median(p) < level * factor


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("n_draws", [500, 2000])
def test_rate_at_which_null_data_falls_below_a_level(distribution, n_draws):
    """Not p at the truth but its use: how much of the null lies where p ≤ level."""
    rng = np.random.default_rng(2)
    grid = distribution.isf(np.geomspace(0.05, 1e-7, 60))
    null = distribution.rvs((n_draws, 150), random_state=rng).astype(np.float32)
    p = np.stack([p_values(np.full(150, x), null) for x in grid])
    for level, factor in ((0.01, 1.25), (0.001, 1.6), (1e-4, 3.5)):
        below = p <= level
        share = distribution.sf(grid[below.argmax(axis=0)])
        rate = np.where(below.any(axis=0), share, 0.0).mean()
        assert rate < factor * level, (level, rate)
        assert rate > level / 3


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_p_falls_as_the_score_rises(distribution):
    null = distribution.rvs((1000, 1), random_state=np.random.default_rng(3))
    scores = np.linspace(-1, 12, 400)
    p = p_values(scores, np.broadcast_to(null, (1000, 400)))
    assert (np.diff(p) <= 1e-12).all()
    assert p[-1] >= p_floor(1000)


def test_floor_is_kept_beyond_any_tail():
    null = np.random.default_rng(4).uniform(size=(2000, 3))
    p = p_values(np.full(3, 1e6), null)
    np.testing.assert_allclose(p, 1 / 200_000)
    assert p_floor(2000) == pytest.approx(1 / 200_000)
    assert p_floor(2000, tail_fit=False) == 1 / 2001
    assert p_floor(399) == 1 / 400


def test_null_without_spread_is_counted():
    assert p_values(np.ones(1), np.zeros((2000, 1)))[0] == pytest.approx(1 / 2001)


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(5)
    null, observed = rng.standard_normal((1000, 50)), rng.uniform(2, 5, 50)
    whole = p_values(observed, null)
    monkeypatch.setattr(module, "_BLOCK_TARGETS", 7)
    np.testing.assert_allclose(p_values(observed, null), whole, rtol=1e-10)


def test_missing_scores_or_draws_have_no_p():
    null = np.random.default_rng(6).standard_normal((500, 3))
    null[7, 1] = np.nan
    p = p_values(np.array([np.nan, 9.0, 9.0]), null)
    assert np.isnan(p).tolist() == [True, True, False]


def test_hostile_shapes():
    with pytest.raises(BrainAlignError, match=r"shape \(2,\) do not fit a null of \(5, 3\)"):
        p_values(np.zeros(2), np.zeros((5, 3)))
    with pytest.raises(BrainAlignError, match=r"null of \(0, 3\)"):
        p_values(np.zeros(3), np.zeros((0, 3)))


def test_a_tail_is_that_of_hosking_and_wallis():
    """Probability-weighted moments of the largest eighth, bounded tails shrunk by half."""
    rng = np.random.default_rng(7)
    for null in (rng.exponential(size=2000), rng.normal(size=2000), rng.uniform(size=2000)):
        ordered = np.sort(null)
        threshold = (ordered[-251] + ordered[-250]) / 2
        excess = ordered[-250:] - threshold
        above = 1 - (np.arange(250) + 0.65) / 250
        a0, a1 = excess.mean(), (above * excess).mean()
        k = a0 / (a0 - 2 * a1) - 2
        k = k / 2 if k > 0 else k
        tail = stats.genpareto(-k, scale=a0 * (1 + k))  # scipy's shape has the other sign
        observed = np.quantile(null, [0.996, 0.999, 1.0])
        observed[2] += 0.001
        expected = np.clip(tail.sf(observed - threshold) / 8, 1 / 200_000, 11 / 2001)
        found = p_values(observed, np.repeat(null[:, None], 3, axis=1))
        np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize(("n_draws", "tail_fit"), [(399, True), (2000, False)])
def test_counted_where_the_tail_is_thin_or_not_wanted(n_draws, tail_fit):
    null = np.random.default_rng(8).standard_normal((n_draws, 4))
    p = p_values(np.full(4, 9.0), null, tail_fit=tail_fit)
    assert (p == 1 / (1 + n_draws)).all()
    assert p_floor(n_draws, tail_fit=tail_fit) == 1 / (1 + n_draws)
    assert p_floor(400) == 1 / 40_000


def test_a_fitted_p_is_no_larger_than_what_ten_draws_above_count_as():
    null = np.random.default_rng(9).standard_normal((500, 3000))
    observed = np.sort(null, axis=0)[-9] + 1e-6  # eight draws reach it
    p = p_values(observed, null)
    assert p.max() == pytest.approx(11 / 501)
    assert p.min() < 7 / 501


def test_tails_without_moments_are_counted():
    null = np.random.default_rng(10).standard_cauchy((2000, 5)) ** 3
    observed = np.sort(null, axis=0)[-3] + 1e-6
    np.testing.assert_allclose(p_values(observed, null), 3 / 2001)
