"""Reading tables of output_dir back."""

from pathlib import Path

import numpy as np

from bids_brainalign.outputs.reading import (
    missing_participants,
    participants,
    read_score_table,
    read_scores,
    score_files,
)
from tests.reports.fake_outputs import write_fmri, write_ieeg
from tests.reports.fake_production import write_speaker


def test_names_of_score_files_are_taken_apart(tmp_path: Path):
    write_ieeg(tmp_path, "01", seed=1)
    write_fmri(tmp_path, "02", seed=1)
    there = tmp_path / "sub-02" / "ses-a" / "ieeg"
    there.mkdir(parents=True)
    table = tmp_path / "sub-01" / "ieeg" / "sub-01_task-listen_desc-lowlevel_scores.tsv"
    (there / "sub-02_ses-a_task-listen_desc-lowlevel_scores.tsv").write_bytes(table.read_bytes())
    (tmp_path / "sub-01" / "beh").mkdir()
    (tmp_path / "sub-01" / "beh" / "sub-01_scores.tsv").write_text("none of ours\n")
    files = score_files(tmp_path)
    assert {(f.participant, f.session, f.modality) for f in files} == {
        ("01", "n/a", "ieeg"),
        ("02", "a", "ieeg"),
        ("02", "n/a", "fmri"),
    }
    assert {f.participant for f in score_files(tmp_path, chosen=("02",))} == {"02"}
    of_01 = [f for f in files if f.participant == "01"]
    assert {f.prefix for f in of_01} == {"sub-01_task-listen"}
    assert {f.label for f in of_01} == {"lowlevel", "whisperbase", "whisperbaseUntrained"}
    scores = read_scores(files)
    assert set(scores["analysis"]) >= {"lowlevel", "whisperbase"}
    assert set(scores["session"]) == {"a", "n/a"}
    assert read_scores([]).empty


def test_columns_have_their_types_and_n_a_is_missing(tmp_path: Path):
    path = tmp_path / "sub-01_desc-m_scores.tsv"
    path.write_text("target\tlayer\tfold\tr\tp\n1\t3\tall\tn/a\t0.5\n")
    table = read_score_table(path)
    assert table is not None
    assert table.loc[0, ["target", "layer", "region"]].tolist() == ["1", "3", "n/a"]
    assert np.isnan(table.loc[0, "r"])
    assert np.isnan(table.loc[0, "q_fdr"])
    assert table.loc[0, "p"] == 0.5


def test_missing_participants_come_from_folders_logs_and_status(tmp_path: Path):
    write_ieeg(tmp_path, "01", seed=1)
    (tmp_path / "sub-02" / "ieeg").mkdir(parents=True)
    (tmp_path / "logs" / "sub-03").mkdir(parents=True)
    (tmp_path / "logs" / "status.tsv").write_text("unit\tstatus\nencoding sub-04_task-x\tfailed\n")
    assert participants(tmp_path) == ["01"]
    assert missing_participants(tmp_path) == ["02", "03", "04"]


def test_who_only_spoke_has_results(tmp_path: Path):
    write_ieeg(tmp_path, "01", seed=1)
    write_speaker(tmp_path, "02", embeddings={"gpt2": 0.4}, mappings=("ridge",))
    write_speaker(tmp_path, "03", embeddings={})  # words, but nothing rebuilt from them
    assert participants(tmp_path) == ["01", "02"]
    assert missing_participants(tmp_path) == ["03"]
    assert {file.participant for file in score_files(tmp_path)} == {"01"}
