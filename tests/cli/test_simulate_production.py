"""``brainalign simulate --speech-production`` from the command line."""

import json

import pandas as pd
import pytest

from bids_brainalign.cli.toolbox import main


@pytest.mark.parametrize(("options", "share"), [([], 0.5), (["--null"], 0.0)])
def test_a_dataset_vectors_and_truth_are_written(tmp_path, capsys, options, share):
    said = [
        "simulate", str(tmp_path), "--speech-production", "--participants", "1", "--words", "4",
        "--channels", "5", "--seed", "9", "--language", "nl", *options,
    ]  # fmt: skip
    assert main(said) == 0
    shown = capsys.readouterr().out
    assert f"--models planted={tmp_path / 'vectors.txt'}" in shown
    assert (tmp_path / "vectors_unrelated.txt").is_file()
    truth = json.loads((tmp_path / "ground_truth.json").read_text())
    assert (truth["share"], truth["seed"], truth["language"]) == (share, 9, "nl")
    (speaker,) = truth["speakers"]
    assert len(speaker["words"]) == 4
    folder = tmp_path / "bids" / "sub-01" / "ieeg"
    channels = pd.read_csv(folder / "sub-01_task-wordProduction_channels.tsv", sep="\t")
    assert channels["type"].tolist() == ["SEEG"] * 5
    # A dataset is never written into another.
    assert main(said) == 73


@pytest.mark.parametrize(
    ("name", "files"),
    [("edf", {"ieeg.edf", "audio.wav"}), ("brainvision", {"ieeg.vhdr", "ieeg.vmrk", "ieeg.eeg"})],
)
def test_other_formats(tmp_path, name, files):
    said = [
        "simulate", str(tmp_path), "--speech-production", "--participants", "1", "--words", "3",
        "--channels", "3", "--production-format", name, "--production-signal", "0.2",
    ]  # fmt: skip
    assert main(said) == 0
    folder = tmp_path / "bids" / "sub-01" / "ieeg"
    stem = "sub-01_task-wordProduction_"
    found = {path.name.removeprefix(stem) for path in folder.iterdir()}
    assert files <= found
    assert not any(path.endswith(".nwb") for path in found)
    events = pd.read_csv(folder / f"{stem}events.tsv", sep="\t", keep_default_na=False)
    assert (events["word"] != "n/a").sum() == 3
