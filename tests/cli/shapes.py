"""Datasets with the real sidecars of OpenNeuro ones, and signals of ours in them.

Responses follow the envelope of the sound, in known places: what the program does on its way there
(rules, references, spaces, inheritance, folds) is what these datasets are for.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from bids_brainalign.features.lowlevel import lowlevel_features
from bids_brainalign.simulate import fmri_files
from bids_brainalign.simulate.bids_tree import write_json, write_stimuli
from bids_brainalign.simulate.confounds import confound_table, nuisance
from bids_brainalign.simulate.ecog_files import write_edf
from bids_brainalign.simulate.ecog_signal import record
from bids_brainalign.simulate.noise import ar1_noise, pink_noise
from bids_brainalign.simulate.planted import apply_hrf
from bids_brainalign.simulate.stories import Story, synthetic_stories

PLANTED = 12


def story(name: str, seconds: float, *, which: int = 0) -> Story:
    made = synthetic_stories(1, duration_s=seconds, seed=3, first=which)[0]
    return Story(name, made.wave, made.words, made.origin)


def envelope(sound: Story, *, rate_hz: float) -> np.ndarray:
    """(n_frames,), mean 0, SD 1."""
    frames, _, _ = lowlevel_features(sound.wave, None, rate_hz=rate_hz, n_mels=4)
    return (frames[:, 0] - frames[:, 0].mean()) / frames[:, 0].std()


def podcast(shared: Path, root: Path, *, seconds: int = 150) -> list[str]:
    """Build ds005574 with one participant; give back the electrodes that follow the sound."""
    source = shared / "data" / "ds005574"
    root.mkdir()
    for name in ("dataset_description.json", "participants.tsv", "participants.json", "README"):
        shutil.copy(source / name, root)
    shutil.copytree(source / "sub-03", root / "sub-03")
    sound = story("podcast", seconds)
    write_stimuli(root, [sound])
    (root / "stimuli" / "podcast_words.tsv").unlink()
    channels = pd.read_csv(
        root / "sub-03/ieeg/sub-03_task-podcast_channels.tsv", sep="\t", encoding="utf-8-sig"
    )
    names = [name for name in channels["name"] if name != "EDF Annotations"]
    good = channels[channels["type"].isin(["ECOG", "SEEG"]) & (channels["status"] == "good")]
    planted = list(good["name"][:PLANTED])
    rate_hz = 100.0
    source_signal = np.roll(envelope(sound, rate_hz=rate_hz), 10)  # 100 ms later
    rng = np.random.default_rng(0)
    modulator = pink_noise(len(source_signal), len(names), rng=rng, rate_hz=rate_hz)
    columns = [names.index(name) for name in planted]
    modulator[:, columns] = 0.6 * modulator[:, columns] + 0.8 * source_signal[:, None]
    times = np.arange(len(source_signal)) / rate_hz
    uv = record(modulator, times, duration_s=seconds, seed=1, key=("podcast",))
    write_edf(root / "sub-03/ieeg/sub-03_task-podcast_ieeg.edf", uv, names)
    return planted


def write_bold(
    raw_stem: Path, derivative: Path, sound: Story, *, onset_s: float, seconds: float, seed: int
) -> None:
    """Write one raw run and its preprocessed image: the right half follows the sound."""
    n_volumes = round(seconds / fmri_files.TR_S)
    times = np.arange(n_volumes) * fmri_files.TR_S + fmri_files.reference_s(fmri_files.TR_S)
    slow = apply_hrf(envelope(sound, rate_hz=10.0)[:, None], rate_hz=10.0)[:, 0]
    signal = np.interp(times, onset_s + np.arange(len(slow)) / 10.0, slow, left=0, right=0)
    rng = np.random.default_rng(seed)
    table = confound_table(n_volumes, rng=rng, interval_s=fmri_files.TR_S)
    mask = fmri_files.brain_mask()
    series = ar1_noise(n_volumes, int(mask.sum()), rng=rng, phi=0.4)
    right = np.argwhere(mask)[:, 0] >= mask.shape[0] // 2
    series[:, right] += 1.2 * (signal / signal.std())[:, None]
    regressors = nuisance(table)
    series += regressors @ rng.normal(0, 0.3, (regressors.shape[1], series.shape[1]))
    image = np.zeros((*mask.shape, n_volumes), dtype=np.float32)
    image[mask] = (1000 * (1 + 0.01 * series)).T
    raw_stem.parent.mkdir(parents=True, exist_ok=True)
    nib.save(
        nib.Nifti1Image(np.round(image).astype(np.int16), fmri_files.affine()),
        raw_stem.with_name(f"{raw_stem.name}_bold.nii.gz"),
    )
    fmri_files.write_preprocessed(derivative / raw_stem.name, image, sound, table)


def narratives(shared: Path, root: Path) -> None:
    """Build ds002345 with the two presentations of one story to sub-001."""
    source = shared / "data" / "ds002345"
    func = root / "sub-001" / "func"
    func.mkdir(parents=True)
    for name in ("dataset_description.json", "participants.tsv", "participants.json", "README"):
        shutil.copy(source / name, root)
    events = pd.read_csv(source / "sub-001/func/sub-001_task-pieman_run-1_events.tsv", sep="\t")
    last = float((events["onset"] + events["duration"]).max())
    sound = story("pieman_audio", last)
    write_stimuli(root, [sound])
    derivative = root / "derivatives" / "fmriprep"
    fmri_files.write_derivative_description(derivative)
    for run in (1, 2):
        name = f"sub-001_task-pieman_run-{run}"
        for end in ("bold.json", "events.tsv"):
            shutil.copy(source / "sub-001/func" / f"{name}_{end}", func)
        write_bold(
            func / name, derivative / "sub-001/func", sound, onset_s=0.0, seconds=last + 12,
            seed=run,
        )  # fmt: skip


def task_named(shared: Path, root: Path, *, tasks: Sequence[str] = ("buck", "souls", "legacy")):
    """Build ds003020 with an fMRIPrep derivative: the story's name is the task, no events."""
    source = shared / "data" / "ds003020"
    root.mkdir()
    for name in ("dataset_description.json", "participants.tsv", "README"):
        shutil.copy(source / name, root)
    derivative = root / "derivatives" / "fmriprep"
    fmri_files.write_derivative_description(derivative)
    sounds = [story(task, 180, which=index) for index, task in enumerate(tasks)]
    write_stimuli(root, sounds)
    for index, sound in enumerate(sounds):
        sidecar = json.loads((source / f"task-{sound.name}_bold.json").read_text())
        write_json(
            root / f"task-{sound.name}_bold.json",
            sidecar | {"RepetitionTime": fmri_files.TR_S},
        )
        name = f"sub-UTS01_ses-2_task-{sound.name}"
        write_bold(
            root / "sub-UTS01/ses-2/func" / name, derivative / "sub-UTS01/ses-2/func", sound,
            onset_s=0.0, seconds=190, seed=index,
        )  # fmt: skip
