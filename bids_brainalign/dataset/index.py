"""The recordings of a dataset that a run works on, and those it leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.bold import PREPROCESSED, find_bold, raw_bold, raw_recordings
from bids_brainalign.dataset.column_files import column_folder, find_columns, other_runs
from bids_brainalign.dataset.derivatives import FREESURFER, find_fmriprep, require_folders
from bids_brainalign.dataset.filenames import DatasetFile
from bids_brainalign.dataset.ieeg import EXTENSIONS, UNREADABLE, find_electrodes
from bids_brainalign.dataset.kinds import GRAYORDINATES, SURFACES, VOLUMES
from bids_brainalign.dataset.listing import Listing, list_files
from bids_brainalign.dataset.ready_made import use_prepared
from bids_brainalign.dataset.selection import (
    filters_in_force,
    nothing_selected,
    require_participants,
)
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError, ExitCode

ELECTRODES: tuple[Literal["ieeg", "eeg"], ...] = ("ieeg", "eeg")


@dataclass(frozen=True)
class Index:
    """What lies there."""

    recordings: tuple[Recording, ...]
    skipped: tuple[tuple[str, str], ...]
    """Name of a recording or participant, and the reason."""


def find_recordings(
    bids_dir: Path,
    *,
    derivatives: Sequence[tuple[str, Path]],
    selection: Selection,
    modalities: Sequence[str],
    database_dir: Path | None = None,
    bold_desc: str = PREPROCESSED,
) -> Index:
    """List the recordings to run. Only names and sidecars are read, never signals.

    Parameters
    ----------
    bids_dir : Path
    derivatives : sequence of (name, folder)
        ``-d``; without one, ``derivatives/*`` by fMRIPrep if there is exactly one.
    selection : Selection
    modalities : sequence of {"ieeg", "eeg", "fmri"}
    database_dir : Path, optional
        Where PyBIDS keeps its index.
    bold_desc : str
        ``desc-`` of the preprocessed volumes.

    Returns
    -------
    Index
        Recordings in the order of modality and name.

    Raises
    ------
    BrainAlignError
        The filters select nothing, or a participant is absent (18); the dataset is absent or has
        nothing usable (66); several spaces, derivatives or files to choose from (64).
    """
    found = survey(
        bids_dir,
        derivatives=derivatives,
        selection=selection,
        modalities=modalities,
        database_dir=database_dir,
        bold_desc=bold_desc,
    )
    if not found.recordings:
        raise _all_left_out(bids_dir.absolute(), found.skipped, derivatives)
    return Index(found.recordings, found.skipped)


@dataclass(frozen=True)
class Survey:
    """What lies there, whether it can be run or not."""

    recordings: tuple[Recording, ...]
    """Those that can be run, in the order of modality and name."""
    unprepared: tuple[Recording, ...]
    """Raw fMRI runs of which no preprocessed image was found."""
    skipped: tuple[tuple[str, str], ...]
    """Name of a recording or participant, and the reason."""
    participants: tuple[str, ...]
    """All of the dataset, selected or not."""
    fmriprep: Path | None
    columns: Path | None = None
    """Folder of HDF5 responses that are used."""


def survey(
    bids_dir: Path,
    *,
    derivatives: Sequence[tuple[str, Path]],
    selection: Selection,
    modalities: Sequence[str],
    database_dir: Path | None = None,
    bold_desc: str = PREPROCESSED,
) -> Survey:
    """List what a dataset holds; parameters and errors as :func:`find_recordings`.

    Other than there, a dataset of which nothing can be run yet is no error.
    """
    bids_dir = bids_dir.absolute()
    _require_folder(bids_dir)
    require_folders(derivatives)
    fmriprep, columns = None, None
    if "fmri" in modalities:
        fmriprep, columns = _fmri_folders(bids_dir, derivatives)
    participants = _participants(bids_dir, fmriprep)
    require_participants(participants, selection)

    def listing(root: Path, *, derivative: bool) -> Listing:
        chosen = selection.participants
        return list_files(
            root, participants=chosen, database_dir=database_dir, derivative=derivative
        )

    raw = listing(bids_dir, derivative=False)
    prepared = listing(fmriprep, derivative=True) if fmriprep is not None else None
    recordings: list[Recording] = []
    unprepared: list[Recording] = []
    skipped: list[tuple[str, str]] = []
    seen: list[DatasetFile] = []
    for datatype in ELECTRODES:
        if datatype in modalities:
            found, left_out = find_electrodes(raw, selection, datatype=datatype)
            recordings += use_prepared(found, derivatives, selection)
            skipped += left_out
            seen += raw.of(datatype, (*EXTENSIONS, *UNREADABLE))
    if "fmri" in modalities:
        if columns is not None:
            runs = find_columns(columns, raw, selection, participants)
            left_out = _without_columns(raw, selection, runs, columns)
        else:
            runs, left_out = _fmri(raw, prepared, selection, bold_desc)
        missing = {name for name, _ in left_out}
        unprepared = [
            r for r in raw_recordings(raw, selection, prepared=runs) if r.name in missing
        ]
        recordings, skipped = [*recordings, *runs], [*skipped, *left_out]
        kinds = (*VOLUMES, *SURFACES, *GRAYORDINATES)
        seen += [f for where in (raw, prepared) if where for f in where.of("bold", kinds)]
    if not recordings and not skipped:
        what = f"{' and '.join(modalities)} recordings in {bids_dir}"
        raise nothing_selected(seen, selection, participants=participants, what=what)
    _require_distinct(recordings)
    skipped += _without_recordings(participants, recordings, skipped, selection)
    return Survey(
        recordings=tuple(sorted(recordings, key=lambda r: (r.modality, r.name))),
        unprepared=tuple(sorted(unprepared, key=lambda r: r.name)),
        skipped=tuple(skipped),
        participants=tuple(participants),
        fmriprep=fmriprep,
        columns=columns,
    )


def _fmri_folders(
    bids_dir: Path, derivatives: Sequence[tuple[str, Path]]
) -> tuple[Path | None, Path | None]:
    """Choose fMRIPrep's output or HDF5 responses: what ``-d`` gives, else the former first."""
    given = [(name, folder) for name, folder in derivatives if name != FREESURFER]
    if not given:
        fmriprep = find_fmriprep(bids_dir, ())
        if fmriprep is not None:
            return fmriprep, None
        # HDF5 of people without fMRI is something else.
        scanned = [p for p in _labels((bids_dir,)) if _has_func(bids_dir / f"sub-{p}")]
        return None, column_folder(bids_dir, (), scanned)[0]
    present = _labels((bids_dir, *(folder for _, folder in given)))
    columns, others = column_folder(bids_dir, given, present)
    # find_fmriprep would look elsewhere if it were given nothing.
    fmriprep = find_fmriprep(bids_dir, others) if others else None
    if fmriprep is not None and columns is not None:
        raise BrainAlignError(
            "-d gives preprocessed fMRI twice",
            where=f"images in {fmriprep}, HDF5 responses in {columns}",
            fix="give one of them",
            exit_code=ExitCode.USAGE,
        )
    return fmriprep, columns


def _has_func(folder: Path) -> bool:
    return (folder / "func").is_dir() or any(folder.glob("ses-*/func"))


def _labels(roots: Sequence[Path]) -> list[str]:
    """Participants: those with a folder below one of the roots."""
    return sorted(
        {p.name.removeprefix("sub-") for r in roots for p in r.glob("sub-*") if p.is_dir()}
    )


def _require_folder(bids_dir: Path) -> None:
    if not bids_dir.is_dir():
        raise BrainAlignError(
            f"BIDS_DIR {bids_dir} does not exist",
            fix="give the folder that holds dataset_description.json and sub-*",
            exit_code=ExitCode.MISSING_INPUT,
        )


def _participants(bids_dir: Path, fmriprep: Path | None) -> list[str]:
    """Labels in the dataset or its derivative: raw images may have been left elsewhere."""
    roots = [bids_dir, *([fmriprep] if fmriprep is not None else [])]
    found = _labels(roots)
    if not found:
        present = sorted(p.name for p in bids_dir.iterdir())[:8]
        below = sorted({p.parent.name for p in bids_dir.glob("*/sub-*") if p.is_dir()})
        raise BrainAlignError(
            f"BIDS_DIR {bids_dir} has no sub-* folder",
            where=f"it holds {', '.join(present) or 'nothing'}",
            fix=f"did you mean {bids_dir / below[0]}?"
            if below
            else "give the folder that holds dataset_description.json and sub-*",
            exit_code=ExitCode.MISSING_INPUT,
        )
    return found


def _without_columns(
    raw: Listing, selection: Selection, runs: Sequence[Recording], columns: Path
) -> list[tuple[str, str]]:
    reason = f"{columns.name} has no HDF5 file of it"
    names = dict.fromkeys(f.name for f in other_runs(raw_bold(raw, selection), runs))
    return [(name, reason) for name in sorted(names)]


def _fmri(
    raw: Listing, prepared: Listing | None, selection: Selection, desc: str
) -> tuple[list[Recording], list[tuple[str, str]]]:
    if prepared is not None:
        return find_bold(raw, prepared, selection, desc=desc)
    reason = (
        "no fMRIPrep derivative was found in derivatives/; run fMRIPrep, or give its output "
        "with -d fmriprep=PATH"
    )
    return [], [(name, reason) for name in sorted({f.name for f in raw_bold(raw, selection)})]


def _all_left_out(
    bids_dir: Path, skipped: Sequence[tuple[str, str]], derivatives: Sequence[tuple[str, Path]]
) -> BrainAlignError:
    reasons: dict[str, list[str]] = {}
    for name, reason in skipped:
        reasons.setdefault(reason, []).append(name)
    lines = [
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {reason}"
        for reason, names in list(reasons.items())[:8]
    ]
    looked = [str(folder) for _, folder in derivatives] or [str(bids_dir / "derivatives")]
    return BrainAlignError(
        f"none of the {len(skipped)} recordings of {bids_dir} can be used",
        where="\n  ".join([*lines, f"derivatives were looked for in {', '.join(looked)}"]),
        fix="give preprocessed fMRI with -d fmriprep=PATH, or iEEG and EEG as EDF, BrainVision, "
        "EEGLAB or NWB; "
        f"brainalign check {bids_dir} tells more",
        exit_code=ExitCode.MISSING_INPUT,
    )


def _require_distinct(recordings: Sequence[Recording]) -> None:
    """Refuse two files of one run (``acq-``, ``rec-``, EDF beside BrainVision)."""
    known: dict[tuple[str, str], Recording] = {}
    for recording in recordings:
        other = known.setdefault((recording.modality, recording.name), recording)
        if other is not recording:
            query = "bold" if recording.modality == "fmri" else recording.modality
            raise BrainAlignError(
                f"{recording.name} has two recordings",
                where=f"{other.path.name} and {recording.path.name}",
                fix=f'choose one with --bids-filter-file, e.g. {{"{query}": '
                f'{{"{_difference(other, recording)}}}}}',
                exit_code=ExitCode.USAGE,
            )


def _difference(a: Recording, b: Recording) -> str:
    """Term of a filter that keeps the first of two recordings."""
    for key, value in a.entities:
        if dict(b.entities).get(key) != value:
            return f'{key}": "{value}"'
    return f'extension": ".{a.path.name.split(".", 1)[1]}"'


def _without_recordings(
    participants: Sequence[str],
    recordings: Sequence[Recording],
    skipped: Sequence[tuple[str, str]],
    selection: Selection,
) -> list[tuple[str, str]]:
    """Participants of whom nothing is left: those asked for, or all if nothing was filtered."""
    if filters_in_force(selection) and not selection.participants:
        return []
    have = {r.participant for r in recordings}
    have |= {name.split("_", 1)[0].removeprefix("sub-") for name, _ in skipped}
    return [
        (f"sub-{label}", "has no recording that passes the filters")
        for label in (selection.participants or participants)
        if label not in have
    ]
