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
