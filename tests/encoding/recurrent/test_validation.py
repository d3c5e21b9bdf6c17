"""The block that stops training is contiguous and purged on both clocks."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bids_brainalign.encoding.recurrent.validation import purged_block
from bids_brainalign.statistics.folds import Samples


@given(
    share=st.floats(0.05, 0.4), position=st.floats(0, 1), gap=st.floats(0.1, 2.0),
)  # fmt: skip
def test_no_training_row_lies_within_the_gap(share, position, gap):
    n = 300
    # Two runs of the same story: what is near in the story is near, whatever the run.
    run = np.repeat([0, 1], n)
    story = np.tile(np.arange(n) * 0.1, 2)
    samples = Samples(run, run * 0, story + 1000 * run, run * 0, story, 0.1)
    train = np.flatnonzero((np.arange(2 * n) < 250) | (np.arange(2 * n) > 320))
    split = purged_block(samples, train, share=share, position=position, gap_s=gap)
    assert len(split.test) == max(1, round(share * len(train)))
    assert np.isin(np.concatenate([split.train, split.test]), train).all()
    start = np.searchsorted(train, split.test[0])
    assert np.array_equal(split.test, train[start : start + len(split.test)])
    if len(split.train):
        distance = np.abs(story[split.train][:, None] - story[split.test]).min()
        assert distance > gap
