"""Which stimulus was presented when in which recording, and by which rule we know."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bids_brainalign.dataset.content import group_content
from bids_brainalign.dataset.segments import Pass, Row, find_passes
from bids_brainalign.dataset.stimuli_map import (
    EXAMPLE,
    StimuliMap,
    StimulusNotes,
    read_stimuli_map,
)
from bids_brainalign.dataset.stimulus_files import (
    is_audio,
    locate,
    open_stimulus,
    require_distinct_names,
    require_stimulus,
)
from bids_brainalign.dataset.tables import read_numbered
from bids_brainalign.dataset.types import Presentation, Recording, Stimulus
from bids_brainalign.errors import BrainAlignError, ExitCode

BY_EVENTS = "events stim_file"
BY_MAP = "stimuli map"


@dataclass(frozen=True)
class Presentations:
    """What was found."""

    presentations: tuple[Presentation, ...]
    skipped: tuple[tuple[str, str], ...]
    """Recording and the reason why it has no stimulus."""
    notes: tuple[str, ...]
    """What was joined or assumed, one sentence each."""


@dataclass(frozen=True)
class _Heard:
    """A recording and a stimulus, before the stimulus is opened."""

    recording: Recording
    path: Path
    rule: str
    rows: tuple[Row, ...]


def find_presentations(
    recordings: Sequence[Recording],
    *,
    bids_dir: Path,
    stimuli_map: Path | None = None,
    overlap: float = 0.3,
) -> Presentations:
    """Match stimuli to recordings: ``events.tsv`` ``stim_file`` first, then the stimuli map.

    What the map says about a stimulus (transcript, content group, language) holds whichever rule
    found it.

    Parameters
    ----------
    recordings : sequence of Recording
    bids_dir : Path
    stimuli_map : Path, optional
        See :func:`~bids_brainalign.dataset.stimuli_map.read_stimuli_map`.
    overlap : float
        Share of common 5-grams above which two stimuli are one content group.

    Raises
    ------
    BrainAlignError
        A stimulus is absent or a pointer (66), leads out of the dataset or can't be read (65), or
        no recording has any stimulus (66).
    """
    bids_dir = bids_dir.absolute()
    given = read_stimuli_map(stimuli_map, bids_dir) if stimuli_map is not None else None
    heard: list[_Heard] = []
    skipped: list[tuple[str, str]] = []
    notes: list[str] = []
    for recording in recordings:
        found, reason = _from_events(recording, bids_dir)
        mapped = given.of(recording) if given is not None else []
        if found and mapped:
            notes.append(
                f"{recording.name}: its events.tsv names the stimulus, so onset and stim_file of "
                "the stimuli map don't count."
            )
        if not found:
            found = [
                _Heard(recording, row.path, BY_MAP, (Row(row.onset_s, None),)) for row in mapped
            ]
            reason += f"; {_about_map(given)}"
        if not found:
            skipped.append((recording.name, reason))
        heard += found
    if not heard:
        raise _nothing_heard(skipped)
    said = {h.path: given.about(h.path) if given is not None else StimulusNotes() for h in heard}
    stimuli, odd = _open_all(heard, said, bids_dir)
    named = {stimuli[path].name: about.content_groups for path, about in said.items()}
    groups, joined = group_content(list(stimuli.values()), named, overlap=overlap)
    presentations: list[Presentation] = []
    for h in heard:
        passes, note = find_passes(h.rows, stimuli[h.path].duration_s)
        if note:
            notes.append(f"{h.recording.name}, {h.path.name}: {note}.")
        presentations += [_presentation(h, stimuli[h.path], p, groups) for p in passes]
    return Presentations(tuple(presentations), tuple(skipped), (*notes, *odd, *joined))


def _presentation(
    heard: _Heard, stimulus: Stimulus, once: Pass, groups: Mapping[str, str]
) -> Presentation:
    return Presentation(
        recording=heard.recording,
        stimulus=stimulus,
        onset_s=once.onset_s,
        rule=heard.rule,
        content_group=groups[stimulus.name],
        segments=once.segments,
    )


def _from_events(recording: Recording, bids_dir: Path) -> tuple[list[_Heard], str]:
    """Stimuli that ``events.tsv`` names, or why it names none."""
    path = recording.events_path
    if path is None:
        return [], "it has no events.tsv"
    events = read_numbered(path, root=bids_dir)
    if "stim_file" not in events.columns:
        return [], f"{path.name} has no column stim_file"
    events = events[[is_audio(name) for name in events["stim_file"]]]
    if events.empty:
        return [], f"stim_file in {path.name} names no .wav, .flac, .ogg or .mp3"
    heard: dict[Path, list[Row]] = {}
    for name, onset_s, duration_s in zip(
        events["stim_file"], _onsets(events, path), _durations(events, path), strict=True
    ):
        stimulus = locate(bids_dir, str(name), source=path)
        heard.setdefault(stimulus, []).append(Row(onset_s, duration_s))
    return [_Heard(recording, p, BY_EVENTS, tuple(rows)) for p, rows in heard.items()], ""


def _onsets(events: pd.DataFrame, path: Path) -> list[float]:
    if "onset" not in events.columns:
        raise BrainAlignError(
            f"{path.name} has no column onset",
            where=f"its columns are {', '.join(events.columns)}",
            fix="events.tsv needs onset and duration, in seconds",
        )
    return [
        _seconds(text, "onset", int(line), path)
        for line, text in zip(events.index.tolist(), events["onset"], strict=True)
    ]


def _durations(events: pd.DataFrame, path: Path) -> list[float | None]:
    """Durations in s; 0 marks an instant in BIDS, so it says as little as ``n/a``."""
    if "duration" not in events.columns:
        return [None] * len(events)
    pairs = zip(events.index.tolist(), events["duration"], strict=True)
    known = [
        None if text == "n/a" else _seconds(text, "duration", int(line), path)
        for line, text in pairs
    ]
    for line, seconds in zip(events.index.tolist(), known, strict=True):
        if seconds is not None and seconds < 0:
            raise BrainAlignError(
                f"{path.name}, line {line}: duration is {seconds:g}",
                where=str(path),
                fix="write the seconds that the audio played, or n/a",
            )
    return [seconds or None for seconds in known]


def _seconds(text: str, column: str, line: int, path: Path) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise BrainAlignError(
            f"{path.name}, line {line}: {column} is {text!r}, not a number of seconds",
            where=str(path),
            fix="write seconds on the recording's clock",
        )
    return seconds


def _about_map(given: StimuliMap | None) -> str:
    return "no --stimuli-map" if given is None else f"{given.path.name} has no row that fits it"


def _nothing_heard(skipped: Sequence[tuple[str, str]]) -> BrainAlignError:
    listed = [f"{name}: {reason}" for name, reason in skipped[:10]]
    if len(skipped) > 10:
        listed.append(f"… and {len(skipped) - 10} more")
    return BrainAlignError(
        "no recording has a stimulus",
        where="\n  ".join(["looked for stim_file in events.tsv, then in a stimuli map", *listed]),
        fix=f"say which sound was played when with --stimuli-map TSV, e.g. {EXAMPLE}",
        exit_code=ExitCode.MISSING_INPUT,
    )


def _open_all(
    heard: Sequence[_Heard], said: Mapping[Path, StimulusNotes], bids_dir: Path
) -> tuple[dict[Path, Stimulus], tuple[str, ...]]:
    """Open every stimulus once; all that are missing are named in one message."""
    wanted_by = {h.path: h.recording.name for h in reversed(heard)}
    paths = list(dict.fromkeys(h.path for h in heard))
    missing: list[BrainAlignError] = []
    for path in paths:
        try:
            require_stimulus(path, bids_dir, wanted_by=wanted_by[path])
        except BrainAlignError as error:
            missing.append(error)
    if missing:
        raise _all_missing(missing)
    require_distinct_names(paths, bids_dir)
    stimuli: dict[Path, Stimulus] = {}
    notes: list[str] = []
    for path in paths:
        about = said[path]
        stimuli[path], odd = open_stimulus(
            path, bids_dir, transcript=about.transcript, language=about.language
        )
        notes += odd
    return stimuli, tuple(notes)


def _all_missing(errors: Sequence[BrainAlignError]) -> BrainAlignError:
    first = errors[0]
    if len(errors) == 1:
        return first
    others = "\n  ".join(str(error.what) for error in errors[1:])
    return BrainAlignError(
        f"{first.what}\n  {others}", where=first.where, fix=first.fix, exit_code=first.exit_code
    )
