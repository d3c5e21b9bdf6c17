"""The same signal through every format, and prepared recordings."""

from dataclasses import replace

import h5py
import mne
import numpy as np
import pandas as pd
import pybv
import pytest

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.responses.ieeg import load_ieeg
from bids_brainalign.responses.voltages import read_voltages
from tests.responses.test_ieeg import NAMES, SETTINGS, write_dataset

TYPES = ("ECOG", "SEEG")


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("bids"))


@pytest.fixture(scope="module")
def raw(recording):
    return mne.io.read_raw_edf(recording.path, include=NAMES, preload=True, verbose="error")


def in_volts(recording, path):
    return read_voltages(replace(recording, path=path), types=TYPES).data


def test_every_format_gives_the_same_volts(recording, raw, tmp_path):
    volts = raw.get_data()
    expected = in_volts(recording, recording.path)
    np.testing.assert_allclose(expected, volts[[0, 1, 2, 5]], rtol=1e-6)
    stem = "sub-01_task-story_ieeg"
    pybv.write_brainvision(
        data=volts, sfreq=raw.info["sfreq"], ch_names=NAMES, fname_base=stem,
        folder_out=tmp_path, fmt="binary_float32", unit="µV",
    )  # fmt: skip
    np.testing.assert_allclose(in_volts(recording, tmp_path / f"{stem}.vhdr"), expected, rtol=1e-6)
    raw.export(tmp_path / f"{stem}.set", fmt="eeglab", verbose="error")
    np.testing.assert_allclose(in_volts(recording, tmp_path / f"{stem}.set"), expected, rtol=1e-6)
    table = pd.read_csv(recording.channels_path, sep="\t", encoding="utf-8-sig")
    rows = np.stack([
        volts[NAMES.index(name)] if name in NAMES else np.zeros(volts.shape[1])
        for name in table["name"]
    ])  # fmt: skip
    with h5py.File(tmp_path / f"{stem}.nwb", "w") as file:
        group = file.create_group("acquisition/iEEG")
        group["data"] = (rows * 1e6).T
        group["data"].attrs["conversion"] = 1e-6
        group["starting_time"] = 0.0
        group["starting_time"].attrs["rate"] = raw.info["sfreq"]
    found = in_volts(recording, tmp_path / f"{stem}.nwb")
    # GONE is a row of the table and here, other than in the EDF, of the file: flat, so dropped.
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    response = load_ieeg(replace(recording, path=tmp_path / f"{stem}.nwb"), **SETTINGS)
    assert response.targets["name"].tolist() == ["G1", "G2", "G3", "D1"]


@pytest.fixture(scope="module")
def high_gamma_fif(raw, tmp_path_factory):
    """As the Podcast derivative: only good channels, 70–200 Hz, in a FIF."""
    path = tmp_path_factory.mktemp("prep") / "sub-01_task-story_desc-highgamma_ieeg.fif"
    good = raw.copy().pick(["G1", "G2", "D1"])
    good.set_channel_types(dict.fromkeys(good.ch_names, "ecog"), verbose="error")
    good.filter(70, 200, method="iir", verbose="error").apply_hilbert(envelope=True)
    good.save(path, verbose="error")
    return path, good


def test_ready_made_high_gamma_is_used_as_it_is(recording, high_gamma_fif):
    path, good = high_gamma_fif
    ready = replace(recording, path=path, prepared="highgamma", prepared_by="ecogprep")
    response = load_ieeg(ready, **SETTINGS)
    assert response.targets["name"].tolist() == ["G1", "G2", "D1"]
    assert response.targets["x"].tolist() == [-50, -51, 30]
    slow = good.copy().filter(None, 22.5, h_trans_bandwidth=5, verbose="error")
    expected = np.interp(response.times, good.times, slow.get_data("G1")[0])
    np.testing.assert_allclose(
        response.data[50:-50, 0], expected[50:-50], atol=0.02 * expected.max()
    )
    said = " ".join(response.notes)
    assert "Ready-made high gamma of ecogprep was used as it is" in said
    assert "512 Hz; its header says 70–200 Hz." in said
    assert "Reference:" not in said
    assert "In channels.tsv but not in the recording (3): G3" in said
    # Events of the raw run censor it.
    assert response.censored.any()


def test_cleaned_recording_goes_through_reference_and_filter(recording, raw, tmp_path):
    path = tmp_path / "sub-01_task-story_ieeg.fif"
    raw.save(path, verbose="error")
    clean = replace(recording, path=path, prepared="broadband", prepared_by="ecogprep")
    expected = load_ieeg(recording, **SETTINGS)
    found = load_ieeg(clean, **SETTINGS)
    np.testing.assert_allclose(found.data, expected.data, atol=1e-3)
    assert any("cleaned recording of ecogprep was used" in note for note in found.notes)


def test_a_cut_derivative_does_not_fit_the_events(recording, raw, tmp_path):
    path = tmp_path / "sub-01_task-story_ieeg.fif"
    raw.copy().crop(2.0, 10.0).save(path, verbose="error")
    with pytest.raises(BrainAlignError, match=r"was cut: it starts 2\.000 s") as caught:
        load_ieeg(replace(recording, path=path, prepared="broadband"), **SETTINGS)
    assert "save the whole run" in caught.value.fix


def test_dutch2022_lands_on_the_clock_without_delay(recording):
    response = load_ieeg(recording, **(SETTINGS | {"high_gamma": "dutch2022"}))
    swell = np.sin(2 * np.pi * 2 * response.times)
    inside = slice(50, -50)
    lags = range(-5, 6)
    by_lag = [np.corrcoef(np.roll(swell, k)[inside], response.data[inside, 0])[0, 1] for k in lags]
    assert lags[int(np.argmax(by_lag))] == 0
    assert max(by_lag) > 0.9
    assert response.times[0] >= 0.02
