"""Simulated scalp EEG of stories, as BIDS: slow potentials that follow a layer of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.simulate.bids_tree import (
    write_events,
    write_json,
    write_stimuli,
    write_tsv,
)
from bids_brainalign.simulate.ecog import (
    FIRST_SILENCE_S,
    RATE_HZ,
    SILENCE_AFTER_S,
    SILENCE_STEP_S,
    planted_groups,
    planted_signals,
    recorded_correlation,
)
from bids_brainalign.simulate.ecog_files import TASK, write_edf
from bids_brainalign.simulate.electrodes import Device
from bids_brainalign.simulate.ground_truth import PlantedGroup
from bids_brainalign.simulate.noise import line_noise, pink_noise
from bids_brainalign.simulate.planted import mix
from bids_brainalign.simulate.random_streams import stream
from bids_brainalign.simulate.sources import check_layers, story_features
from bids_brainalign.simulate.stories import Story

SFREQ_HZ = 256.0
LINE_HZ = 50.0
POTENTIAL_UV, FAST_UV, COMMON_UV, LINE_UV = 8.0, 1.0, 4.0, 3.0
"""SD of the slow potential, of what is above it, of the reference electrode, of the hum."""
SITES = (
    ("frontocentral", ("Fz", "FCz", "Cz", "FC1", "FC2", "C1")),
    ("temporal", ("T7", "FT7", "TP7", "T8", "FT8", "TP8")),
    ("centroparietal", ("CPz", "CP1", "CP2", "Pz", "P1", "P2")),
)
"""Electrodes of planted layers; the weights differ from electrode to electrode."""
NULLS = ("O1", "Oz", "O2", "PO7", "PO8", "PO3", "PO4", "P7", "P8", "Fp1", "Fp2", "AF7", "AF8",
         "F7", "F8", "F5", "F6", "P5", "P6", "POz")  # fmt: skip
BAD = "F3"


@dataclass(frozen=True)
class Site(Device):
    """Electrodes of the 10-10 system that share a source."""

    names: tuple[str, ...] = ()

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of its electrodes."""
        return self.names


def simulate_eeg(
    bids_dir: Path,
    *,
    stories: Sequence[Story],
    model_folder: Path,
    participants: Sequence[str],
    layers: Sequence[int],
    seed: int,
    lags_s: Sequence[float],
    signal_share: float = 0.5,
    null: bool = False,
) -> tuple[PlantedGroup, ...]:
    """Write EEG runs (one per story) of simulated listeners into a BIDS dataset.

    The potential of planted electrodes follows a random projection of one model layer at one
    lag, in 1/f noise; all carry the noise of the reference electrode and line hum. There are no
    electrode positions, one bad channel and an eye channel.

    Parameters
    ----------
    bids_dir, stories, model_folder, participants, layers, seed, lags_s, signal_share, null
        As in :func:`~bids_brainalign.simulate.ecog.simulate_ecog`; at most three layers.
    """
    if len(layers) > len(SITES):
        raise BrainAlignError(
            f"{len(layers)} layers are too many for simulated EEG",
            fix=f"give at most {len(SITES)} with --layers",
            exit_code=ExitCode.USAGE,
        )
    sites: list[Device] = [
        Site(name, layer, lag_s, len(names), (0.0, 0.0, 0.0), names)
        for (name, names), layer, lag_s in zip(SITES, layers, lags_s, strict=False)
    ]
    sites.append(Site("other", None, 0.0, len(NULLS), (0.0, 0.0, 0.0), NULLS))
    features = story_features(stories, model_folder, rate_hz=RATE_HZ)
    check_layers(layers, n_layers=features.n_layers)
    write_stimuli(bids_dir, stories)
    groups: list[PlantedGroup] = []
    for label in participants:
        planted = planted_signals(features, sites, label=label, seed=seed, null=null)
        share = np.concatenate(
            [np.full(s.n_channels, 0.0 if s.source is None else signal_share) for s in sites]
        )
        folder = bids_dir / f"sub-{label}" / "eeg"
        measured = [
            _write_run(folder, label, index, story, planted[index], share, sites, seed=seed)
            for index, story in enumerate(stories)
        ]
        recorded = recorded_correlation(planted, measured)
        groups.extend(
            planted_groups(label, sites, signal_share, recorded, null=null, modality="eeg")
        )
    return tuple(groups)


def _write_run(
    folder: Path,
    label: str,
    index: int,
    story: Story,
    planted: NDArray[np.float64],
    share: NDArray[np.float64],
    sites: Sequence[Device],
    *,
    seed: int,
) -> NDArray[np.float64]:
    """Write one recording; give back its slow potential at the planted frames."""
    onset_s = FIRST_SILENCE_S + SILENCE_STEP_S * index
    duration_s = int(np.ceil(onset_s + story.duration_s + SILENCE_AFTER_S))
    n_before = int(onset_s * RATE_HZ)
    n_frames = int((duration_s - onset_s) * RATE_HZ) + n_before
    frame_times = onset_s + (np.arange(n_frames) - n_before) / RATE_HZ
    signal = np.zeros((n_frames, planted.shape[1]))
    during = slice(n_before, n_before + len(planted))
    signal[during] = planted
    key = ("eeg", label, f"run-{index + 1}")
    noise = pink_noise(
        n_frames, planted.shape[1], rng=stream(seed, *key, "noise"), rate_hz=RATE_HZ
    )
    potential = mix(signal, noise, signal_share=share)
    uv = _record(potential, frame_times, duration_s=duration_s, seed=seed, key=key)

    stem = folder / f"sub-{label}_task-{TASK}_run-{index + 1}"
    folder.mkdir(parents=True, exist_ok=True)
    rng = stream(seed, *key, "other")
    names = [name for site in sites for name in site.channels]
    channels = pd.DataFrame(
        [(name, "EEG", "uV", "good", "n/a") for name in names]
        + [(BAD, "EEG", "uV", "bad", "no contact"), ("HEOG", "EOG", "uV", "good", "n/a")],
        columns=["name", "type", "units", "status", "status_description"],
    )
    write_tsv(stem.with_name(f"{stem.name}_channels.tsv"), channels)
    others = np.stack([300 * rng.standard_normal(len(uv)), 50 * rng.standard_normal(len(uv))], 1)
    path = stem.with_name(f"{stem.name}_eeg.edf")
    write_edf(path, np.hstack([uv, others]), list(channels["name"]), sfreq_hz=SFREQ_HZ)
    write_json(
        path.with_suffix(".json"),
        {
            "TaskName": TASK,
            "TaskDescription": "Listening to stories (simulated).",
            "Manufacturer": "bids-brainalign simulate",
            "EEGReference": "one simulated electrode, its noise is in every channel",
            "PowerLineFrequency": LINE_HZ,
            "SamplingFrequency": SFREQ_HZ,
            "SoftwareFilters": "n/a",
            "RecordingType": "continuous",
            "RecordingDuration": float(duration_s),
            "EEGChannelCount": len(names) + 1,
            "EOGChannelCount": 1,
        },
    )
    write_events(stem, story, onset_s=onset_s)
    referenced = uv - uv.mean(axis=1, keepdims=True)
    times = np.arange(len(uv)) / SFREQ_HZ
    at = frame_times[during]
    return np.stack([np.interp(at, times, channel) for channel in referenced.T], axis=1)


def _record(
    potential: NDArray[np.float64],
    frame_times: NDArray[np.float64],
    *,
    duration_s: int,
    seed: int,
    key: tuple[str, ...],
) -> NDArray[np.float64]:
    """Microvolts (n_samples, n_channels) at 256 Hz from potentials at 50 Hz."""
    n_samples, n_channels = round(duration_s * SFREQ_HZ), potential.shape[1]
    times = np.arange(n_samples) / SFREQ_HZ
    uv = np.stack([np.interp(times, frame_times, column) for column in potential.T], axis=1)
    uv *= POTENTIAL_UV

    def draw(what: str) -> np.random.Generator:
        return stream(seed, *key, what)

    uv += FAST_UV * draw("fast").standard_normal((n_samples, n_channels))
    uv += COMMON_UV * pink_noise(n_samples, 1, rng=draw("common"), rate_hz=SFREQ_HZ)
    uv += LINE_UV * line_noise(
        n_samples, n_channels, rng=draw("line"), rate_hz=SFREQ_HZ, line_hz=LINE_HZ
    )
    return uv
