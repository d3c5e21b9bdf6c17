"""The cheap Gram is X'X, whatever the runs, gaps, lags and bands."""

from itertools import pairwise

import numpy as np
import pytest

from bids_brainalign.alignment.delays import delayed
from bids_brainalign.encoding.lag_gram import gram, structure_of
from bids_brainalign.encoding.ridge import PrimalSystem


def runs(rng, *, share=0.9, lengths=(240, 31, 300)):
    """Features of two bands per run, and which samples are used."""
    features = [[rng.standard_normal((n, d)).astype("f4") for d in (5, 2)] for n in lengths]
    used = []
    for n in lengths:
        mask = np.ones(n, dtype=bool)
        mask[:4] = False
        mask[rng.choice(n, max(1, round((1 - share) * n / 8)), replace=False)] = False
        used.append(mask)
    return features, used


def designs(features, used, delays):
    return [
        np.concatenate([delayed(f[b], delays)[u] for f, u in zip(features, used, strict=True)])
        for b in (0, 1)
    ]


@pytest.mark.parametrize(
    "delays", [(0, 1), (-2, 0, 2, 4, 6, 8), (-3, -2, -1, 0, 1), (6, 3, 0, -3, -6), (0, -1, -2)]
)
@pytest.mark.parametrize("n_bands", [1, 2])
def test_gram_is_that_of_all_rows(delays, n_bands):
    rng = np.random.default_rng(len(delays))
    features, used = runs(rng)
    bands = designs(features, used, delays)[:n_bands]
    x = np.concatenate(bands, axis=1)
    edges = np.cumsum([0, *(b.shape[1] for b in bands)])
    slices = [slice(a, b) for a, b in pairwise(edges)]
    lags = structure_of(delays, used)
    assert lags is not None
    for rows in (np.arange(len(x)), np.r_[30:200, 230:236, 260:480], np.arange(3)):
        exact = x[rows].astype(float).T @ x[rows].astype(float)
        for found in (gram(x, rows, slices, lags), gram(x, rows, slices, None)):
            np.testing.assert_allclose(found, exact, rtol=0, atol=2e-6 * np.abs(exact).max())


def test_few_sums_run_over_all_rows(monkeypatch):
    """Without it the fast way could be the slow one unseen."""
    from bids_brainalign.encoding import lag_gram

    rng = np.random.default_rng(0)
    features, used = runs(rng, share=1.0, lengths=(4000,))
    x = designs(features, used, (0, 2, 4, 6))[0]
    seen = []
    whole = lag_gram._direct

    def counted(features, rows):
        seen.append(len(rows))
        return whole(features, rows)

    monkeypatch.setattr(lag_gram, "_direct", counted)
    lag_gram.gram(x, np.arange(len(x)), [slice(0, 20)], structure_of((0, 2, 4, 6), used))
    assert max(seen) < 20
    # Stretches so short that their ends are most of them.
    holes = np.arange(4000) % 5 > 0
    y = designs(features, [holes], (0, 2, 4, 6))[0]
    seen.clear()
    lag_gram.gram(y, np.arange(len(y)), [slice(0, 20)], structure_of((0, 2, 4, 6), [holes]))
    assert max(seen) == len(y)


def test_uneven_lags_have_no_structure():
    used = [np.ones(10, dtype=bool)]
    assert structure_of((0, 1, 3), used) is None
    assert structure_of((2,), used) is None
    assert structure_of((0, 0), used) is None
    assert structure_of((0, 2), [used[0], np.zeros(4, dtype=bool)]).stretch.tolist() == [0] * 10


def test_solutions_are_the_same_with_it():
    rng = np.random.default_rng(3)
    features, used = runs(rng)
    bands = designs(features, used, (-1, 0, 1, 2))
    n = len(bands[0])
    y = rng.standard_normal((n, 3)).astype("f4")
    train, test = np.r_[0:150, 260:n], np.arange(160, 250)
    lags = structure_of((-1, 0, 1, 2), used)
    both = [PrimalSystem(bands, y, [train, test], lags=one) for one in (None, lags)]
    for scales in ((1.0, 1.0), (0.3, 2.0), (0.0, 1.0)):
        a, b = (s.solve(train, scales) for s in both)
        grid = np.array([1.0, 100.0])
        np.testing.assert_allclose(a.scores(test, grid), b.scores(test, grid), atol=1e-5)
        alpha = np.array([1.0, 30.0, 100.0])
        np.testing.assert_allclose(a.predict(test, alpha), b.predict(test, alpha), atol=1e-5)
    assert both[1].solve(train, (1.0, 1.0)).fit is both[1].solve(train, (1.0, 1.0)).fit
