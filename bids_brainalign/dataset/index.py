"""The recordings of a dataset that a run works on, and those it leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.bold import NIFTI, find_bold, raw_bold, raw_recordings
from bids_brainalign.dataset.derivatives import find_fmriprep, require_folders
from bids_brainalign.dataset.filenames import DatasetFile
from bids_brainalign.dataset.ieeg import EXTENSIONS, UNREADABLE, find_electrodes
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


def survey(
    bids_dir: Path,
    *,
    derivatives: Sequence[tuple[str, Path]],
    selection: Selection,
    modalities: Sequence[str],
    database_dir: Path | None = None,
) -> Survey:
    """List what a dataset holds; parameters and errors as :func:`find_recordings`.

    Other than there, a dataset of which nothing can be run yet is no error.
    """
    bids_dir = bids_dir.absolute()
    _require_folder(bids_dir)
    require_folders(derivatives)
    fmriprep = find_fmriprep(bids_dir, derivatives) if "fmri" in modalities else None
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
        runs, left_out = _fmri(raw, prepared, selection)
        unprepared = raw_recordings(raw, selection, prepared=runs)
        recordings, skipped = [*recordings, *runs], [*skipped, *left_out]
        seen += [f for where in (raw, prepared) if where for f in where.of("bold", NIFTI)]
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
    found = {
        p.name.removeprefix("sub-") for root in roots for p in root.glob("sub-*") if p.is_dir()
    }
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
    return sorted(found)


def _fmri(
    raw: Listing, prepared: Listing | None, selection: Selection
) -> tuple[list[Recording], list[tuple[str, str]]]:
    if prepared is not None:
        return find_bold(raw, prepared, selection)
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
