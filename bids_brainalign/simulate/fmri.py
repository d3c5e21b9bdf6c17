"""Simulated fMRI of stories, as BIDS with an fMRIPrep-like derivative."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.simulate.bids_tree import write_stimuli
from bids_brainalign.simulate.bold_truth import CleanedRun, clean, recorded_r, repeated_r
from bids_brainalign.simulate.confounds import HIGH_PASS_S, confound_table, nuisance, spikes
from bids_brainalign.simulate.fmri_files import (
    TR_S,
    reference_s,
    write_derivative_description,
    write_preprocessed,
    write_raw,
)
from bids_brainalign.simulate.ground_truth import PlantedGroup
from bids_brainalign.simulate.noise import ar1_noise, cosine_drift
from bids_brainalign.simulate.planted import (
    Signals,
    apply_hrf,
    apply_late_bump,
    mix,
    phase_randomise,
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
from bids_brainalign.simulate.volume import SHAPE, Part, parts

RATE_HZ = 10.0
FIRST_SILENCE_S = 6.0
SILENCE_STEP_S = 1.7
SILENCE_AFTER_S = 10.0
NOISE_PHI = 0.4
NUISANCE_SHARE = 0.15
"""SD of each confound's leak into a voxel, in units of the voxel's SD without confounds."""
SPIKE = 4.0
BASELINE = 1000.0
PERCENT = 0.01
BUMP_S = 0.6
"""SD of the response where a lag is asked for instead of the canonical response."""
SETTLED_S = 10.0
"""After a story's onset, before its repeats are compared: what an analysis trims by default."""


def simulate_fmri(
    bids_dir: Path,
    *,
    stories: Sequence[Story],
    model_folder: Path,
    participants: Sequence[str],
    layers: Sequence[int],
    seed: int,
    signal_share: float = 0.5,
    null: bool = False,
    n_repeats: int = 1,
    tr_s: float = TR_S,
    lags_s: Sequence[float] = (),
) -> tuple[PlantedGroup, ...]:
    """Write BOLD runs (each story its own task) of simulated listeners into a BIDS dataset.

    The right half of a 14 × 8 × 8 volume follows random projections of the last of ``layers``
    through the canonical haemodynamic response (with two layers, its posterior part follows the
    first); the left half follows nothing. Noise is first-order autoregressive; motion, white
    matter, CSF and drift leak into every voxel and are told in the confounds.

    Parameters
    ----------
    bids_dir : Path
        Dataset; ``sub-*/func`` and ``derivatives/fmriprep`` are written into it.
    stories : sequence of Story
        One task each, named after the story.
    model_folder : Path
        Hugging Face folder of a Whisper.
    participants : sequence of str
        Labels without ``sub-``; each has projections and noise of their own.
    layers : sequence of 1 or 2 int
    seed : int
    signal_share : float
        Share of the planted signal in the variance of a voxel without confounds.
    null : bool
        Replace every planted signal by one with the same spectrum and random phases, others in
        every run.
    n_repeats : int
        Runs in which the first story is heard, each with noise of its own.
    tr_s : float
        Repetition time.
    lags_s : sequence of float
        Per layer: the response is a bump (Gaussian, SD 0.6 s) around this lag instead of the
        canonical one.

    Returns
    -------
    tuple of PlantedGroup
        One per participant and part of the volume.
    """
    features = story_features(stories, model_folder, rate_hz=RATE_HZ)
    check_layers(layers, n_layers=features.n_layers)
    areas = parts(layers)
    lags = dict(zip(layers, lags_s, strict=True)) if lags_s else {}
    write_stimuli(bids_dir, stories)
    derivative = bids_dir / "derivatives" / "fmriprep"
    write_derivative_description(derivative)
    groups: list[PlantedGroup] = []
    for label in participants:
        recorded: list[list[CleanedRun]] = []
        planted = {
            area.name: _planted_signals(
                features,
                stories,
                area,
                label=label,
                seed=seed,
                tr_s=tr_s,
                lag_s=None if area.source is None else lags.get(area.source),
            )
            for area in areas
        }
        n_runs = n_repeats if n_repeats > 1 else 0
        for index, story in enumerate(stories):
            joined = {name: signals[index] for name, signals in planted.items()}
            runs = (
                [f"{run + 1}" for run in range(n_repeats)] if index == 0 < n_repeats - 1 else [""]
            )
            for run in runs:
                heard = _unlinked(joined, (seed, label, story.name, run)) if null else joined
                recorded.append(
                    _write_run(
                        (bids_dir, derivative), label, index, story, heard, areas, run=run,
                        signal_share=signal_share, seed=seed, tr_s=tr_s,
                    )
                )  # fmt: skip
        onset_s, volume_times = _timing(0, stories[0], tr_s)
        since_s = volume_times - onset_s
        settled = (since_s >= SETTLED_S) & (since_s <= stories[0].duration_s)
        for number, area in enumerate(areas):
            runs_of = [run[number] for run in recorded]
            r = np.mean([recorded_r(run) for run in runs_of], axis=0)
            repeated = repeated_r(runs_of[:n_runs], settled) if n_runs else None
            lag_s = None if area.source is None else lags.get(area.source)
            groups.append(_group(label, area, signal_share, r, repeated, lag_s, null=null))
    return tuple(groups)


def _unlinked(
    joined: dict[str, NDArray[np.float64]], key: tuple[object, ...]
) -> dict[str, NDArray[np.float64]]:
    """Signals of one run with the same spectra and no memory of the story."""
    seed, *rest = key
    return {
        name: phase_randomise(signal, rng=stream(int(str(seed)), "fmri", *rest, name, "phases"))
        for name, signal in joined.items()
    }


def _timing(index: int, story: Story, tr_s: float) -> tuple[float, NDArray[np.float64]]:
    """Onset of the story and the times of all volumes, s on the recording clock."""
    onset_s = FIRST_SILENCE_S + SILENCE_STEP_S * index
    n_volumes = int(np.ceil((onset_s + story.duration_s + SILENCE_AFTER_S) / tr_s))
    return onset_s, np.arange(n_volumes, dtype=np.float64) * tr_s + reference_s(tr_s)


def _planted_signals(
    features: StoryFeatures,
    stories: Sequence[Story],
    area: Part,
    *,
    label: str,
    seed: int,
    tr_s: float,
    lag_s: float | None,
) -> Signals:
    """BOLD signals of one area per story, each (n_volumes, n_voxels), SD 1 over all stories."""
    rng = stream(seed, "fmri", label, area.name, "weights")
    n_voxels = int(area.voxels.sum())
    fast = source_signals(features, area.source, n_targets=n_voxels, rng=rng)
    bold = []
    for index, (story, signal) in enumerate(zip(stories, fast, strict=True)):
        onset_s, volume_times = _timing(index, story, tr_s)
        if lag_s is None:
            slow = apply_hrf(signal, rate_hz=RATE_HZ)
        else:
            slow = apply_late_bump(signal, rate_hz=RATE_HZ, lag_s=lag_s, width_s=BUMP_S)
        times = onset_s + features.start_s + np.arange(len(slow)) / RATE_HZ
        sampled = [np.interp(volume_times, times, voxel, left=0, right=0) for voxel in slow.T]
        bold.append(np.stack(sampled, axis=1))
    slowest = [cosine_drift(len(signal), interval_s=tr_s, period_s=HIGH_PASS_S) for signal in bold]
    return unit_variance(bold, without=slowest)


def _write_run(
    roots: tuple[Path, Path],
    label: str,
    index: int,
    story: Story,
    planted: dict[str, NDArray[np.float64]],
    areas: Sequence[Part],
    *,
    run: str,
    signal_share: float,
    seed: int,
    tr_s: float,
) -> list[CleanedRun]:
    """Write one run, raw and preprocessed; give back what an analysis can see of every area."""
    onset_s, volume_times = _timing(index, story, tr_s)
    n_volumes = len(volume_times)
    key = ("fmri", label, story.name, run) if run else ("fmri", label, story.name)
    table = confound_table(n_volumes, rng=stream(seed, *key, "confounds"), interval_s=tr_s)
    regressors, jumps = nuisance(table), spikes(table)
    image = np.zeros((*SHAPE, n_volumes), dtype=np.float32)
    recorded: list[CleanedRun] = []
    for area in areas:
        rng = stream(seed, *key, area.name, "noise")
        n_voxels = int(area.voxels.sum())
        noise = ar1_noise(n_volumes, n_voxels, rng=rng, phi=NOISE_PHI)
        share = 0.0 if area.source is None else signal_share
        mixed = mix(planted[area.name], noise, signal_share=share)
        leak = regressors @ rng.normal(0, NUISANCE_SHARE, (regressors.shape[1], n_voxels))
        jump = jumps[:, None] * rng.normal(0, SPIKE, n_voxels)
        series = mixed + leak + jump
        image[area.voxels] = (BASELINE * (1 + PERCENT * series)).T
        signal = mix(planted[area.name], np.zeros_like(noise), signal_share=share)
        recorded.append(clean(series, signal, regressors, jumps == 0))
    raw, derivative = roots
    name = f"sub-{label}_task-{story.label}" + (f"_run-{run}" if run else "")
    write_raw(raw / f"sub-{label}" / "func" / name, image, story, onset_s, tr_s=tr_s)
    write_preprocessed(derivative / f"sub-{label}" / "func" / name, image, story, table, tr_s=tr_s)
    return recorded


def _group(
    label: str,
    area: Part,
    signal_share: float,
    recorded: NDArray[np.float64],
    repeated: NDArray[np.float64] | None,
    lag_s: float | None,
    *,
    null: bool,
) -> PlantedGroup:
    linked = area.source is not None and not null
    seen = () if repeated is None else tuple(np.round(repeated, 4).tolist())
    return PlantedGroup(
        participant=label,
        modality="fmri",
        name=area.name,
        source="layer" if linked else "none",
        layer=area.source if linked else None,
        lag_s=lag_s if linked else None,
        hrf="glover" if linked and lag_s is None else None,
        signal_share=signal_share if linked else 0.0,
        noise_ceiling_r=round(float(np.sqrt(signal_share)), 4) if linked else 0.0,
        targets=tuple((int(i), int(j), int(k)) for i, j, k in np.argwhere(area.voxels)),
        recorded_r=tuple(np.round(recorded, 4).tolist()) if linked else (),
        repeated_r=seen if linked else (),
    )
