"""Which derivative folder holds the preprocessed fMRI."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from bids_brainalign.errors import BrainAlignError, ExitCode


def find_fmriprep(bids_dir: Path, given: Sequence[tuple[str, Path]]) -> Path | None:
    """Choose the fMRIPrep derivative.

    Parameters
    ----------
    bids_dir : Path
    given : sequence of (name, folder)
        ``-d``: the first that is fMRIPrep's by its description, else the first.

    Returns
    -------
    Path or None
        None where there is none.

    Raises
    ------
    BrainAlignError
        A given folder is absent (66); several candidates in ``derivatives/`` (64).
    """
    for name, folder in given:
        if not folder.is_dir():
            raise BrainAlignError(
                f"-d {name}={folder}: that folder does not exist",
                fix="give the folder that holds fMRIPrep's dataset_description.json",
                exit_code=ExitCode.MISSING_INPUT,
            )
    if given:
        marked = [folder for _, folder in given if is_fmriprep(folder)]
        return marked[0] if marked else given[0][1]
    folders = sorted(p for p in (bids_dir / "derivatives").glob("*") if is_fmriprep(p))
    if len(folders) > 1:
        raise BrainAlignError(
            "several derivatives were made by fMRIPrep",
            where=", ".join(str(p.relative_to(bids_dir)) for p in folders),
            fix=f"choose one: -d fmriprep={folders[0]}",
            exit_code=ExitCode.USAGE,
        )
    return folders[0] if folders else None


def is_fmriprep(folder: Path) -> bool:
    """Whether ``GeneratedBy`` (or the older ``PipelineDescription``) names fMRIPrep."""
    path = folder / "dataset_description.json"
    try:
        text = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return False
    makers = text.get("GeneratedBy") or [text.get("PipelineDescription") or {}]
    return any("fmriprep" in str(maker.get("Name", "")).lower() for maker in makers)
