"""What was planted in a dataset of people who speak words: the file beside it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PlantedWord:
    """One trial; times in s on the recording clock."""

    word: str
    cue_s: float
    speech_onset_s: float
    """When it was spoken; in the recorded sound it is ``audio_lag_s`` later."""
    speech_offset_s: float
    """Onset and end of its audible part, down to 40 dB below its peak."""
    n_phones: int


@dataclass(frozen=True)
class PlantedChannel:
    """One channel."""

    name: str
    scale: float
    """Of everything the brain gives it; log-normal between channels."""
    rise: float
    """Rise of its high gamma with the loudest voice, relative; the same for all words."""
    flat: bool
    """Constant."""
    leak_uv: float
    """Amplitude of the loudest voice itself in its voltages; 0 unless it is microphonic."""
    reliability: float | None
    """Share of the variance between trials of mean high gamma (1 s from speech onset) that is what
    was planted; the rest is estimation noise, drift and the general rise. None if constant."""
    share_left: float | None
    """Share of that variance that the word vectors explain: share · reliability."""
    weights: tuple[float, ...]
    """Of the informative dimensions."""
    amplitudes: tuple[float, ...]
    """Per trial: mean high gamma from speech onset on, relative to the channel's own mean."""


@dataclass(frozen=True)
class PlantedSpeaker:
    """One participant."""

    participant: str
    voice: str
    words: tuple[PlantedWord, ...]
    channels: tuple[PlantedChannel, ...]


@dataclass(frozen=True)
class ProductionTruth:
    """Everything planted."""

    seed: int
    made_by: str
    language: str
    file_format: str
    share: float
    """Of the variance between words that the vectors explain, before estimation noise."""
    null: bool
    word_sd: float
    """SD between trials of relative amplitude."""
    vectors: str
    """File with the vectors that were planted."""
    informative: tuple[int, ...]
    """Its dimensions, from 0, that responses depend on."""
    vectors_unrelated: str
    audio_lag_s: float
    speakers: tuple[PlantedSpeaker, ...]
    notes: tuple[str, ...]

    def write(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def read_production_truth(path: Path) -> ProductionTruth:
    """Read what :meth:`ProductionTruth.write` wrote."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    speakers = tuple(_speaker(entry) for entry in content.pop("speakers"))
    informative, notes = tuple(content.pop("informative")), tuple(content.pop("notes"))
    return ProductionTruth(speakers=speakers, informative=informative, notes=notes, **content)


def _speaker(entry: dict[str, Any]) -> PlantedSpeaker:
    words = tuple(PlantedWord(**word) for word in entry.pop("words"))
    channels = tuple(
        PlantedChannel(
            weights=tuple(channel.pop("weights")),
            amplitudes=tuple(channel.pop("amplitudes")),
            **channel,
        )
        for channel in entry.pop("channels")
    )
    return PlantedSpeaker(words=words, channels=channels, **entry)
