"""Reading derivatives back."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.outputs.reading import SETTINGS
from bids_brainalign.reports.blocks import read_blocks
from bids_brainalign.reports.participant_page import participant_context
from bids_brainalign.reports.rendering import Album

from .fake_outputs import MODELS, bare_block, write_fmri, write_ieeg, write_tsv


def test_controls_are_found_for_their_model(tmp_path: Path):
    write_ieeg(tmp_path, "01", seed=1)
    (block,) = read_blocks(tmp_path, "01")
    models = [a.model for a in (block.main, block.untrained, block.lowlevel) if a]
    assert models == list(MODELS.values())
    assert block.main.sentences("Skipped") == ["LA7 and LA8: status bad in channels.tsv."]
    assert block.main.sentences("Nothing") == []


def test_maps_belong_to_their_analysis(tmp_path: Path):
    write_fmri(tmp_path, "01", seed=1)
    (block,) = read_blocks(tmp_path, "01")
    assert set(block.main.maps) == {"r", "q", "layer"}
    assert all("desc-whisperbase_" in path.name for path in block.main.maps.values())


def test_sessions_are_blocks_of_their_own(tmp_path: Path):
    write_ieeg(tmp_path, "01", seed=1)
    folder = tmp_path / "sub-01" / "ieeg"
    for session in ("a", "b"):
        there = tmp_path / "sub-01" / f"ses-{session}" / "ieeg"
        there.mkdir(parents=True)
        for path in folder.iterdir():
            name = path.name.replace("sub-01_", f"sub-01_ses-{session}_")
            (there / name).write_bytes(path.read_bytes())
    for path in folder.iterdir():
        path.unlink()
    assert [block.main.file.session for block in read_blocks(tmp_path, "01")] == ["a", "b"]


@pytest.mark.parametrize(
    ("suffix", "content", "message"),
    [
        ("scores.tsv", b"a\tb\n1\t2\t3\t4\n1\t2\t3\n\xff\xfe\n", "is not a table"),
        ("scores.json", b"[1, 2]", "is not a JSON object"),
        ("scores.json", b"{", "is not a JSON object"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, suffix: str, content: bytes, message: str):
    write_ieeg(tmp_path, "01", seed=1)
    name = f"sub-01_task-listen_desc-whisperbase_{suffix}"
    (tmp_path / "sub-01" / "ieeg" / name).write_bytes(content)
    with pytest.raises(BrainAlignError, match=f"{name} {message}") as error:
        read_blocks(tmp_path, "01")
    assert "run the participant level again" in str(error.value)


def test_empty_table_is_no_analysis(tmp_path: Path):
    write_ieeg(tmp_path, "01", seed=1)
    for path in tmp_path.rglob("*_scores.tsv"):
        path.write_text(path.read_text().splitlines()[0] + "\n")
    assert read_blocks(tmp_path, "01") == []


@pytest.mark.parametrize(("mine", "its"), [("new", "old"), ("new", ""), ("", "old")])
def test_tables_of_other_settings_are_left_out_and_named(tmp_path: Path, mine: str, its: str):
    block = bare_block(tmp_path, "sub-01", "own", settings=mine)
    path = tmp_path / "sub-01_desc-own_combined.tsv"
    frame = pd.DataFrame({"target": ["a"], "r": [0.5]})
    for settings, shown in ((its, False), (mine, True)):
        write_tsv(path, frame, {SETTINGS: settings} if settings else {})
        assert (block.table(path) is not None) == shown
        assert (block.table_of_recordings(path) is not None) == shown
    assert block.outdated == [path.name]


def test_the_page_says_what_it_leaves_out(tmp_path: Path):
    write_ieeg(tmp_path, "01", seed=1, n_electrodes=6)
    path = tmp_path / "sub-01" / "ieeg" / "sub-01_task-listen_desc-whisperbase_timescale.tsv"
    frame = pd.DataFrame({"target": ["LG1"], "kind": "jitter"})
    write_tsv(path, frame, {SETTINGS: "of last week"})
    (view,) = participant_context(tmp_path, "01", Album(tmp_path, "figures"))["blocks"]
    assert f"{path.name} is not shown: it was made with other settings" in view["skipped"][-1]
    assert "Time scale" not in [section.title for section in view["model_sections"]]


def test_sliding_features_stand_beside_the_dense_ones_of_the_same_settings(tmp_path: Path):
    write_ieeg(tmp_path, "01", seed=1, n_electrodes=6)
    folder = tmp_path / "sub-01" / "ieeg"
    dense = folder / "sub-01_task-listen_desc-whisperbase_scores.tsv"
    sliding = folder / "sub-01_task-listen_desc-whisperbaseSliding_scores.tsv"
    frame = pd.read_csv(dense, sep="\t", keep_default_na=False)
    name = frame["model"].iloc[0]
    frame["model"] = f"{name}:sliding"
    frame.to_csv(sliding, sep="\t", index=False)
    sidecar = json.loads(dense.with_suffix(".json").read_text())
    for settings, found in ((sidecar.get(SETTINGS, ""), True), ("others", False)):
        sliding.with_suffix(".json").write_text(json.dumps({**sidecar, SETTINGS: settings}))
        blocks = {block.main.model: block for block in read_blocks(tmp_path, "01")}
        assert blocks[name].dense is None
        beside = blocks[f"{name}:sliding"].dense
        assert (beside is not None and beside.model == name) == found
