"""Reading derivatives back."""

from __future__ import annotations

from pathlib import Path

import pytest

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.reports.blocks import read_blocks

from .fake_outputs import MODELS, write_fmri, write_ieeg


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
