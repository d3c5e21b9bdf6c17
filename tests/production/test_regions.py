"""Scores by region: on their own channels, and beside those of equal numbers."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.mapping import map_words
from bids_brainalign.production.regions import region_scores
from bids_brainalign.production.ridge import Ridge
from bids_brainalign.production.scores import corrected
from tests.production.planted import folds_of, planted

RIDGE = Ridge((30.0, 1000.0))
NUMBERS = {"IFG": 4, "MTG": 8, "STG": 16, "SMG": 30}


def many_regions(share=0.3, seed=0, numbers=NUMBERS, **options):
    n = sum(numbers.values())
    x, y = planted(share, seed, n_words=50, n_channels=n, n_dims=10, **options)
    names = np.random.default_rng(seed).permutation(
        np.repeat(list(numbers), list(numbers.values()))
    )
    return x, y, names.tolist(), folds_of(50, n_folds=5, n_inner=3)


def test_a_region_is_scored_as_if_there_were_no_other_channels():
    x, y, names, folds = many_regions()
    how = Ridge(RIDGE.penalties, shared=False)  # so that channels don't share their penalty
    found = region_scores(y, map_words(x, y, folds, how), names, rng=np.random.default_rng(0))
    assert [r.region for r in found.regions] == sorted(NUMBERS)
    for region in found.regions:
        own = y[:, [name == region.region for name in names]]
        alone = corrected(own, map_words(x, own, folds, how)).summary()
        assert region.n_electrodes == NUMBERS[region.region]
        np.testing.assert_allclose(region.statistics, alone)
    smallest = next(r for r in found.regions if r.region == "IFG")
    np.testing.assert_array_equal(smallest.matched, smallest.statistics)


def test_more_channels_of_one_kind_score_higher_but_not_in_equal_numbers():
    """All channels know the same: what differs between regions is their number."""
    gains, matched = [], []
    for seed in range(5):
        x, y, names, folds = many_regions(seed=seed)
        predictions = map_words(x, y, folds, RIDGE)
        rng = np.random.default_rng(0)
        found = region_scores(y, predictions, names, rng=rng, statistic="two_vs_two")
        by_name = {r.region: r for r in found.regions}
        few, many = by_name["IFG"], by_name["SMG"]
        gains.append(many.statistics[2] - few.statistics[2])
        matched.append(many.matched[2] - few.matched[2])
        scores = [r.statistics[2] for r in found.regions]
        numbers = [r.n_electrodes for r in found.regions]
        assert found.by_number.r == pytest.approx(spearmanr(numbers, scores).statistic)
        every = [abs(spearmanr(numbers, order).statistic) for order in permutations(scores)]
        expected = np.mean(np.array(every) >= abs(found.by_number.r) - 1e-12)
        assert found.by_number.p == pytest.approx(expected, abs=0.04)
        assert found.by_number.n == 4
    assert np.mean(gains) > 0.08
    assert abs(np.mean(matched)) < np.mean(gains) / 2


def test_channels_without_a_region_or_a_prediction_do_not_count():
    x, y, names, folds = many_regions()
    whole = map_words(x, y, folds, Ridge(RIDGE.penalties, shared=False))
    before = region_scores(y, whole, names, rng=np.random.default_rng(0))
    more = np.column_stack([y, np.ones(50), y[:, :4]])
    labels = [*names, "STG", None, "n/a", "unknown", "AG"]
    predictions = map_words(x, more, folds, Ridge(RIDGE.penalties, shared=False))
    after = region_scores(more, predictions, labels, rng=np.random.default_rng(0))
    assert after.left_out == {"AG": 1}
    for one, other in zip(before.regions, after.regions, strict=True):
        assert one.n_electrodes == other.n_electrodes
        np.testing.assert_allclose(one.statistics, other.statistics)


@pytest.mark.parametrize(
    "numbers", [{"A": 5, "B": 7, "C": 9}, {"A": 5, "B": 5, "C": 5, "D": 5}, {"A": 2}]
)
def test_few_regions_or_equal_numbers_have_no_relation(numbers):
    x, y, names, folds = many_regions(numbers={**numbers, "E": 2}, seed=1)
    found = region_scores(y, map_words(x, y, folds, RIDGE), names, rng=np.random.default_rng(0))
    assert found.by_number is None
    assert found.by_number_matched is None
    assert found.left_out["E"] == 2
    assert len(found.regions) == sum(n > 2 for n in numbers.values())


def test_regions_must_fit_the_channels():
    x, y, names, folds = many_regions()
    with pytest.raises(BrainAlignError, match="57 regions and 58 channels"):
        region_scores(y, map_words(x, y, folds, RIDGE), names[1:], rng=np.random.default_rng(0))
