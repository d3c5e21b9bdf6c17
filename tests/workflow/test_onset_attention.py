"""Curves around onsets stand at the right time, also where a stimulus is heard twice."""

import numpy as np

from bids_brainalign.workflow.onset_attention import _mean_around, _presented

OFFSETS = np.arange(-10, 31)


def test_a_bump_after_onsets_is_found_at_its_time():
    rng = np.random.default_rng(0)
    seconds = np.arange(6000) * 0.02 + 0.007
    onsets = np.sort(rng.uniform(2, 118, 150))
    values = sum(np.exp(-0.5 * ((seconds - t - 0.2) / 0.03) ** 2) for t in onsets)
    part = [(np.arange(6000), seconds, onsets)]
    mean, n = _mean_around(values, part, OFFSETS, 0.0, 0.02)
    assert n == 150
    bump = np.maximum(mean - np.median(mean), 0) * (np.abs(OFFSETS * 0.02 - 0.2) < 0.11)
    assert abs((bump * OFFSETS * 0.02).sum() / bump.sum() - 0.2) < 0.003
    moved = np.mean([_mean_around(values, part, OFFSETS, s, 0.02)[0] for s in (0.2, 0.5, 0.8)], 0)
    assert np.ptp(moved) < 0.5 * np.ptp(mean)


def test_a_stimulus_heard_twice_is_two_parts():
    clock = np.r_[np.arange(5), np.arange(7), 3] * 0.02
    first, second = _presented(np.arange(13), clock)
    assert first.tolist() == [0, 1, 2, 3, 4]
    assert second.tolist() == [5, 6, 7, 8, 9, 10, 11]
