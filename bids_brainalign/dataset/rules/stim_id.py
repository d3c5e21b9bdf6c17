"""Rule 1: ``events.tsv`` names a stimulus of ``stimuli/stimuli.tsv`` (BEP044)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bids_brainalign.dataset.catalogue import audio_of
from bids_brainalign.dataset.rules.rows import read_rows
from bids_brainalign.dataset.rules.sources import Answer, Heard, Sources
from bids_brainalign.dataset.segments import Row
from bids_brainalign.dataset.types import Recording

RULE = "events stim_id"
_STARTS, _STOPS = {"start", "begin", "onset"}, {"stop", "end", "offset"}


def by_stim_id(recording: Recording, sources: Sources) -> Answer:
    """Stimuli in the column ``stim_id``, with or without ``stim-``."""
    path = recording.events_path
    if path is None:
        return [], "it has no events.tsv"
    events = sources.events(path)
    if "stim_id" not in events.columns:
        return [], f"{path.name} has no column stim_id"
    events = events[events["stim_id"] != "n/a"]
    labels = [str(text).removeprefix("stim-") for text in events["stim_id"]]
    kinds = [str(k).casefold() for k in events.get("trial_type", ["n/a"] * len(events))]
    rows = read_rows(events, path)
    heard, lacking = [], []
    for label in dict.fromkeys(labels):
        mine = [i for i, other in enumerate(labels) if other == label]
        audio, reason = _audio(label, sources)
        if audio is None:
            lacking.append(reason)
            continue
        played = _played([rows[i] for i in mine], [kinds[i] for i in mine])
        heard.append(Heard(recording, audio, RULE, tuple(played)))
    lacking = [reason for reason in lacking if reason]
    if heard and lacking:
        heard[0] = _noted(heard[0], lacking)
    return heard, "; ".join(lacking[:3]) or f"stim_id in {path.name} names no sound"


def _audio(label: str, sources: Sources) -> tuple[Path | None, str]:
    """Audio file of an identifier, or why there is none; no reason for images and videos."""
    row = sources.catalogue.rows.get(label)
    found = audio_of(label, sources.audio)
    if len(found) == 1:
        return found[0], ""
    if found:
        names = ", ".join(path.name for path in found[:4])
        return None, f"stim_id {label} has several sounds ({names}): name the part, as in its file"
    if row is None:
        return None, f"stim_id {label} is not in stimuli/stimuli.tsv and has no stim-{label}_audio"
    kind = row.get("type", "audio").casefold()
    if kind == "audiovideo":
        return None, (
            f"stim_id {label} is a video: extract its sound to stimuli/stim-{label}_audio.wav"
        )
    if kind != "audio":
        return None, ""
    if row.get("present", "").casefold() == "false":
        source = f" (from {row['url']})" if "url" in row else ""
        return None, (
            f"stim_id {label} is not shared with the dataset: get it{source} and put it at "
            f"stimuli/stim-{label}_audio.wav"
        )
    return None, f"stim_id {label} has no stimuli/stim-{label}_audio.wav"


def _played(rows: Sequence[Row], kinds: Sequence[str]) -> list[Row]:
    """Rows that sound; a start and a stop row mark one presentation between them."""
    if not (_STARTS & set(kinds) and _STOPS & set(kinds)):
        return list(rows)
    pairs = zip(rows, kinds, strict=True)
    return [Row(row.onset_s, None) for row, kind in pairs if kind in _STARTS]


def _noted(heard: Heard, lacking: Sequence[str]) -> Heard:
    note = f"left out of it: {'; '.join(lacking[:3])}"
    return Heard(heard.recording, heard.path, heard.rule, heard.rows, note)
