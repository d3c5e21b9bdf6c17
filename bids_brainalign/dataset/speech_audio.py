"""The sound of the participant during a recording, from its NWB file or a file beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np
import soundfile
from numpy.typing import NDArray

from bids_brainalign.dataset.filenames import DatasetFile, describes, same_label
from bids_brainalign.dataset.nwb import open_neural_series, series_called
from bids_brainalign.dataset.nwb_clock import series_clock
from bids_brainalign.dataset.pointers import require_content
from bids_brainalign.dataset.sidecars import inherited_metadata
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError

SERIES = "Audio"
EXTENSIONS = (".wav", ".flac", ".ogg", ".mp3")
"""In the order of preference, where a recording has several."""
SPEECH_MODEL_RATE_HZ = 16_000.0
"""Slower sound tells when somebody spoke and how loud, but is no input of speech models."""
SAMPLES_AT_ONCE = 2**22

Samples = NDArray[np.float32]


class Sound(Protocol):
    """Where samples are read."""

    @property
    def path(self) -> Path:
        """The file that they are in."""
        ...

    def samples(self, first: int, stop: int) -> Samples:
        """Read samples [first, stop), which all exist: (stop − first,)."""
        ...


@dataclass(frozen=True)
class SpeechAudio:
    """Sound on the clock of a recording; read when needed, in pieces."""

    rate_hz: float
    """Of the recorder, such as 48 kHz: what to resample from."""
    start_s: float
    """Of its first sample on the recording clock."""
    n_samples: int
    source: str
    """One sentence: where it comes from."""
    sound: Sound
    measured_hz: float = 0.0
    """Samples per second of the recording clock, where both were recorded by one computer; 0:
    as `rate_hz`."""

    @property
    def clock_hz(self) -> float:
        """Samples per second of the recording clock, for the times of long stretches."""
        return self.measured_hz or self.rate_hz

    @property
    def duration_s(self) -> float:
        """Length."""
        return self.n_samples / self.clock_hz

    @property
    def stop_s(self) -> float:
        """When it ends, on the recording clock."""
        return self.start_s + self.duration_s

    @property
    def feeds_speech_models(self) -> bool:
        """Whether it is fast enough for a speech model (16 kHz)."""
        return self.rate_hz >= SPEECH_MODEL_RATE_HZ

    def covers(self, start_s: float, stop_s: float) -> bool:
        """Whether sound was recorded all the time between."""
        slack = 0.5 / self.rate_hz
        return start_s >= self.start_s - slack and stop_s <= self.stop_s + slack

    def read(self, start_s: float, stop_s: float) -> Samples:
        """Sound between two seconds of the recording clock, at its own rate.

        Returns
        -------
        ndarray of shape (round((stop_s − start_s) · rate_hz),), float32
            In [−1, 1]; zeros where there was no sound recorded.
        """
        first = round((start_s - self.start_s) * self.clock_hz)
        n_wanted = max(0, round((stop_s - start_s) * self.rate_hz))
        begin, end = np.clip([first, first + n_wanted], 0, self.n_samples).tolist()
        wave = np.zeros(n_wanted, dtype=np.float32)
        if end > begin:
            wave[begin - first : end - first] = self.sound.samples(begin, end)
        return wave

    def pieces(self, n_samples: int = SAMPLES_AT_ONCE) -> Iterator[Samples]:
        """All of the sound, some samples at a time."""
        for first in range(0, self.n_samples, n_samples):
            yield self.sound.samples(first, min(first + n_samples, self.n_samples))


def find_speech_audio(recording: Recording) -> SpeechAudio | None:
    """Find the sound of the participant: a series of the NWB file, else a file of its own.

    Files are called as the recording, but for its suffix: ``<entities>_audio.wav`` (FLAC, OGG,
    MP3), and lie beside it or in ``beh/``. ``StartTime`` of the sidecar says when the sound begins
    on the recording clock, in s (default 0). A channel of type AUDIO is found by
    :func:`bids_brainalign.responses.speech_sound.find_sound`.

    Raises
    ------
    BrainAlignError
        66: the file is not downloaded. 65: it can't be read, or has no clock.
    """
    if recording.path.suffix.lower() == ".nwb":
        found = _of_nwb(recording)
        if found is not None:
            return found
    path = _file_beside(recording)
    return None if path is None else _of_file(path, recording)


@dataclass(frozen=True)
class NwbSound:
    """A series of an NWB file."""

    path: Path
    key: str
    scale: float
    """Stored number that is full scale."""
    middle: float = 0.0
    """Stored number that is silence."""

    def samples(self, first: int, stop: int) -> Samples:
        """Read samples [first, stop), the mean of all columns."""
        with h5py.File(self.path) as file:
            rows = np.asarray(file[self.key]["data"][first:stop]).reshape(stop - first, -1)
        return _mono(rows, self.scale, self.middle)


@dataclass(frozen=True)
class FileSound:
    """An audio file."""

    path: Path

    def samples(self, first: int, stop: int) -> Samples:
        """Read samples [first, stop), the mean of all channels."""
        try:
            rows, _ = soundfile.read(
                self.path, start=first, stop=stop, dtype="float32", always_2d=True
            )
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise _unreadable(self.path, error) from error
        if len(rows) < stop - first:
            raise _unreadable(self.path, ValueError("it ends before its header says"))
        return _mono(rows, 1.0)


def full_scale(peak: float) -> float:
    """Choose what real numbers are divided by: 1, else the power of 2 that holds their peak.

    Numbers of 16 bits that were stored as real ones so keep the scale of 16 bits.

    Examples
    --------
    >>> full_scale(0.7), full_scale(20000.0)
    (1.0, 32768.0)
    """
    return 1.0 if not peak > 1 else 2.0 ** math.ceil(math.log2(peak))


def _of_nwb(recording: Recording) -> SpeechAudio | None:
    path = recording.path
    require_content(path, recording.root)
    with h5py.File(path) as file:
        series = series_called(file, SERIES)
        if series is None or series["data"].dtype.kind not in "iuf" or not len(series["data"]):
            return None
        clock = series_clock(series, path)
        key, data = series.name, series["data"]
        n_samples, kind = len(data), data.dtype
    if kind.kind == "f":
        raw = SpeechAudio(1.0, 0.0, n_samples, "", NwbSound(path, key, 1.0))
        scale = full_scale(max(float(np.abs(piece).max()) for piece in raw.pieces()))
    else:
        scale = 2.0 ** (8 * kind.itemsize - 1)
    middle = scale if kind.kind == "u" else 0.0
    clock = open_neural_series(recording).on_recording_clock(clock)
    # Times are read off the measured clock: the nominal rate only serves to resample.
    rate_hz = clock.nominal_hz(n_samples, max_drift_s=math.inf)
    return SpeechAudio(
        measured_hz=clock.rate_hz,
        rate_hz=rate_hz,
        start_s=clock.start_s,
        n_samples=n_samples,
        source=f"Sound is the series {SERIES} of {path.name} ({rate_hz:g} Hz).",
        sound=NwbSound(path, key, scale, middle),
    )


def _file_beside(recording: Recording) -> Path | None:
    """Find the sound file with the recording's entities; the most specific, then by extension."""
    own = dict(recording.entities)
    folders = (recording.path.parent, recording.path.parent.parent / "beh")
    found = []
    for place, folder in enumerate(folders):
        for path in folder.glob("*_audio.*") if folder.is_dir() else ():
            file = DatasetFile(path)
            same = all(
                same_label(file.entities.get(key), own.get(key))
                for key in ("sub", "ses", "task", "run")
            )
            if file.extension in EXTENSIONS and same and describes(file, own, but=()):
                order = (-len(file.entities), place, EXTENSIONS.index(file.extension))
                found.append((order, path))
    return min(found)[1] if found else None


def _of_file(path: Path, recording: Recording) -> SpeechAudio:
    require_content(path, recording.root)
    try:
        about = soundfile.info(path)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise _unreadable(path, error) from error
    if not about.frames:
        raise _unreadable(path, ValueError("it holds no sound"))
    start_s = _start_time(path, recording)
    return SpeechAudio(
        rate_hz=float(about.samplerate),
        start_s=start_s,
        n_samples=int(about.frames),
        source=f"Sound is the file {path.name} ({about.samplerate} Hz; its first sample is at "
        f"{start_s:g} s of the recording).",
        sound=FileSound(path),
    )


def _start_time(path: Path, recording: Recording) -> float:
    said = inherited_metadata(path, recording.root).get("StartTime", 0.0)
    if isinstance(said, bool) or not isinstance(said, int | float) or not math.isfinite(said):
        raise BrainAlignError(
            f"StartTime of {path.name} is {said!r}, not a number of seconds.",
            where=str(path.with_suffix(".json")),
            fix="write the second of the recording at which the sound begins",
        )
    return float(said)


def _mono(rows: NDArray[np.generic], scale: float, middle: float = 0.0) -> Samples:
    """Mean over columns at full scale 1; samples that are no numbers are silent."""
    wave = (rows.astype(np.float32).mean(axis=1) - np.float32(middle)) / np.float32(scale)
    return np.asarray(np.nan_to_num(wave, nan=0.0, posinf=0.0, neginf=0.0), dtype=np.float32)


def _unreadable(path: Path, error: Exception) -> BrainAlignError:
    return BrainAlignError(
        f"{path.name} can't be read as audio: {error}",
        where=str(path),
        fix="convert it to WAV or FLAC, or download it again",
    )
