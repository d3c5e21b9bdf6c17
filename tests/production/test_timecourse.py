"""Maps of layers and bins: equal to fits one by one, planted places found, calibrated without."""

import numpy as np
import pytest
from scipy import stats
from scipy.stats import binom

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.folds import word_folds
from bids_brainalign.production.mapping import map_words
from bids_brainalign.production.peak_lags import peak_lags
from bids_brainalign.production.ridge import Ridge
from bids_brainalign.production.scores import corrected
from bids_brainalign.production.timecourse import layer_lag_map
from tests.production.planted import folds_of

LAGS = 0.025 + 0.05 * np.arange(10)
RIDGE = Ridge((10.0, 100.0, 1000.0, 10_000.0))


def coursed(seed, places, *, share=0.3, n_words=80, n_channels=12, same=False):
    """Layers with latents of their own that drive the bins around a place, in bins.

    `same`: all layers share their latents, and differ in noise.
    """
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n_words, 12, n_channels))
    noise = (noise[:, :-2] + noise[:, 1:-1] + noise[:, 2:]) / np.sqrt(3)
    common, signal, layers = rng.standard_normal((n_words, 3)), np.zeros_like(noise), []
    for place in places:
        latent = common if same else rng.standard_normal((n_words, 3))
        course = np.exp(-0.5 * ((np.arange(10) - place) / 1.2) ** 2)
        weights = rng.standard_normal((3, n_channels)) / np.sqrt(3)
        signal += course[:, None] * (latent @ weights)[:, None]
        more = np.concatenate([latent, rng.standard_normal((n_words, 7))], axis=1)
        layers.append(more @ rng.standard_normal((10, 10)) / np.sqrt(10))
    if same:
        signal /= max(1, len(places))
    return layers, np.sqrt(share) * signal + np.sqrt(1 - share) * noise


def mapped(seed, places, *, n_draws=39, **options):
    layers, y = coursed(seed, places, **options)
    folds = folds_of(len(y), n_folds=5, n_inner=3)
    rng = np.random.default_rng(seed)
    return layer_lag_map(layers, y, folds, LAGS, how=RIDGE, n_draws=n_draws, rng=rng)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("cut", ["dealt", "contiguous"])
def test_every_layer_bin_and_shuffle_equals_a_fit_of_its_own(shared, cut):
    layers, y = coursed(0, [2, 6], n_words=40, n_channels=5)
    y = np.concatenate([y, np.ones((40, 10, 1)), y[:, :, :1]], axis=2)
    y[3, 4, 6] = np.nan
    folds, how = folds_of(40, n_folds=4, n_inner=3, cut=cut), Ridge(RIDGE.penalties, shared=shared)
    rng = np.random.default_rng(5)
    found = layer_lag_map(layers, y, folds, LAGS, how=how, n_draws=3, rng=rng)

    def summary(x, target):
        return corrected(target, map_words(x, target, folds, how)).summary()

    def every(orders=slice(None), moved=slice(None)):
        return np.array([[summary(x[orders], y[moved, b, :5]) for b in range(10)] for x in layers])

    observed = every()
    np.testing.assert_allclose(found.pattern_r, observed[:, :, 0], atol=1e-9)
    np.testing.assert_allclose(found.two_vs_two, observed[:, :, 2], atol=1e-9)
    rng = np.random.default_rng(5)
    orders = [rng.permutation(40) for _ in range(3)]
    draws = [every(moved=o) if cut == "dealt" else every(o) for o in orders]
    null = np.array(draws)[:, :, :, 0]
    np.testing.assert_allclose(found.null_mean, null.mean(axis=0), atol=1e-9)
    p = (1 + (null.max(axis=2)[:, :, None] >= observed[:, :, 0]).sum(axis=0)) / 4
    np.testing.assert_allclose(found.p, p)
    p = (1 + (null.max(axis=(1, 2))[:, None, None] >= observed[:, :, 0]).sum(axis=0)) / 4
    np.testing.assert_allclose(found.p_max, p)


@pytest.mark.parametrize("near", [False, True])
def test_shifts_are_those_of_fits_of_their_own(near):
    """11 to 19 words of 30; embeddings are shifted where folds have gaps."""
    layers, y = coursed(0, [2, 6], n_words=30, n_channels=5)
    options = {"starts_s": np.arange(30.0), "reach_s": 1.5, "cut": "contiguous"} if near else {}
    folds = folds_of(30, n_folds=4, n_inner=3, **options)
    rng = np.random.default_rng(5)
    found = layer_lag_map(layers, y, folds, LAGS, how=RIDGE, n_draws=500, rng=rng, least_shift=11)
    assert found.n_draws == {"shuffles of the words": 500, "shifts of the trials": 9}

    def every(x_order, y_order):
        def one(x, b):
            target = y[y_order][:, b]
            return corrected(target, map_words(x[x_order], target, folds, RIDGE)).pattern_r.mean()

        return np.array([[one(x, b) for b in range(10)] for x in layers])

    here = np.arange(30)
    observed = every(here, here)
    moved = [np.roll(here, shift) for shift in range(11, 20)]
    null = np.array([every(o, here) if near else every(here, o) for o in moved])
    np.testing.assert_allclose(found.pattern_r, observed, atol=1e-9)
    p = (1 + (null.max(axis=(1, 2))[:, None, None] >= observed).sum(axis=0)) / 10
    rng = np.random.default_rng(5)
    alone = layer_lag_map(layers, y, folds, LAGS, how=RIDGE, n_draws=500, rng=rng)
    np.testing.assert_allclose(found.p_max, np.maximum(p, alone.p_max))
    assert (p > alone.p_max).any()


def test_planted_layers_peak_in_their_bins_one_after_the_other():
    places = np.array([1.5, 3.0, 4.5, 6.0, 7.5])
    found = mapped(3, places, share=0.6, n_words=150)
    np.testing.assert_array_equal(found.p.min(axis=1), 1 / 40)
    assert (found.p_max.min(axis=1) <= 0.05).all()
    peaks = np.array([peak.lag_s for peak in found.peaks])
    np.testing.assert_allclose(peaks, 0.025 + 0.05 * places, atol=0.05)
    for peak in found.peaks:
        assert peak.low_s < peak.lag_s < peak.high_s < peak.low_s + 0.15
    assert found.slope.seconds == pytest.approx(0.3, abs=0.06)
    assert found.slope.low_s > 0.15
    assert found.slope.p < 0.01
    assert found.slope.n_layers == 5
    depth = np.linspace(0, 1, 5)
    assert found.slope.seconds == pytest.approx(np.polyfit(depth, peaks, 1)[0])
    # What drives a bin is told in that bin, and less in those far from it.
    assert (found.two_vs_two[[0, 4], [1, 7]] > 0.7).all()
    assert found.two_vs_two[0, 8] < 0.65


def test_layers_that_know_nothing_have_neither_peak_nor_slope():
    layers, y = coursed(1, [4, 4, 4], share=0.0)
    folds = folds_of(len(y), n_folds=5, n_inner=3)
    rng = np.random.default_rng(1)
    found = layer_lag_map(layers, y, folds, LAGS, how=RIDGE, n_draws=39, rng=rng)
    quiet = found.p.min(axis=1) > 0.05
    assert quiet.any()
    for peak, known in zip(found.peaks, ~quiet, strict=True):
        assert np.isfinite([peak.lag_s, peak.low_s, peak.high_s]).all() == known
    assert found.slope is None


def test_without_a_link_few_layers_have_a_significant_bin():
    """Maxima over ten bins are paid for: one layer in twenty, of 24 here."""
    found = [mapped(seed, [4, 4], share=0.0, n_words=40) for seed in range(12)]
    layers = sum(int((f.p.min(axis=1) <= 0.05).sum()) for f in found)
    assert layers <= binom.ppf(0.999, 24, 0.05)
    assert sum(f.p_max.min() <= 0.05 for f in found) <= binom.ppf(0.999, 12, 0.05)


@pytest.mark.slow
def test_p_is_calibrated_over_bins_and_over_layers():
    found = [mapped(seed, [4] * 4, share=0.0, n_words=60) for seed in range(150)]
    any_layer = sum(f.p_max.min() <= 0.05 for f in found)
    first = sum(f.p[0].min() <= 0.05 for f in found)
    assert binom.ppf(0.001, 150, 0.05) <= any_layer <= binom.ppf(0.999, 150, 0.05)
    assert binom.ppf(0.001, 150, 0.05) <= first <= binom.ppf(0.999, 150, 0.05)


def least_p_of_drift(seed, *, n_words=48, drift=0.6, least_shift=None):
    """Least p of a map of embeddings that drift, without a link; words a second apart share half
    of their response with the next."""
    rng = np.random.default_rng(seed)
    layers = [rng.standard_normal((n_words, 5)) for _ in range(3)]
    for x in layers:
        for word in range(1, n_words):
            x[word] = drift * x[word - 1] + np.sqrt(1 - drift**2) * x[word]
    y = rng.standard_normal((n_words, 6, 6))
    for b in range(1, 6):
        y[:, b] = 0.9 * y[:, b - 1] + np.sqrt(1 - 0.81) * y[:, b]
    y[1:] = np.sqrt(0.5) * (y[1:] + y[:-1])
    times = {"starts_s": np.arange(n_words) * 1.0, "reach_s": 1.5, "cut": "contiguous"}
    folds = folds_of(n_words, n_folds=4, n_inner=3, seed=seed, **times)
    found = layer_lag_map(
        layers, y, folds, LAGS[:6], how=RIDGE, n_draws=19, rng=rng, least_shift=least_shift
    )
    return found.p_max.min()


@pytest.mark.slow
@pytest.mark.parametrize("drift", [0.6, 0.9])
def test_shifts_keep_the_drift_that_shuffles_end(drift):
    shifted = [least_p_of_drift(seed, drift=drift, least_shift=3) for seed in range(150)]
    # With 19 draws of each, p of .05 must be reached by both.
    assert np.sum(np.array(shifted) <= 0.05) <= binom.ppf(0.999, 150, 0.05)
    shuffled = [least_p_of_drift(seed, drift=drift) for seed in range(100)]
    assert np.sum(np.array(shuffled) <= 0.05) > binom.ppf(0.95, 100, 0.05)


@pytest.mark.slow
def test_intervals_hold_the_planted_peak_in_nineteen_of_twenty_layers():
    """Recordings are counted, by their first layer: peaks of one depend on each other."""
    found = [mapped(seed, [4.4] * 2, share=0.5, same=True, n_draws=19) for seed in range(100)]
    peaks = [f.peaks[0] for f in found if np.isfinite(f.peaks[0].lag_s)]
    held = sum(peak.low_s <= 0.025 + 0.05 * 4.4 <= peak.high_s for peak in peaks)
    assert len(peaks) > 80
    assert held >= binom.ppf(0.001, len(peaks), 0.95)


@pytest.mark.slow
def test_layers_that_peak_together_have_a_slope_in_one_of_twenty_at_most():
    found = [mapped(seed, [4.4] * 5, share=0.5, same=True) for seed in range(100)]
    slopes = [f.slope for f in found if f.slope is not None]
    assert len(slopes) > 80
    assert sum(s.p <= 0.05 for s in slopes) <= binom.ppf(0.999, len(slopes), 0.05)


def test_intervals_are_those_of_a_jackknife_with_everything_refitted():
    layers, y = coursed(3, [2, 4, 6], share=0.6, n_words=60)
    folds = folds_of(60, n_folds=6, n_inner=3)
    rng = np.random.default_rng(0)
    found = layer_lag_map(layers, y, folds, LAGS, how=RIDGE, n_draws=19, rng=rng)
    assert (found.p.min(axis=1) <= 0.05).all()

    def alone(left):
        """Mean pattern r of fits on folds without some words."""
        rest, plan = np.delete(np.arange(60), left), folds.without(left)
        others = [fold for fold in folds.folds if fold.outer.test is not left]
        for fold, old in zip(plan.folds, others, strict=True):
            np.testing.assert_array_equal(rest[fold.outer.test], old.outer.test)
            kept = np.setdiff1d(old.outer.train, left)
            np.testing.assert_array_equal(rest[fold.outer.train], kept)

        def mean_r(x, target):
            return corrected(target, map_words(x, target, plan, RIDGE)).summary()[0]

        return [[mean_r(x[rest], y[rest, b]) for b in range(10)] for x in layers]

    without = np.array([alone(fold.outer.test) for fold in folds.folds])
    expected, slope = peak_lags(found.pattern_r, without, LAGS, np.ones(3, dtype=bool))
    for one, other in zip(found.peaks, expected, strict=True):
        np.testing.assert_allclose(
            [one.lag_s, one.low_s, one.high_s], [other.lag_s, other.low_s, other.high_s]
        )
    assert found.slope.p == pytest.approx(slope.p)


def test_jackknife_error_of_a_peak_and_of_a_slope_by_hand():
    """Curves that are parabolas: their peaks are known; errors by the formula."""
    rng = np.random.default_rng(0)
    tops = 0.2 + 0.01 * rng.standard_normal((8, 4)) + 0.03 * np.arange(4)
    lags = np.arange(10) * 0.05
    without = -((lags - tops[:, :, None]) ** 2)
    curves = -((lags - tops.mean(axis=0)[:, None]) ** 2)
    found, slope = peak_lags(curves, without, lags, np.array([True, True, False, True]))
    errors = np.sqrt(7 / 8 * ((tops - tops.mean(axis=0)) ** 2).sum(axis=0))
    for k in (0, 1, 3):
        assert found[k].lag_s == pytest.approx(tops[:, k].mean())
        half = stats.t.ppf(0.975, 7) * errors[k]
        assert found[k].high_s - found[k].lag_s == pytest.approx(half)
        assert found[k].lag_s - found[k].low_s == pytest.approx(half)
    assert np.isnan([found[2].lag_s, found[2].low_s]).all()
    depth = np.array([0, 1, 3]) / 3
    slopes = np.array([np.polyfit(depth, row[[0, 1, 3]], 1)[0] for row in tops])
    error = np.sqrt(7 / 8 * ((slopes - slopes.mean()) ** 2).sum())
    assert slope.seconds == pytest.approx(slopes.mean())
    assert slope.p == pytest.approx(2 * stats.t.sf(abs(slopes.mean()) / error, 7))
    assert slope.n_layers == 3
    assert peak_lags(curves, without, lags, np.array([True, False, False, True]))[1] is None


def test_a_peak_at_an_end_may_lie_outside_and_has_no_interval():
    """Responses that rise to the last bin: nothing is known of where they end."""
    found = mapped(3, [9.5, 9.5, 9.5, 9.5], share=0.8, n_words=100)
    assert (found.p.min(axis=1) <= 0.05).all()
    assert [peak.lag_s for peak in found.peaks] == pytest.approx([LAGS[-1]] * 4, abs=0.03)
    assert np.isnan([[peak.low_s, peak.high_s] for peak in found.peaks]).all()
    assert found.slope is None


@pytest.mark.parametrize(("n_folds", "n_inner"), [(2, 5), (3, 2), (4, 2)])
def test_few_folds_give_scores_without_intervals(n_folds, n_inner):
    layers, y = coursed(3, [4, 5, 6], share=0.6, n_words=60)
    folds = folds_of(60, n_folds=n_folds, n_inner=n_inner)
    rng = np.random.default_rng(0)
    found = layer_lag_map(layers, y, folds, LAGS, how=RIDGE, n_draws=19, rng=rng)
    assert np.isfinite(found.pattern_r).all()
    if n_folds < 4:
        assert np.isnan([[peak.low_s, peak.high_s] for peak in found.peaks]).all()
        assert found.slope is None


@pytest.mark.slow
def test_drifts_of_single_words_are_no_course():
    """A fifth of both variances is a slow drift: shuffles alone find it, shifts do not."""

    def least_p(seed, least_shift):
        rng = np.random.default_rng(seed)
        slow = [np.cumsum(rng.standard_normal((60, n)), axis=0) for n in (5, 8)]
        drift_x, drift_y = ((d - d.mean(axis=0)) / d.std(axis=0) for d in slow)
        x = np.sqrt(0.2) * drift_x + np.sqrt(0.8) * rng.standard_normal((60, 5))
        y = rng.standard_normal((60, 6, 8)) * np.sqrt(0.8) + np.sqrt(0.2) * drift_y[:, None]
        folds = folds_of(60, n_folds=5, n_inner=3, seed=seed)
        found = layer_lag_map(
            [x], y, folds, LAGS[:6], how=RIDGE, n_draws=39, rng=rng, least_shift=least_shift
        )
        return found.p_max.min()

    by_shuffles = sum(least_p(seed, None) <= 0.05 for seed in range(60))
    by_both = sum(least_p(seed, 1) <= 0.05 for seed in range(60))
    assert by_both < by_shuffles
    assert by_shuffles > binom.ppf(0.999, 60, 0.05)


def test_time_courses_that_make_none_are_refused():
    layers, y = coursed(0, [4], n_words=40)
    folds, options = folds_of(40), {"n_draws": 2, "rng": np.random.default_rng(0)}
    with pytest.raises(BrainAlignError, match="9 lags and responses of shape"):
        layer_lag_map(layers, y, folds, LAGS[:9], **options)
    with pytest.raises(BrainAlignError, match="2 lags"):
        layer_lag_map(layers, y[:, :2], folds, LAGS[:2], **options)
    with pytest.raises(BrainAlignError, match="evenly spaced"):
        layer_lag_map(layers, y, folds, LAGS**2, **options)
    with pytest.raises(BrainAlignError, match="no layer"):
        layer_lag_map([], y, folds, LAGS, **options)
    with pytest.raises(BrainAlignError, match="2 channels can be used in all bins"):
        layer_lag_map(layers, y[:, :, :2], folds, LAGS, **options)
    with pytest.raises(BrainAlignError, match="0 draws"):
        layer_lag_map(layers, y, folds, LAGS, n_draws=0, rng=np.random.default_rng(0))


def test_the_same_word_is_not_to_be_told_apart():
    layers, y = coursed(0, [2, 6], n_words=40, n_channels=5)
    passages, types = np.repeat(np.arange(20), 2), np.tile(np.arange(20), 2)
    folds = word_folds(passages, types=types, n_folds=4, n_inner=3)
    rng = np.random.default_rng(5)
    found = layer_lag_map(layers, y, folds, LAGS, how=RIDGE, n_draws=2, rng=rng)
    expected = [
        [corrected(y[:, b], map_words(x, y[:, b], folds, RIDGE)).two_vs_two for b in range(10)]
        for x in layers
    ]
    np.testing.assert_allclose(found.two_vs_two, expected, atol=1e-9)
