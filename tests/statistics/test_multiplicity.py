import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.statistics.multiplicity import (
    benjamini_hochberg,
    bh_reachable,
    max_statistic_p,
)
from bids_brainalign.statistics.tails import p_floor


def test_bh_equals_statsmodels_and_ignores_nan():
    rng = np.random.default_rng(0)
    p = np.concatenate([rng.uniform(size=60), rng.uniform(0, 1e-3, 20), [0.01, 0.01, 1.0]])
    with_gaps = np.insert(p, [0, 10, 40], np.nan)
    q = benjamini_hochberg(with_gaps)
    known = ~np.isnan(with_gaps)
    np.testing.assert_allclose(q[known], multipletests(p, method="fdr_bh")[1])
    assert np.isnan(q[~known]).all()


def test_bh_of_nothing():
    assert np.isnan(benjamini_hochberg(np.full(3, np.nan))).all()
    assert benjamini_hochberg(np.empty(0)).shape == (0,)


@pytest.mark.parametrize("tail_fit", [True, False])
@pytest.mark.parametrize(("n_tests", "n_draws"), [(10, 2000), (64, 200), (5000, 2000), (101, 100)])
def test_reachable_is_where_bh_starts_to_declare(n_tests, n_draws, tail_fit):
    needed = bh_reachable(n_tests, n_draws, tail_fit=tail_fit)
    floor = p_floor(n_draws, tail_fit=tail_fit)

    def declared(k):
        p = np.ones(n_tests)
        p[:k] = floor
        return (multipletests(p, method="fdr_bh")[1] <= 0.05 + 1e-12).sum()

    assert declared(needed) == needed
    assert needed == 1 or declared(needed - 1) == 0


def test_reachable_says_never():
    assert bh_reachable(50, 10) > 50


def test_max_statistic_equals_a_loop():
    rng = np.random.default_rng(1)
    null = rng.integers(0, 30, (99, 8)).astype(np.float32)
    observed = rng.integers(20, 32, 8).astype(np.float64)
    maxima = [max(row) for row in null]
    loop = [(1 + sum(m >= x for m in maxima)) / 100 for x in observed]
    np.testing.assert_allclose(max_statistic_p(observed, null), loop)


def test_nan_targets_take_no_part_in_the_maximum():
    rng = np.random.default_rng(2)
    null, observed = rng.standard_normal((200, 5)), rng.uniform(0, 3, 5)
    wide = np.insert(null, 2, 100.0, axis=1)
    got = max_statistic_p(np.insert(observed, 2, np.nan), wide)
    np.testing.assert_array_equal(np.delete(got, 2), max_statistic_p(observed, null))
    assert np.isnan(got[2])
    wide[3, 2] = np.nan
    assert np.isnan(max_statistic_p(np.insert(observed, 2, 1.0), wide)[2])
    assert np.isnan(max_statistic_p(np.full(5, np.nan), null)).all()


def test_max_statistic_keeps_the_familywise_rate():
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(400):
        common = rng.standard_normal((200, 1))
        scores = rng.standard_normal((200, 20)) + common  # correlated targets
        hits += (max_statistic_p(scores[0], scores[1:]) <= 0.05).any()
    assert 5 <= hits <= 37  # binomial(400, .05), .999 interval


def test_hostile_shapes():
    with pytest.raises(BrainAlignError, match=r"shape \(4,\) do not fit a null of \(5, 3\)"):
        max_statistic_p(np.zeros(4), np.zeros((5, 3)))
