"""``--stimuli-map``: the user's table of which recording heard which stimulus when."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from bids_brainalign.dataset.filenames import same_label
from bids_brainalign.dataset.stimulus_files import is_audio, locate
from bids_brainalign.dataset.tables import read_numbered
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError

ENTITY_COLUMNS = ("sub", "ses", "task", "acq", "dir", "run")
COLUMNS = (
    "recording",
    *ENTITY_COLUMNS,
    "stim_file",
    "onset",
    "transcript",
    "content_group",
    "language",
)
EXAMPLE = "a header line `task<TAB>stim_file<TAB>onset` and a line `story<TAB>story.wav<TAB>0.0`"
NONE = "n/a"


@dataclass(frozen=True)
class MapRow:
    """One line of the map."""

    entities: tuple[tuple[str, str], ...]
    """What a recording must have; empty fits all."""
    path: Path
    onset_s: float
    transcript: Path | None
    content_group: str | None
    language: str | None

    def fits(self, recording: Recording) -> bool:
        """Whether the line is about a recording."""
        have = dict(recording.entities)
        return all(same_label(have.get(key), value) for key, value in self.entities)


@dataclass(frozen=True)
class StimulusNotes:
    """What the map says about a stimulus, whatever rule found it."""

    transcript: Path | None = None
    content_groups: tuple[str, ...] = ()
    language: str | None = None


@dataclass(frozen=True)
class StimuliMap:
    """The whole map."""

    path: Path
    rows: tuple[MapRow, ...]

    def of(self, recording: Recording) -> list[MapRow]:
        """Lines about a recording, each stimulus and onset once."""
        fitting = {(row.path, row.onset_s): row for row in self.rows if row.fits(recording)}
        return list(fitting.values())

    def about(self, stimulus: Path) -> StimulusNotes:
        """Gather what the lines of a stimulus say about it.

        Raises
        ------
        BrainAlignError
            Two lines name different transcripts or languages (65).
        """
        rows = [row for row in self.rows if row.path == stimulus]
        transcripts = list(dict.fromkeys(r.transcript for r in rows if r.transcript is not None))
        languages = list(dict.fromkeys(r.language for r in rows if r.language is not None))
        for what, values in (("transcripts", transcripts), ("languages", languages)):
            if len(values) > 1:
                raise BrainAlignError(
                    f"{self.path.name} gives {stimulus.name} {len(values)} {what}",
                    where=", ".join(str(value) for value in values),
                    fix="a stimulus has one; name it on all its lines or on one",
                )
        return StimulusNotes(
            transcripts[0] if transcripts else None,
            tuple(dict.fromkeys(r.content_group for r in rows if r.content_group is not None)),
            languages[0] if languages else None,
        )


def read_stimuli_map(path: Path, bids_dir: Path) -> StimuliMap:
    """Read the map.

    Parameters
    ----------
    path : Path
        TSV with ``stim_file`` (relative to ``stimuli/``) and any of: ``recording`` or entity
        columns (labels with or without their ``sub-``; ``n/a`` fits all), ``onset`` (s on the
        recording clock, default 0), ``transcript`` (below ``stimuli/`` or beside the map),
        ``content_group``, ``language`` (BCP-47).
    bids_dir : Path

    Raises
    ------
    BrainAlignError
        It is absent (66); a column is unknown, a value has the wrong form, or a path leads out
        of the dataset (65).
    """
    table = read_numbered(path, root=path.parent)
    columns = [str(column) for column in table.columns]
    for column in columns:
        if column not in COLUMNS:
            near = difflib.get_close_matches(column, COLUMNS, n=1)
            raise BrainAlignError(
                f"--stimuli-map: {path.name} has an unknown column {column!r}",
                where=f"columns may be {', '.join(COLUMNS)}",
                fix=f"rename it {near[0]}" if near else "remove it",
            )
    if "stim_file" not in columns or table.empty:
        raise BrainAlignError(
            f"--stimuli-map: {path.name} "
            + ("has only a header" if "stim_file" in columns else "needs a column stim_file"),
            where=f"its columns are {', '.join(columns)}",
            fix=f"write {EXAMPLE}",
        )
    lines = [int(line) for line in table.index.tolist()]
    cells = [dict(zip(columns, row, strict=True)) for row in table.to_numpy().tolist()]
    rows = (_row(c, n, path, bids_dir) for n, c in zip(lines, cells, strict=True))
    return StimuliMap(path, tuple(rows))


def _row(cells: dict[str, str], line: int, path: Path, bids_dir: Path) -> MapRow:
    given = {column: value for column, value in cells.items() if value != NONE}
    name = given.get("stim_file", "")
    if not is_audio(name):
        raise BrainAlignError(
            f"{path.name}, line {line}: stim_file is {name or NONE!r}, not an audio file",
            where=str(path),
            fix="name a .wav, .flac, .ogg or .mp3 in stimuli/",
        )
    transcript = given.get("transcript")
    return MapRow(
        entities=_entities(given),
        path=locate(bids_dir, name, source=path),
        onset_s=_onset(given.get("onset", "0"), line, path),
        transcript=None
        if transcript is None
        else locate(bids_dir, transcript, source=path, beside=path.absolute().parent),
        content_group=given.get("content_group"),
        language=given.get("language"),
    )


def _entities(given: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Entities of ``recording`` and of the entity columns."""
    parts = given.get("recording", "").split(".", 1)[0].split("_")
    entities = dict(part.split("-", 1) for part in parts if "-" in part)
    for key in ENTITY_COLUMNS:
        if key in given:
            entities[key] = given[key].removeprefix(f"{key}-")
    return tuple(entities.items())


def _onset(text: str, line: int, path: Path) -> float:
    try:
        onset_s = float(text)
    except ValueError:
        onset_s = float("nan")
    if not abs(onset_s) < float("inf"):
        raise BrainAlignError(
            f"{path.name}, line {line}: onset is {text!r}, not a number of seconds",
            where=str(path),
            fix="write the second of the recording at which the audio started",
        )
    return onset_s
