"""The search finds what trying every penalty finds."""

import numpy as np
import pytest

from bids_brainalign.encoding import inner_fold
from bids_brainalign.encoding.penalty_search import ERRORS, PenaltySearch
from bids_brainalign.encoding.spectra import Dual, Primal
from bids_brainalign.statistics.folds import Split

ALPHAS = np.logspace(1, 6, 20)
N, N_TARGETS = 240, 3000
INNER = tuple(
    Split(np.setdiff1d(np.arange(N), gap), test)
    for test, gap in (
        (np.arange(80), np.arange(90)),
        (np.arange(80, 160), np.arange(70, 170)),
        (np.arange(160, 240), np.arange(150, 240)),
    )
)


def make(n_features):
    """Eigenvalues over five decades; targets with much, little and no signal."""
    rng = np.random.default_rng(n_features)
    x = rng.standard_normal((N, n_features)) * np.geomspace(100, 0.3, n_features)
    x = x @ np.linalg.qr(rng.standard_normal((n_features, n_features)))[0]
    signal = x @ (rng.standard_normal((n_features, N_TARGETS)) / np.sqrt(n_features))
    signal /= signal.std(axis=0)
    y = signal * rng.uniform(0, 4, N_TARGETS) * (np.arange(N_TARGETS) % 3 > 0)
    return x.astype(np.float32), (y + rng.standard_normal(y.shape)).astype(np.float32)


def searches(form, y, metric, **options):
    """The search, and statistics of all targets."""
    trains = [split.train for split in INNER]
    spectra = form.spectra(trains)
    found = PenaltySearch(
        form, spectra, INNER, ALPHAS, metric, sample=y[:, ::23].copy(), **options
    )
    return found, form.statistics(y, trains)


@pytest.mark.parametrize("metric", ["correlation", "r2"])
@pytest.mark.parametrize(("form", "n_features"), [(Primal, 90), (Dual, 400)])
def test_the_choice_is_that_of_all_penalties(form, n_features, metric):
    x, y = make(n_features)
    made = form(x)
    short, statistics = searches(made, y, metric, n_targets=N_TARGETS)
    full, _ = searches(made, y, metric, n_targets=2)
    assert short.steps
    assert not full.steps
    score, index = short.best(y, statistics)
    best, exact = full.best(y, statistics)
    every = full._every([side.held(y) for side in full.sides], statistics)
    assert (index == exact).mean() > 0.999
    lost = best - every[index, np.arange(N_TARGETS)]
    assert lost.max() < 10 * ERRORS[-1]
    assert np.abs(score - best).max() < 1.5 * ERRORS[0]
    assert len(np.unique(index)) > 5


@pytest.mark.parametrize(("form", "n_features"), [(Primal, 90), (Dual, 400)])
def test_few_combinations_serve_most_targets(form, n_features):
    x, y = make(n_features)
    short, _ = searches(form(x), y, "correlation", n_targets=N_TARGETS)
    counts, errors = zip(*short.steps, strict=True)
    assert counts[0] <= len(ALPHAS) // 2
    assert list(counts) == sorted(counts)
    assert errors[0] <= ERRORS[0]
    assert errors[-1] <= ERRORS[-1] or counts[-1] == len(ALPHAS)


def test_matrices_for_many_targets_change_nothing(monkeypatch):
    x, y = make(90)
    form = Primal(x)
    without, statistics = searches(form, y, "correlation", n_targets=2000)
    with_them, _ = searches(form, y, "correlation", n_targets=10**6)
    expected = without.best(y, statistics)
    assert all(side._operators is None for side in without.sides if without.steps[-1][0] > 25)
    found = with_them.best(y, statistics)
    assert all(side._operators for side in with_them.sides)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    monkeypatch.setattr(inner_fold, "_OPERATOR_BYTES", 1.0)
    large, _ = searches(form, y, "correlation", n_targets=10**6)
    assert all(side._operators is None for side in large.sides)
