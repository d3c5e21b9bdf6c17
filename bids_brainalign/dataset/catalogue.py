"""``stimuli/stimuli.tsv``: stimuli by identifier (BEP044, draft of November 2026)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bids_brainalign.dataset.filenames import DatasetFile
from bids_brainalign.dataset.tables import read_numbered
from bids_brainalign.errors import BrainAlignError

TABLE = "stimuli.tsv"
AUDIO_SUFFIX = "audio"


@dataclass(frozen=True)
class Catalogue:
    """What the dataset says about its stimuli."""

    tables: tuple[Path, ...]
    rows: Mapping[str, Mapping[str, str]]
    """Identifier without ``stim-`` → its cells; ``n/a`` cells are left out."""

    def language(self, stimulus: Path) -> str | None:
        """Language of a stimulus file, where the table says it (a column of its own)."""
        row = self.rows.get(stimulus_id(stimulus)) or self.rows.get(stimulus.stem)
        return None if row is None else row.get("language")


def read_catalogue(bids_dir: Path) -> Catalogue:
    """Read all ``stimuli.tsv`` below ``stimuli/``; deeper ones override cells of those above.

    Raises
    ------
    BrainAlignError
        A table has no column ``stimulus_id`` or can't be read (65); it is not downloaded (66).
    """
    top = bids_dir / "stimuli"
    tables = [Path(folder, TABLE) for folder, _, names in os.walk(top) if TABLE in names]
    tables.sort(key=lambda path: (len(path.parts), path))
    rows: dict[str, dict[str, str]] = {}
    for path in tables:
        table = read_numbered(path, root=bids_dir)
        if "stimulus_id" not in table.columns:
            raise BrainAlignError(
                f"{path.relative_to(bids_dir)} has no column stimulus_id",
                where=f"its columns are {', '.join(table.columns)}",
                fix="BEP044 asks for stimulus_id and type, one stimulus per line",
            )
        names = [str(column).strip() for column in table.columns]
        for cells in table.to_numpy().tolist():
            row = {k.lower(): v for k, v in zip(names, cells, strict=True) if v != "n/a"}
            label = row.get("stimulus_id", "").removeprefix("stim-")
            rows.setdefault(label, {}).update(row)
    return Catalogue(tuple(tables), rows)


def stimulus_id(path: Path) -> str:
    """Give the identifier of a stimulus file without ``stim-``: its label, and part if any.

    Examples
    --------
    >>> stimulus_id(Path("stim-forrest_part-2_audio.wav"))
    'forrest_part-2'
    """
    entities = DatasetFile(path).entities
    parts = [entities.get("stim", ""), f"part-{entities['part']}" if "part" in entities else ""]
    return "_".join(part for part in parts if part)


def audio_of(label: str, audio: Sequence[Path]) -> list[Path]:
    """Audio files that belong to an identifier (given without ``stim-``), parts included.

    Files outside the BEP044 naming count if they are called exactly like the identifier.
    """
    exact = [p for p in audio if stimulus_id(p) == label and DatasetFile(p).suffix == AUDIO_SUFFIX]
    parts = [p for p in audio if DatasetFile(p).entities.get("stim") == label]
    return exact or parts or [p for p in audio if label in (p.stem, p.name)]
