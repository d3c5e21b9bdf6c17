"""Rule 5: the dataset has one sound, and the recording is as long as it (ds005574)."""

from __future__ import annotations

from bids_brainalign.dataset.lengths import recording_length
from bids_brainalign.dataset.rules.sources import Answer, Heard, Sources
from bids_brainalign.dataset.segments import Row
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError

RULE = "assumed onset 0"
TOLERANCE_S = 2.0
"""Recordings cut to their sound differ from it by samples or a volume, not by more."""


def by_only_stimulus(recording: Recording, sources: Sources) -> Answer:
    """Take the only sound of the dataset, unless its length differs from the recording."""
    if len(sources.audio) != 1:
        count = len(sources.audio) or "no"
        return [], f"the dataset has {count} sounds, not just one"
    stimulus = sources.audio[0]
    try:
        length_s, tr_s = recording_length(recording)
    except BrainAlignError as error:
        return [], error.what
    duration_s = sources.duration_s(stimulus)
    said = f"{stimulus.name}, the only sound of the dataset, is assumed to start at 0 s"
    if length_s is None or duration_s is None:
        lacking = stimulus.name if duration_s is None else recording.path.name
        note = f"{said}; the lengths can't be compared until {lacking} is downloaded"
        return [_heard(recording, sources, note)], ""
    if abs(length_s - duration_s) > max(TOLERANCE_S, 2 * tr_s):
        return [], (
            f"it lasts {length_s:.1f} s, but the only sound of the dataset, {stimulus.name}, "
            f"{duration_s:.1f} s"
        )
    note = f"{said}: the recording lasts {length_s:.1f} s, the sound {duration_s:.1f} s"
    return [_heard(recording, sources, note)], ""


def _heard(recording: Recording, sources: Sources, note: str) -> Heard:
    return Heard(recording, sources.audio[0], RULE, (Row(0.0, None),), note, True)
