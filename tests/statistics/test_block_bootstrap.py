"""Drawn scores against plain correlation, and the coverage of their interval."""

import numpy as np
import pytest

from bids_brainalign.statistics.block_bootstrap import (
    draw_counts,
    drawn_scores,
    make_blocks,
    percentile_interval,
    widened,
)
from bids_brainalign.statistics.correlation import correlation, fisher_mean


def test_blocks_are_long_enough_and_cross_no_run():
    times = [np.arange(100) * 1.0, np.arange(70) * 1.0]
    runs = [np.repeat([0, 1], 50), np.zeros(70, dtype=int)]
    blocks = make_blocks(times, runs, block_s=20, interval_s=1.0)
    assert blocks.fold.tolist() == [0, 0, 0, 0, 1, 1, 1]
    sizes = np.bincount(np.concatenate(blocks.label))
    assert sizes.min() >= 20
    assert not set(blocks.label[0][:50]) & set(blocks.label[0][50:])


def test_a_draw_of_every_block_once_is_the_score_itself():
    rng = np.random.default_rng(0)
    y = [rng.standard_normal((n, 3)) for n in (90, 60)]
    yhat = [a + rng.standard_normal(a.shape) for a in y]
    yhat[0][:, 2] = 0  # a constant prediction scores 0
    times = [np.arange(len(a)) * 1.0 for a in y]
    blocks = make_blocks(times, [np.zeros(len(a), int) for a in y], block_s=10, interval_s=1.0)
    counts = np.ones((1, blocks.n_blocks))
    r = np.nan_to_num([correlation(a, b) for a, b in zip(y, yhat, strict=True)])
    assert drawn_scores(y, yhat, blocks, counts)[0] == pytest.approx(fisher_mean(r, [90, 60]))


def test_a_block_drawn_twice_counts_twice():
    rng = np.random.default_rng(1)
    y = rng.standard_normal((40, 2))
    yhat = y + rng.standard_normal(y.shape)
    blocks = make_blocks([np.arange(40.0)], [np.zeros(40, int)], block_s=10, interval_s=1.0)
    rows = np.concatenate([np.arange(10), np.arange(10), np.arange(20, 40)])
    drawn = drawn_scores([y], [yhat], blocks, np.array([[2.0, 0, 1, 1]]))
    assert drawn[0] == pytest.approx(correlation(y[rows], yhat[rows]))


def test_the_interval_covers_the_truth_of_autocorrelated_data():
    """A 90 % interval over 12 blocks; percentile bootstraps of few blocks are a little narrow."""
    rng = np.random.default_rng(2)
    n, n_targets, truth = 1200, 300, 0.5
    kernel = np.ones(5) / np.sqrt(5)

    def smooth(x):
        return np.apply_along_axis(np.convolve, 0, x, kernel, mode="same")

    y = smooth(rng.standard_normal((n, n_targets)))
    other = smooth(rng.standard_normal((n, n_targets)))
    yhat = truth * y + np.sqrt(1 - truth**2) * other
    blocks = make_blocks([np.arange(n) * 1.0], [np.zeros(n, int)], block_s=100, interval_s=1.0)
    counts = draw_counts(blocks.n_blocks, n_draws=500, rng=rng)
    low, high = percentile_interval(drawn_scores([y], [yhat], blocks, counts), level=0.9)
    covered = np.mean((low <= truth) & (truth <= high))
    assert 0.8 <= covered <= 0.95


def test_blocks_are_cut_by_seconds_not_by_rows():
    times, runs = [np.arange(1000) * 0.02, np.arange(100) * 0.02], [np.zeros(1000), np.zeros(100)]
    blocks = make_blocks(times, runs, block_s=5.0, interval_s=0.02)
    assert blocks.fold.tolist() == [0, 0, 0, 0, 1]
    assert np.bincount(np.concatenate(blocks.label)).tolist() == [250] * 4 + [100]


def test_a_fold_of_which_nothing_was_drawn_does_not_count():
    rng = np.random.default_rng(3)
    y = [rng.standard_normal((20, 2)) for _ in range(2)]
    yhat = [a + rng.standard_normal(a.shape) for a in y]
    blocks = make_blocks(
        [np.arange(20.0)] * 2, [np.zeros(20, int)] * 2, block_s=10, interval_s=1.0
    )
    drawn = drawn_scores(y, yhat, blocks, np.array([[1.0, 1, 0, 0], [0, 0, 0, 0]]))
    assert drawn[0] == pytest.approx(correlation(y[0], yhat[0]))
    assert np.isnan(drawn[1]).all()


def test_intervals_are_percentiles_and_draws_are_stretched_about_the_score():
    draws = np.random.default_rng(4).standard_normal((999, 3))
    draws[5, 1] = np.nan
    low, high = percentile_interval(draws, level=0.9)
    np.testing.assert_allclose([low, high], np.nanpercentile(draws, [5, 95], axis=0))
    value = np.array([0.5, -1.0, 0.0])
    wide = widened(draws, value, scale=1.5)
    np.testing.assert_allclose(wide[7], value + 1.5 * (draws[7] - value))
    np.testing.assert_allclose(widened(draws, value, scale=1.0), draws)
