import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from bids_brainalign.statistics.multiplicity import (
    benjamini_hochberg,
    bh_reachable,
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
