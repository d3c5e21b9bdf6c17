"""Rule 4: a stimulus is called like the task (ds003020: ``task-souls``, ``souls.wav``)."""

from __future__ import annotations

from pathlib import Path

from bids_brainalign.dataset.lengths import recording_length
from bids_brainalign.dataset.rules.rows import read_rows
from bids_brainalign.dataset.rules.sources import Answer, Heard, Sources
from bids_brainalign.dataset.segments import Row
from bids_brainalign.dataset.stimulus_files import plain_name
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError

RULE = "task name"
RULE_ASSUMED = "task name, assumed onset 0"
RULE_PUBLISHED = "task name, onset by the code published with the data"
_LONGER_S = 5.0
_SLACK_S, _SLACK_SHARE = 5.0, 0.1
"""An event is the sound if it lasts as long, give or take the smaller of these."""


def by_task_name(recording: Recording, sources: Sources) -> Answer:
    """Take the stimulus with the task's name; case, hyphens and underscores don't count."""
    wanted = plain_name(recording.task)
    found = sources.audio_by_name.get(wanted, []) if wanted else []
    exact = [p for p in found if p.stem == recording.task]
    if len(exact) == 1:
        found = exact
    if not found:
        return [], f"no stimulus is called {recording.task or '(no task)'}"
    if len(found) > 1:
        names = ", ".join(p.relative_to(sources.bids_dir).as_posix() for p in found[:4])
        return [], f"several stimuli are called like its task: {names}"
    row, note = _row(recording, sources, found[0])
    if row is not None:
        return [Heard(recording, found[0], RULE, (row,), note)], ""
    onset_s = recording.sound_onset_s
    if onset_s is not None and recording.events_path is None:
        note = (
            f"no file says when {found[0].name} started; {onset_s:g} s after the first volume, "
            "as in the code published with the data"
        )
        return [Heard(recording, found[0], RULE_PUBLISHED, (Row(onset_s, None),), note, True)], ""
    note += _longer(recording, sources.duration_s(found[0]))
    return [Heard(recording, found[0], RULE_ASSUMED, (Row(0.0, None),), note, True)], ""


def _longer(recording: Recording, duration_s: float | None) -> str:
    """Doubt the onset where the recording outlasts its sound (ds003020 starts it at 10 s)."""
    try:
        length_s, _ = recording_length(recording)
    except BrainAlignError:  # said where the recording is read
        return ""
    if length_s is None or duration_s is None or length_s - duration_s <= _LONGER_S:
        return ""
    return (
        f"; but the recording lasts {length_s - duration_s:.0f} s longer, so the sound may have "
        "started later"
    )


def _row(recording: Recording, sources: Sources, stimulus: Path) -> tuple[Row | None, str]:
    """Find the one event that is the sound, and what was assumed."""
    path = recording.events_path
    if path is None:
        return None, f"without events.tsv, {stimulus.name} is assumed to start at 0 s"
    events = sources.events(path)
    rows = read_rows(events, path)
    duration_s = sources.duration_s(stimulus)
    fitting = [row for row in rows if _lasts(row, duration_s)]
    if len(fitting) == 1:
        row = fitting[0]
        return Row(row.onset_s, None), (
            f"{stimulus.name} starts at {row.onset_s:g} s, by the one row of its events.tsv that "
            "lasts as long"
            if len(rows) > 1
            else f"{stimulus.name} starts at {row.onset_s:g} s, by the one row of its events.tsv"
        )
    return None, (
        f"{len(fitting)} of the {len(rows)} rows of {path.name} fit {stimulus.name}, which is "
        "assumed to start at 0 s"
    )


def _lasts(row: Row, duration_s: float | None) -> bool:
    """Whether an event may be the sound; one that tells no duration may."""
    if row.duration_s is None or duration_s is None:
        return True
    return abs(row.duration_s - duration_s) <= min(_SLACK_S, _SLACK_SHARE * duration_s)
