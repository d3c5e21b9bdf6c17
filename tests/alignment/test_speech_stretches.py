"""Speech and silence from words, from sound, and from both where words are missing."""

import numpy as np
import pandas as pd

from bids_brainalign.alignment.speech_stretches import speech_stretches, within

RATE = 50.0


def words(*spans):
    onset, stop = np.array(spans, dtype=float).T
    return pd.DataFrame({"onset": onset, "duration": stop - onset})


def sound(duration_s, *loud, level=0.001):
    """Envelope to the power 0.6: 1 in the loud spans, else quiet."""
    clock = np.arange(int(duration_s * RATE)) / RATE
    amplitude = np.full(len(clock), level)
    for start, stop in loud:
        amplitude[(clock >= start) & (clock < stop)] = 1.0
    return amplitude**0.6


def stretches(table, envelope, **kwargs):
    return speech_stretches(
        table, envelope, rate_hz=RATE, duration_s=len(envelope) / RATE, **kwargs
    )


def test_short_gaps_belong_to_speech():
    # Out of order and overlapping, as in the transcript of ds005574.
    table = words((3.0, 3.4), (1.0, 1.5), (1.4, 2.0), (2.4, 2.9), (5.0, 6.0))
    found = stretches(table, sound(8))
    np.testing.assert_allclose(found.speech, [[1.0, 3.4], [5.0, 6.0]])
    np.testing.assert_allclose(found.silence, [[0.0, 1.0], [3.4, 5.0], [6.0, 8.0]])
    np.testing.assert_allclose(found.onsets_s, [1.0, 5.0])
    assert found.source == "words"


def test_speech_from_the_first_sample_has_no_onset():
    found = stretches(words((0.2, 3.0), (4.0, 5.0)), sound(5.2))
    np.testing.assert_allclose(found.onsets_s, [4.0])


def test_without_words_the_sound_decides():
    envelope = sound(10, (1.0, 3.0), (3.3, 4.0), (6.0, 8.0), (9.0, 9.02))
    for table in (None, words((0, 1))[:0]):
        found = stretches(table, envelope)
        np.testing.assert_allclose(found.speech, [[1.0, 4.0], [6.0, 8.0]], atol=0.021)
        np.testing.assert_allclose(found.onsets_s, [1.0, 6.0], atol=0.021)
        assert found.source == "sound"


def test_loud_noise_in_pauses_is_no_silence():
    found = stretches(None, sound(10, (1.0, 3.0), (6.0, 8.0), level=0.2))
    assert len(found.silence) == 0


def test_gaps_where_words_are_missing_must_be_quiet():
    table = words((1.0, 2.0), (6.0, 7.0), (9.0, 10.0))
    envelope = sound(10, (1.0, 2.0), (3.0, 4.0), (6.0, 7.0), (9.0, 10.0))
    found = stretches(table, envelope, words_complete=False)
    np.testing.assert_allclose(found.silence, [[0.0, 1.0], [7.0, 9.0]])
    assert found.source == "words and sound"
    assert len(stretches(table, envelope).silence) == 3


def test_times_within_spans():
    clock = np.array([0.5, 1.0, 1.9, 2.0, np.nan])
    assert within(clock, np.array([[1.0, 2.0]])).tolist() == [False, True, True, False, False]
    assert not within(clock, np.empty((0, 2))).any()
