"""Sections beyond the encoding reach the page, once for the recordings and once per model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bids_brainalign.reports import sections
from bids_brainalign.reports.pages import write_participant_page
from bids_brainalign.reports.sections import Cells, Section
from tests.reports.fake_outputs import write_tree

if TYPE_CHECKING:
    from pathlib import Path

    from bids_brainalign.reports.blocks import Block
    from bids_brainalign.reports.rendering import Album


def _of_recordings(block: Block, album: Album) -> Section:
    return Section(f"About {block.main.file.prefix}", ("Seen <once>.",))


def _of_model(block: Block, album: Album) -> Section:
    table = Cells(("Target", "Value"), (("A1", "0.5"),), caption=f"Of {block.main.model}")
    return Section("A table", tables=(table,))


def _absent(block: Block, album: Album) -> None:
    return None


def test_sections_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tree(tmp_path)
    monkeypatch.setattr(sections, "OF_RECORDINGS", (_of_recordings, _absent))
    monkeypatch.setattr(sections, "OF_MODELS", (_of_model,))
    page, *_ = write_participant_page(tmp_path, "01")
    html = page.read_text()
    assert html.count("Seen &lt;once&gt;.") == html.count("<h3>About sub-01")
    assert "<caption>Of whisper" in html
    assert "<td>0.5</td>" in html
