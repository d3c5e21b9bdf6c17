import mne
import numpy as np

from bids_brainalign.simulate.brainvision_file import BrainVisionChannel, write_brainvision


def test_mne_reads_it_in_volts_with_its_marks(tmp_path):
    counts = np.random.default_rng(0).integers(-32767, 32767, (2048, 3)).astype(np.int16)
    channels = [
        BrainVisionChannel("LA1", 0.1),
        BrainVisionChannel("LA2", 0.5),
        BrainVisionChannel("MIC", 1 / 32768, "V"),
    ]
    path = tmp_path / "sub-01_ieeg.vhdr"
    write_brainvision(
        path, counts, channels, sfreq_hz=1024.0, marks=[(0.5, "S  1"), (1.25, "S  2")]
    )
    raw = mne.io.read_raw_brainvision(path, verbose="error")
    assert raw.ch_names == ["LA1", "LA2", "MIC"]
    assert raw.info["sfreq"] == 1024.0
    expected = counts.T * np.array([[1e-7], [5e-7], [1 / 32768]])
    np.testing.assert_allclose(raw.get_data(), expected, rtol=1e-9)
    stimuli = [a for a in raw.annotations if a["description"].startswith("Stimulus")]
    assert [a["onset"] for a in stimuli] == [0.5, 1.25]
    assert [a["description"] for a in stimuli] == ["Stimulus/S  1", "Stimulus/S  2"]
