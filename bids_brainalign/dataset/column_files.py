"""HDF5 files with responses that others preprocessed, one per participant and story (ds003020).

``derivative/preprocessed_data/UTS01/souls.hf5`` holds ``data`` (volumes × voxels) and, where the
story was repeated, ``individual_repeats``. The names have no entities: the folder is the
participant, the file the task.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.derivatives import NATIVE, choose_kind
from bids_brainalign.dataset.filenames import DatasetFile
from bids_brainalign.dataset.kinds import COLUMNS, VOLUMES
from bids_brainalign.dataset.listing import Listing
from bids_brainalign.dataset.selection import passes
from bids_brainalign.dataset.sidecars import inherited_metadata
from bids_brainalign.dataset.stimulus_files import plain_name
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError, ExitCode

SOUND_ONSET_S = 10.0
"""After the first volume, by the code published with ds003020 (deep-fMRI-dataset,
``load_simulated_trfiles(start_time=10)``); no file of the dataset says so."""


def column_folder(
    bids_dir: Path, given: Sequence[tuple[str, Path]], participants: Sequence[str]
) -> tuple[Path | None, list[tuple[str, Path]]]:
    """Find the folder of HDF5 responses.

    Parameters
    ----------
    bids_dir : Path
    given : sequence of (name, folder)
        ``-d``; without any, folders in ``derivative/`` and ``derivatives/``.
    participants : sequence of str
        Of the dataset: HDF5 files in other folders are something else.

    Returns
    -------
    folder : Path or None
        Its folders are participants.
    others : list of (name, folder)
        Those of ``-d`` that hold no such files.

    Raises
    ------
    BrainAlignError
        There are several (64).
    """
    places = {name: _places(folder, participants) for name, folder in given}
    others = [(name, folder) for name, folder in given if not places[name]]
    found = [folder for several in places.values() for folder in several]
    if not given:
        tops = [bids_dir / "derivative", bids_dir / "derivatives"]
        found = [folder for top in tops for folder in _places(top, participants)]
    if len(found) > 1:
        raise BrainAlignError(
            "several folders hold HDF5 responses",
            where=", ".join(map(str, found)),
            fix=f"choose one, e.g. -d responses={found[0]}",
            exit_code=ExitCode.USAGE,
        )
    return (found[0] if found else None), others


def column_files(folder: Path, participants: Sequence[str]) -> list[Path]:
    """List the files of all participants, in the order of their paths."""
    return [
        path
        for inner in sorted(folder.iterdir())
        if inner.is_dir() and inner.name.removeprefix("sub-") in participants
        for path in sorted(inner.iterdir())
        if path.suffix.lower() in COLUMNS
    ]


def find_columns(
    folder: Path, raw: Listing, selection: Selection, participants: Sequence[str]
) -> list[Recording]:
    """List the selected recordings; a task's TR is that of its raw images.

    Raises
    ------
    BrainAlignError
        ``--space`` asks for something else than the participants' own space (18).
    """
    runs = [(_like_bids(path), path) for path in column_files(folder, participants)]
    chosen = [(file, path) for file, path in runs if passes(file, selection, "bold")]
    if chosen:
        choose_kind({"columns": {NATIVE}}, selection.space)
    images: dict[tuple[str, str], DatasetFile] = {}
    for image in raw.of("bold", VOLUMES):
        images.setdefault(_heard_by(image), image)
    return [_recording(file, path, raw, images.get(_heard_by(file))) for file, path in chosen]


def other_runs(files: Sequence[DatasetFile], recordings: Sequence[Recording]) -> list[DatasetFile]:
    """Leave out raw images that went into one of the recordings: there, runs are joined."""
    heard = {(r.participant, plain_name(r.task)) for r in recordings}
    return [file for file in files if _heard_by(file) not in heard]


def _places(folder: Path, participants: Sequence[str]) -> list[Path]:
    """Folders whose folders are participants with HDF5 files: this one, or some in it."""
    if not folder.is_dir():
        return []
    inner = sorted(p for p in folder.iterdir() if p.is_dir())
    return [place for place in (folder, *inner) if column_files(place, participants)]


def _like_bids(path: Path) -> DatasetFile:
    """Name a file as BIDS would."""
    task = re.sub(r"[^A-Za-z0-9]", "", path.stem)
    label = path.parent.name.removeprefix("sub-")
    return DatasetFile(path.with_name(f"sub-{label}_task-{task}_bold{path.suffix}"))


def _heard_by(file: DatasetFile) -> tuple[str, str]:
    return file.entities["sub"], plain_name(file.entities.get("task", ""))


def _recording(
    file: DatasetFile, path: Path, raw: Listing, image: DatasetFile | None
) -> Recording:
    entities = file.entities
    folder = raw.root / f"sub-{entities['sub']}" / "func"
    like = image.path if image is not None else folder / f"{file.path.stem}.nii.gz"
    said = inherited_metadata(like, raw.root, missing_ok=True)
    return Recording(
        participant=entities["sub"],
        session=None,
        task=entities["task"],
        run=None,
        modality="fmri",
        path=path,
        datatype="func",
        entities=tuple(entities.items()),
        # What else sidecars say of the raw images no longer holds.
        metadata={k: v for k, v in said.items() if k == "RepetitionTime"},
        events_path=raw.nearest(entities, folder, suffix="events", extension=".tsv"),
        space=NATIVE,
        sound_onset_s=SOUND_ONSET_S,
    )
