"""BIDS file names: entities, suffix and extension, and which file describes which."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

SHORT_NAMES = {
    "subject": "sub",
    "session": "ses",
    "acquisition": "acq",
    "ceagent": "ce",
    "reconstruction": "rec",
    "direction": "dir",
    "resolution": "res",
    "density": "den",
    "description": "desc",
}
"""PyBIDS' long entity names, as they stand in filter files, → those in file names."""

_CHANGED_BY_PREPROCESSING = frozenset({"echo", "part", "hemi", "space", "res", "den", "desc"})
"""Entities in which a preprocessed image may differ from the raw runs it was made of."""


@dataclass(frozen=True)
class DatasetFile:
    """A file of a dataset, known by its name; its content may be elsewhere."""

    path: Path

    @cached_property
    def entities(self) -> dict[str, str]:
        """In the order of the name, values as written: ``run-01`` stays ``01``."""
        parts = self.path.name.split(".", 1)[0].split("_")[:-1]
        return dict(part.split("-", 1) for part in parts if "-" in part)

    @cached_property
    def suffix(self) -> str:
        """What stands between the entities and the extension, e.g. ``bold``."""
        return self.path.name.split(".", 1)[0].rsplit("_", 1)[-1]

    @cached_property
    def extension(self) -> str:
        """From the first dot on: ``.nii.gz``."""
        dot = self.path.name.find(".")
        return self.path.name[dot:].lower() if dot >= 0 else ""

    @cached_property
    def name(self) -> str:
        """Participant, session, task and run, as :attr:`Recording.name` has them."""
        parts = ((key, self.entities.get(key)) for key in ("sub", "ses", "task", "run"))
        return "_".join(f"{key}-{value}" for key, value in parts if value)

    def source_entities(self) -> dict[str, str]:
        """Entities that a preprocessed image has in common with its raw run."""
        return {k: v for k, v in self.entities.items() if k not in _CHANGED_BY_PREPROCESSING}


def describes(sidecar: DatasetFile, entities: Mapping[str, str], *, but: Collection[str]) -> bool:
    """Whether a file applies to another by the inheritance principle.

    Parameters
    ----------
    sidecar : DatasetFile
    entities : mapping
        Of the file described.
    but : collection of str
        Entities of the sidecar that don't count.
    """
    own = {k: v for k, v in sidecar.entities.items() if k not in but}
    return all(same_label(entities.get(key), value) for key, value in own.items())


def same_label(a: str | None, b: str | None) -> bool:
    """Equal labels; zeros in front of a number don't count, as in ``run-01`` and ``run-1``."""
    if a is None or b is None:
        return a == b
    return a == b or (a.isdecimal() and b.isdecimal() and int(a) == int(b))
