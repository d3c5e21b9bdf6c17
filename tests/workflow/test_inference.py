"""Corrections over targets."""

import numpy as np
import pytest

from bids_brainalign.workflow.inference import corrected, layer_mode, p_over_targets


def test_the_maximum_over_targets_keeps_the_familywise_rate():
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(400):
        common = rng.standard_normal((200, 1))
        scores = rng.standard_normal((200, 20)) + common  # correlated targets
        hits += (p_over_targets(scores[0], scores[1:].max(axis=1)) <= 0.05).any()
    assert 5 <= hits <= 37  # binomial(400, .05), .999 interval


def test_p_over_targets_counts_draws_that_reach_the_target():
    maxima = np.arange(99.0)
    p = p_over_targets(np.array([-1.0, 50.0, np.nan]), maxima)
    np.testing.assert_allclose(p[:2], [1.0, 0.5])
    assert np.isnan(p[2])
    assert np.isnan(p_over_targets(np.ones(3), None)).all()


def test_q_of_untested_targets_is_missing():
    q = corrected(np.array([0.01, np.nan, 0.04]))
    np.testing.assert_allclose(q[[0, 2]], [0.02, 0.04])
    assert np.isnan(q[1])


def test_mode_is_the_layer_chosen_most_often():
    mode, agreement = layer_mode(np.array([[2, 0], [2, 1], [1, 1], [2, 1]]), 3)
    np.testing.assert_array_equal(mode, [2, 1])
    assert agreement == pytest.approx([0.75, 0.75])
