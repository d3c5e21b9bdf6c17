"""What lies in a dataset: recordings, stimuli, and when which stimulus was presented."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

from bids_brainalign.dataset.kinds import Kind, kind_of

Modality = Literal["ieeg", "eeg", "fmri"]


@dataclass(frozen=True)
class Recording:
    """One BIDS run of one participant."""

    participant: str
    """Label without ``sub-``."""
    session: str | None
    task: str
    run: str | None
    modality: Modality
    path: Path
    """The file with the signal: EDF and the like, or the preprocessed BOLD image; of surfaces
    the left hemisphere, if there is one."""
    datatype: str
    """BIDS folder: ``ieeg``, ``eeg`` or ``func``."""
    entities: tuple[tuple[str, str], ...]
    """All entities of the file name in order, e.g. ``(("sub", "01"), ("task", "story"))``."""
    metadata: dict[str, object] = field(default_factory=dict, compare=False)
    """Sidecar fields after inheritance (``SamplingFrequency``, ``RepetitionTime``, …)."""
    events_path: Path | None = None
    channels_path: Path | None = None
    electrodes_path: Path | None = None
    coordsystem_path: Path | None = None
    mask_path: Path | None = None
    confounds_path: Path | None = None
    prepared: str = ""
    """``highgamma`` or ``broadband`` where a derivative (``-d``) made the file at `path`."""
    prepared_by: str = ""
    """NAME of that derivative."""
    space: str | None = None
    """Space of an fMRI image or of the chosen electrodes file."""
    right_path: Path | None = None
    """The right hemisphere of surfaces, where `path` is the left."""
    sound_onset_s: float | None = None
    """When the sound started, in s, where the source of the responses is known to tell it."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files with the signal."""
        return (self.path,) if self.right_path is None else (self.path, self.right_path)

    @property
    def root(self) -> Path:
        """The folder that holds ``sub-<participant>``."""
        for parent in self.path.parents:
            if parent.name == f"sub-{self.participant}":
                return parent.parent
        return self.path.parent

    @property
    def kind(self) -> Kind:
        """What fMRI targets are: voxels of a volume, vertices of surfaces, and so on."""
        return kind_of(self.path)

    @property
    def name(self) -> str:
        """Entities as in the file name, e.g. ``sub-01_task-story_run-1``."""
        parts = [("sub", self.participant), ("ses", self.session), ("task", self.task)]
        parts.append(("run", self.run))
        return "_".join(f"{key}-{value}" for key, value in parts if value)


@dataclass(frozen=True)
class Annotations:
    """Timed labels of a stimulus: columns ``onset`` (s), ``duration`` (s), ``label``."""

    table: pd.DataFrame
    path: Path
    n_untimed: int = 0
    """Labels left out because they have no time."""
    method: str = ""
    """How this program found them, where nobody annotated them; `path` is then its own file."""


@dataclass(frozen=True)
class Stimulus:
    """One audio file of the dataset."""

    name: str
    """File name without suffix; unique within the dataset."""
    path: Path
    duration_s: float
    sha256: str
    """Digest of the file's bytes, or its annex key: the stimulus' identity."""
    words: Annotations | None = None
    language: str = "en"
    """BCP-47, from the stimuli map, ``stimuli.tsv`` or ``--language``, in this order."""
    phones: Annotations | None = None


@dataclass(frozen=True)
class Presentation:
    """A stimulus started at some second of a recording, found by some rule."""

    recording: Recording
    stimulus: Stimulus
    onset_s: float
    """Second of the recording clock at which second 0 of the audio sounded."""
    rule: str
    """One of the rules in :mod:`bids_brainalign.dataset.rules`."""
    content_group: str
    """Presentations with the same content never stand on both sides of a fold."""
    segments: tuple[tuple[float, float], ...]
    """Parts of the stimulus that were played: (start, stop) in s on the stimulus clock."""
    onset_assumed: bool = False
    """No file says when the sound started: the responses must confirm it."""
