"""Whether the sound has leaked into the voltages, channel by channel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.speech_audio import SpeechAudio
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.outputs.reading import read_sidecar
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.production.contamination import (
    ALPHA,
    HIGH_GAMMA_HZ,
    Contamination,
    contamination,
)
from bids_brainalign.production.lags import Lag
from bids_brainalign.production.waveform_leaks import WaveformLeaks, waveform_leaks
from bids_brainalign.responses import resampling
from bids_brainalign.responses.channels import NEURAL_TYPES
from bids_brainalign.responses.ieeg import line_frequency
from bids_brainalign.responses.recordings import within
from bids_brainalign.responses.voltages import Voltages, read_voltages
from bids_brainalign.statistics.multiplicity import benjamini_hochberg
from bids_brainalign.store.digest import file_digest
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.production.speakers import LABEL, Speaker
from bids_brainalign.workflow.production.structure_tables import CONTAMINATION
from bids_brainalign.workflow.production.word_sounds import SpeakerSound
from bids_brainalign.workflow.responses import input_files
from bids_brainalign.workflow.spaces import seed_of

LEAKS = "Leaks"
"""Field of the sidecar: recording → lag of what leaks."""
NAMED = 12


def leak_step(config: Config, speaker: Speaker, sound: SpeakerSound) -> Step:
    """Look for the sound in every channel of every recording."""
    path = _path(config, speaker)
    memo = config.paths.work_dir / "digests"

    def work() -> list[Path]:
        parts, said, leaks = [], [], {}
        for recording, audio in zip(speaker.recordings, sound.audio, strict=True):
            if audio is None:
                said.append(f"{recording.name} has no sound.")
                continue
            try:
                names, found = _look(config, recording, audio)
            except BrainAlignError as error:
                said.append(f"{recording.name}: not checked for leaks. {error.what}")
                continue
            parts.append(_rows(recording, names, found))
            said.append(sentence(recording.name, names, found))
            if found.leak is not None:
                leaks[recording.name] = asdict(found.leak)
        empty = pd.DataFrame(columns=[*CONTAMINATION])
        table = pd.concat(parts, ignore_index=True) if parts else empty
        extra = {"Sentences": said, LEAKS: leaks}
        return list(write_tsv(path, table[list(CONTAMINATION)], CONTAMINATION, extra=extra))

    return Step(
        name=f"leaks {speaker.name.stem}",
        inputs={
            "recordings": [
                [f.name, file_digest(f, memo)]
                for recording in speaker.recordings
                for f in input_files(recording)
            ],
            "lines": [line_frequency(recording.metadata) for recording in speaker.recordings],
            "sound": sound.digest,
            "seed": config.random_seed,
        },
        modules=("bids_brainalign.workflow.production.leaks",),
        work=work,
    )


def leak_of(config: Config, speaker: Speaker, recording: Recording) -> Lag | None:
    """Lag of the sound that leaks into channels, the clocks' own; None where none was found."""
    about = leak_about(config, speaker, recording)
    return Lag(**about) if isinstance(about, dict) else None


def leak_about(config: Config, speaker: Speaker, recording: Recording) -> object:
    """Give what the sidecar says of the leak of a recording."""
    leaks = read_sidecar(_path(config, speaker).with_suffix(".json")).get(LEAKS)
    return leaks.get(recording.name) if isinstance(leaks, dict) else None


@dataclass(frozen=True)
class Leaks:
    """Both ways to look for the sound."""

    spectra: Contamination
    """As published: bins of the spectrum that rise and fall together."""
    waveforms: WaveformLeaks
    """Finds smaller leaks, and their lag to a cycle of the voice."""

    @property
    def q(self) -> NDArray[np.float64]:
        """(n_channels,) of the smaller p of the two, doubled, over channels."""
        both = np.stack([self.spectra.p, self.waveforms.p])
        known = np.isfinite(both).any(axis=0)
        smaller = np.where(known, np.nanmin(np.where(np.isnan(both), 1.0, both), axis=0), np.nan)
        return benjamini_hochberg(np.minimum(1.0, 2 * smaller))

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """(n_channels,) whether q is at most .05."""
        return np.asarray(np.nan_to_num(self.q, nan=1.0) <= ALPHA)

    @property
    def leak(self) -> Lag | None:
        """Lag of what leaks: by the waveform where it tells; None where nothing is flagged."""
        if not self.flagged.any():
            return None
        return self.waveforms.leak or self.spectra.leak


def sentence(name: str, channels: list[str], found: Leaks) -> str:
    """Say which channels hear the voice, and what that means."""
    flagged = [channel for channel, bad in zip(channels, found.flagged, strict=True) if bad]
    low, high = HIGH_GAMMA_HZ
    share = found.spectra.sound_share
    weak = (
        f" Only {share:.2%} of the sound's power lies in that band: little could be found."
        if share < 0.001
        else ""
    )
    if not flagged:
        return (
            f"{name}: neither waveform nor fine spectrum of the sound ({low:g} to {high:g} Hz) is "
            f"in any of {len(channels)} channels (q > .05).{weak}"
        )
    named = ", ".join(flagged[:NAMED]) + (" …" if len(flagged) > NAMED else "")
    return (
        f"WARNING: {name}: the sound itself ({low:g} to {high:g} Hz) is in {len(flagged)} of "
        f"{len(channels)} channels (q < .05): {named}. High gamma there may be the voice, through "
        "cables or amplifiers. Set their status to bad in channels.tsv "
        f"and run again to see what is left.{weak}"
    )


def _path(config: Config, speaker: Speaker) -> Path:
    return config.paths.output_dir / speaker.name.file("contamination.tsv", analysis=LABEL)


def _look(config: Config, recording: Recording, audio: SpeechAudio) -> tuple[list[str], Leaks]:
    voltages = read_voltages(recording, types=NEURAL_TYPES)
    times = np.arange(voltages.data.shape[1]) / voltages.sfreq_hz
    # On the measured clock: phases that drift by a cycle over the recording show no leak.
    wave = np.concatenate(list(audio.pieces()))
    last_s = audio.start_s + (len(wave) - 1) / audio.clock_hz
    covered = (times >= audio.start_s) & (times <= last_s)
    heard = np.zeros(len(times), dtype=np.float32)
    heard[covered] = resampling.to_clock(
        wave[np.newaxis],
        audio.clock_hz,
        times_s=times[covered],
        first_s=audio.start_s,
    )[:, 0]
    usable = covered & ~within(times, voltages.bad)
    rng = np.random.default_rng(seed_of(config, "leaks", recording.name))
    sfreq_hz, line_hz = voltages.sfreq_hz, line_frequency(recording.metadata)
    found = Leaks(
        contamination(
            heard, _channels(voltages), usable, sfreq_hz=sfreq_hz, rng=rng, line_hz=line_hz
        ),
        waveform_leaks(
            heard, _channels(voltages), usable, sfreq_hz=sfreq_hz, rng=rng, line_hz=line_hz
        ),
    )
    return [str(name) for name in voltages.channels["name"]], found


def _channels(voltages: Voltages) -> Iterator[NDArray[np.float64]]:
    return (channel.astype(np.float64) for channel in voltages.data)


def _rows(recording: Recording, names: list[str], found: Leaks) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "recording": recording.name,
            "name": names,
            "statistic": found.spectra.r,
            "p": found.spectra.p,
            "r_waveform": found.waveforms.r,
            "p_waveform": found.waveforms.p,
            "lag": np.where(
                found.flagged,
                np.where(found.waveforms.flagged, found.waveforms.lag_s, found.spectra.lag_s),
                np.nan,
            ),
            "q_fdr": found.q,
            "flagged": found.flagged,
        }
    )
