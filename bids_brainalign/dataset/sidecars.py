"""Sidecar fields under the inheritance principle.

PyBIDS can do this too, but only by reading every JSON file of the dataset at once, and it fails on
a byte-order mark; here only the sidecars of the recordings in use are read.
"""

from __future__ import annotations

import json
from pathlib import Path

from bids_brainalign.dataset.filenames import DatasetFile, describes
from bids_brainalign.dataset.pointers import is_pointer, require_content, shown
from bids_brainalign.errors import BrainAlignError, ExitCode


def inherited_metadata(path: Path, root: Path, *, missing_ok: bool = False) -> dict[str, object]:
    """Merge all sidecars that apply to a file, the nearest last.

    Parameters
    ----------
    path : Path
        A data file below ``root``; it need not exist.
    root : Path
        The dataset.
    missing_ok : bool
        Pass over sidecars that are not downloaded.

    Raises
    ------
    BrainAlignError
        An applicable sidecar is not valid JSON (16), or not downloaded or empty (66): without
        it, line frequency or TR would silently be guessed.
    """
    file = DatasetFile(path)
    merged: dict[str, object] = {}
    for folder in (root, *reversed(path.relative_to(root).parents[:-1])):
        base = folder if folder.is_absolute() else root / folder
        sidecars = [DatasetFile(p) for p in base.glob(f"*{file.suffix}.json")]
        fitting = [
            s for s in sidecars if s.suffix == file.suffix and describes(s, file.entities, but=())
        ]
        for sidecar in sorted(fitting, key=lambda s: (len(s.entities), s.path.name)):
            if not (missing_ok and is_pointer(sidecar.path)):
                merged |= read_sidecar(sidecar.path, root)
    return merged


def read_sidecar(path: Path, root: Path) -> dict[str, object]:
    """Read one JSON file; a byte-order mark is tolerated. Errors as above."""
    require_content(path, root)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise BrainAlignError(
            f"{shown(path, root)} is not valid JSON: {error}",
            fix="mend the file, or download it again",
            exit_code=ExitCode.INVALID_INPUT,
        ) from error
    if not isinstance(content, dict):
        raise BrainAlignError(
            f"{shown(path, root)} holds a {type(content).__name__}, not a JSON object",
            fix='a sidecar has the form {"Field": value}',
            exit_code=ExitCode.INVALID_INPUT,
        )
    return content
