"""Rule 2: ``events.tsv`` names the audio file."""

from __future__ import annotations

from pathlib import Path

from bids_brainalign.dataset.rules.rows import read_rows
from bids_brainalign.dataset.rules.sources import Answer, Heard, Sources
from bids_brainalign.dataset.segments import Row
from bids_brainalign.dataset.stimulus_files import is_audio, locate
from bids_brainalign.dataset.types import Recording

RULE = "events stim_file"


def by_stim_file(recording: Recording, sources: Sources) -> Answer:
    """Stimuli in the column ``stim_file``."""
    path = recording.events_path
    if path is None:
        return [], "it has no events.tsv"
    events = sources.events(path)
    if "stim_file" not in events.columns:
        return [], f"{path.name} has no column stim_file"
    events = events[[is_audio(name) for name in events["stim_file"]]]
    if events.empty:
        return [], f"stim_file in {path.name} names no .wav, .flac, .ogg or .mp3"
    heard: dict[Path, list[Row]] = {}
    for name, row in zip(events["stim_file"], read_rows(events, path), strict=True):
        stimulus = locate(sources.bids_dir, str(name), source=path)
        heard.setdefault(stimulus, []).append(row)
    return [Heard(recording, p, RULE, tuple(rows)) for p, rows in heard.items()], ""
