"""What a section of a participant's page holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bids_brainalign.outputs.reading import read_sidecar
from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.rendering import Picture


@dataclass(frozen=True)
class Cells:
    """A small table as text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """The first cell names the row. A line break in a cell stays."""
    caption: str = ""
    folded: str = ""
    """Where there is one, the table opens by a click on this line."""


@dataclass(frozen=True)
class Section:
    """A heading with sentences, figures and tables."""

    title: str
    sentences: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Cells, ...] = field(default=())


def sentences_of(sidecar: Mapping[str, object], field_name: str) -> tuple[str, ...]:
    """Sentences of one field of a sidecar; none if there is no such list."""
    found = sidecar.get(field_name)
    return tuple(map(str, found)) if isinstance(found, list) else ()


def said_instead(block: Block, path: Path, title: str) -> Section | None:
    """Give the reason that stands beside a table without rows; None where there is none."""
    if path.name in block.outdated:
        return None
    sidecar = read_sidecar(path.with_suffix(".json"))
    said = (*sentences_of(sidecar, "Skipped"), *sentences_of(sidecar, "Notes"))
    return Section(title, sentences=said) if said else None
