"""Scores of single regions from predictions of all channels."""

import numpy as np
import pytest

from bids_brainalign.production.folds import word_folds
from bids_brainalign.production.mapping import map_words
from bids_brainalign.production.regions import electrodes_and_scores, region_scores
from bids_brainalign.production.ridge import Ridge
from bids_brainalign.production.scores import STATISTICS, corrected


@pytest.fixture(scope="module")
def planted():
    """Twenty channels; only those of one region follow the words."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((80, 5))
    y = rng.standard_normal((80, 20))
    y[:, :6] += 2 * x @ rng.standard_normal((5, 6))
    y[:, 19] = 3.0
    regions = ["motor"] * 6 + ["auditory"] * 8 + ["frontal"] * 2 + ["n/a"] * 1 + ["insula"] * 3
    predictions = map_words(x, y, word_folds(np.arange(80)), Ridge())
    return y, predictions, regions


def test_the_region_that_follows_the_words_is_found(planted):
    y, predictions, regions = planted
    found = region_scores(y, predictions, regions)
    scores = dict(zip(found.regions, found.statistics[:, 0], strict=True))
    assert found.regions == ("auditory", "motor")
    assert found.n_channels.tolist() == [8, 6]
    assert scores["motor"] > 0.6
    assert abs(scores["auditory"]) < 0.15


def test_regions_with_few_electrodes_are_named(planted):
    y, predictions, regions = planted
    found = region_scores(y, predictions, regions)
    assert found.too_few == ("frontal", "insula")  # the third of the insula's is constant


def test_one_region_of_all_scores_as_all_do(planted):
    y, predictions, _ = planted
    found = region_scores(y, predictions, ["all"] * 20)
    assert np.allclose(found.statistics[0], corrected(y, predictions).summary())
    assert found.n_channels.tolist() == [19]


def test_relation_needs_four_regions(planted):
    y, predictions, regions = planted
    rng = np.random.default_rng(0)
    assert electrodes_and_scores(region_scores(y, predictions, regions), rng=rng) is None


def test_more_electrodes_of_equal_quality_score_higher():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((150, 3))
    sizes = [3, 4, 6, 9, 14, 20, 30]
    regions = [f"r{size:02d}" for size in sizes for _ in range(size)]
    y = x @ rng.standard_normal((3, len(regions))) + 2 * rng.standard_normal((150, len(regions)))
    predictions = map_words(x, y, word_folds(np.arange(150)), Ridge())
    found = region_scores(y, predictions, regions)
    relation = electrodes_and_scores(found, statistic="two_vs_two", rng=rng)
    assert relation is not None
    assert relation.r > 0.8
    assert relation.p < 0.05
    assert len(STATISTICS) == found.statistics.shape[1]
