"""What is odd in ds005574, with its real sidecars and EDF files of noise."""

from __future__ import annotations

import json
import shutil

import edfio
import numpy as np
import pandas as pd
import pytest

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.index import find_recordings
from bids_brainalign.responses.ieeg import load_ieeg

SECONDS = 3
GOOD = {
    "01": 99,
    "02": 90,
    "03": 235,
    "04": 143,
    "05": 159,
    "06": 166,
    "07": 116,
    "08": 72,
    "09": 188,
}
"""Good electrodes of every participant by the dataset's derivative."""


def replica(shared, root, label):
    """One participant's real tables, and an EDF with all channels of its table."""
    source = shared / "data" / "ds005574"
    folder = root / f"sub-{label}" / "ieeg"
    folder.mkdir(parents=True)
    shutil.copy(source / "dataset_description.json", root)
    for path in (source / f"sub-{label}" / "ieeg").iterdir():
        if path.suffix in (".tsv", ".json"):
            shutil.copy(path, folder)
    stem = f"sub-{label}_task-podcast"
    table = pd.read_csv(folder / f"{stem}_channels.tsv", sep="\t", encoding="utf-8-sig")
    sidecar = json.loads((folder / f"{stem}_ieeg.json").read_text())
    rng = np.random.default_rng(int(label))
    signals = []
    for name, own in zip(table["name"], table["sampling_frequency"], strict=True):
        if name == "EDF Annotations":  # a row of the table, but no signal of the file
            continue
        rate = 1.0 if own == 1 else float(sidecar["SamplingFrequency"])
        data = rng.standard_normal(int(rate * SECONDS))
        signals.append(
            edfio.EdfSignal(
                data, rate, label=name, physical_dimension="uV", physical_range=(-9, 9)
            )
        )
    notes = [edfio.EdfAnnotation(1.0, None, "a word")]
    edfio.Edf(signals, annotations=notes).write(folder / f"{stem}_ieeg.edf")
    return float(sidecar["SamplingFrequency"])


@pytest.mark.parametrize("label", ["02", "03", "04", "07"])
def test_good_electrodes_and_nothing_else(shared, tmp_path, label):
    """Mixed rates (02), annotation rows (02–04), oximeters as ECOG (03, 04, 07), 2048 Hz (07)."""
    rate = replica(shared, tmp_path, label)
    assert rate == (2048.0 if label == "07" else 512.0)
    index = find_recordings(
        tmp_path, derivatives=[], selection=Selection(), modalities=("ieeg", "eeg", "fmri")
    )
    (recording,) = index.recordings
    assert recording.space == "MNI152NLin2009aSym"
    assert recording.events_path is None
    response = load_ieeg(
        recording, reference="car", high_gamma="filterbank", rate_hz=50.0, phase_s=0.0
    )
    targets = response.targets
    assert len(targets) == GOOD[label]
    assert targets[["x", "y", "z"]].notna().all(axis=None)
    assert not set(targets["name"]) & {"OSAT", "PR", "EDF Annotations", "Pulse Rate"}
    assert not any("does not match" in note or "sidecar says" in note for note in response.notes)
    assert not response.censored.any()
    assert len(response.times) == pytest.approx(SECONDS * 50, abs=2)


def test_local_references_on_real_devices(shared, tmp_path):
    replica(shared, tmp_path, "03")
    (recording,) = find_recordings(
        tmp_path, derivatives=[], selection=Selection(), modalities=("ieeg",)
    ).recordings
    settings = {"high_gamma": "filterbank", "rate_hz": 50.0, "phase_s": 0.0}
    pairs = load_ieeg(recording, reference="bipolar", **settings).targets
    assert 120 < len(pairs) < 235
    assert pairs["name"].str.contains("-").all()
    assert pairs["name"].is_unique
    near = load_ieeg(recording, reference="laplacian", **settings).targets
    assert len(near) > 150
    devices = load_ieeg(recording, reference="car-device", **settings)
    assert any("common average per device (" in note for note in devices.notes)
