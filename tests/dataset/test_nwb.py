import h5py
import numpy as np
import pytest

from bids_brainalign.dataset.lengths import recording_length
from bids_brainalign.dataset.nwb import open_nwb
from bids_brainalign.dataset.nwb_clock import series_clock
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError

RATE = 1024.0


def series(file, key, data, *, rate=RATE, kind="TimeSeries", conversion=1.0, timestamps=None):
    group = file.create_group(key)
    group.attrs["neurodata_type"] = kind
    group["data"] = data
    group["data"].attrs["conversion"] = conversion
    if timestamps is not None:
        group["timestamps"] = timestamps
    elif rate is not None:
        group["starting_time"] = 0.0
        group["starting_time"].attrs["rate"] = rate
    return group


@pytest.fixture
def dutch(tmp_path):
    """As in the Dutch set: plain series iEEG, Audio and Stimulus (words as text)."""
    data = np.random.default_rng(0).integers(-3000, 3000, (500, 5)).astype(np.int16)
    path = tmp_path / "sub-01_task-words_ieeg.nwb"
    with h5py.File(path, "w") as file:
        series(file, "acquisition/iEEG", data, conversion=1e-7)
        series(file, "acquisition/Audio", np.zeros(500 * 4), rate=4 * RATE)
        series(file, "acquisition/Stimulus", np.array([b"word"] * 500))
    return path, data


def test_the_series_as_wide_as_channels_tsv_is_taken_in_its_order(dutch):
    path, data = dutch
    found = open_nwb(path, ["a", "b", "c", "d", "e"])
    assert (found.key, found.n_times, found.rate_hz) == ("acquisition/iEEG", 500, RATE)
    assert found.channels == ("a", "b", "c", "d", "e")
    np.testing.assert_allclose(found.read([3, 1], 10, 20), data[10:20, [3, 1]].T * 1e-7)


def test_length_needs_no_table(dutch):
    found = open_nwb(dutch[0])
    assert found.n_times / found.rate_hz == pytest.approx(500 / 1024)


def test_electrical_series_with_its_electrodes_gain_and_offset(tmp_path):
    data = np.arange(12.0).reshape(4, 3)
    path = tmp_path / "x.nwb"
    with h5py.File(path, "w") as file:
        group = series(file, "acquisition/ecog", data, kind="ElectricalSeries", conversion=1e-6)
        group["channel_conversion"] = [1.0, 2.0, 1.0]
        group["data"].attrs["offset"] = 0.5
        group["electrodes"] = [2, 0, 1]
        series(file, "acquisition/other", np.zeros((4, 3)))
        file["general/extracellular_ephys/electrodes/label"] = [b"B", b"C", b"A"]
    # The table's order differs from the file's: the electrodes table decides.
    found = open_nwb(path, ["C", "B", "A"])
    assert found.channels == ("A", "B", "C")
    expected = data.T * 1e-6 * np.array([[1.0], [2.0], [1.0]]) + 0.5
    np.testing.assert_allclose(found.read([0, 1, 2], 0, 4), expected)


def test_field_potential_of_the_processing_module(tmp_path):
    path = tmp_path / "x.nwb"
    stamps = 5.0 + np.arange(4) / 200.0
    key = "processing/ecephys/LFP/Series"
    with h5py.File(path, "w") as file:
        series(file, key, np.zeros((4, 2)), kind="ElectricalSeries", timestamps=stamps)
        series(file, "acquisition/Audio", np.zeros(9))
    found = open_nwb(path, ["A", "B"])
    assert found.key == "processing/ecephys/LFP/Series"
    assert found.rate_hz == pytest.approx(200.0)


def test_what_cannot_be_told_is_listed(tmp_path, dutch):
    with pytest.raises(BrainAlignError, match=r"as wide as channels\.tsv \(7 rows\)") as caught:
        open_nwb(dutch[0], list("abcdefg"))
    assert "acquisition/iEEG (TimeSeries, 5 channels)" in caught.value.where
    path = tmp_path / "two.nwb"
    with h5py.File(path, "w") as file:
        for name in "ab":
            series(file, f"acquisition/{name}", np.zeros((4, 2)), kind="ElectricalSeries")
    with pytest.raises(BrainAlignError, match="several ElectricalSeries"):
        open_nwb(path, ["x", "y"])
    with h5py.File(path, "w") as file:
        series(file, "acquisition/a", np.zeros((4, 2)), rate=None, timestamps=[0, 1, 2, 9.0])
    with pytest.raises(BrainAlignError, match="not evenly spaced"):
        open_nwb(path, ["x", "y"])
    with h5py.File(path, "w") as file:
        series(file, "acquisition/a", np.zeros((4, 2)), rate=None)
    with pytest.raises(BrainAlignError, match="has no sampling rate"):
        open_nwb(path, ["x", "y"])
    with h5py.File(path, "w") as file:
        series(file, "acquisition/a", np.zeros((4, 2)), kind="ElectricalSeries")
    with pytest.raises(BrainAlignError, match="nothing names the 2 channels"):
        open_nwb(path, ["x", "y", "z"])


def test_timestamps_of_a_running_clock_may_scatter(tmp_path):
    """As Lab Streaming Layer gives them: seconds since some start, measured rate, some jitter."""
    path, n = tmp_path / "x.nwb", 30_000
    jitter = 0.001 * np.random.default_rng(0).uniform(-1, 1, n)
    stamps = 9_062_565.6 + np.arange(n) / 1024.01 + jitter
    sound = 9_062_565.85 + np.arange(5 * 48_000) / 47_999.19
    with h5py.File(path, "w") as file:
        series(file, "acquisition/iEEG", np.zeros((n, 2)), timestamps=stamps)
        other = series(file, "acquisition/Audio", np.zeros(len(sound)), timestamps=sound)
        clock = series_clock(other, path)
    found = open_nwb(path, ["A", "B"])
    # The whole recording differs by .3 ms from 1024 Hz: that is the amplifier's rate.
    assert found.rate_hz == 1024.0
    assert found.clock.rate_hz == pytest.approx(1024.01, abs=1e-3)
    assert found.clock.start_s == pytest.approx(9_062_565.6, abs=2e-5)
    placed = found.on_recording_clock(clock)
    assert placed.start_s == pytest.approx(0.25 * 1024.01 / 1024, abs=1e-4)
    assert placed.rate_hz == pytest.approx(47_999.19 * 1024 / 1024.01, abs=0.05)
    with h5py.File(path, "a") as file:
        file["acquisition/iEEG/timestamps"][20_000:] += 0.03  # a gap
    with pytest.raises(BrainAlignError, match="not evenly spaced"):
        open_nwb(path, ["A", "B"])


def test_timestamps_are_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("bids_brainalign.dataset.nwb_clock.STAMPS_AT_ONCE", 7)
    with h5py.File(tmp_path / "x.nwb", "w") as file:
        stamps = 1e6 + np.arange(100) / 250.03
        group = series(file, "acquisition/a", np.zeros(100), timestamps=stamps)
        clock = series_clock(group, tmp_path / "x.nwb")
        assert clock.rate_hz == pytest.approx(250.03, rel=1e-7)
        assert clock.start_s == pytest.approx(1e6, abs=1e-8)


@pytest.mark.parametrize("rate", [0.0, -5.0, np.nan, np.inf])
def test_a_rate_that_is_none_is_refused(tmp_path, rate):
    with h5py.File(tmp_path / "x.nwb", "w") as file:
        series(file, "acquisition/a", np.zeros((4, 2)), rate=rate)
    with pytest.raises(BrainAlignError, match="sampling rate of /acquisition/a is"):
        open_nwb(tmp_path / "x.nwb", ["x", "y"])


def test_its_length_is_that_of_the_series_of_channels_tsv(tmp_path):
    path, table = tmp_path / "a_ieeg.nwb", tmp_path / "a_channels.tsv"
    with h5py.File(path, "w") as file:
        series(file, "acquisition/ecog", np.zeros((600, 3)), kind="ElectricalSeries")
        series(file, "acquisition/micro", np.zeros((900, 2)), kind="ElectricalSeries")
    table.write_text("name\ttype\nA1\tECOG\nA2\tECOG\nA3\tECOG\n")
    recording = Recording("01", None, "a", None, "ieeg", path, "ieeg", (), {}, channels_path=table)
    assert recording_length(recording) == (600 / RATE, 0.0)
