"""States stand where the decoder looks for them; errors of words are Levenshtein's."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from bids_brainalign.decoding.transcription import (
    Part,
    decoded_states,
    in_window,
    onto_frames,
    window_parts,
    word_errors,
)
from bids_brainalign.features.windows import blend_weights, window_starts
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


@pytest.mark.parametrize("n_frames", [1, 700, 1500, 1501, 2473, 9000])
def test_parts_follow_the_window_with_the_largest_weight(n_frames):
    parts = window_parts(n_frames, window=1500, hop=900, margin=250)
    assert parts[0].start == 0
    assert parts[-1].stop == n_frames
    assert all(a.stop == b.start for a, b in pairwise(parts))
    starts = window_starts(n_frames, window=1500, hop=900)
    weights = blend_weights(starts, n_frames=n_frames, window=1500, margin=250, blend=100)
    for index, part in enumerate(parts):
        assert part.first == starts[index]
        inside = weights[index, part.start - part.first : part.stop - part.first]
        assert (inside >= 0.49).all()


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


def test_states_stand_at_their_places_with_silence_around():
    frames = np.arange(40, dtype="f4")[:, None] + 100
    covered = np.ones(40, dtype=bool)
    covered[25] = False
    silence = -np.arange(20, dtype="f4")[:, None]
    states = in_window(frames, covered, Part(first=18, start=22, stop=30), silence)
    expected = silence.copy()
    expected[4:12, 0] = np.arange(122, 130)
    expected[7] = silence[7]  # frame 25
    np.testing.assert_array_equal(states, expected)
    assert silence[4, 0] == -4  # not written into


def test_decoded_states_are_ridge_in_the_units_of_the_states():
    from dataclasses import replace

    problem, space = make(3, planted=1, n_layers=2, n_times=900)
    wide = replace(space, read=lambda i: [50 + 20 * x for x in space.read(i)])
    problem = replace(problem, alphas=(500.0,))
    fold = problem.plan.folds[1]
    predicted, true, mean = decoded_states(wide, problem, fold)
    states = np.concatenate(wide.read(1))
    x = problem.inputs(fold.outer.train)
    oracle = Ridge(500.0).fit(x[fold.outer.train].astype(float), states[fold.outer.train])
    np.testing.assert_allclose(
        predicted, oracle.predict(x[fold.outer.test]), atol=2e-3 * states.std()
    )
    np.testing.assert_array_equal(true, states[fold.outer.test])
    np.testing.assert_allclose(mean, states[fold.outer.train].mean(axis=0), atol=1e-3)
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(predicted.T, true.T, strict=True)]
    assert np.mean(r) > 0.3
