"""Tables about phones are found, and those that the scores beside them left behind are not."""

import pandas as pd

from bids_brainalign.outputs.phonemes import (
    outdated_phoneme_files,
    phoneme_files,
    read_phoneme_tables,
)
from bids_brainalign.outputs.reading import SETTINGS
from tests.reports.fake_outputs import write_tsv

FRAME = pd.DataFrame({"target": ["a"], "kind": ["phone"]})


def write(folder, label, settings, *, participant="01"):
    path = folder / f"sub-{participant}" / "ieeg" / f"sub-{participant}_task-x_desc-{label}.tsv"
    write_tsv(path, FRAME, {SETTINGS: settings})
    return path


def test_tables_of_other_settings_are_left_out(tmp_path):
    write(tmp_path, "own_scores", "new")
    stale = write(tmp_path, "phones_phonemes", "old")
    kept = write(tmp_path, "phones_phonemes", "any", participant="02")  # no scores beside it
    assert phoneme_files(tmp_path, "phonemes") == [kept]
    assert outdated_phoneme_files(tmp_path) == [stale]
    assert read_phoneme_tables(tmp_path, "phonemes")["participant"].tolist() == ["02"]
    write(tmp_path, "other_scores", "old")
    assert phoneme_files(tmp_path, "phonemes") == [stale, kept]
    assert outdated_phoneme_files(tmp_path) == []
