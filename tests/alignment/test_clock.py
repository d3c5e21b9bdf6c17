import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from bids_brainalign.alignment.clock import (
    Placement,
    held_age_s,
    onto_fast_clock,
    onto_slow_clock,
    stimulus_clock,
)


def test_stimulus_clock_counts_from_the_onset_and_stops_with_the_sound():
    times = np.arange(0, 20, 0.5)
    clock = stimulus_clock(times, Placement(3.0, 5.0, ((0.0, 5.0),)))
    playing = np.isfinite(clock)
    assert times[playing][0] == 3.0
    assert times[playing][-1] == 8.0
    np.testing.assert_allclose(clock[playing], times[playing] - 3.0)


def test_only_played_segments_count():
    times = np.arange(0, 20, 0.5)
    clock = stimulus_clock(times, Placement(0.0, 20.0, ((0.0, 2.0), (10.0, 12.0))))
    assert np.isfinite(clock).sum() == 10


def test_fast_clock_interpolates_a_ramp_exactly():
    frame_times = np.arange(0, 10, 0.02)
    frames = np.stack([frame_times, 2 * frame_times], axis=1).astype(np.float32)
    times = np.arange(0, 15, 0.013)
    placed = onto_fast_clock(frames, frame_times, times, Placement(2.0, 9.9, ((0, 9.9),)))
    on = (times >= 2.0) & (times <= 11.9)
    np.testing.assert_allclose(placed[on, 1], 2 * (times[on] - 2.0), atol=1e-5)
    assert not placed[~on].any()


def test_slow_clock_does_not_hear_parts_that_were_not_played():
    frame_times = np.arange(0, 60, 0.1)
    frames = np.ones((600, 1), dtype=np.float32)
    times = np.arange(0, 60, 2.0)
    placement = Placement(0.0, 60.0, ((0.0, 20.0),))
    placed = onto_slow_clock(frames, frame_times, times, placement, cutoff_hz=0.5)
    assert np.abs(placed[times > 26.5]).max() == 0
    assert placed[times == 10.0] > 15


@pytest.mark.parametrize("stride_s", [0.1, 0.25])
def test_lags_of_held_features_are_right_once_their_age_is_added(stride_s):
    """A response 200 ms after a feature that is known every stride only."""
    rng = np.random.default_rng(0)
    times = np.arange(0, 300, 0.02)
    feature = gaussian_filter1d(rng.standard_normal(len(times)), 5)
    placement = Placement(0.0, 300.0, ((0.0, 300.0),))
    frame_times = np.arange(0, 300, stride_s)
    frames = np.interp(frame_times, times, feature)[:, None].astype(np.float32)
    held = onto_fast_clock(frames, frame_times, times, placement, hold=True)[:, 0]
    response = np.roll(feature, 10)
    lags = np.arange(-5, 20)
    r = [np.corrcoef(np.roll(held, lag)[100:-100], response[100:-100])[0, 1] for lag in lags]
    peak_s = lags[int(np.argmax(r))] * 0.02
    age_s = held_age_s(frame_times, times, placement)
    assert peak_s < 0.2
    assert peak_s + age_s == pytest.approx(0.2, abs=0.011)
    assert age_s == pytest.approx((stride_s - 0.02) / 2, abs=0.006)
