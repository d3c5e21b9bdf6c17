"""What a check of a dataset finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bids_brainalign.dataset.index import Survey
from bids_brainalign.dataset.rules.sources import Heard
from bids_brainalign.dataset.types import Annotations, Recording
from bids_brainalign.errors import ExitCode


@dataclass(frozen=True)
class Spoken:
    """Words of a recording in which somebody speaks."""

    n_words: int
    n_different: int
    rule: str
    sound: str
    """Where the sound comes from; empty: there is none."""


@dataclass(frozen=True)
class Run:
    """One recording, and what stands between it and a run."""

    recording: Recording
    prepared: bool
    """False for raw fMRI without a preprocessed image."""
    heard: tuple[Heard, ...]
    reason: str
    """Why no rule found a sound; empty if one did."""
    problems: tuple[str, ...]
    """What keeps the recording from running, but for its sound and for pointers."""
    pointers: tuple[Path, ...]
    """Its files that are not downloaded."""
    n_channels: int | None = None
    """Good intracranial channels."""
    spoken: Spoken | None = None
    """Words that the participant spoke, for the recipe speech-production."""


@dataclass(frozen=True)
class Sound:
    """One audio file that a recording hears."""

    path: Path
    duration_s: float | None
    """None until it is downloaded."""
    problem: str
    """Why it can't be read; empty for a pointer and for a good file."""
    pointer: bool
    words: Annotations | None
    words_pending: bool
    """Its words or phones are in a file that is not downloaded."""
    group: str


@dataclass(frozen=True)
class Facts:
    """All that the check tells."""

    bids_dir: Path
    name: str
    survey: Survey
    runs: tuple[Run, ...]
    sounds: tuple[Sound, ...]
    n_audio: int
    """Audio files below ``stimuli/``, used or not."""
    notes: tuple[str, ...]
    """Assumptions and joins."""
    pointers: tuple[Path, ...]
    """Files that are needed and not downloaded."""
    responses: tuple[str, int, int] | None
    """Folder of HDF5 responses in use: path, files, participants."""

    @property
    def able(self) -> tuple[Run, ...]:
        """Recordings that can run, now or once files are downloaded and fMRI is preprocessed."""
        bad = {s.path for s in self.sounds if s.problem}
        return tuple(
            run
            for run in self.runs
            if run.heard and not run.problems and not any(h.path in bad for h in run.heard)
        )

    @property
    def ready(self) -> tuple[Run, ...]:
        """Recordings that can run now."""
        away = {s.path for s in self.sounds if s.pointer or s.words_pending}
        return tuple(
            run
            for run in self.able
            if run.prepared and not run.pointers and not any(h.path in away for h in run.heard)
        )

    @property
    def speaking(self) -> tuple[Run, ...]:
        """Recordings that can run by the recipe speech-production, and by no other."""
        return tuple(
            run
            for run in self.runs
            if run.spoken is not None and not run.heard and not run.problems and not run.pointers
        )

    @property
    def exit_code(self) -> ExitCode:
        """0 if a recording can run; else 65 if files are wrong and none is missing, or 66."""
        if self.ready or self.speaking:
            return ExitCode.OK
        wrong = any(run.problems and run.prepared for run in self.runs)
        missing = self.pointers or any(not run.prepared or run.reason for run in self.runs)
        return ExitCode.DATA_ERROR if wrong and not missing else ExitCode.MISSING_INPUT


def folds_of(facts: Facts) -> dict[tuple[str, str, str], Sequence[str]]:
    """Content groups of every fit: (participant, session, modality) → group of each sound."""
    group = {s.path: s.group for s in facts.sounds}
    fits: dict[tuple[str, str, str], dict[Path, str]] = {}
    for run in facts.runs:
        key = (run.recording.participant, run.recording.session or "", run.recording.modality)
        for h in run.heard:
            fits.setdefault(key, {})[h.path] = group[h.path]
    return {key: list(groups.values()) for key, groups in fits.items()}
