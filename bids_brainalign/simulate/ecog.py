"""Simulated ECoG of stories, as BIDS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.simulate.bids_tree import write_events, write_stimuli, write_tsv
from bids_brainalign.simulate.ecog_files import (
    TASK,
    write_edf,
    write_electrodes,
    write_ieeg_sidecar,
)
from bids_brainalign.simulate.ecog_signal import SFREQ_HZ, log_high_gamma, record
from bids_brainalign.simulate.electrodes import (
    BAD,
    Device,
    channel_table,
    lay_out,
)
from bids_brainalign.simulate.ground_truth import PlantedGroup, Source
from bids_brainalign.simulate.noise import pink_noise
from bids_brainalign.simulate.planted import (
    Signals,
    apply_lag,
    mix,
    phase_randomise,
    standardise_together,
    unit_variance,
)
from bids_brainalign.simulate.random_streams import stream
from bids_brainalign.simulate.sources import (
    StoryFeatures,
    check_layers,
    source_signals,
    story_features,
)
from bids_brainalign.simulate.stories import Story

RATE_HZ = 50.0
FIRST_SILENCE_S = 2.317
SILENCE_STEP_S = 1.461
"""Every run has another silence before its story, none a whole number of frames or samples."""
SILENCE_AFTER_S = 3.0


def simulate_ecog(
    bids_dir: Path,
    *,
    stories: Sequence[Story],
    model_folder: Path,
    participants: Sequence[str],
    layers: Sequence[int],
    seed: int,
    lags_s: Sequence[float] = (0.08, 0.2),
    n_channels: int = 32,
    n_planted: int = 12,
    n_lowlevel: int = 0,
    signal_share: float = 0.5,
    null: bool = False,
) -> tuple[PlantedGroup, ...]:
    """Write ECoG runs (one per story) of simulated listeners into a BIDS dataset.

    High gamma (70–150 Hz) of planted electrodes has a log amplitude that follows a random
    projection of one model layer at one lag, plus 1/f noise. All electrodes also carry slow 1/f
    activity, noise of the common reference and line hum. Null electrodes have the same spectra and
    no link to the story, and a device of their own; two more electrodes are bad, and there are an
    ECG and an auxiliary channel.

    Parameters
    ----------
    bids_dir : Path
        Dataset; stimuli and ``sub-*/ieeg`` are written into it.
    stories : sequence of Story
        One run each.
    model_folder : Path
        Hugging Face folder of a Whisper.
    participants : sequence of str
        Labels without ``sub-``; each has projections and noise of their own.
    layers, lags_s : sequences of the same length
        Layers planted, each on a device of its own, and the lag of each in s.
    seed : int
    n_channels, n_planted, n_lowlevel : int
        Good electrodes, those that follow a layer, and those that follow envelope and mel
        spectrogram only; the others are nulls.
    signal_share : float
        Share of the planted signal in the variance of log high-gamma amplitude.
    null : bool
        Replace every planted signal by one with the same spectrum and random phases.

    Returns
    -------
    tuple of PlantedGroup
        One per participant and device.
    """
    try:
        devices = lay_out(
            n_channels=n_channels,
            n_planted=n_planted,
            n_lowlevel=n_lowlevel,
            layers=layers,
            lags_s=lags_s,
        )
    except ValueError as error:
        raise BrainAlignError(
            f"{n_channels} channels, {n_planted} planted, layers {list(layers)}: {error}",
            fix="plant fewer layers, or simulate more channels",
            exit_code=ExitCode.USAGE,
        ) from error
    features = story_features(stories, model_folder, rate_hz=RATE_HZ)
    check_layers(layers, n_layers=features.n_layers)
    write_stimuli(bids_dir, stories)
    groups: list[PlantedGroup] = []
    for label in participants:
        planted = planted_signals(features, devices, label=label, seed=seed, null=null)
        share = np.concatenate(
            [
                np.full(device.n_channels, 0.0 if device.source is None else signal_share)
                for device in devices
            ]
        )
        folder = bids_dir / f"sub-{label}" / "ieeg"
        write_electrodes(folder, label, devices)
        measured = [
            _write_run(folder, label, index, story, planted[index], share, devices, seed=seed)
            for index, story in enumerate(stories)
        ]
        recorded = recorded_correlation(planted, measured)
        groups.extend(
            planted_groups(label, devices, signal_share, recorded, null=null, modality="ieeg")
        )
    return tuple(groups)


def planted_signals(
    features: StoryFeatures, devices: Sequence[Device], *, label: str, seed: int, null: bool
) -> Signals:
    """Signals of all good channels per story, (n_frames + pad, n_channels)."""
    parts: list[Signals] = []
    n_after = round(0.5 * RATE_HZ)
    for device in devices:
        rng = stream(seed, "ecog", label, device.name, "weights")
        signals = source_signals(features, device.source, n_targets=device.n_channels, rng=rng)
        lagged = []
        for signal in signals:
            late = apply_lag(signal, lag_s=device.lag_s, rate_hz=RATE_HZ)
            padded = np.zeros((len(signal) + n_after, device.n_channels))
            n_kept = min(len(late), len(padded))
            padded[:n_kept] = late[:n_kept]
            lagged.append(padded)
        lagged = unit_variance(lagged)
        if null:
            draw = stream(seed, "ecog", label, device.name, "phases")
            lagged = [phase_randomise(signal, rng=draw) for signal in lagged]
        parts.append(lagged)
    return [np.hstack(story) for story in zip(*parts, strict=True)]


def _write_run(
    folder: Path,
    label: str,
    index: int,
    story: Story,
    planted: NDArray[np.float64],
    share: NDArray[np.float64],
    devices: Sequence[Device],
    *,
    seed: int,
) -> NDArray[np.float64]:
    """Write one recording; give back its log high gamma at the planted frames."""
    onset_s = FIRST_SILENCE_S + SILENCE_STEP_S * index
    duration_s = int(np.ceil(onset_s + story.duration_s + SILENCE_AFTER_S))
    n_before = int(onset_s * RATE_HZ)
    n_frames = int((duration_s - onset_s) * RATE_HZ) + n_before
    frame_times = onset_s + (np.arange(n_frames) - n_before) / RATE_HZ
    signal = np.zeros((n_frames, planted.shape[1]))
    during = slice(n_before, n_before + len(planted))
    signal[during] = planted
    key = ("ecog", label, f"run-{index + 1}")
    noise = pink_noise(
        n_frames, planted.shape[1], rng=stream(seed, *key, "noise"), rate_hz=RATE_HZ
    )
    modulator = mix(signal, noise, signal_share=share)
    uv = record(modulator, frame_times, duration_s=duration_s, seed=seed, key=key)

    stem = folder / f"sub-{label}_task-{TASK}_run-{index + 1}"
    channels = channel_table(devices, sfreq_hz=SFREQ_HZ)
    write_tsv(stem.with_name(f"{stem.name}_channels.tsv"), channels)
    write_edf(
        stem.with_name(f"{stem.name}_ieeg.edf"),
        np.hstack([uv, _other_channels(uv, rng=stream(seed, *key, "other"))]),
        list(channels["name"]),
    )
    write_ieeg_sidecar(stem.with_name(f"{stem.name}_ieeg.json"), channels, duration_s)
    write_events(stem, story, onset_s=onset_s)
    return log_high_gamma(uv, frame_times[during])


def _other_channels(uv: NDArray[np.float64], *, rng: np.random.Generator) -> NDArray[np.float64]:
    """Bad electrodes, a heart beat and an unconnected auxiliary input."""
    n_samples = len(uv)
    bad = [uv[:, -1] + size * rng.standard_normal(n_samples) for size in BAD.values()]
    beat_phase = np.arange(n_samples) / SFREQ_HZ * 1.1 % 1.0
    heart = 600.0 * np.exp(-0.5 * ((beat_phase - 0.3) / 0.01) ** 2)
    return np.stack([*bad, heart, rng.standard_normal(n_samples)], axis=1)


def recorded_correlation(planted: Signals, measured: Signals) -> NDArray[np.float64]:
    """Correlate per channel over runs, each standardised by itself; NaN without a signal."""
    sums = np.zeros(planted[0].shape[1])
    total = 0
    for signal, response in zip(planted, measured, strict=True):
        ours, theirs = standardise_together([signal])[0], standardise_together([response])[0]
        sums += (ours * theirs).sum(axis=0)
        total += len(ours)
    has_signal = np.concatenate(planted).std(axis=0) > 0
    return np.where(has_signal, sums / total, np.nan)


def planted_groups(
    label: str,
    devices: Sequence[Device],
    signal_share: float,
    recorded: NDArray[np.float64],
    *,
    null: bool,
    modality: Literal["ieeg", "eeg"],
) -> list[PlantedGroup]:
    """Say what was planted, one group per device."""
    groups = []
    first = 0
    for device in devices:
        values = recorded[first : first + device.n_channels]
        first += device.n_channels
        linked = device.source is not None and not null
        source: Source = "none"
        if linked:
            source = "lowlevel" if isinstance(device.source, str) else "layer"
        groups.append(
            PlantedGroup(
                participant=label,
                modality=modality,
                name=device.name,
                source=source,
                layer=device.source if linked and isinstance(device.source, int) else None,
                lag_s=device.lag_s if linked else None,
                hrf=None,
                signal_share=signal_share if linked else 0.0,
                noise_ceiling_r=round(float(np.sqrt(signal_share)), 4) if linked else 0.0,
                targets=device.channels,
                recorded_r=tuple(np.round(values, 4).tolist()) if linked else (),
            )
        )
    return groups
