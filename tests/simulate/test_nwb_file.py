import h5py
import numpy as np
import pytest

from bids_brainalign.dataset.nwb import open_nwb
from bids_brainalign.simulate.nwb_file import Series, write_nwb


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "deep" / "x.nwb"
    counts = np.arange(12, dtype=np.int16).reshape(4, 3)
    series = [
        Series("iEEG", counts, 1024.0, "volts", "voltages", 1e-7, start_s=2.5),
        Series("Stimulus", ["", "één", "één", ""], 1024.0, "n/a", "words"),
    ]
    write_nwb(path, series, identifier="id", description="a test")
    return path


def test_it_has_what_the_schema_requires(path):
    # NWB 2: NWBFile and TimeSeries.
    with h5py.File(path) as file:
        assert file.attrs["neurodata_type"] == "NWBFile"
        assert file.attrs["namespace"] == "core"
        for name in ("identifier", "session_description", "session_start_time"):
            assert file[name].asstr()[()]
        assert file["timestamps_reference_time"].asstr()[()].endswith("+00:00")
        assert file["file_create_date"].shape == (1,)
        for name in ("acquisition", "analysis", "processing", "general", "stimulus/presentation",
                     "stimulus/templates"):  # fmt: skip
            assert isinstance(file[name], h5py.Group)
        series = file["acquisition/iEEG"]
        assert series.attrs["neurodata_type"] == "TimeSeries"
        assert len(series.attrs["object_id"]) == 36
        assert series["data"].attrs["unit"] == "volts"
        start = series["starting_time"]
        assert (start[()], start.attrs["rate"], start.attrs["unit"]) == (2.5, 1024.0, "seconds")
        assert file["acquisition/Stimulus/data"].asstr()[:].tolist() == ["", "één", "één", ""]


def test_our_reader_reads_it(path):
    found = open_nwb(path, ["a", "b", "c"])
    assert (found.key, found.n_times, found.rate_hz, found.clock.start_s) == (
        "acquisition/iEEG", 4, 1024.0, 2.5,
    )  # fmt: skip
    np.testing.assert_allclose(found.read([1], 0, 4)[0], np.array([1, 4, 7, 10]) * 1e-7)
