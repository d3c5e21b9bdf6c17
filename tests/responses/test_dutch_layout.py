"""dutch2022 on NWB in the layout of SingleWordProductionDutch-iBIDS, read end to end."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.index import find_recordings
from bids_brainalign.responses.high_gamma import high_gamma_amplitude
from bids_brainalign.responses.ieeg import line_frequency, load_ieeg
from bids_brainalign.responses.voltages import read_voltages
from bids_brainalign.simulate.production import simulate_production
from bids_brainalign.simulate.production_plan import ProductionPlan
from tests.oracles.dutch2022 import dutch_high_gamma

BY_PYNWB = Path(__file__).parents[1] / "oracles" / "nwb" / "words.nwb"


@pytest.fixture(scope="module", params=["simulated", "written by pynwb"])
def recording(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dutch")
    plan = ProductionPlan(n_participants=1, n_words=5, n_channels=5, seed=6)
    simulate_production(folder, plan)
    path = next(folder.rglob("*_ieeg.nwb"))
    if request.param == "written by pynwb":
        path.write_bytes(BY_PYNWB.read_bytes())
    (found,) = find_recordings(
        folder / "bids", derivatives=(), selection=Selection(), modalities=("ieeg",)
    ).recordings
    return found


def published(recording):
    """By the lines of the published script, on the numbers that h5py gives: volts in float64."""
    with h5py.File(recording.path) as file:
        series = file["acquisition/iEEG"]
        volts = series["data"][:] * series["data"].attrs["conversion"]
    return dutch_high_gamma(volts, 1024.0), volts


def test_the_program_makes_the_published_high_gamma(recording):
    expected, volts = published(recording)
    n_frames = int(np.floor((len(volts) - 0.05 * 1024) / (0.01 * 1024)))
    assert expected.shape == (n_frames, 5)
    voltages = read_voltages(recording, types=("SEEG",))
    assert voltages.sfreq_hz == 1024.0
    found = high_gamma_amplitude(
        voltages.data,
        voltages.sfreq_hz,
        method="dutch2022",
        line_hz=line_frequency(recording.metadata),
    )
    assert found.data.shape == (5, n_frames)
    # Voltages are kept in single precision: 6e-8 of slow waves much larger than high gamma.
    np.testing.assert_allclose(found.data.T, expected, rtol=1e-3)
    assert np.abs(found.data.T / expected - 1).mean() < 1e-5
    same_numbers = dutch_high_gamma(voltages.data.T.astype(np.float64), 1024.0)
    np.testing.assert_allclose(found.data.T, same_numbers, rtol=1e-9)


def test_and_keeps_its_frames_in_time_on_the_clock_of_features(recording):
    expected, _ = published(recording)
    response = load_ieeg(
        recording, reference="none", high_gamma="dutch2022", rate_hz=100.0, phase_s=0.0,
        types=("SEEG",),
    )  # fmt: skip
    assert response.targets["name"].tolist() == ["LA1", "LA2", "LA3", "LA4", "LA5"]
    starts = np.floor(np.arange(len(expected)) * 0.01 * 1024)
    centres = (starts + 25) / 1024  # of windows of 51 samples
    at = np.searchsorted(centres, response.times)
    inside = (at > 20) & (at < len(centres) - 20)
    for ours, theirs in zip(response.data[inside].T, expected.T, strict=True):
        frames = np.interp(response.times[inside], centres, theirs)
        smooth = np.convolve(frames, np.ones(5) / 5, "same")
        ours_smooth = np.convolve(ours, np.ones(5) / 5, "same")
        assert np.corrcoef(ours_smooth[5:-5], smooth[5:-5])[0, 1] > 0.99
