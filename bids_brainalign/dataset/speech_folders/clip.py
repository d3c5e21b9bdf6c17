"""One recording of speech, with what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Clip:
    """A stretch of speech in a file of its own."""

    name: str
    """Unique within its folder."""
    path: Path
    speaker: str | None = None
    sentence: str | None = None
    """What is said, or the story it belongs to: the same in all clips that share it."""
    part: Part | None = None
    """The part that the corpus gives it."""
    labels: tuple[tuple[str, str], ...] = ()
    """Kind (``word``, ``speaker``, ``sentence-type``, ``emotion``, ``intent``) → label."""
    words: pd.DataFrame | None = None
    """``onset``, ``duration`` (s) and ``label``."""
    phones: pd.DataFrame | None = None
    """The same; labels are written alike throughout the folder."""

    def label(self, kind: str) -> str | None:
        """Label of one kind; None without."""
        return dict(self.labels).get(kind)


@dataclass(frozen=True)
class SpeechFolder:
    """All clips of a folder."""

    kind: str
    """E.g. ``TIMIT``."""
    clips: tuple[Clip, ...]
    notes: tuple[str, ...] = ()
    """What tables and pages should say of it."""
