"""Searching penalties finds what scoring all of them finds, with half the work."""

import numpy as np
import pytest

from bids_brainalign.encoding.penalty_search import FEWEST, STEP, nodes, search


class Counted:
    """Scores from a table; counts how many targets were scored."""

    def __init__(self, curves, alphas):
        self.curves, self.alphas, self.n = curves, alphas, 0

    def __call__(self, alpha, columns):
        row = self.curves[int(np.flatnonzero(self.alphas == alpha)[0])]
        self.n += len(row) if columns is None else len(columns)
        return row if columns is None else row[columns]


def ridge_curves(alphas, n_targets=600):
    """Correlations over five folds: autocorrelated features and noise, a third without signal."""
    rng = np.random.default_rng(2)
    n, f = 400, 120
    x = np.cumsum(rng.standard_normal((n, f)), axis=0) * 0.2 + rng.standard_normal((n, f))
    x *= 1 / np.sqrt(1 + np.arange(f) / 4)
    strength = np.where(np.arange(n_targets) % 3 == 0, 0, rng.uniform(0.1, 1.5, n_targets))
    signal = x @ rng.standard_normal((f, n_targets))
    noise = rng.standard_normal((n + 3, n_targets))
    y = strength * signal / signal.std(axis=0) + noise[3:] + noise[2:-1] + noise[1:-2]
    curves = np.zeros((len(alphas), n_targets))
    for test in np.array_split(np.arange(n), 5):
        train = np.setdiff1d(np.arange(n), test)
        centre, mean = x[train].mean(axis=0), y[train].mean(axis=0)
        u, s, vt = np.linalg.svd(x[train] - centre, full_matrices=False)
        projected = u.T @ (y[train] - mean)
        for row, alpha in enumerate(alphas):
            fit = (x[test] - centre) @ vt.T @ ((s / (s**2 + alpha))[:, None] * projected)
            fit, true = fit - fit.mean(axis=0), y[test] - y[test].mean(axis=0)
            norm = np.sqrt((fit**2).sum(axis=0) * (true**2).sum(axis=0))
            curves[row] += (fit * true).sum(axis=0) / norm / 5
    return curves


@pytest.mark.parametrize("n_alphas", [15, 20, 40])
def test_the_best_of_all_penalties_is_found(n_alphas):
    alphas = np.logspace(0, 5, n_alphas)
    curves = ridge_curves(alphas)
    score = Counted(curves, alphas)
    best, index = search(score, alphas)
    true = curves.argmax(axis=0)
    assert (index == true).mean() >= 0.998
    np.testing.assert_allclose(best, curves.max(axis=0), atol=1e-4)
    np.testing.assert_array_equal(best, curves[index, np.arange(len(index))])
    assert score.n < (0.85 if n_alphas == 15 else 0.65) * curves.size


def test_short_coarse_and_odd_grids_are_scored_whole():
    grids = ([0, 1, 10, 100, 1e3, 1e4], [1, 10, 100, 100, 1e3, 1e4, 1e5])
    for alphas in (np.logspace(0, 5, FEWEST - 1), np.logspace(0, 12, 13), *map(np.array, grids)):
        assert (nodes(alphas) == np.arange(len(alphas))).all()


def test_nodes_hold_both_ends_and_no_wide_gap():
    alphas = np.logspace(1, 6, 20)
    found = nodes(alphas)
    assert found[0] == 0
    assert found[-1] == 19
    assert len(found) < 12
    widest = np.diff(np.log10(alphas[found])).max()
    assert widest <= STEP + np.diff(np.log10(alphas)).max()


def test_the_first_of_equals_is_taken():
    alphas = np.logspace(0, 5, 20)
    curves = np.zeros((20, 3))
    assert (search(Counted(curves, alphas), alphas)[1] == 0).all()


def test_curves_that_fall_off_a_cliff_keep_their_peak():
    """R² falls far below 0 at small penalties; a spline rings there."""
    alphas = np.logspace(0, 5, 12)
    rng = np.random.default_rng(3)
    place, peak = np.log10(alphas)[:, None], rng.uniform(1.5, 4, 500)
    curves = 0.3 - np.where(place < peak, 0.6, 0.05) * (place - peak) ** 2
    score = Counted(curves, alphas)
    assert (search(score, alphas)[1] == curves.argmax(axis=0)).mean() > 0.995
