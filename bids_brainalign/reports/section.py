"""What a section of a participant's page holds."""

from __future__ import annotations

from dataclasses import dataclass, field

from bids_brainalign.reports.rendering import Picture


@dataclass(frozen=True)
class Cells:
    """A small table as text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """The first cell names the row."""
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A heading with sentences, figures and tables."""

    title: str
    sentences: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Cells, ...] = field(default=())
