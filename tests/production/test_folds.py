"""Every word is held out once; what it is predicted from never holds it or its repetitions."""

import numpy as np
import pytest

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.folds import selection_rows, word_folds


@pytest.mark.parametrize("over", ["k-fold", "leave-one-word-out"])
@pytest.mark.parametrize("cut", ["dealt", "contiguous"])
def test_words_and_their_repetitions_are_held_out_together(over, cut):
    content = np.array([*range(23), 3, 3, 7, 22])
    folds = word_folds(content, over=over, cut=cut, n_folds=4, n_inner=3)
    held = np.concatenate([fold.outer.test for fold in folds.folds])
    assert sorted(held) == list(range(len(content)))
    for fold in folds.folds:
        test = set(content[fold.outer.test])
        assert not test & set(content[fold.outer.train])
        assert not test & set(content[selection_rows(fold.inner)])
        for split in fold.inner:
            assert not set(content[split.train]) & set(content[split.test])
            union = np.union1d(split.train, split.test)
            np.testing.assert_array_equal(union, selection_rows(fold.inner))
    assert len(folds.selections()) == 4
    assert len(folds.folds) == (4 if over == "k-fold" else 23)


def test_one_word_out_trains_on_all_others_but_chooses_without_its_group():
    folds = word_folds(np.arange(40), over="leave-one-word-out", n_folds=10)
    assert {len(f.outer.train) for f in folds.folds} == {39}
    assert {len(selection_rows(f.inner)) for f in folds.folds} == {36}


def test_contiguous_folds_are_stretches_of_time():
    folds = word_folds(np.arange(30)[::-1], cut="contiguous", n_folds=5)
    assert [list(f.outer.test) for f in folds.folds][1] == [6, 7, 8, 9, 10, 11]


def test_three_words_are_refused_with_their_number():
    with pytest.raises(BrainAlignError, match="3 different words"):
        word_folds(np.array([0, 1, 2, 2, 1, 0, 0, 1, 2, 2, 2, 0]))


@pytest.mark.parametrize("over", ["k-fold", "leave-one-word-out"])
@pytest.mark.parametrize("cut", ["dealt", "contiguous"])
def test_words_near_to_held_out_ones_do_not_train(over, cut):
    """Against all pairs of words; runs overlap on their clocks, and are not near each other."""
    rng = np.random.default_rng(0)
    runs = np.repeat([0, 1], 60)
    starts = np.concatenate([np.cumsum(rng.uniform(0.5, 1.5, 60)) for _ in range(2)])
    content = np.array([*range(100), *rng.integers(0, 100, 20)])
    options = {"over": over, "cut": cut, "n_folds": 20, "n_inner": 10}
    times = {"starts_s": starts, "runs": runs, "reach_s": 1.2}
    folds, whole = word_folds(content, **options, **times), word_folds(content, **options)
    near = (np.abs(starts[:, None] - starts) <= 1.2) & (runs[:, None] == runs)
    groups = [fold.outer.test for fold in word_folds(content, cut=cut, n_folds=20).folds]
    for fold, plain in zip(folds.folds, whole.folds, strict=True):
        test = fold.outer.test
        np.testing.assert_array_equal(test, plain.outer.test)
        beside = near[:, test].any(axis=1)
        np.testing.assert_array_equal(
            fold.outer.train, plain.outer.train[~beside[plain.outer.train]]
        )
        group = next(group for group in groups if np.isin(test, group).all())
        free = np.setdiff1d(np.flatnonzero(~near[:, group].any(axis=1)), group)
        np.testing.assert_array_equal(selection_rows(fold.inner), free)
        held = np.sort(np.concatenate([split.test for split in fold.inner]))
        np.testing.assert_array_equal(held, free)
        for split in fold.inner:
            beside = near[:, split.test].any(axis=1) | np.isin(content, content[split.test])
            np.testing.assert_array_equal(split.train, free[~beside[free]])
    expected = [120 - len(f.outer.train) - len(f.outer.test) for f in folds.folds]
    np.testing.assert_array_equal(folds.n_purged, expected)
    assert folds.n_purged.mean() > 1
    assert not whole.n_purged.any()


def test_words_that_are_far_apart_have_the_folds_they_always_had():
    content = np.array([*range(30), 4, 5])
    far = word_folds(content, starts_s=10.0 * np.arange(32), reach_s=1.0)
    for fold, plain in zip(far.folds, word_folds(content).folds, strict=True):
        for split, other in zip(
            (fold.outer, *fold.inner), (plain.outer, *plain.inner), strict=True
        ):
            np.testing.assert_array_equal(split.train, other.train)
            np.testing.assert_array_equal(split.test, other.test)


def test_a_reach_that_leaves_too_few_words_is_refused_with_their_number():
    starts = 0.3 * np.arange(40)
    with pytest.raises(
        BrainAlignError, match=r"^[0-6] of 40 words are left to train on in"
    ) as raised:
        word_folds(np.arange(40), starts_s=starts, reach_s=2.0)
    assert "within 2 s" in str(raised.value)
    assert word_folds(np.arange(40), cut="contiguous", starts_s=starts, reach_s=0.4).n_purged.any()


def test_a_reach_needs_the_times_of_all_words():
    with pytest.raises(BrainAlignError, match="without their times"):
        word_folds(np.arange(20), reach_s=1.0)
    with pytest.raises(BrainAlignError, match=r"20 words, 19 starts"):
        word_folds(np.arange(20), starts_s=np.arange(19.0), reach_s=1.0)
    starts = np.arange(20.0)
    starts[3] = np.nan
    with pytest.raises(BrainAlignError, match=r"1 of 20 words have no start.*word 4"):
        word_folds(np.arange(20), starts_s=starts, reach_s=1.0)


def test_a_reach_that_no_word_comes_into_changes_nothing():
    starts = 3.0 * np.arange(30)
    far = word_folds(np.arange(30), starts_s=starts, reach_s=2.9)
    plain = word_folds(np.arange(30))
    assert far.reach_s == 0.0
    assert [f.outer.train.tolist() for f in far.folds] == [
        f.outer.train.tolist() for f in plain.folds
    ]
    assert word_folds(np.arange(30), starts_s=starts, reach_s=3.0).reach_s == 3.0


@pytest.mark.parametrize("over", ["k-fold", "leave-one-word-out"])
def test_words_that_are_left_out_are_in_no_fold_and_others_stay_where_they_were(over):
    starts = np.arange(40.0)
    times = {"starts_s": starts, "reach_s": 1.0, "cut": "contiguous"}
    folds = word_folds(np.arange(40) // 2, over=over, n_folds=5, n_inner=4, **times)
    left = np.array([0, 1, 2, 3, 4, 5, 6, 7, 20])
    rest, plan = np.setdiff1d(np.arange(40), left), folds.without(left)
    np.testing.assert_array_equal(plan.content, folds.content[rest])
    assert (plan.reach_s, plan.over) == (folds.reach_s, over)
    old = {fold.name: fold for fold in folds.folds}
    gone = set(old) - {fold.name for fold in plan.folds}
    assert all(np.isin(old[name].outer.test, left).all() for name in gone)
    assert gone
    assert len(plan.selections()) == len(folds.selections()) - 1  # whose words are all gone
    for fold in plan.folds:
        before = old[fold.name]
        pairs = [(fold.outer, before.outer)]
        validated = [s for s in before.inner if not np.isin(s.test, left).all()]
        pairs += zip(fold.inner, validated, strict=True)
        for new, split in pairs:
            np.testing.assert_array_equal(rest[new.train], np.setdiff1d(split.train, left))
            np.testing.assert_array_equal(rest[new.test], np.setdiff1d(split.test, left))
