"""Which derivative folder holds the preprocessed fMRI, and in which space it is taken."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

from bids_brainalign.dataset.description import generators
from bids_brainalign.dataset.filenames import DatasetFile
from bids_brainalign.dataset.kinds import Kind
from bids_brainalign.dataset.ready_made import prepared_files
from bids_brainalign.errors import BrainAlignError, ExitCode

PREFERRED_SPACE = "MNI152NLin2009cAsym"
FREESURFER = "freesurfer"
"""The name under which ``-d`` gives FreeSurfer's subjects folder: no preprocessed fMRI."""
NATIVE = "native"
"""What images without a space entity are called: fMRIPrep's own grid of the run."""
_BY_DEFAULT: tuple[Kind, ...] = ("volume", "surface", "grayordinates", "columns")
_WHEN_NAMED: tuple[Kind, ...] = ("volume", "grayordinates", "surface", "columns")
"""fsLR is the space of CIFTI files first."""
_TEMPLATEFLOW = {"fsaverage5": "fsaverage:den-10k", "fsaverage6": "fsaverage:den-41k"}


def find_fmriprep(bids_dir: Path, given: Sequence[tuple[str, Path]]) -> Path | None:
    """Choose the fMRIPrep derivative.

    Parameters
    ----------
    bids_dir : Path
    given : sequence of (name, folder)
        ``-d``; without any, ``derivatives/*`` made by fMRIPrep if there is exactly one.

    Returns
    -------
    Path or None
        None where there is none.

    Raises
    ------
    BrainAlignError
        There are several candidates (64).
    """
    folders = [folder for name, folder in given if name != FREESURFER]
    if folders:
        # Prepared recordings of electrodes are no fMRI; a folder may hold both.
        folders = [f for f in folders if not prepared_files(f) or any(f.glob("sub-*/**/func"))]
        marked = [folder for folder in folders if is_fmriprep(folder)]
        # A folder without description is the user's word that it is what we look for.
        candidates = marked or folders
    else:
        candidates = sorted(p for p in (bids_dir / "derivatives").glob("*") if is_fmriprep(p))
    if len(candidates) > 1:
        raise BrainAlignError(
            "several derivatives may hold the preprocessed fMRI",
            where=", ".join(str(folder) for folder in candidates),
            fix=f"choose one, e.g. -d fmriprep={candidates[0]}",
            exit_code=ExitCode.USAGE,
        )
    return candidates[0] if candidates else None


def require_folders(given: Sequence[tuple[str, Path]]) -> None:
    """Refuse ``-d`` folders that are absent (exit code 66)."""
    for name, folder in given:
        if not folder.is_dir():
            raise BrainAlignError(
                f"-d {name}={folder}: that folder does not exist",
                fix="give the folder that holds fMRIPrep's dataset_description.json",
                exit_code=ExitCode.MISSING_INPUT,
            )


def is_fmriprep(folder: Path) -> bool:
    """Whether fMRIPrep made a folder, by its ``dataset_description.json``.

    Only the first maker counts: programs that build on fMRIPrep, as we do, list it after
    themselves.
    """
    return next(iter(generators(folder) or ()), "").lower() == "fmriprep"


def space_label(file: DatasetFile) -> str:
    """Space with resolution or density: ``T1w``, ``MNI…:res-2``, ``fsLR:den-91k``."""
    space = file.entities.get("space", NATIVE)
    for key in ("res", "den"):
        if key in file.entities:
            return f"{space}:{key}-{file.entities[key]}"
    return space


def choose_kind(labels: Mapping[Kind, set[str]], wanted: str | None) -> tuple[Kind, str]:
    """Choose between volumes, surfaces and CIFTI, and one of their spaces.

    Parameters
    ----------
    labels : mapping
        Kind → spaces found, see :func:`space_label`; at least one has some.
    wanted : str or None
        ``--space``: a space (``fsaverage5``), a space with resolution or density
        (``fsLR:den-91k``) or a density (``91k``).

    Returns
    -------
    tuple of (kind, label)
        What was asked for; else volumes if there are any, else surfaces, else CIFTI.

    Raises
    ------
    BrainAlignError
        See :func:`choose_space`.
    """
    if wanted is None:
        kind = next(kind for kind in _BY_DEFAULT if labels.get(kind))
        return kind, choose_space(labels[kind], None)
    for kind in _WHEN_NAMED:
        mine = labels.get(kind, set())
        if wanted in mine | {label.split(":")[0] for label in mine}:
            return kind, choose_space(mine, wanted)
        same = _TEMPLATEFLOW.get(wanted)
        meant = sorted(x for x in mine if x == same or x.endswith(f":den-{wanted}"))
        if meant:
            return kind, choose_space(set(meant), None)
    every = set().union(*labels.values())
    return _BY_DEFAULT[0], choose_space(every, wanted)  # raises: it is none of them


def choose_space(labels: set[str], wanted: str | None) -> str:
    """Choose one of the spaces found.

    Parameters
    ----------
    labels : set of str
        See :func:`space_label`; at least one.
    wanted : str or None
        ``--space``: a space, or ``SPACE:res-LABEL``.

    Returns
    -------
    str
        One of `labels`: the one asked for, the only one, or MNI152NLin2009cAsym.

    Raises
    ------
    BrainAlignError
        The one asked for isn't there (18), or nothing says which of several (64).
    """
    listed = ", ".join(sorted(labels))
    spaces = sorted({label.split(":")[0] for label in labels})
    if wanted in labels:
        return str(wanted)
    if wanted is not None and wanted not in spaces:
        near = difflib.get_close_matches(wanted, sorted({*labels, *spaces}), n=1)
        raise BrainAlignError(
            f"--space {wanted}: no preprocessed BOLD is in that space",
            where=f"spaces found: {listed}",
            fix=f"--space {near[0] if near else sorted(labels)[0]}",
            exit_code=ExitCode.NOTHING_SELECTED,
        )
    space = wanted or (spaces[0] if len(spaces) == 1 else PREFERRED_SPACE)
    matching = sorted(label for label in labels if label.split(":")[0] == space)
    if space in matching:
        return space
    if len(matching) == 1:
        return matching[0]
    raise BrainAlignError(
        "the preprocessed BOLD comes in several spaces or resolutions",
        where=f"spaces found: {listed}",
        fix=f"choose one, e.g. --space {sorted(labels)[0]}",
        exit_code=ExitCode.USAGE,
    )
