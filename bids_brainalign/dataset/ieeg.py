"""Recordings of electrodes: intracranial ones and those of the scalp."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.filenames import DatasetFile, describes
from bids_brainalign.dataset.listing import Listing
from bids_brainalign.dataset.pointers import is_pointer
from bids_brainalign.dataset.selection import passes
from bids_brainalign.dataset.sidecars import inherited_metadata, read_sidecar
from bids_brainalign.dataset.types import Recording

EXTENSIONS = (".edf", ".bdf", ".vhdr", ".set", ".nwb")
UNREADABLE = (".mefd", ".fif", ".cnt", ".eeg")
MENDS = {
    ".mefd": "is not read (it needs the package pymef); convert it to EDF or BrainVision",
    ".fif": "is no raw recording by BIDS; give the derivative it belongs to with -d NAME=PATH",
}


def find_electrodes(
    listing: Listing, selection: Selection, *, datatype: Literal["ieeg", "eeg"]
) -> tuple[list[Recording], list[tuple[str, str]]]:
    """List the selected recordings, and those in formats that can't be read, with the reason.

    A filter by ``desc`` chooses among derivatives and says nothing about raw recordings.
    """
    found = [
        f
        for f in listing.of(datatype, EXTENSIONS)
        if passes(f, selection, datatype, but=("desc",))
    ]
    readable = {f.name for f in found}
    skipped = [
        (
            f.name,
            f"{f.path.name}: {f.extension} "
            + MENDS.get(f.extension, "is not read; convert it to EDF or BrainVision"),
        )
        for f in listing.of(datatype, UNREADABLE)
        if passes(f, selection, datatype, but=("desc",)) and f.name not in readable
    ]
    return [_recording(file, listing, datatype) for file in found], skipped


def _recording(file: DatasetFile, listing: Listing, datatype: Literal["ieeg", "eeg"]) -> Recording:
    folder, entities = file.path.parent, file.entities

    def table(suffix: str) -> Path | None:
        return listing.nearest(entities, folder, suffix=suffix, extension=".tsv")

    electrodes, coordsystem, space = choose_electrodes(file, listing)
    return Recording(
        participant=entities["sub"],
        session=entities.get("ses"),
        task=entities.get("task", ""),
        run=entities.get("run"),
        modality=datatype,
        path=file.path,
        datatype=datatype,
        entities=tuple(entities.items()),
        metadata=inherited_metadata(file.path, listing.root),
        events_path=table("events"),
        channels_path=table("channels"),
        electrodes_path=electrodes,
        coordsystem_path=coordsystem,
        space=space,
    )


def choose_electrodes(
    recording: DatasetFile, listing: Listing
) -> tuple[Path | None, Path | None, str | None]:
    """Choose among the electrode tables of a recording: MNI space first, pixels last.

    Returns
    -------
    electrodes, coordsystem : Path or None
        The coordinate system is the one of the same space.
    space : str or None
        The space entity, else what the coordinate system names.
    """

    def of(suffix: str, extension: str) -> list[DatasetFile]:
        return [
            f
            for f in listing.of(suffix, (extension,))
            if recording.path.parent.is_relative_to(f.path.parent)
            and describes(f, recording.entities, but=("space",))
        ]

    systems = of("coordsystem", ".json")
    choices = []
    for table in of("electrodes", ".tsv"):
        system = _system_of(table, systems)
        space = table.entities.get("space") or _named_space(system, listing)
        choices.append((_rank(space), -len(table.entities), str(table.path), table, system, space))
    if not choices:
        return None, None, None
    *_, table, system, space = min(choices, key=lambda choice: choice[:3])
    return table.path, system.path if system is not None else None, space


def _system_of(table: DatasetFile, systems: Sequence[DatasetFile]) -> DatasetFile | None:
    """Coordinate system of the same space, the most specific one."""
    same = [s for s in systems if s.entities.get("space") == table.entities.get("space")]
    return max(same, key=lambda s: (len(s.path.parts), len(s.entities)), default=None)


def _named_space(system: DatasetFile | None, listing: Listing) -> str | None:
    if system is None or is_pointer(system.path):
        return None
    said = read_sidecar(system.path, listing.root)
    space = said.get("iEEGCoordinateSystem") or said.get("EEGCoordinateSystem")
    return str(space) if space else None


def _rank(space: str | None) -> int:
    """0 for MNI; image pixels last, as they are no place in a head."""
    if space is None:
        return 2
    if space.startswith("MNI"):
        return 0
    return 3 if space.lower() == "pixels" else 1
