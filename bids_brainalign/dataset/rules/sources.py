"""What the rules look at: events tables, the stimuli map, and the names below ``stimuli/``."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from bids_brainalign.dataset.catalogue import Catalogue, read_catalogue
from bids_brainalign.dataset.pointers import is_pointer
from bids_brainalign.dataset.segments import Row
from bids_brainalign.dataset.stimuli_map import StimuliMap
from bids_brainalign.dataset.stimulus_files import audio_duration, is_audio, plain_name
from bids_brainalign.dataset.tables import read_numbered
from bids_brainalign.dataset.types import Recording


@dataclass(frozen=True)
class Heard:
    """A recording and a stimulus, before the stimulus is opened."""

    recording: Recording
    path: Path
    rule: str
    rows: tuple[Row, ...]
    note: str = ""
    """What was assumed, as a sentence without the recording's name; empty if nothing."""
    onset_assumed: bool = False
    """No file says when the sound started."""


Answer = tuple[list[Heard], str]
"""What a rule found, or why it found nothing."""


@dataclass
class Sources:
    """Everything rules may read of one dataset; each file is read once."""

    bids_dir: Path
    stimuli_map: StimuliMap | None = None
    _events: dict[Path, pd.DataFrame] = field(default_factory=dict)
    _durations: dict[Path, float | None] = field(default_factory=dict)

    @cached_property
    def audio(self) -> tuple[Path, ...]:
        """All audio files below ``stimuli/``, downloaded or not."""
        found = []
        for folder, _, names in os.walk(self.bids_dir / "stimuli"):
            # Names such as ._story.wav are left by macOS and hold no sound.
            found += [Path(folder, n) for n in names if is_audio(n) and not n.startswith(".")]
        return tuple(sorted(found))

    @cached_property
    def audio_by_name(self) -> dict[str, list[Path]]:
        """Audio files by :func:`plain_name`."""
        found: dict[str, list[Path]] = {}
        for path in self.audio:
            found.setdefault(plain_name(path.stem), []).append(path)
        return found

    @cached_property
    def catalogue(self) -> Catalogue:
        """``stimuli.tsv`` files (BEP044)."""
        return read_catalogue(self.bids_dir)

    def events(self, path: Path) -> pd.DataFrame:
        """Rows of an ``events.tsv``, indexed by line."""
        if path not in self._events:
            self._events[path] = read_numbered(path, root=self.bids_dir)
        return self._events[path]

    def duration_s(self, path: Path) -> float | None:
        """Length of an audio file, s; None while it is not downloaded."""
        if path not in self._durations:
            here = path.exists() and not is_pointer(path) and path.stat().st_size > 0
            self._durations[path] = audio_duration(path, self.bids_dir) if here else None
        return self._durations[path]
