"""Scores against their definitions, and the table of what they say with and without a signal."""

import numpy as np
import pytest
from sklearn.metrics import r2_score

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.elastic import ElasticNet
from bids_brainalign.production.folds import word_folds
from bids_brainalign.production.mapping import map_words
from bids_brainalign.production.ridge import Ridge
from bids_brainalign.production.scores import (
    R2_EDGES,
    across_channels,
    channel_correlation,
    corrected,
    identification,
    patterns,
)
from tests.production.planted import folds_of, planted, train_mean_only

NOTE = {
    # share: raw PCC, its twin, mean-removed pattern r, median skill, 2-vs-2 (research note, §6)
    0.0: (0.935, 0.935, 0.0, 0.0, 0.49),
    0.2: (0.937, 0.933, 0.186, 0.036, 0.859),
    0.5: (0.950, 0.932, 0.408, 0.206, 0.970),
}


@pytest.mark.parametrize("share", NOTE)
def test_the_published_score_hardly_moves_where_the_corrected_ones_do(share):
    rows = []
    for seed in range(6):
        x, y = planted(share, seed)
        found = map_words(x, y, folds_of(100), Ridge())
        across, honest = across_channels(y, found), corrected(y, found).summary()
        rows.append([across.pcc[0].mean(), across.pcc[1].mean(), *honest[:3]])
    raw, twin, pattern, skill, pairs = np.mean(rows, axis=0)
    expected = NOTE[share]
    assert 0.925 <= raw <= 0.955
    np.testing.assert_allclose([raw, twin], expected[:2], atol=0.01)
    np.testing.assert_allclose([pattern, pairs], [expected[2], expected[4]], atol=0.035)
    np.testing.assert_allclose(skill, expected[3], atol=0.015)


def test_scores_equal_their_definitions():
    x, y = planted(0.3, 0, n_words=24, n_channels=9, n_dims=6)
    folds = folds_of(24, n_folds=4)
    found = map_words(x, y, folds, Ridge())
    across, honest = across_channels(y, found), corrected(y, found)
    mean, sd = np.empty_like(y), np.empty_like(y)
    for fold in folds.folds:
        mean[fold.outer.test] = y[fold.outer.train].mean(axis=0)
        sd[fold.outer.test] = y[fold.outer.train].std(axis=0)
    true, said = (y - mean) / sd, (found.model - mean) / sd

    def per_word(score, a, b):
        return [score(a[i], b[i]) for i in range(24)]

    def pearson(a, b):
        return np.corrcoef(a, b)[0, 1]

    np.testing.assert_allclose(across.pcc[0], per_word(pearson, y, found.model))
    np.testing.assert_allclose(across.pcc[1], per_word(pearson, y, mean))
    np.testing.assert_allclose(across.r2[0], per_word(r2_score, y, found.model))
    np.testing.assert_allclose(across.r2[1], per_word(r2_score, y, mean))
    np.testing.assert_allclose(honest.pattern_r, per_word(pearson, true, said))
    skill = 1 - ((y - found.model) ** 2).sum(axis=0) / ((y - mean) ** 2).sum(axis=0)
    np.testing.assert_allclose(honest.skill, skill)
    cosine = np.array(
        [[s @ t / np.linalg.norm(s) / np.linalg.norm(t) for t in true] for s in said]
    )
    pairs = [
        cosine[i, i] + cosine[j, j] > cosine[i, j] + cosine[j, i]
        for i in range(24)
        for j in range(i)
    ]
    assert honest.two_vs_two == pytest.approx(np.mean(pairs))
    rank = [(cosine[i, i] > np.delete(cosine[i], i)).mean() for i in range(24)]
    np.testing.assert_allclose(honest.rank, rank)
    by_fold = [
        [pearson(true[f.outer.test, c], said[f.outer.test, c]) for c in range(9)]
        for f in folds.folds
    ]
    np.testing.assert_allclose(honest.channel_r, np.mean(by_fold, axis=0))
    np.testing.assert_allclose(honest.sd_predicted, said.std(axis=1))


def test_the_train_mean_stands_in_every_row_and_bins_hold_every_word():
    x, y = planted(0.0, 1, n_words=30, n_channels=20, n_dims=5)
    across = across_channels(y, map_words(x, y, folds_of(30), Ridge()))
    for row in across.table():
        assert {"pcc_train_mean", "r2_train_mean"} <= set(row)
    shares = np.array([[row["share"], row["share_train_mean"]] for row in across.bins()])
    np.testing.assert_allclose(shares.sum(axis=0), 1)
    assert len(shares) == len(R2_EDGES) - 1
    top = (across.r2[0] >= 0.9).mean()
    assert shares[-1, 0] == pytest.approx(top)


@pytest.mark.parametrize("over", ["k-fold", "leave-one-word-out"])
def test_ignoring_the_word_is_at_chance(over):
    _, y = planted(0.5, 2, n_words=30, n_channels=20)
    found = train_mean_only(y, folds_of(30, over=over))
    honest = corrected(y, found)
    np.testing.assert_allclose(honest.summary()[:4], [0, 0, 0.5, 0.5], atol=1e-12)
    assert across_channels(y, found).pcc[0].mean() > 0.8  # and yet …


def test_over_words_the_left_out_mean_has_r_of_minus_one_and_is_refused():
    x, y = planted(0.0, 3, n_words=30, n_channels=6, n_dims=40)
    folds = folds_of(30, over="leave-one-word-out")
    shrunk = map_words(x, y, folds, ElasticNet(ratios=(0.9,), n_alphas=3, least=0.9))
    r = [np.corrcoef(y[:, c], shrunk.train_mean[:, c])[0, 1] for c in range(6)]
    np.testing.assert_allclose(r, -1)
    with pytest.raises(BrainAlignError, match="r = −1"):
        channel_correlation(y, shrunk)
    assert corrected(y, shrunk).channel_r is None
    assert np.isnan(corrected(y, shrunk).summary()[4])


def test_r_per_channel_of_k_folds_is_centred_on_zero_without_a_signal():
    r = []
    for seed in range(20):
        x, y = planted(0.0, seed, n_words=40, n_channels=20, n_dims=10)
        found = map_words(x, y, folds_of(40, seed=seed), Ridge())
        r.append(channel_correlation(y, found).mean())
    error = np.std(r, ddof=1) / np.sqrt(len(r))
    assert abs(np.mean(r)) < 3 * error < 0.06


def test_repetitions_are_no_pairs():
    true = np.eye(4)[[0, 1, 1, 2]]
    said = np.eye(4)[[0, 1, 1, 3]]
    content = np.array([0, 1, 1, 2])
    two, rank = identification(true, said, content[:, None] != content)
    # Pairs: (0,1) (0,2) right; (0,3) gain 1 right; (1,3) (2,3) right; (1,2) not compared.
    assert two == 1.0
    np.testing.assert_allclose(rank, [1, 1, 1, 0.5])


def test_two_channels_are_too_few():
    x, y = planted(0.5, 1, n_words=30, n_channels=2)
    with pytest.raises(BrainAlignError, match="2 usable channels"):
        across_channels(y, map_words(x, y, folds_of(30), Ridge()))


def test_the_same_word_in_another_passage_is_not_to_be_told_apart():
    x, y = planted(0.3, 0, n_words=24, n_channels=9, n_dims=6)
    passages, types = np.repeat(np.arange(12), 2), np.tile(np.arange(12), 2)
    found = map_words(x, y, word_folds(passages, types=types, n_folds=4), Ridge())
    true, said = patterns(y, found)
    pairs, rank = identification(true, said, types[:, None] != types)
    honest = corrected(y, found)
    assert honest.two_vs_two == pairs
    np.testing.assert_array_equal(honest.rank, rank)
    assert pairs != identification(true, said, passages[:, None] != passages)[0]


def test_folds_weigh_by_their_words_less_one():
    x, y = planted(0.5, 0, n_words=26, n_channels=9, n_dims=6)
    folds = folds_of(26, n_folds=4)
    tests = [fold.outer.test for fold in folds.folds]
    assert len({len(test) for test in tests}) == 2
    found = map_words(x, y, folds, Ridge())
    r = [[np.corrcoef(y[t, c], found.model[t, c])[0, 1] for c in range(9)] for t in tests]
    expected = np.average(r, axis=0, weights=[len(test) - 1 for test in tests])
    np.testing.assert_allclose(channel_correlation(y, found), expected, atol=1e-9)
