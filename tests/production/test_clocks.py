"""What a lag may be called."""

import numpy as np
import pytest

from bids_brainalign.production.clocks import read_lags
from bids_brainalign.production.lags import Lag
from bids_brainalign.production.synchrony import ChannelLags, Synchrony


def lag(place, half=0.005, p=0.001):
    return Lag(place, place - half, place + half, p, 1000, 1.0, at_edge=False)


def recording(found, lags_s=(-0.1, 0.0, 0.03, 0.2), p_max=(0.01, 0.05, 0.01, 0.2)):
    channels = ChannelLags(np.array(lags_s), np.ones(4), np.array(p_max), np.array(p_max))
    return Synchrony(found, np.arange(3.0), np.ones(3), channels)


@pytest.mark.parametrize(
    ("neural", "leak", "answer", "source", "flag"),
    [
        (lag(0.15), None, "beyond", "loudness", True),
        (lag(-0.15), lag(0.0, p=0.2), "beyond", "loudness", True),
        (lag(0.01), None, "within", "loudness", False),
        (lag(0.02, 0.02), None, "undecided", "loudness", False),
        (lag(0.15, p=0.2), None, "no link", "none", False),
        (lag(0.15), lag(0.002), "together", "leak", False),
        (lag(0.15), lag(-0.08), "apart", "leak", True),
        (lag(0.0), lag(0.08), "apart", "leak", True),
        (lag(0.15), lag(0.03, 0.02), "undecided", "leak", False),
    ],
)
def test_only_a_leak_says_something_of_the_clocks(neural, leak, answer, source, flag):
    found = read_lags(recording(neural), leak)
    assert (found.answer, found.source, found.flag) == (answer, source, flag)
    told = {"leak": leak, "loudness": neural}.get(source)
    if told is None:
        assert np.isnan([found.lag_s, found.low_s, found.high_s]).all()
    else:
        assert (found.lag_s, found.low_s, found.high_s) == (told.lag_s, told.low_s, told.high_s)


def test_the_cortex_is_timed_by_the_clock_of_the_leak():
    assert read_lags(recording(lag(0.15)), lag(-0.08)).cortex_s == pytest.approx(0.23)
    assert np.isnan(read_lags(recording(lag(0.15)), None).cortex_s)
    assert np.isnan(read_lags(recording(lag(0.15, p=0.5)), lag(0.0)).cortex_s)


def test_channels_are_counted_on_both_sides_where_they_follow_the_sound():
    found = read_lags(recording(lag(0.15)), None)
    assert (found.n_before, found.n_beside, found.n_after) == (1, 1, 1)
