"""When words were spoken, by events, by the sound, or by their cues."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.dataset.speech_audio import SpeechAudio
from bids_brainalign.dataset.spoken_words import SpokenWords
from bids_brainalign.dataset.types import Recording
from bids_brainalign.outputs.names import fit_name
from bids_brainalign.workflow.attempt import attempt
from bids_brainalign.workflow.production.speakers import Speaker
from bids_brainalign.workflow.production.word_sounds import SpeakerSound
from bids_brainalign.workflow.production.words import read_words, words_step
from tests.workflow.production.spoken import config

RATE_HZ = 16_000
SPOKEN_S = np.array([2.61, 5.55, 8.83, np.nan, 14.7])
"""The fourth word was not said."""
CUES_S = 2.0 + 3.0 * np.arange(5)


class Bursts:
    """Noise where words are."""

    path = Path("sound.wav")

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.wave = (1e-4 * rng.standard_normal(20 * RATE_HZ)).astype(np.float32)
        for start in SPOKEN_S[np.isfinite(SPOKEN_S)]:
            rows = slice(round(start * RATE_HZ), round((start + 0.4) * RATE_HZ))
            self.wave[rows] += (0.2 * rng.standard_normal(rows.stop - rows.start)).astype("f")

    def samples(self, first: int, stop: int) -> np.ndarray:
        return self.wave[first:stop]


def speaker(**columns: object) -> Speaker:
    recording = Recording(
        "01", None, "words", None, "ieeg", Path("sub-01_task-words_ieeg.edf"), "ieeg", ()
    )
    table = pd.DataFrame(
        {
            "word": ["een", "twee", "drie", "vier", "vijf"],
            "cue_s": CUES_S,
            "duration_s": 2.0,
            "role": "speak",
            "content_group": "",
            "speech_onset_s": np.nan,
            "n_phones": np.nan,
        }
    ).assign(**columns)
    words = SpokenWords(table, "Said by a test.", ())
    return Speaker(fit_name([recording]), (recording,), (words,))


def table_of(folder: Path, who: Speaker, *, sound: bool = True, **production: object):
    settings = config(folder, **production)
    audio = SpeechAudio(RATE_HZ, 0.0, 20 * RATE_HZ, "A wave.", Bursts()) if sound else None
    unit = attempt(settings, words_step(settings, who, SpeakerSound((audio,), "d")), run_id="r")
    assert unit.status == "done", unit.message
    path = next((folder / "out").rglob("*_words.json"))
    return read_words(settings, who), path.read_text("utf-8")


def test_onsets_are_found_in_the_sound_and_silent_words_are_left_out(tmp_path: Path) -> None:
    table, said = table_of(tmp_path, speaker())
    assert np.allclose(table["onset"], SPOKEN_S, atol=0.01, equal_nan=True)
    assert np.allclose(table["latency"], SPOKEN_S - CUES_S, atol=0.01, equal_nan=True)
    assert np.allclose(table["duration"].drop(3), 0.4, atol=0.02)
    assert table["used"].tolist() == [True, True, True, False, True]
    assert "no speech was found" in table["reason"][3]
    assert "onset of each word in the sound" in said


def test_cues_count_where_that_is_asked_for_and_where_there_is_no_sound(tmp_path: Path) -> None:
    asked, _ = table_of(tmp_path / "a", speaker(), onset="cue")
    assert asked["onset"].tolist() == CUES_S.tolist()
    assert np.allclose(asked["latency"], SPOKEN_S - CUES_S, atol=0.01, equal_nan=True)
    deaf, said = table_of(tmp_path / "b", speaker(), sound=False)
    assert deaf["onset"].tolist() == CUES_S.tolist()
    assert deaf["loudness"].isna().all()
    assert "There is no sound" in said


def test_onsets_that_events_tell_come_first(tmp_path: Path) -> None:
    given = CUES_S + 0.5
    table, said = table_of(tmp_path, speaker(speech_onset_s=given))
    assert table["onset"].tolist() == given.tolist()
    assert "onsets of speech in events.tsv" in said


def test_rows_of_running_speech_are_onsets_themselves(tmp_path: Path) -> None:
    starts = 2.6 + 0.4 * np.arange(5)
    table, said = table_of(tmp_path, speaker(cue_s=starts, duration_s=0.35))
    assert np.allclose(table["onset"], starts, atol=1e-5)
    assert np.allclose(table["duration"], 0.35)
    assert table["latency"].isna().all()
    assert table["loudness"].notna().all()
    assert "taken as the onsets" in said


@pytest.mark.parametrize("groups", [["a", "a", "b", "b", ""]])
def test_groups_and_roles_are_kept(tmp_path: Path, groups: list[str]) -> None:
    table, _ = table_of(tmp_path, speaker(content_group=groups, role="listen"))
    assert table["content_group"].tolist() == groups
    assert set(table["role"]) == {"listen"}


def test_a_single_word_counts_as_the_other_recordings_do(tmp_path: Path) -> None:
    """Beside running speech its row is its onset, too: no cue is looked for in its sound."""
    talk = speaker()
    talk.words[0].table["cue_s"] = 2.0 + 0.3 * np.arange(5)
    one = dataclasses.replace(talk.words[0], table=talk.words[0].table.iloc[[2]])
    recordings = tuple(
        dataclasses.replace(talk.recordings[0], run=run, path=Path(f"sub-01_run-{run}_ieeg.edf"))
        for run in ("1", "2")
    )
    both = Speaker(fit_name(recordings), recordings, (talk.words[0], one))
    settings = config(tmp_path)
    audio = SpeechAudio(RATE_HZ, 0.0, 20 * RATE_HZ, "A wave.", Bursts())
    unit = attempt(
        settings, words_step(settings, both, SpeakerSound((audio,) * 2, "d")), run_id="r"
    )
    assert unit.status == "done", unit.message
    table = read_words(settings, both)
    assert table["onset"].tolist() == pytest.approx([2.0, 2.3, 2.6, 2.9, 3.2, 2.6])
    said = next((tmp_path / "out").rglob("*_words.json")).read_text("utf-8")
    assert "Rows follow each other as fast as speech" in said
    assert "onset of each word in the sound" not in said
