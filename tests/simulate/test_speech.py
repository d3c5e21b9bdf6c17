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


def rms(wave, onset, end):
    return float(np.sqrt(np.mean(wave[int(onset * 16_000) : int(end * 16_000)] ** 2)))


def test_words_are_those_of_the_text_in_order_and_on_sound():
    wave, words, _ = synthesise(TEXT, voice="en-us", speed=150)
    assert list(words["word"]) == "stop the clock was old nobody knew why".split()
    ends = words["onset"] + words["duration"]
    assert np.all(words["onset"].to_numpy()[1:] >= ends.to_numpy()[:-1] - 1e-3)
    assert ends.iloc[-1] <= len(wave) / 16_000
    loudness = [rms(wave, a, b) for a, b in zip(words["onset"], ends, strict=True)]
    assert min(loudness) > 0.2 * np.sqrt(np.mean(wave**2))


@pytest.mark.parametrize("voice", ["en-us", "en-gb-x-rp+f2", "en-gb-scotland+m3"])
def test_phones_fill_the_words_they_belong_to(voice):
    _, words, phones = synthesise(write_text(1, n_words=80, seed=3), voice=voice, speed=170)
    onsets = phones["onset"].to_numpy()
    ends = onsets + phones["duration"].to_numpy()
    assert np.all(np.diff(onsets) > 0)
    assert np.all(ends[:-1] <= onsets[1:] + 1e-9)
    starts = words["onset"].to_numpy()
    stops = starts + words["duration"].to_numpy()
    word = np.searchsorted(starts, onsets + 1e-4, side="right") - 1
    assert np.all(ends <= stops[word] + 2e-4)
    np.testing.assert_array_equal(np.unique(word), np.arange(len(words)))
    np.testing.assert_allclose(
        phones["duration"].groupby(word).sum(), words["duration"], atol=1e-3
    )  # no gap inside a word


def test_phones_are_those_said_without_stress_marks():
    _, _, phones = synthesise("She sees a cat.", voice="en-us", speed=150)
    assert list(phones["phone"]) == ["ʃ", "iː", "s", "iː", "z", "ɐ", "k", "æ", "t"]


def test_phone_times_are_on_the_sound():
    wave, _, phones = synthesise(write_text(2, n_words=250, seed=3), voice="en-us", speed=160)
    rows = list(phones.itertuples(index=False))

    def decibels(names, first=0.0, last=1.0):
        spans = [(r.onset, r.duration) for r in rows if r.phone in names]
        return np.median(
            [20 * np.log10(rms(wave, o + first * d, o + last * d) + 1e-9) for o, d in spans]
        )

    vowels = decibels({"æ", "ɪ", "ɛ", "ɑː", "oʊ", "eɪ"})
    assert vowels > decibels({"f", "θ", "h"}) + 8
    # A stop is a closure, then a burst.
    assert vowels > decibels({"p", "t", "k"}, last=0.3) + 20
    assert decibels({"p", "t", "k"}, first=0.5) > decibels({"p", "t", "k"}, last=0.3) + 6

    def share_above(names, hertz):
        shares = []
        for row in rows:
            if row.phone in names:
                span = slice(int(row.onset * 16_000), int((row.onset + row.duration) * 16_000))
                power = np.abs(np.fft.rfft(wave[span])) ** 2
                above = np.fft.rfftfreq(span.stop - span.start, 1 / 16_000) > hertz
                shares.append(power[above].sum() / power.sum())
        return np.median(shares)

    assert share_above({"s", "z"}, 3500) > 0.5 > 5 * share_above({"m", "n", "w"}, 3500)
    # The second formant: above 1.5 kHz in front vowels, below it in back ones.
    assert share_above({"iː", "i"}, 1500) > 3 * share_above({"ɑː", "ɔː"}, 1500)


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
        phones = pd.read_csv(tmp_path / "stimuli" / f"{story.name}_phones.tsv", sep="\t")
        assert list(phones.columns) == ["onset", "duration", "phone"]
        assert (phones["onset"] + phones["duration"]).max() <= 40.0
    again = stories_from_audio([tmp_path / "stimuli" / f"{stories[0].name}.wav"])[0]
    np.testing.assert_array_equal(again.wave, stories[0].wave)
    assert again.words is not None
    pd.testing.assert_frame_equal(again.words, stories[0].words)
    pd.testing.assert_frame_equal(again.phones, stories[0].phones)


def test_tables_of_given_recordings_may_hold_the_word_null_and_absent_times(tmp_path):
    soundfile.write(tmp_path / "said.wav", np.full(320_000, 0.1), 16_000)
    (tmp_path / "said_words.tsv").write_text(
        "onset\tduration\tword\n1.0\t0.5\tnull\nn/a\tn/a\tlost\n12.0\t0.5\tlate\n"
    )
    story = stories_from_audio([tmp_path / "said.wav"])[0]
    assert list(story.words["word"]) == ["null", "lost", "late"]
    assert story.phones is None
    cut = stories_from_audio([tmp_path / "said.wav"], max_duration_s=11.0)[0]
    assert list(cut.words["word"]) == ["null"]


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
