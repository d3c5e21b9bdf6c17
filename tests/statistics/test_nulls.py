import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import binom

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.statistics import nulls as module
from bids_brainalign.statistics.autocorrelation import decorrelation_time, summary_decorrelation
from bids_brainalign.statistics.correlation import correlation, fisher_mean
from bids_brainalign.statistics.nulls import (
    FoldDraws,
    FoldNull,
    combine,
    draw_folds,
    draw_offsets,
    fold_kind,
)
from bids_brainalign.statistics.tails import p_values


def ar1(rng, n, n_targets, phi):
    noise = rng.standard_normal((n + 100, n_targets))
    return lfilter([1], [1, -phi], noise, axis=0)[100:].astype(np.float32)


@pytest.mark.parametrize("n", [60, 61, 97])
def test_shifts_equal_np_roll(n, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_ELEMENTS", 2 * n)  # two targets at a time
    rng = np.random.default_rng(0)
    y, yhat = ar1(rng, n, 5, 0.5) + 7, ar1(rng, n, 5, 0.5)
    offsets = np.array([1, 5, n // 2, n - 1, 5])
    got = FoldNull(y, FoldDraws("shift", n, 5, offsets)).null(yhat)
    expected = [correlation(y, np.roll(yhat, k, axis=0)) for k in offsets]
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=2e-6)


@pytest.mark.parametrize("n", [60, 61])
def test_phases_equal_turning_the_prediction_itself(n):
    rng = np.random.default_rng(1)
    y, yhat = ar1(rng, n, 4, 0.5), ar1(rng, n, 4, 0.5)
    (draws,) = draw_folds([n], 4.0, n_draws=7, min_offset=1, rng=rng)
    assert draws.kind == "phase"
    cosine, sine = np.split(draws.phase_basis.astype(float), 2, axis=1)
    for draw, r in enumerate(FoldNull(y, draws).null(yhat)):
        spectrum = np.fft.rfft(yhat, axis=0)
        turn = (cosine[draw] + 1j * sine[draw])[:, None]
        spectrum[1:] *= turn
        surrogate = np.fft.irfft(spectrum, n, axis=0)
        np.testing.assert_allclose(surrogate.std(axis=0), yhat.std(axis=0), rtol=1e-5)
        np.testing.assert_allclose(r, correlation(y, surrogate), atol=2e-6)


def test_target_without_variance_is_nan_and_alone_in_it():
    rng = np.random.default_rng(2)
    for decorrelation in (1.0, 8.0):
        y, yhat = ar1(rng, 100, 3, 0.5), ar1(rng, 100, 3, 0.5)
        y[:, 0] = 0.1
        yhat[:, 2] = 3.0
        (draws,) = draw_folds([100], decorrelation, n_draws=20, min_offset=2, rng=rng)
        r = FoldNull(y, draws).null(yhat)
        assert np.isnan(r[:, [0, 2]]).all()
        assert np.isfinite(r[:, 1]).all()


def test_kind_follows_the_number_of_decorrelation_times():
    assert fold_kind(module.SHIFT_TIMES * 7, 7.0) == "shift"
    assert fold_kind(module.SHIFT_TIMES * 7 - 1, 7.0) == "phase"
    assert fold_kind(70, 7.0) == "phase"
    assert fold_kind(69, 7.0) == "none"
    assert fold_kind(1000, float("nan")) == "none"
    assert fold_kind(9, 0.0) == "none"  # a sample is the shortest memory there is


def test_offsets_stay_in_range_and_never_repeat():
    offsets = draw_offsets([300, 50], n_draws=4000, min_offset=20, rng=np.random.default_rng(3))
    assert offsets.shape == (261 * 11, 2)  # all there are
    assert len(np.unique(offsets, axis=0)) == len(offsets)
    assert offsets.min(axis=0).tolist() == [20, 20]
    assert offsets.max(axis=0).tolist() == [280, 30]
    long = draw_offsets([20_000] * 5, n_draws=500, min_offset=9, rng=np.random.default_rng(3))
    assert long.shape == (500, 5)
    assert 9 <= long.min()
    assert long.max() <= 20_000 - 9


def test_same_seed_same_draws():
    one, two = (
        draw_folds([400, 90], 5.0, n_draws=50, min_offset=5, rng=np.random.default_rng(4))
        for _ in range(2)
    )
    assert [d.kind for d in one] == ["shift", "phase"]
    np.testing.assert_array_equal(one[0].offsets, two[0].offsets)
    np.testing.assert_array_equal(one[1].phase_basis, two[1].phase_basis)


def test_few_shifts_beside_phases_still_fill_all_draws():
    rng = np.random.default_rng(5)
    shifted, turned = draw_folds([100, 45], 2.0, n_draws=300, min_offset=40, rng=rng)
    assert (shifted.kind, turned.kind) == ("shift", "phase")
    assert shifted.n_draws == turned.n_draws == 300
    assert shifted.offsets.shape == (300,)


def test_combine_is_the_observed_score_of_every_draw():
    rng = np.random.default_rng(6)
    folds = [rng.uniform(-0.9, 0.9, (30, 4)).astype(np.float32) for _ in range(3)]
    folds[1][:, 2] = np.nan
    weights = [100, 50, 0]
    got = combine(iter(folds), weights)
    expected = [fisher_mean(np.stack([f[i] for f in folds]), weights) for i in range(30)]
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_hostile_folds():
    rng = np.random.default_rng(7)
    with pytest.raises(BrainAlignError, match="cannot be shifted by at least 60 samples"):
        draw_offsets([100], n_draws=5, min_offset=60, rng=rng)
    (short,) = draw_folds([50], 10.0, n_draws=5, min_offset=5, rng=rng)
    with pytest.raises(BrainAlignError, match=r"50 samples is shorter than 10 decorrelation"):
        FoldNull(np.zeros((50, 1)), short)
    (fold,) = draw_folds([50], 1.0, n_draws=5, min_offset=5, rng=rng)
    with pytest.raises(BrainAlignError, match=r"Responses of 49 samples.*for 50"):
        FoldNull(np.zeros((49, 1)), fold)
    with pytest.raises(BrainAlignError, match=r"shape \(50, 2\), but responses of \(50, 1\)"):
        FoldNull(np.zeros((50, 1)), fold).null(np.zeros((50, 2)))
    with pytest.raises(BrainAlignError, match="No folds"):
        combine([], [])


def simulated_p(folds, *, phi, strength=0.0, n_targets=4000, n_draws=500):
    """P values of independent AR(1) predictions of AR(1) responses, decorrelation estimated."""
    rng = np.random.default_rng(sum(folds))
    y = [ar1(rng, n, n_targets, phi) for n in folds]
    yhat = [ar1(rng, n, n_targets, phi) + strength * a for n, a in zip(folds, y, strict=True)]
    labels = np.repeat(np.arange(len(folds)), folds)
    times = decorrelation_time(np.concatenate(y)[:, :200], 1.0, segments=labels)
    memory = summary_decorrelation(times)
    draws = draw_folds(folds, memory, n_draws=n_draws, min_offset=int(memory) + 1, rng=rng)
    r = np.stack([correlation(a, b) for a, b in zip(y, yhat, strict=True)])
    null = combine((FoldNull(a, d).null(b) for a, d, b in zip(y, draws, yhat, strict=True)), folds)
    return p_values(fisher_mean(r, folds), null), {d.kind for d in draws}


@pytest.mark.parametrize(
    ("folds", "kind"),
    [([300], "phase"), ([900], "phase"), ([3000], "shift"), ([300] * 3, "phase")],
)
def test_false_positives_on_strongly_autocorrelated_data(folds, kind):
    p, kinds = simulated_p(folds, phi=0.9)
    assert kinds == {kind}
    for level in (0.05, 0.01):  # a .999 interval, for there are a dozen comparisons
        low, high = binom.interval(0.999, len(p), level)
        assert low <= (p < level).sum() <= high, (level, (p < level).mean())
    assert (p < 0.001).sum() <= binom.ppf(0.9999, len(p), 0.001)


@pytest.mark.parametrize("folds", [[300], [900]])
def test_false_positives_of_shifts_with_little_autocorrelation(folds):
    p, kinds = simulated_p(folds, phi=0.3)
    assert kinds == {"shift"}
    low, high = binom.interval(0.999, len(p), 0.05)
    assert low <= (p < 0.05).sum() <= high


@pytest.mark.parametrize(("folds", "share"), [([300], 0.8), ([3000], 0.99)])
def test_planted_links_are_found(folds, share):
    p, _ = simulated_p(folds, phi=0.9, strength=0.6, n_targets=200)
    assert (p < 0.01).mean() > share


def test_folds_that_are_only_shifted_have_no_more_draws_than_shifts():
    """A response that forgets within a sample is taken to need one."""
    (draws,) = draw_folds([60], 0.3, n_draws=500, min_offset=5, rng=np.random.default_rng(0))
    assert draws.kind == "shift"
    assert sorted(draws.offsets) == list(range(5, 56))
    both = draw_folds([60, 61], 0.3, n_draws=500, min_offset=5, rng=np.random.default_rng(0))
    pairs = set(zip(both[0].offsets.tolist(), both[1].offsets.tolist(), strict=True))
    assert len(pairs) == 500
