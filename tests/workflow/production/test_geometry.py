"""Geometry of running speech: each word counts once."""

from __future__ import annotations

import numpy as np

from bids_brainalign.production.sensitivity import shared_geometry
from bids_brainalign.workflow.production.geometry import word_means


def test_means_of_words_in_the_order_of_their_first_appearance() -> None:
    types = np.array([4, 1, 4, 0, 1, 4])
    values = np.arange(12.0).reshape(6, 2)
    expected = [values[types == word].mean(axis=0) for word in (4, 1, 0)]
    np.testing.assert_allclose(word_means(values, types), expected)


def test_words_that_come_again_give_no_geometry_of_their_own() -> None:
    """Unrelated vectors of words: rows share a geometry with responses, words do not."""
    rng = np.random.default_rng(0)
    types = rng.integers(0, 60, 600)
    x, y = rng.standard_normal((60, 8))[types], rng.standard_normal((60, 8))[types]
    y = y + rng.standard_normal(y.shape)
    rows = shared_geometry([x], y, n_draws=99, rng=rng)
    means = shared_geometry(
        [word_means(x, types)], word_means(y, types), n_draws=99, rng=rng, in_time=False
    )
    assert rows.p[0, 0] <= 0.02
    assert rows.value[0, 0] > 0.03
    assert means.p[0, 0] > 0.05
