"""Reading words aloud, and the recorded sound."""

import numpy as np
import pytest

from bids_brainalign.simulate.languages import LANGUAGES
from bids_brainalign.simulate.production_session import (
    AUDIO_RATE_HZ,
    LEAD_S,
    PEAK,
    hold_session,
    recorded_sound,
)
from bids_brainalign.simulate.word_list import MAX_WORDS, choose_words, speak_words, vocabulary


@pytest.fixture(scope="module")
def session():
    words = choose_words(8, language="en", seed=1)
    spoken = speak_words(words, voice="en-us", speed=140)
    return hold_session(words, spoken, n_repeats=2, rng=np.random.default_rng(0))


def test_every_word_is_spoken_as_often_within_its_trial(session):
    words = [trial.word for trial in session.trials]
    assert sorted(words) == sorted(2 * choose_words(8, language="en", seed=1))
    assert words != sorted(words)
    cues = np.array([trial.cue_s for trial in session.trials])
    np.testing.assert_allclose(np.diff(cues), 3.0)
    assert cues[0] == LEAD_S
    for trial in session.trials:
        assert 0.4 <= trial.speech_onset_s - trial.cue_s <= 0.9
        # The second after speech onset, which is analysed, ends before the next cue.
        assert trial.speech_onset_s + 1.0 < trial.cue_s + 3.0
        assert 0.1 < trial.speech_offset_s - trial.speech_onset_s < 1.2
        assert 1 <= trial.n_phones <= 12


def test_the_voice_is_silent_but_for_the_words(session):
    times = np.arange(len(session.voice)) / AUDIO_RATE_HZ
    spoken = np.zeros(len(times), dtype=bool)
    for trial in session.trials:
        spoken |= (times >= trial.speech_onset_s - 1e-5) & (times < trial.speech_offset_s)
    assert not session.voice[~spoken].any()
    assert np.abs(session.voice).max() == pytest.approx(PEAK)
    envelope = session.envelope(1024.0)
    assert len(envelope) == session.duration_s * 1024
    assert (envelope.min(), envelope.max()) == (0.0, 1.0)
    middles = [(t.speech_onset_s + t.speech_offset_s) / 2 for t in session.trials]
    assert (envelope[np.round(np.array(middles) * 1024).astype(int)] > 0.1).all()
    assert envelope[: int(LEAD_S * 1024)].max() < 0.01


@pytest.mark.parametrize("lag_s", [0.0, 0.1, -0.05])
def test_the_recorded_sound_is_as_late_as_said(session, lag_s):
    sound = recorded_sound(session, lag_s=lag_s, rng=np.random.default_rng(1)) / 32767
    assert len(sound) == len(session.voice)
    n = len(sound)
    spectrum = np.fft.rfft(sound, 2 * n) * np.conj(np.fft.rfft(session.voice, 2 * n))
    lags = np.fft.irfft(spectrum, 2 * n)
    best = int(np.argmax(lags))
    assert (best if best < n else best - 2 * n) / AUDIO_RATE_HZ == pytest.approx(lag_s, abs=1e-4)
    quiet = sound[: round((LEAD_S - 0.1) * AUDIO_RATE_HZ)]
    voice = session.voice[session.voice != 0]
    below_db = 20 * np.log10(quiet.std() / np.sqrt(np.mean(voice**2)))
    assert below_db == pytest.approx(-45, abs=2)


def test_vocabularies_are_single_plain_words():
    assert set(MAX_WORDS) == {"en", *LANGUAGES}
    for language in MAX_WORDS:
        words = vocabulary(language)
        assert len(words) >= 90
        assert all(word.isascii() and word.isalpha() and word.islower() for word in words)
    assert choose_words(20, language="nl", seed=1) != choose_words(20, language="nl", seed=2)


@pytest.mark.parametrize("language", ["en", "nl", "fr"])
def test_all_words_of_a_language_are_spoken_one_by_one(language):
    words = vocabulary(language)
    voice = {"en": "en-gb-scotland", "nl": "nl+f2", "fr": "fr"}[language]
    spoken = speak_words(words, voice=voice, speed=130)
    assert tuple(spoken) == words
    for said in spoken.values():
        assert 0.1 < len(said.wave) / 16_000 < 1.5
        assert np.abs(said.wave).max() > 0.05
        assert said.n_phones >= 1
