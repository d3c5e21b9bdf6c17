"""States stand where the decoder looks for them; errors of words are Levenshtein's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from bids_brainalign.decoding.transcription import (
    decoded_states,
    in_window,
    onto_frames,
    place_means,
    windows_within,
    word_errors,
)
from tests.decoding.planted import make

WORDS = st.lists(st.sampled_from("a b c d".split()), max_size=7)


def levenshtein(a, b):
    """The textbook's recursion."""
    if not a or not b:
        return len(a) + len(b)
    return min(
        levenshtein(a[1:], b) + 1,
        levenshtein(a, b[1:]) + 1,
        levenshtein(a[1:], b[1:]) + (a[0] != b[0]),
    )


@given(WORDS, WORDS)
def test_word_errors_are_levenshtein(said, written):
    assert word_errors(said, written) == levenshtein(said, written)


def test_word_errors_of_known_cases():
    assert word_errors([], "a b".split()) == 2
    assert word_errors("a b".split(), []) == 2
    assert word_errors("the cat sat on the mat".split(), "a cat sat the mat now".split()) == 3


def test_windows_begin_where_data_begin():
    covered = np.zeros(100, dtype=bool)
    covered[5:48] = True  # two whole windows and a rest of 3
    covered[20:22] = False  # bridged
    covered[60:75] = True
    found = windows_within(covered, window=20, least=10, bridge=4)
    assert found == (slice(5, 25), slice(25, 45), slice(60, 75))
    assert windows_within(~(covered | True), window=20, least=10, bridge=4) == ()
    assert windows_within(covered, window=20, least=21, bridge=4) == ()


def test_place_means_are_those_of_the_training_windows():
    rng = np.random.default_rng(0)
    truth = np.stack([np.sin(np.arange(200) / 30), np.cos(np.arange(200) / 30)], axis=1)
    place = np.tile(np.arange(200), 400)
    states = (truth[place] + rng.standard_normal((len(place), 2))).astype("f4")
    np.testing.assert_allclose(place_means(states, place, 200), truth, atol=0.1)
    # Places that no sample has take the nearest that one has.
    few = place_means(np.array([[1.0], [5.0]], "f4"), np.array([0, 199]), 200)
    assert few[60, 0] == pytest.approx(1)
    assert few[140, 0] == pytest.approx(5)
    one = place_means(np.array([[2.0]], "f4"), np.array([7]), 20)
    assert one[:, 0] == pytest.approx(2)


def test_frames_are_interpolated_and_gaps_left_uncovered():
    at = np.r_[np.arange(0.51, 1.0, 0.02), np.arange(2.01, 3.0, 0.02)]  # half a frame off
    values = np.stack([at, 10 * at], axis=1).astype("f4")
    frames, covered = onto_frames(values, at, interval_s=0.02, frame_s=0.02, n_frames=200)
    time = np.arange(200) * 0.02
    inside = (time >= at[0]) & (time <= at[-1]) & ~((time > 1.0) & (time < 2.0))
    near = np.abs(time[:, None] - at).min(axis=1) <= 0.0101
    assert covered[inside].all()
    assert not covered[~near].any()
    away = covered & inside
    np.testing.assert_allclose(frames[away, 0], time[away], atol=0.0101)
    inner = away & (time > at[0] + 0.03) & (np.abs(time - 1.5) > 0.55) & (time < at[-1] - 0.03)
    np.testing.assert_allclose(frames[inner, 1], 10 * time[inner], atol=1e-4)
    assert (frames[~covered] == 0).all()


def test_without_samples_nothing_is_covered():
    frames, covered = onto_frames(
        np.zeros((0, 3), "f4"), np.zeros(0), interval_s=0.02, frame_s=0.02, n_frames=5
    )
    assert frames.shape == (5, 3)
    assert not covered.any()
    one = onto_frames(np.ones((1, 3), "f4"), np.array([0.04]), interval_s=0.02, frame_s=0.02,
                      n_frames=5)  # fmt: skip
    assert one[1].tolist() == [False, False, True, False, False]
    assert (one[0][2] == 1).all()


def test_states_stand_at_their_places_with_silence_after():
    frames = np.arange(40, dtype="f4")[:, None]
    covered = np.ones(40, dtype=bool)
    covered[25] = False
    silence = -np.arange(20, dtype="f4")[:, None]
    means = 100 + 10 * np.arange(20, dtype="f4")[:, None]
    states = in_window(frames, covered, slice(22, 30), means=means, silence=silence)
    expected = silence.copy()
    expected[:8, 0] = np.arange(22, 30) + 100 + 10 * np.arange(8)
    expected[3] = means[3]  # frame 25
    np.testing.assert_array_equal(states, expected)
    assert silence[4, 0] == -4  # not written into


def test_decoded_states_are_ridge_in_the_units_of_the_states():
    from dataclasses import replace

    problem, space = make(3, planted=1, n_layers=2, n_times=900)
    problem = replace(problem, alphas=(500.0,))
    fold = problem.plan.folds[1]
    place = np.arange(3600) % 90
    shape = 30 * np.sin(np.arange(90) / 20)[place, None]
    states = (50 + 20 * np.concatenate(space.read(1)) + shape).astype("f4")
    predicted, means = decoded_states(states, place, 90, problem, fold)
    train, test = fold.outer.train, fold.outer.test
    np.testing.assert_array_equal(means, place_means(states[train], place[train], 90))
    left = states.astype(float) - means[place]
    x = problem.inputs(train)
    oracle = Ridge(500.0).fit(x[train].astype(float), left[train])
    np.testing.assert_allclose(predicted, oracle.predict(x[test]), atol=2e-3 * states.std())
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(predicted.T, left[test].T, strict=True)]
    assert np.mean(r) > 0.3
