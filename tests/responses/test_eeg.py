import json

import edfio
import mne
import numpy as np
import pytest

from bids_brainalign.dataset.types import Recording
from bids_brainalign.responses.eeg import load_eeg

SFREQ, SECONDS = 256.0, 60
NAMES = ["Fz", "Cz", "pz", "T7", "X1"]
SETTINGS = {
    "reference": "average", "band_hz": (1.0, 15.0), "high_gamma": "", "rate_hz": 64.0,
    "phase_s": 0.004,
}  # fmt: skip


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bids") / "sub-01" / "eeg"
    folder.mkdir(parents=True)
    uv = 20 * np.random.default_rng(1).standard_normal((6, int(SECONDS * SFREQ)))
    path = folder / "sub-01_task-story_eeg.edf"
    edfio.Edf(
        [
            edfio.EdfSignal(
                column, SFREQ, label=name, physical_dimension="uV", physical_range=(-200, 200)
            )
            for name, column in zip([*NAMES, "HEOG"], uv, strict=True)
        ]
    ).write(path)
    channels = folder / "sub-01_task-story_channels.tsv"
    rows = [f"{name}\tEEG\tuV\tgood" for name in NAMES] + ["HEOG\tEOG\tuV\tgood"]
    channels.write_text("\n".join(["name\ttype\tunits\tstatus", *rows]) + "\n")
    return Recording(
        "01", None, "story", None, "eeg", path, "eeg", (("sub", "01"), ("task", "story")),
        metadata={"PowerLineFrequency": 50}, channels_path=channels,
    )  # fmt: skip


def test_it_is_mnes_band_pass_of_the_average_referenced_potential(recording):
    response = load_eeg(recording, **SETTINGS)
    raw = mne.io.read_raw_edf(recording.path, include=NAMES, preload=True, verbose="error")
    raw.set_eeg_reference("average", verbose="error").filter(1, 15, verbose="error")
    # Its samples at 64 Hz lie between the file's: to within the interpolation at 15 Hz.
    expected = np.stack(
        [np.interp(response.times, raw.times, channel) for channel in raw.get_data()], axis=1
    )
    inside = slice(64, -64)
    for ours, theirs in zip(response.data[inside].T, expected[inside].T, strict=True):
        assert np.corrcoef(ours, theirs)[0, 1] > 0.995
    assert response.interval_s == pytest.approx(1 / 64)
    assert response.targets["type"].tolist() == ["EEG"] * 5
    assert 0.2 < response.support_s < 2.0


def test_template_positions_are_said_and_claim_nothing(recording):
    response = load_eeg(recording, **SETTINGS)
    targets = response.targets.set_index("name")
    assert targets.loc["pz", "y"] < targets.loc["Cz", "y"] < targets.loc["Fz", "y"]
    assert targets.loc["T7", "x"] < -50
    assert targets.loc["X1", ["x", "y", "z"]].isna().all()
    assert set(targets["region"]) == {"n/a"}
    said = " ".join(response.notes)
    assert "positions are those of 4 of 5 names on the template head" in said
    assert "eye and muscle artefacts were not taken out" in said


def test_own_positions_come_first(recording, tmp_path):
    from dataclasses import replace

    table = tmp_path / "sub-01_electrodes.tsv"
    table.write_text("name\tx\ty\tz\nFz\t0\t7\t5\nCz\t0\t0\t9\n")
    system = tmp_path / "sub-01_coordsystem.json"
    system.write_text(json.dumps({"EEGCoordinateSystem": "CapTrak", "EEGCoordinateUnits": "cm"}))
    own = replace(recording, electrodes_path=table, coordsystem_path=system)
    response = load_eeg(own, **SETTINGS)
    targets = response.targets.set_index("name")
    assert targets.loc["Fz", ["x", "y", "z"]].tolist() == [0, 70, 50]
    assert targets.loc["T7", ["x"]].isna().all()
    assert "template" not in " ".join(response.notes)


def test_high_gamma_of_the_scalp_comes_with_a_warning(recording):
    from dataclasses import replace

    from bids_brainalign.errors import BrainAlignError

    with pytest.raises(BrainAlignError, match="sampled at 256 Hz"):
        load_eeg(recording, **(SETTINGS | {"high_gamma": "filterbank"}))
    fast = replace(recording, path=recording.path.with_name("sub-01_task-fast_eeg.edf"))
    uv = np.random.default_rng(2).standard_normal((5, 10 * 512))
    edfio.Edf(
        [
            edfio.EdfSignal(c, 512.0, label=n, physical_dimension="uV", physical_range=(-200, 200))
            for n, c in zip(NAMES, uv, strict=True)
        ]
    ).write(fast.path)
    response = load_eeg(fast, **(SETTINGS | {"high_gamma": "filterbank"}))
    assert "mostly muscle activity" in response.notes[0]
