import numpy as np
import pytest

from bids_brainalign.decoding.segments import MIN_SEGMENTS, cut_segments


def cut(run, time, **changes):
    options = {"interval_s": 0.02, "segment_s": 1.0, "step_s": 0.1, "apart_s": 1.0, "most": 100}
    return cut_segments(
        np.asarray(run, dtype=np.int64), np.asarray(time, dtype=float), **options | changes
    )


def test_no_segment_reaches_over_a_gap_or_into_another_run():
    time = np.arange(1000) * 0.02
    keep = np.r_[0:330, 360:1000]  # 0.6 s censored
    run = np.where(time[keep] < 14, 0, 1)
    segments = cut(run, time[keep])
    assert segments.n_segments > 12
    for start in segments.starts:
        rows = segments.steps[start : start + segments.length].ravel()
        assert len(rows) == 50
        assert len(set(run[rows])) == 1
        np.testing.assert_allclose(np.diff(time[keep][rows]), 0.02)


def test_segments_use_the_edges():
    segments = cut(np.zeros(500), 3.0 + np.arange(500) * 0.02)
    assert segments.starts[0] == 0
    assert segments.starts[-1] + segments.length == len(segments.steps)
    np.testing.assert_array_equal(segments.steps.ravel(), np.arange(500))


def test_neighbours_are_not_compared():
    segments = cut(np.zeros(500), np.arange(500) * 0.02, apart_s=2.0)
    first = segments.starts * 0.1
    apart = np.abs(first[:, None] - first)
    np.testing.assert_array_equal(segments.comparable, apart >= 3.0 - 1e-9)


def test_segments_of_other_runs_are_compared_whatever_their_clocks_say():
    time = np.tile(np.arange(250) * 0.02, 2)
    segments = cut(np.repeat([0, 1], 250), time, apart_s=100)
    assert segments.comparable[0, 5]
    assert not segments.comparable[0, 1]


def test_words_begin_at_the_step_nearest_to_their_onset():
    run, time = np.zeros(500), np.arange(500) * 0.02
    onsets = (np.array([0, 0, 0, 1, 0]), np.array([0.52, 3.0, 3.04, 5.0, 9.7]))
    segments = cut(run, time, onsets=onsets)
    # 3.0 and 3.04 are one step; 5.0 is of another run; after 9.7 s a whole segment doesn't fit.
    np.testing.assert_array_equal(segments.starts, [5, 30])


def test_many_segments_are_thinned_evenly():
    segments = cut(np.zeros(5000), np.arange(5000) * 0.02, most=10)
    assert segments.n_segments == 10
    assert segments.starts[0] == 0
    assert np.ptp(np.diff(segments.starts)) <= 10


@pytest.mark.parametrize(("n_rows", "enough"), [(20, False), (250, False), (600, True)])
def test_too_few_segments_are_said(n_rows, enough):
    segments = cut(np.zeros(n_rows), np.arange(n_rows) * 0.02)
    assert segments.enough is enough
    assert (segments.n_segments >= MIN_SEGMENTS) or not enough


def test_no_pair_apart_is_not_enough():
    segments = cut(np.zeros(1000), np.arange(1000) * 0.02, apart_s=50.0)
    assert segments.n_segments > MIN_SEGMENTS
    assert not segments.enough
