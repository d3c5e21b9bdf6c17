"""``dataset_description.json``: what a dataset is called and which programs made it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bids_brainalign.dataset.pointers import is_pointer, require_content
from bids_brainalign.errors import BrainAlignError, ExitCode

FILE = "dataset_description.json"


def read_description(bids_dir: Path) -> dict[str, Any]:
    """Read the description that every BIDS dataset must have.

    Raises
    ------
    BrainAlignError
        Missing, unreadable or no JSON object (16); not downloaded (66).
    """
    path = bids_dir / FILE
    if is_pointer(path):
        require_content(path, bids_dir)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise BrainAlignError(
            f"{path} is missing: {bids_dir} is not the root of a BIDS dataset.",
            fix='write one with at least {"Name": …, "BIDSVersion": "1.10.0"}',
            exit_code=ExitCode.INVALID_INPUT,
        ) from error
    except (OSError, ValueError) as error:
        raise BrainAlignError(
            f"{path} can't be read: {error}.", exit_code=ExitCode.INVALID_INPUT
        ) from error
    if not isinstance(content, dict):
        raise BrainAlignError(f"{path} must hold a JSON object.", exit_code=ExitCode.INVALID_INPUT)
    return content


def generators(folder: Path) -> tuple[str, ...] | None:
    """Names of the programs that made a dataset, the last one first.

    Returns
    -------
    tuple of str or None
        Empty where the description names none, as in raw datasets; None without a readable
        description.
    """
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict):
        return None
    # PipelineDescription is what fMRIPrep wrote before BIDS 1.4.
    made_by = content.get("GeneratedBy") or content.get("PipelineDescription") or []
    entries = made_by if isinstance(made_by, list) else [made_by]
    return tuple(str(e["Name"]) for e in entries if isinstance(e, dict) and "Name" in e)
