import importlib.util
import time

import numpy as np
import pandas as pd
import pytest
import soundfile

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.audio import load_audio
from bids_brainalign.simulate.bids_tree import write_stimuli
from bids_brainalign.simulate.speech import synthesise
from bids_brainalign.simulate.stories import (
    Story,
    stories_from_audio,
    synthetic_stories,
    write_text,
)

TEXT = "Stop. The clock was old; nobody knew why."


def test_words_are_those_of_the_text_in_order_and_on_sound():
    wave, words = synthesise(TEXT, voice="en-us", speed=150)
    assert list(words["word"]) == "stop the clock was old nobody knew why".split()
    ends = words["onset"] + words["duration"]
    assert np.all(words["onset"].to_numpy()[1:] >= ends.to_numpy()[:-1] - 1e-3)
    assert ends.iloc[-1] <= len(wave) / 16_000
    rms = [
        np.sqrt(np.mean(wave[int(a * 16_000) : int(b * 16_000)] ** 2))
        for a, b in zip(words["onset"], ends, strict=True)
    ]
    assert min(rms) > 0.2 * np.sqrt(np.mean(wave**2))


def test_speech_does_not_depend_on_what_was_said_before():
    first = synthesise(TEXT, voice="en+f3", speed=160)[0]
    synthesise("Something else entirely!", voice="en-us+m3", speed=190)
    time.sleep(1.1)  # left alone, espeak-ng seeds its noise with the second of the day
    np.testing.assert_array_equal(synthesise(TEXT, voice="en+f3", speed=160)[0], first)


def test_unknown_voice_is_named():
    with pytest.raises(BrainAlignError, match="no voice martian"):
        synthesise("hello", voice="martian")


def test_without_espeak_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BrainAlignError, match="espeak-ng") as caught:
        synthesise("hello")
    assert "pip install 'bids-brainalign[simulate]'" in str(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE


def test_stories_share_next_to_no_five_grams():
    texts = [write_text(i, n_words=500, seed=0).lower().split() for i in range(8)]
    grams = [{tuple(t[i : i + 5]) for i in range(len(t) - 4)} for t in texts]
    shared = [len(a & b) / len(a) for i, a in enumerate(grams) for b in grams[:i]]
    assert max(shared) < 0.05
    assert write_text(3, n_words=50, seed=0) == write_text(3, n_words=50, seed=0)
    assert write_text(3, n_words=50, seed=0) != write_text(3, n_words=50, seed=1)


def test_stories_have_the_length_asked_for_and_survive_the_wav(tmp_path, stories):
    write_stimuli(tmp_path, stories)
    for story in stories:
        np.testing.assert_array_equal(
            load_audio(tmp_path / "stimuli" / f"{story.name}.wav"), story.wave
        )
        assert story.duration_s == 40.0
        words = pd.read_csv(tmp_path / "stimuli" / f"{story.name}_words.tsv", sep="\t")
        assert list(words.columns) == ["onset", "duration", "word"]
        assert (words["onset"] + words["duration"]).max() <= 40.0
    again = stories_from_audio([tmp_path / "stimuli" / f"{stories[0].name}.wav"])[0]
    np.testing.assert_array_equal(again.wave, stories[0].wave)
    assert again.words is not None
    assert len(again.words) == len(stories[0].words)


def test_too_many_stories_are_refused():
    with pytest.raises(BrainAlignError, match="8 can be made"):
        synthetic_stories(3, duration_s=40.0, seed=0, first=6)


def test_recordings_that_labels_cannot_tell_apart_are_refused(tmp_path):
    for name in ("part_1.wav", "part-1.wav"):
        soundfile.write(tmp_path / name, np.full(160_000, 0.1), 16_000)
    with pytest.raises(BrainAlignError, match="part1, part1"):
        stories_from_audio(sorted(tmp_path.glob("*.wav")))
    soundfile.write(tmp_path / "short.wav", np.full(16_000, 0.1), 16_000)
    with pytest.raises(BrainAlignError, match=r"short\.wav lasts 1\.0 s"):
        stories_from_audio([tmp_path / "short.wav"])
    with pytest.raises(BrainAlignError, match="does not exist") as caught:
        stories_from_audio([tmp_path / "absent.wav"])
    assert caught.value.exit_code == ExitCode.MISSING_INPUT


def test_labels_hold_letters_and_digits_only():
    assert Story("my_story-2 b", np.zeros(1, dtype=np.float32), None, "").label == "mystory2b"
