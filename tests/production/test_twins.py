"""Twins: a drift is told by the place in the recording, and less knowledge is beaten."""

import numpy as np
import pytest

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.folds import word_folds
from bids_brainalign.production.mapping import map_words
from bids_brainalign.production.ridge import Ridge
from bids_brainalign.production.scores import corrected
from bids_brainalign.production.twins import trial_index, twin
from tests.production.planted import folds_of, planted

RIDGE = Ridge((1.0, 30.0, 1000.0))


def test_a_drift_is_told_by_the_place_in_the_recording():
    rng = np.random.default_rng(0)
    drift = np.linspace(-1, 1, 60)[:, None]
    y = 5 + drift * rng.standard_normal(20) + 0.5 * rng.standard_normal((60, 20))
    x = np.column_stack([drift, drift**2]) + 0.3 * rng.standard_normal((60, 2))
    found = map_words(x, y, folds_of(60), RIDGE)
    assert corrected(y, found).summary()[0] > 0.3
    plain = twin("trial index", trial_index(60), y, found, rng=rng)
    assert plain.gain < 0
    assert plain.p_gain > 0.5
    assert plain.statistics[0] > 0.3


def test_a_model_beats_covariates_that_know_less():
    x, y = planted(0.5, 4, n_words=60, n_channels=20, n_dims=10)
    found = map_words(x, y, folds_of(60), RIDGE)
    rng = np.random.default_rng(0)
    assert twin("length", rng.standard_normal(60), y, found, rng=rng).p_gain < 0.01
    own = twin("itself", x, y, map_words(x, y, folds_of(60), Ridge()), rng=rng)
    assert own.gain == pytest.approx(0)
    assert own.p_gain == 1.0


def test_errors_of_a_stretch_of_speech_count_as_one():
    """Of five stretches, all better: as good in one of 32 draws of signs, however many words."""
    x, y = planted(0.5, 4, n_words=60, n_channels=20, n_dims=10)
    found = map_words(x, y, folds_of(60, n_folds=5, cut="contiguous"), RIDGE)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(60)
    assert twin("length", noise, y, found, rng=rng).p_gain == pytest.approx(1 / 32, abs=0.01)


def test_covariates_that_lack_or_do_not_vary():
    x, y = planted(0.5, 4, n_words=30, n_channels=8, n_dims=10)
    found = map_words(x, y, folds_of(30), RIDGE)
    rng = np.random.default_rng(0)
    still = twin("phones", np.full(30, 4), y, found, rng=rng)
    np.testing.assert_allclose(still.statistics[:4], [0, 0, 0.5, 0.5], atol=1e-12)
    assert still.gain > 0
    loudness = rng.standard_normal(30)
    loudness[3] = np.nan
    with pytest.raises(BrainAlignError, match="1 of 30 words have no value of loudness"):
        twin("loudness", loudness, y, found, rng=rng)


def test_polynomials_are_those_of_legendre():
    place = np.linspace(-1, 1, 9)
    expected = np.column_stack([place, (3 * place**2 - 1) / 2])
    np.testing.assert_allclose(trial_index(9, degree=2), expected)


def test_repetitions_of_a_word_and_words_of_a_stretch_are_flipped_together():
    x, y = planted(0.5, 4, n_words=30, n_channels=8, n_dims=10)
    noise, rng = np.random.default_rng(1).standard_normal(30), np.random.default_rng(0)
    for folds, n_flipped in (
        (folds_of(30), 30),
        (word_folds(np.repeat(np.arange(10), 3), n_folds=5), 10),
        (folds_of(30, n_folds=5, cut="contiguous"), 5),
    ):
        found = twin("length", noise, y, map_words(x, y, folds, RIDGE), rng=rng)
        assert found.least_p == 0.5**n_flipped
