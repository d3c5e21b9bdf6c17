"""Nulls: the short way equals refits, and p is uniform without a signal."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, kstest

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production import nulls
from bids_brainalign.production.elastic import ElasticNet
from bids_brainalign.production.folds import word_folds
from bids_brainalign.production.mapping import map_words
from bids_brainalign.production.nulls import (
    drawn_orders,
    random_embeddings,
    shifted_trials,
    shuffled_words,
)
from bids_brainalign.production.ridge import Ridge
from bids_brainalign.production.scores import corrected
from tests.production.planted import folds_of, planted, running

RIDGE = Ridge((1.0, 30.0, 1000.0))


def refitted(x, y, folds, how=RIDGE):
    return corrected(y, map_words(x, y, folds, how)).summary()


@pytest.mark.parametrize("shared", [True, False])
def test_shared_decompositions_equal_refits(shared):
    x, y = planted(0.5, 0, n_words=30, n_channels=7, n_dims=12)
    folds, how = folds_of(30, n_folds=4), Ridge(RIDGE.penalties, shared=shared)
    null = shuffled_words(x, y, folds, how, n_draws=5, rng=np.random.default_rng(1))
    rng = np.random.default_rng(1)
    expected = [refitted(x, y[rng.permutation(30)], folds, how) for _ in range(5)]
    np.testing.assert_allclose(null.draws, expected, atol=1e-9)
    np.testing.assert_allclose(null.observed, refitted(x, y, folds, how), atol=1e-9)
    assert null.least_p == 1 / 6


def test_elastic_nets_are_refitted_with_penalties_chosen_anew():
    x, y = planted(0.5, 0, n_words=30, n_channels=4, n_dims=12)
    folds, how = folds_of(30, n_folds=3, n_inner=3), ElasticNet(ratios=(0.5,), n_alphas=4)
    null = shuffled_words(x, y, folds, how, n_draws=2, rng=np.random.default_rng(1))
    rng = np.random.default_rng(1)
    expected = [refitted(x, y[rng.permutation(30)], folds, how) for _ in range(2)]
    np.testing.assert_allclose(null.draws, expected, atol=1e-9)


def test_shifts_are_all_different_and_exclude_the_truth():
    x, y = planted(0.5, 0, n_words=30, n_channels=7, n_dims=12)
    folds = folds_of(30, n_folds=4, cut="contiguous")
    rng = np.random.default_rng(0)
    null = shifted_trials(x, y, folds, RIDGE, n_draws=500, rng=rng, least=3)
    assert len(null.draws) == 25
    expected = refitted(x, np.roll(y, -3, axis=0), folds)
    np.testing.assert_allclose(null.draws[0], expected, atol=1e-9)
    assert (null.observed[0] > null.draws[:, 0]).all()
    assert null.p[0] == pytest.approx(1 / 26)
    with pytest.raises(BrainAlignError, match="cannot be shifted"):
        shifted_trials(x, y, folds, RIDGE, n_draws=5, rng=rng, least=16)


def test_repetitions_are_exchanged_together(monkeypatch):
    content = np.repeat(np.arange(12), [1, 2, 3] * 4)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((12, 3))[content]
    y = rng.standard_normal((24, 5)) + x @ rng.standard_normal((3, 5))
    seen = []

    def spied(embeddings, *args, **options):
        seen.append(embeddings)
        return map_words(embeddings, *args, **options)

    monkeypatch.setattr(nulls, "map_words", spied)
    shuffled_words(x, y, word_folds(content), Ridge(), n_draws=4, rng=rng)
    assert len(seen) == 5
    for drawn in seen[1:]:
        for word in range(12):
            assert (drawn[content == word] == drawn[content == word][0]).all()
        assert not np.array_equal(drawn, x)


def overlapping(seed, cut="contiguous"):
    starts, x, y = running(seed, n_words=60, n_channels=6, n_dims=5, drift=0.6, window_s=0.3)
    times = {"starts_s": starts, "reach_s": 0.3, "cut": cut}
    return x, y, folds_of(60, n_folds=6, n_inner=4, **times)


@pytest.mark.parametrize("cut", ["dealt", "contiguous"])
def test_where_near_words_are_left_out_responses_stay_where_they_are(cut):
    """No draw may train on a response that overlaps the one it predicts."""
    x, y, folds = overlapping(0, cut)
    assert folds.n_purged.any()
    rng = np.random.default_rng(3)
    orders = [rng.permutation(60) for _ in range(4)]
    null = shuffled_words(x, y, folds, RIDGE, n_draws=4, rng=np.random.default_rng(3))
    expected = [refitted(x[order], y, folds) for order in orders]
    np.testing.assert_allclose(null.draws, expected, atol=1e-9)
    np.testing.assert_allclose(null.observed, refitted(x, y, folds), atol=1e-9)
    null = shifted_trials(x, y, folds, RIDGE, n_draws=500, rng=rng, least=28)
    expected = [refitted(np.roll(x, k, axis=0), y, folds) for k in range(28, 33)]
    np.testing.assert_allclose(null.draws, expected, atol=1e-9)


def coming_again(seed, *, share):
    """Continuous speech of twelve words; vectors tell them apart, and two dimensions say more."""
    rng = np.random.default_rng(seed)
    types = rng.integers(0, 12, 120)
    vectors, weights = rng.standard_normal((12, 6)), rng.standard_normal((2, 8))
    said = np.sqrt(share) * vectors[:, :2] @ weights + np.sqrt(1 - share) * np.sqrt(
        2
    ) * rng.standard_normal((12, 8))
    y = said[types] + 2 * rng.standard_normal((120, 8))
    starts = 0.4 * np.arange(120)
    folds = word_folds(np.arange(120), cut="contiguous", starts_s=starts, reach_s=0.5, types=types)
    return vectors[types], y, folds


def test_which_word_it_is_is_no_evidence_for_what_its_vector_says():
    """Words come again in other folds: any vectors that tell them apart predict."""
    options = {"n_draws": 99, "rng": np.random.default_rng(0)}
    for test in (shuffled_words, random_embeddings):
        x, y, folds = coming_again(3, share=0.0)
        null = test(x, y, folds, RIDGE, **options)
        assert null.observed[0] > 0.2
        assert null.draws[:, 0].mean() == pytest.approx(null.observed[0], abs=0.1)
        assert null.p[0] > 0.05
        x, y, folds = coming_again(3, share=1.0)
        assert test(x, y, folds, RIDGE, **options).p[0] <= 0.05


def test_words_that_come_again_are_not_told_from_themselves():
    x, y, folds = coming_again(0, share=1.0)
    found = corrected(y, map_words(x, y, folds, RIDGE))
    apart = replace(folds, types=np.arange(120))
    plain = corrected(y, map_words(x, y, apart, RIDGE))
    assert found.two_vs_two > plain.two_vs_two + 0.01
    assert (found.rank != plain.rank).any()


def repetitions(n, make, test, n_draws):
    """P values (n, 5) of data sets without a signal."""
    out = []
    for seed in range(n):
        x, y, folds = make(seed)
        rng = np.random.default_rng(1000 + seed)
        out.append(test(x, y, folds, RIDGE, n_draws=n_draws, rng=rng).p)
    return np.array(out)


def nothing(seed):
    x, y = planted(0.0, seed, n_words=24, n_channels=6, n_dims=5)
    return x, y, folds_of(24, n_folds=4, n_inner=3, seed=seed)


def test_without_a_signal_p_is_uniform():
    p = repetitions(80, nothing, shuffled_words, 39)
    for column in (0, 2, 3):
        assert kstest(p[:, column], "uniform").pvalue > 0.01
    assert (p[:, 0] <= 0.05).mean() < 0.14  # 99.9 % of binomials with 80 draws of .05


@pytest.mark.slow
@pytest.mark.parametrize("test", [shuffled_words, random_embeddings, shifted_trials])
def test_p_is_uniform_in_more_data(test):
    p = repetitions(400, nothing, test, 39)
    for column in range(5):
        assert kstest(p[:, column], "uniform").pvalue > 0.001


@pytest.mark.slow
@pytest.mark.parametrize("test", [shuffled_words, random_embeddings, shifted_trials])
def test_p_is_uniform_where_windows_overlap(test):
    """Drifting embeddings, words near to held-out ones left out."""
    p = repetitions(200, overlapping, test, 19)
    assert (p[:, 0] <= 0.05).mean() < binom.ppf(0.999, 200, 0.05) / 200
    assert kstest(p[:, 0], "uniform").pvalue > 0.001


def test_a_signal_is_found_by_every_null():
    x, y = planted(0.5, 4, n_words=60, n_channels=20, n_dims=10)
    folds = folds_of(60)
    for test in (shuffled_words, random_embeddings, shifted_trials):
        p = test(x, y, folds, RIDGE, n_draws=30, rng=np.random.default_rng(0)).p
        np.testing.assert_allclose(p, 1 / 31)


def test_no_draws_make_no_null():
    x, y = planted(0.5, 4, n_words=30, n_channels=8, n_dims=10)
    rng = np.random.default_rng(0)
    for test in (shuffled_words, shifted_trials, random_embeddings):
        with pytest.raises(BrainAlignError, match="0 draws"):
            test(x, y, folds_of(30), RIDGE, n_draws=0, rng=rng)


def test_words_that_come_again_keep_their_responses_whatever_is_held_out_together():
    """Passages are held out, and the same words come in several of them."""
    passages, types = np.repeat(np.arange(12), 3), np.tile(np.arange(18), 2)
    again = word_folds(passages, types=types, n_folds=4)
    once = word_folds(passages, types=np.arange(36), n_folds=4)
    rng = np.random.default_rng(0)
    assert not drawn_orders(again, n_draws=2, rng=rng)[1]
    assert drawn_orders(once, n_draws=2, rng=rng)[1]


def test_responses_of_stretches_of_time_are_not_shuffled():
    folds = folds_of(40, n_folds=4, cut="contiguous")
    orders, of_responses = drawn_orders(folds, n_draws=2, rng=np.random.default_rng(0))
    assert not of_responses
    assert all(sorted(order) == list(range(40)) for order in orders)


def test_each_repetition_gets_another_repetition():
    """Read in running text, embeddings of one word differ: all of them are used."""
    types = np.repeat(np.arange(12), 3)
    folds = word_folds(types, n_folds=4)
    orders, _ = drawn_orders(folds, n_draws=20, rng=np.random.default_rng(0))
    for order in orders:
        assert sorted(order) == list(range(36))
        assert (order % 3 == np.arange(36) % 3).all()
