"""Words that were spoken, from events.tsv and from the text track of NWB files."""

from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest

from bids_brainalign.dataset.spoken_words import COLUMNS, find_spoken_words
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError, ExitCode
from tests.dataset.test_nwb import series
from tests.dataset.trees import write

RATE = 1024.0


def edf(tmp_path, events, *, length_s=100.0, bom=False):
    folder = tmp_path / "sub-01" / "ieeg"
    path = write(folder / "sub-01_task-words_ieeg.edf", "")
    table = None
    if events is not None:
        table = write(folder / "sub-01_task-words_events.tsv", events, bom=bom)
    entities = (("sub", "01"), ("task", "words"))
    about = {"RecordingDuration": length_s}
    return Recording(
        "01", None, "words", None, "ieeg", path, "ieeg", entities, about, events_path=table
    )


def test_a_row_with_a_word_is_a_word(tmp_path):
    events = (
        "onset\tduration\ttrial_type\tword\r\n1.5\t2\tword\thuis\r\n3.5\t1\tfixation\tn/a\r\n"
        "4.5\t0\tword\t café \r\n6.5\tn/a\tword\tboom\r\n"
    )
    found = find_spoken_words(edf(tmp_path, events, bom=True))
    assert list(found.table.columns) == list(COLUMNS)
    assert found.table["word"].tolist() == ["huis", "café", "boom"]
    assert found.table["cue_s"].tolist() == [1.5, 4.5, 6.5]
    # 0 marks an instant in BIDS: no duration is known.
    np.testing.assert_array_equal(found.table["duration_s"], [2.0, np.nan, np.nan])
    assert set(found.table["role"]) == {"speak"}
    assert set(found.table["content_group"]) == {""}
    assert found.table[["speech_onset_s", "n_phones"]].isna().all().all()
    assert found.rule == "Words are the column word of sub-01_task-words_events.tsv (3 rows)."
    assert found.notes == ("1 of 4 rows of sub-01_task-words_events.tsv have no word.",)


def test_conversation_passages_and_given_speech_onsets(tmp_path):
    events = (
        "onset\tduration\tsaid\trole\tcontent_group\tspeech_onset\tn_phones\n"
        "1\t.3\thello\tSpeak\tp1\t0.99\t4\n2\t.3\tthere\tlisten\tp1\t2.1\t3\n"
        "3\t.3\tyou\tspeak\tn/a\tn/a\tn/a\n4\t.3\tme\tn/a\tp2\t4\t2\n"
    )
    recording = edf(tmp_path, events)
    found = find_spoken_words(recording, word_column="said")
    assert found.table["word"].tolist() == ["hello", "you"]
    assert found.table["role"].tolist() == ["speak", "speak"]
    assert found.table["content_group"].tolist() == ["p1", ""]
    np.testing.assert_array_equal(found.table["speech_onset_s"], [0.99, np.nan])
    np.testing.assert_array_equal(found.table["n_phones"], [4.0, np.nan])
    assert "2 words of other roles were left out: listen (1), n/a (1)." in found.notes
    both = find_spoken_words(recording, word_column="said", roles=("speak", "listen"))
    assert both.table["role"].tolist() == ["speak", "listen", "speak"]
    with pytest.raises(BrainAlignError, match="no word has the role sing") as caught:
        find_spoken_words(recording, word_column="said", roles=("sing",))
    assert caught.value.exit_code == ExitCode.MISSING_INPUT
    assert "speak (2), listen (1), n/a (1)" in caught.value.where
    assert 'roles = ["speak"] under [production]' in caught.value.fix
    assert "--config-file" in caught.value.fix


def test_unsorted_repeated_and_outside_rows_are_mended_and_said(tmp_path):
    rows = ["-0.5\ta", "7\tc", "5\tb", "7\tc", "99.9\td", "100\te", "300\tf", "n/a\tg", "8\tc"]
    events = "onset\tword\n" + "\n".join(rows) + "\n"
    found = find_spoken_words(edf(tmp_path, events))
    assert found.table["word"].tolist() == ["b", "c", "c", "d"]
    assert found.table["cue_s"].tolist() == [5, 7, 8, 99.9]
    said = " ".join(found.notes)
    assert "1 words were left out: their onset is n/a." in said
    assert "3 of 8 words were left out" in said
    assert "its end at 100.000 s" in said
    assert "not in order of time" in said
    assert "1 rows repeat a word at the same time" in said


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("onset\tword", "soon\ta", r"line 3: onset is 'soon', not a number of seconds"),
        ("onset\tword", "inf\ta", r"line 3: onset is 'inf'"),
        ("onset\tword", "1,5\ta", r"line 3: onset is '1,5'"),
        ("onset\tduration\tword", "1\t-2\ta", r"line 3: duration is -2"),
        ("onset\tspeech_onset\tword", "40\t0.6\ta", r"line 3: speech_onset is 0\.6 s, but its"),
        ("onset\tspeech_onset\tword", "40\tlate\ta", r"line 3: speech_onset is 'late'"),
        ("onset\tn_phones\tword", "1\tmany\ta", r"line 3: n_phones is 'many', not a count"),
        ("onset\tn_phones\tword", "1\t0\ta", r"line 3: n_phones is '0', not a count"),
        ("duration\tword", "1\ta", "has no column onset"),
    ],
)
def test_a_wrong_number_names_its_line(tmp_path, header, row, message):
    # A row without a word may hold anything.
    other = "\t".join(["x"] * header.count("\t") + ["n/a"])
    recording = edf(tmp_path, f"{header}\n{other}\n{row}\n")
    with pytest.raises(BrainAlignError, match=message) as caught:
        find_spoken_words(recording)
    assert caught.value.exit_code == ExitCode.DATA_ERROR


def test_nothing_to_find_says_what_there_is(tmp_path):
    recording = edf(tmp_path, "onset\tduration\ttrial_type\n1\t2\tword\n")
    with pytest.raises(BrainAlignError, match="nothing tells which words were spoken") as caught:
        find_spoken_words(recording)
    assert caught.value.exit_code == ExitCode.MISSING_INPUT
    assert "whose columns are onset, duration, trial_type" in caught.value.where
    assert "columns that hold text: trial_type" in caught.value.where
    assert 'word_column = "trial_type" under [production]' in caught.value.fix
    assert "--config-file" in caught.value.fix
    many = edf(tmp_path / "many", "onset\trole\ttrial_type\tvalue\tsample\n"
               "1\tspeak\tword\thuis\t512\n3\tspeak\tword\tboom\t1536\n")  # fmt: skip
    with pytest.raises(BrainAlignError) as caught:
        find_spoken_words(many)
    assert "columns that hold text: value, trial_type" in caught.value.where
    assert 'word_column = "value"' in caught.value.fix
    with pytest.raises(BrainAlignError) as caught:
        find_spoken_words(replace(recording, events_path=None))
    assert "there is no events.tsv" in caught.value.where
    recording = edf(tmp_path / "blank", "onset\tword\n1\tn/a\n2\t+\n")
    with pytest.raises(BrainAlignError) as caught:
        find_spoken_words(recording)
    assert "events.tsv holds no word" in caught.value.where
    recording = edf(tmp_path / "late", "onset\tword\n200\tlate\n")
    with pytest.raises(BrainAlignError, match="has no usable word") as caught:
        find_spoken_words(recording)
    assert "1 of 1 words were left out" in caught.value.where


def track(*runs):
    """Text of every sample from (text, seconds)."""
    return [text for text, seconds in runs for _ in range(round(seconds * RATE))]


WORDS = (
    ("", 1.0),
    ("huis", 2.0),
    ("", 1.0),
    ("huis", 2.0),
    ("", 1.0),
    ("één", 2.0),
    ("boom", 2.0),
)


def nwb(tmp_path, words, *, neural_start_s=0.0, start_s=None, rate=RATE, dtype=None, n_extra=0):
    folder = tmp_path / "sub-01" / "ieeg"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "sub-01_task-words_ieeg.nwb"
    n_times = len(words) + n_extra
    with h5py.File(path, "w") as file:
        group = series(file, "acquisition/iEEG", np.zeros((n_times, 2), dtype=np.int16))
        group["starting_time"][()] = neural_start_s
        data = words if dtype is None else np.array([w.encode("latin-1") for w in words], dtype)
        group = series(file, "acquisition/Stimulus", data, rate=rate)
        if start_s is not None:
            group["starting_time"][()] = start_s
    table = write(folder / "sub-01_task-words_channels.tsv", "name\ttype\nA1\tSEEG\nA2\tSEEG\n")
    entities = (("sub", "01"), ("task", "words"))
    return Recording(
        "01", None, "words", None, "ieeg", path, "ieeg", entities, channels_path=table
    )


@pytest.mark.parametrize("dtype", [None, "S12"])
def test_runs_of_equal_text_are_words(tmp_path, dtype):
    found = find_spoken_words(nwb(tmp_path, track(*WORDS), dtype=dtype))
    assert found.table["word"].tolist() == ["huis", "huis", "één", "boom"]
    np.testing.assert_allclose(found.table["cue_s"], [1, 4, 7, 9])
    np.testing.assert_allclose(found.table["duration_s"], 2)
    assert "series Stimulus of sub-01_task-words_ieeg.nwb" in found.rule
    assert found.notes == ()


def test_runs_are_found_across_pieces(tmp_path, monkeypatch):
    whole = find_spoken_words(nwb(tmp_path, track(*WORDS))).table
    monkeypatch.setattr("bids_brainalign.dataset.stimulus_track.ROWS_AT_ONCE", 777)
    pd.testing.assert_frame_equal(find_spoken_words(nwb(tmp_path, track(*WORDS))).table, whole)


def test_blanks_and_zeros_fill_words_up_and_marks_are_no_words(tmp_path):
    runs = (("+  ", 1.0), (" huis  ", 2.0), ("   ", 1.0), ("huis\x00\x00", 2.0), ("+", 1.0))
    found = find_spoken_words(nwb(tmp_path, track(*runs), dtype="S10"))
    assert found.table["word"].tolist() == ["huis", "huis"]
    assert found.notes == ("Text without a letter is no word: +.",)


def test_the_track_has_a_clock_of_its_own(tmp_path):
    # Twice as slow as the neural series, which began 10 s later.
    words = track(*WORDS)[::2]
    recording = nwb(
        tmp_path, words, rate=RATE / 2, start_s=9.5, neural_start_s=10.0, n_extra=6 * 1024
    )
    found = find_spoken_words(recording)
    np.testing.assert_allclose(found.table["cue_s"], [0.5, 3.5, 6.5, 8.5], atol=1e-3)


def test_a_track_without_clock_has_that_of_the_neural_series(tmp_path):
    found = find_spoken_words(nwb(tmp_path, track(*WORDS), rate=None, neural_start_s=3.0))
    np.testing.assert_allclose(found.table["cue_s"], [1, 4, 7, 9])
    recording = nwb(tmp_path, track(*WORDS), rate=None, n_extra=5)
    with pytest.raises(BrainAlignError, match="nothing tells the time of the words"):
        find_spoken_words(recording)


def test_a_word_cut_by_the_start_and_a_glitch_are_left_out(tmp_path):
    runs = (("half", 0.7), *WORDS, ("", 1.0), ("flash", 0.02), ("", 0.5))
    found = find_spoken_words(nwb(tmp_path, track(*runs)))
    assert found.table["word"].tolist() == ["huis", "huis", "één", "boom"]
    assert any("first word (half) was left out" in note for note in found.notes)
    assert any("1 texts of the Stimulus series" in note for note in found.notes)
    whole = (("all", 2.0), *WORDS)
    assert find_spoken_words(nwb(tmp_path, track(*whole))).table["cue_s"][0] == 0


def test_events_with_words_go_first_and_tracks_of_numbers_are_none(tmp_path):
    recording = nwb(tmp_path, track(*WORDS))
    events = write(tmp_path / "e_events.tsv", "onset\tduration\ttrial_type\n1\t2\tword\n")
    assert len(find_spoken_words(replace(recording, events_path=events)).table) == 4
    events = write(tmp_path / "w_events.tsv", "onset\tword\n1\tanders\n")
    (word,) = find_spoken_words(replace(recording, events_path=events)).table["word"]
    assert word == "anders"
    with h5py.File(recording.path, "a") as file:
        del file["acquisition/Stimulus"]
        series(file, "acquisition/Stimulus", np.zeros(9))
    with pytest.raises(BrainAlignError) as caught:
        find_spoken_words(recording)
    assert "has no words in a series Stimulus of acquisition" in caught.value.where


def test_what_is_not_downloaded_is_said(tmp_path):
    recording = nwb(tmp_path, track(*WORDS))
    recording.path.unlink()
    recording.path.symlink_to(f"../../.git/annex/objects/aa/bb/SHA256E-s9--{'0' * 64}.nwb/x.nwb")
    with pytest.raises(BrainAlignError, match=r"datalad get sub-01/ieeg/.*\.nwb") as caught:
        find_spoken_words(recording)
    assert caught.value.exit_code == ExitCode.MISSING_INPUT
