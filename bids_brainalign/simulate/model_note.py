"""A model folder's own word on what it is, for the pages that show its results."""

from __future__ import annotations

import json
from pathlib import Path

NOTE_KEY = "brainalign_note"
DEMONSTRATION = (
    "This is a small Whisper with random weights, made by brainalign for demonstration: it has "
    "learnt nothing about speech, and nothing here is a finding about brains."
)


def model_note(folder: Path) -> str | None:
    """Read the note that a simulated model has in its ``config.json``; None without one."""
    path = folder / "config.json"
    if not path.is_file():
        return None
    note = json.loads(path.read_text(encoding="utf-8")).get(NOTE_KEY)
    return note if isinstance(note, str) else None
