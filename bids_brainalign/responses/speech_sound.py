"""The sound of the participant, also where it is a channel of the recording."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.dataset.pointers import require_content
from bids_brainalign.dataset.speech_audio import (
    SAMPLES_AT_ONCE,
    SpeechAudio,
    find_speech_audio,
)
from bids_brainalign.dataset.tables import read_tsv
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.responses.recordings import open_recording

CHANNEL_TYPE = "AUDIO"


def find_sound(recording: Recording) -> SpeechAudio | None:
    """Find the sound of the participant: series or file, else a channel of type AUDIO.

    A channel is as slow as the amplifier, 1 or 2 kHz: enough for loudness and the onsets of
    speech, too slow for speech models; ``rate_hz`` and ``feeds_speech_models`` tell.

    Returns
    -------
    SpeechAudio or None
        A channel has no scale of its own: its largest deviation from its mean is 1.

    Raises
    ------
    BrainAlignError
        66: a file is not downloaded. 65: it can't be read.
    """
    found = find_speech_audio(recording)
    return found if found is not None else _channel(recording)


@dataclass(frozen=True)
class ChannelSound:
    """A channel of a recording."""

    path: Path
    name: str
    table_names: tuple[str, ...]
    mean: float
    peak: float

    def samples(self, first: int, stop: int) -> NDArray[np.float32]:
        """Read samples [first, stop)."""
        raw, _ = open_recording(self.path, [self.name], table_names=self.table_names)
        try:
            volts = np.asarray(raw.get_data([self.name], first, stop), dtype=np.float64)[0]
        except (OSError, ValueError, RuntimeError) as error:
            raise BrainAlignError(
                f"the channel {self.name} of {self.path.name} can't be read: {error}",
                where=str(self.path),
                fix="the file may be damaged or cut off: get it again",
            ) from error
        level = (np.nan_to_num(volts, nan=self.mean) - self.mean) / self.peak
        return np.asarray(level, dtype=np.float32)


def _channel(recording: Recording) -> SpeechAudio | None:
    if recording.channels_path is None or not recording.channels_path.is_file():
        return None
    table = read_tsv(recording.channels_path, root=recording.root)
    name = _audio_name(table)
    if name is None:
        return None
    require_content(recording.path, recording.root)
    names = tuple(table["name"])
    raw, _ = open_recording(recording.path, [name], table_names=names)
    if name not in raw.ch_names:
        return None
    raw_sound = ChannelSound(recording.path, name, names, 0.0, 1.0)
    n_times, rate_hz = int(raw.n_times), float(raw.info["sfreq"])
    mean, peak = _extent(raw_sound, n_times)
    return SpeechAudio(
        rate_hz=rate_hz,
        start_s=0.0,
        n_samples=n_times,
        source=f"Sound is the channel {name} of {recording.path.name} ({rate_hz:g} Hz).",
        sound=ChannelSound(recording.path, name, names, mean, peak),
    )


def _audio_name(table: pd.DataFrame) -> str | None:
    """Name of the first channel of type AUDIO, one that is not bad if there is any."""
    if not {"name", "type"} <= set(table.columns):
        return None
    sounds = table[table["type"].str.strip().str.upper() == CHANNEL_TYPE]
    if "status" in sounds.columns:
        usable = sounds[sounds["status"].str.strip().str.lower() != "bad"]
        sounds = usable if len(usable) else sounds
    return None if sounds.empty else str(sounds["name"].iloc[0]).strip()


def _extent(sound: ChannelSound, n_times: int) -> tuple[float, float]:
    """Mean, and the largest deviation from it (1 for a constant channel)."""
    total, low, high = 0.0, np.inf, -np.inf
    for first in range(0, n_times, SAMPLES_AT_ONCE):
        piece = sound.samples(first, min(first + SAMPLES_AT_ONCE, n_times))
        total += float(piece.sum(dtype=np.float64))
        low, high = min(low, float(piece.min())), max(high, float(piece.max()))
    mean = total / n_times
    return mean, max(high - mean, mean - low) or 1.0
