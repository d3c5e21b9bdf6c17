"""Sidecar fields under the inheritance principle.

PyBIDS can do this too, but only by reading every JSON file of the dataset at once, and it fails on
a byte-order mark; here only the sidecars of the recordings in use are read.
"""

from __future__ import annotations

import json
from pathlib import Path

from bids_brainalign.errors import BrainAlignError, ExitCode


def inherited_metadata(path: Path, root: Path) -> dict[str, object]:
    """Merge all sidecars that apply to a file, the nearest last.

    Parameters
    ----------
    path : Path
        A data file below ``root``.
    root : Path
        The dataset.

    Raises
    ------
    BrainAlignError
        An applicable sidecar is not valid JSON (exit code 16).
    """
    entities, suffix = _name_parts(path)
    merged: dict[str, object] = {}
    for folder in (root, *reversed(path.relative_to(root).parents[:-1])):
        base = folder if folder.is_absolute() else root / folder
        candidates = []
        for sidecar in base.glob(f"*{suffix}.json"):
            own, own_suffix = _name_parts(sidecar)
            if own_suffix == suffix and own <= entities:
                candidates.append((len(own), sidecar))
        for _, sidecar in sorted(candidates):
            merged |= _read(sidecar, root)
    return merged


def _name_parts(path: Path) -> tuple[set[str], str]:
    """Entities and suffix: ``sub-01_task-x_ieeg.json`` → ({sub-01, task-x}, ieeg)."""
    *entities, suffix = path.name.split(".")[0].split("_")
    return set(entities), suffix


def _read(path: Path, root: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BrainAlignError(
            f"{path.relative_to(root)} is not valid JSON: {error}",
            where=str(path),
            fix="mend the file, or download it again",
            exit_code=ExitCode.INVALID_INPUT,
        ) from error
    except OSError:  # a pointer whose content is not here
        return {}
    return content if isinstance(content, dict) else {}
