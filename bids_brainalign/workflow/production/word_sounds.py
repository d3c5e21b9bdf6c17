"""The sound of a speaker: all recordings one after the other, as speech models want it."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.speech_audio import SpeechAudio
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.audio import SAMPLE_RATE_HZ
from bids_brainalign.responses.speech_sound import ChannelSound, find_sound
from bids_brainalign.store.digest import digest_of, file_digest
from bids_brainalign.workflow.production.speakers import Speaker
from bids_brainalign.workflow.responses import input_files

_BETWEEN_S = 1.0
"""Silence between two recordings; no word reaches so far."""


@dataclass(frozen=True)
class SpeakerSound:
    """Sound of every recording, where there is any."""

    audio: tuple[SpeechAudio | None, ...]
    digest: str
    """Of the files that the sound is in."""

    @property
    def offsets_s(self) -> tuple[float, ...]:
        """Second of the joined sound at which the clock of each recording is 0."""
        return (0.0, *self.stops_s[:-1])

    @property
    def stops_s(self) -> tuple[float, ...]:
        """Second of the joined sound at which the part of each recording ends."""
        return tuple(float(stop) for stop in np.cumsum(self._lengths_s))

    @property
    def heard_s(self) -> NDArray[np.float64]:
        """(n_recordings, 2) from when to when there is sound, on the clock of each recording.

        NaN for recordings without a sound.
        """
        nothing = (np.nan, np.nan)
        ends = [nothing if one is None else (one.start_s, one.stop_s) for one in self.audio]
        return np.array(ends, dtype=np.float64).reshape(-1, 2)

    @property
    def _lengths_s(self) -> tuple[float, ...]:
        """Each recording's part of the joined sound, with the silence after it."""
        return tuple(
            _BETWEEN_S + (0.0 if one is None else max(0.0, one.stop_s)) for one in self.audio
        )

    def wave(self) -> NDArray[np.float32]:
        """Join the recordings, mono at 16 kHz.

        Raises
        ------
        BrainAlignError
            There is no sound, or it is too slow for a speech model (66).
        """
        parts = []
        for one, length_s in zip(self.audio, self._lengths_s, strict=True):
            if one is None:
                parts.append(np.zeros(round(length_s * SAMPLE_RATE_HZ), dtype=np.float32))
                continue
            if not one.feeds_speech_models:
                raise _too_slow(one)
            parts.append(_resampled(one, length_s))
        if all(one is None for one in self.audio):
            raise no_sound()
        return np.concatenate(parts)


def speaker_sound(config: Config, speaker: Speaker) -> SpeakerSound:
    """Find the sound of a speaker."""
    audio = tuple(find_sound(recording) for recording in speaker.recordings)
    found = [
        _digests(config, recording, one)
        for recording, one in zip(speaker.recordings, audio, strict=True)
    ]
    return SpeakerSound(audio, digest_of([found, [one and one.start_s for one in audio]]))


def _digests(config: Config, recording: Recording, audio: SpeechAudio | None) -> object:
    """Digests of what a sound is read from."""
    memo = config.paths.work_dir / "digests"
    if audio is None:
        return None
    if isinstance(audio.sound, ChannelSound):  # its samples may lie beside the header
        files = [[path.name, file_digest(path, memo)] for path in input_files(recording)]
        return [audio.sound.name, files]
    return [file_digest(audio.sound.path, memo)]


def no_sound() -> BrainAlignError:
    """Give the error of a speech model where no recording has a sound."""
    return BrainAlignError(
        "There is no sound of the participant for a speech model to hear.",
        where="looked for acquisition/Audio of NWB files, <recording>_audio.wav (.flac, .ogg, "
        ".mp3) beside the recording and in beh/, and channels of type AUDIO",
        fix="add the sound, or give embeddings of text: --models NAME=cc.nl.300.bin (FastText), "
        "a GloVe file, or a language model",
        exit_code=ExitCode.MISSING_INPUT,
    )


def _too_slow(audio: SpeechAudio) -> BrainAlignError:
    return BrainAlignError(
        f"The sound has {audio.rate_hz:g} samples per second; speech models need "
        f"{SAMPLE_RATE_HZ}.",
        where=audio.source,
        fix="add the original sound as <recording>_audio.wav, or give embeddings of text",
        exit_code=ExitCode.MISSING_INPUT,
    )


def _resampled(audio: SpeechAudio, length_s: float) -> NDArray[np.float32]:
    """Sound from second 0 of the recording clock on."""
    wave = audio.read(0.0, length_s)
    rate = round(audio.rate_hz)
    if rate == SAMPLE_RATE_HZ:
        return wave
    common = gcd(rate, SAMPLE_RATE_HZ)
    return np.asarray(
        resample_poly(wave, SAMPLE_RATE_HZ // common, rate // common), dtype=np.float32
    )
