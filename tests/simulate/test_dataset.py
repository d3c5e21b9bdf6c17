"""The planted answer is in the files, and can be found without this program."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import mne
import nibabel
import numpy as np
import pandas as pd
import pytest

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.simulate.dataset import simulate_dataset
from bids_brainalign.simulate.ground_truth import read_ground_truth
from tests.simulate.conftest import SEED, simulate
from tests.simulate.oracle import ecog_curve, fmri_curve


def _mean_curves(truth, modality, curve, names):
    return {
        group.name: (group, curve[:, [names.index(t) for t in group.targets]].mean(axis=1))
        for group in truth.groups
        if group.modality == modality
    }


@pytest.mark.parametrize("modality", ["ieeg", "fmri"])
def test_an_independent_ridge_finds_the_planted_layer(planted, model_folder, modality):
    measure = ecog_curve if modality == "ieeg" else fmri_curve
    label = "01" if modality == "ieeg" else "02"
    curves = _mean_curves(planted.truth, modality, *measure(planted.bids, model_folder, label))
    r_planted = []
    for group, curve in curves.values():
        if group.source == "layer":
            assert int(curve.argmax()) == group.layer, (group.name, curve)
            r_planted.append(curve.max())
    assert len(r_planted) == 2
    for group, curve in curves.values():
        if group.source == "none":
            assert np.abs(curve).max() < np.mean(r_planted) / 4, (group.name, curve)


@pytest.mark.parametrize("modality", ["ieeg", "fmri"])
def test_the_null_twin_has_nothing_to_find(unlinked, model_folder, modality):
    measure = ecog_curve if modality == "ieeg" else fmri_curve
    label = "01" if modality == "ieeg" else "02"
    measured = measure(unlinked.bids, model_folder, label)
    per_target, names = measured
    for group in unlinked.truth.groups:
        if group.modality != modality:
            continue
        assert (group.source, group.layer, group.recorded_r) == ("none", None, ())
        r = per_target[:, [names.index(t) for t in group.targets]]
        # Targets are independent: the group's mean lies within 5 standard errors of 0.
        limit = 5 * per_target.std() / np.sqrt(len(group.targets))
        assert np.abs(r.mean(axis=1)).max() < limit < 0.2, group.name


def test_raw_dataset_passes_the_validator(planted):
    validator = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent))
    if validator is None:
        pytest.skip("bids-validator-deno is not installed")
    for folder in (planted.bids, planted.bids / "derivatives" / "fmriprep"):
        done = subprocess.run(
            [validator, "--ignoreWarnings", str(folder)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


def test_same_seed_same_bytes(tmp_path, model_folder, stories):
    first, again = (
        simulate(tmp_path / name, model_folder, stories[:1], stories[:1], null=True)
        for name in ("first", "again")
    )
    ours = sorted(p.relative_to(first.folder) for p in first.folder.rglob("*") if p.is_file())
    assert len(ours) > 20
    assert ours == sorted(p.relative_to(again.folder) for p in again.folder.rglob("*.*"))
    for path in ours:
        assert (first.folder / path).read_bytes() == (again.folder / path).read_bytes(), path


def test_edf_reads_back_in_microvolts_with_the_channels_of_the_table(planted):
    path = next((planted.bids / "sub-01" / "ieeg").glob("*run-1_ieeg.edf"))
    raw = mne.io.read_raw_edf(path, verbose="error")
    channels = pd.read_csv(
        path.with_name(path.name.replace("_ieeg.edf", "_channels.tsv")), sep="\t"
    )
    assert raw.ch_names == list(channels["name"])
    assert raw.info["sfreq"] == 512.0
    assert set(raw._orig_units.values()) == {"µV"}
    good = list(channels["name"][(channels["type"] == "ECOG") & (channels["status"] == "good")])
    sd_uv = raw.get_data(picks=good).std(axis=1) * 1e6
    # 30 µV background, 8 µV line (SD about 6), common 6 µV, high gamma about 4 µV.
    assert np.all((sd_uv > 20) & (sd_uv < 60))
    bad = channels[channels["status"] == "bad"]
    assert len(bad) == 2
    assert bad["status_description"].notna().all()
    spectrum = raw.compute_psd(picks=good, fmin=50, fmax=70, n_fft=1024, verbose="error")
    peak_hz = spectrum.freqs[spectrum.get_data().mean(axis=0).argmax()]
    assert peak_hz == pytest.approx(60, abs=0.5)


def test_silences_differ_and_events_name_existing_stimuli(planted):
    events = [
        pd.read_csv(path, sep="\t").iloc[0]
        for path in sorted(planted.bids.glob("sub-*/*/*_events.tsv"))
    ]
    assert len(events) == 6
    assert all((planted.bids / "stimuli" / event["stim_file"]).is_file() for event in events)
    assert len({event["onset"] for event in events}) == 6


def test_ground_truth_round_trips_and_states_the_leak(planted):
    read = read_ground_truth(planted.folder / "ground_truth.json")
    assert read == planted.truth
    n_driven = sum(
        len(g.targets) for g in read.groups if g.modality == "ieeg" and g.source != "none"
    )
    assert any(f"{n_driven} of 32 good electrodes" in note for note in read.notes)
    assert "/" not in json.dumps(read.notes).replace("1/32", "")


def test_recorded_ceiling_is_below_the_stated_one(planted):
    for group in planted.truth.groups:
        if group.source == "none":
            continue
        assert group.noise_ceiling_r == pytest.approx(np.sqrt(0.5), abs=1e-3)
        recorded = np.mean(group.recorded_r)
        # Carrier, background and confounds take their part, but most of it arrives.
        assert 0.5 * group.noise_ceiling_r < recorded < group.noise_ceiling_r, group.name


def test_right_half_is_at_positive_x(planted):
    image = nibabel.load(next(planted.bids.glob("derivatives/fmriprep/sub-02/func/*bold.nii.gz")))
    assert image.shape[:3] == (14, 8, 8)
    assert image.header.get_zooms()[3] == 1.5
    for group in planted.truth.groups:
        if group.modality == "fmri":
            x_mm = (np.c_[np.array(group.targets), np.ones(len(group.targets))] @ image.affine.T)[
                :, 0
            ]
            assert np.all(x_mm < 0) if group.name == "left" else np.all(x_mm > 0)


def test_a_layer_that_does_not_exist_is_refused(tmp_path, model_folder, stories):
    with pytest.raises(BrainAlignError, match="no layer 9: its layers are 0 … 4") as caught:
        simulate_dataset(
            tmp_path, model="m", model_folder=model_folder, ieeg_stories=stories,
            fmri_stories=[], n_participants=1, layers=(1, 9), seed=SEED,
        )  # fmt: skip
    assert caught.value.exit_code == ExitCode.USAGE
    assert not (tmp_path / "bids").exists()


def test_a_filled_folder_is_left_alone(tmp_path, model_folder, stories):
    (tmp_path / "bids").mkdir()
    (tmp_path / "bids" / "mine.txt").write_text("mine")
    with pytest.raises(BrainAlignError, match="is not empty") as caught:
        simulate_dataset(
            tmp_path, model="m", model_folder=model_folder, ieeg_stories=stories,
            fmri_stories=[], n_participants=1, layers=None, seed=SEED,
        )  # fmt: skip
    assert caught.value.exit_code == ExitCode.CANNOT_CREATE
    assert [p.name for p in (tmp_path / "bids").iterdir()] == ["mine.txt"]
