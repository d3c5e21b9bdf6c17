"""Lag curves: planted lags are found, chance is not, and slopes are those of the peaks."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.linear_model import Ridge

from bids_brainalign.encoding.lag_slopes import curve_slopes, lag_slope, target_slopes
from bids_brainalign.encoding.lagged import lag_curves, peak_lags
from tests.encoding.test_calibration import make_problem


def at_lags(problem, lags):
    return replace(problem, delays=lags, _cache={})


def test_r_is_that_of_a_plain_ridge_on_shifted_features():
    problem, space, _ = make_problem(1, n_runs=4, n_times=300, n_targets=4, phi=0.6, planted=0)
    problem = replace(at_lags(problem, (-2, 0, 3)), alphas=(100.0,))
    held_out = problem.held_out()
    chosen = np.zeros((4, 4), dtype=np.int64)
    found = lag_curves(space, problem, held_out, chosen)
    features = space.read(0)
    for i, lag in enumerate((-2, 0, 3)):
        runs = []
        for x in features:
            z = (x - x.mean(0)) / x.std(0)
            moved = np.zeros_like(z)
            if lag >= 0:
                moved[lag:] = z[: len(z) - lag]
            else:
                moved[:lag] = z[-lag:]
            runs.append(moved)
        x = np.concatenate(runs)
        y = np.concatenate([(r - r.mean(0)) / r.std(0) for r in problem.responses])
        for k, fold in enumerate(problem.plan.folds):
            train, test = fold.outer.train, fold.outer.test
            predicted = Ridge(alpha=100.0).fit(x[train], y[train]).predict(x[test])
            r = [np.corrcoef(predicted[:, v], y[test, v])[0, 1] for v in range(4)]
            np.testing.assert_allclose(found.r_fold[0, k, i], r, atol=1e-4)


def test_the_planted_lag_is_the_peak_of_the_planted_layer():
    problem, space, _ = make_problem(
        2, n_runs=4, n_times=600, n_targets=6, phi=0.6, planted=1, n_layers=3
    )
    problem = at_lags(problem, tuple(range(-6, 12, 1)))
    held_out = problem.held_out()
    found = lag_curves(space, problem, held_out, np.ones((4, 6), dtype=np.int64))
    lags = np.array(problem.delays) * 0.02
    peak, at_edge = peak_lags(found.selected_r.T, lags)
    np.testing.assert_allclose(peak, 0.06, atol=0.01)
    assert not at_edge.any()
    assert (found.p.min(axis=0) < 0.01).all()
    np.testing.assert_allclose(found.selected_r, found.r[1], atol=1e-9)
    assert found.r[1].max() > 3 * np.abs(found.r[[0, 2]]).max()


@pytest.mark.slow
@pytest.mark.parametrize("phi", [0.6, 0.9])
def test_the_peak_over_lags_is_as_rare_as_its_p_says(phi):
    low, n = 0, 0
    for seed in range(4):
        problem, space, _ = make_problem(seed, n_runs=4, n_times=900, n_targets=60, phi=phi)
        problem = at_lags(problem, tuple(range(-9, 12, 3)))
        held_out = problem.held_out()
        chosen = np.zeros((4, 60), dtype=np.int64)
        p = lag_curves(space, problem, held_out, chosen).p.min(axis=0)
        low, n = low + int((p < 0.05).sum()), n + len(p)
    first, last = binom.interval(0.999, n, 0.05)
    assert first <= low <= last, f"{low / n:.3f} of {n}"


def test_peaks_lie_between_lags_and_edges_are_told():
    lags = np.linspace(-0.2, 0.2, 11)
    curves = -((lags - 0.053) ** 2)
    peak, at_edge = peak_lags(np.stack([curves, lags, np.full(11, np.nan)]), lags)
    np.testing.assert_allclose(peak[0], 0.053, atol=1e-12)
    np.testing.assert_allclose(peak[1], 0.2)
    assert np.isnan(peak[2])
    np.testing.assert_array_equal(at_edge, [False, True, False])


def curves_with_slope(rng, *, slope_s, n_layers=6, n_targets=12, noise=0.01):
    lags = np.arange(-0.2, 0.6, 0.02)
    peak = 0.1 + slope_s * np.arange(n_layers)
    shape = 0.3 * np.exp(-((lags - peak[:, None]) ** 2) / (2 * 0.1**2))
    r = shape[:, :, None] + noise * rng.standard_normal((n_layers, 1, n_targets))
    return r + noise * rng.standard_normal((n_layers, len(lags), n_targets)), lags


def test_slopes_are_recovered_with_their_interval():
    rng = np.random.default_rng(3)
    for slope_ms in (0.0, 30.0):
        r, lags = curves_with_slope(rng, slope_s=slope_ms / 1000)
        found = lag_slope(curve_slopes(r, lags))
        assert found.n_targets == 12
        assert found.ci_low_ms < slope_ms < found.ci_high_ms
        assert abs(found.slope_ms - slope_ms) < 3
    assert found.ci_low_ms > 0  # 30 ms per layer is told from none


def test_the_interval_of_a_null_slope_holds_zero_about_as_often_as_it_says():
    # Noise of each electrode's own, which is all that the interval speaks of.
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(200):
        r, lags = curves_with_slope(rng, slope_s=0.0, n_targets=6, noise=0.05)
        found = lag_slope(curve_slopes(r, lags))
        covered += found.ci_low_ms <= 0 <= found.ci_high_ms
    assert covered >= binom.ppf(0.001, 200, 0.95)


def test_few_electrodes_have_a_slope_without_interval():
    slopes = np.array([0.019, 0.02, 0.021, 0.022, 0.018, np.nan])
    assert np.isfinite(lag_slope(slopes).ci_low_ms)
    few = lag_slope(slopes[1:])
    assert few.n_targets == 4
    assert few.slope_ms == pytest.approx(20.25)
    assert np.isnan([few.ci_low_ms, few.ci_high_ms]).all()


def test_few_layers_give_no_slope():
    peaks = np.array([[0.1, 0.1], [np.nan, 0.2], [0.3, 0.3]])
    slopes = target_slopes(peaks)
    assert np.isnan(slopes[0])
    np.testing.assert_allclose(slopes[1], 0.1)
    empty = lag_slope(np.full(2, np.nan))
    assert empty.n_targets == 0
    assert np.isnan(empty.slope_ms)
