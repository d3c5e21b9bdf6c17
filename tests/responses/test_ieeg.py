import json
from dataclasses import replace
from pathlib import Path

import edfio
import mne
import numpy as np
import pytest
from scipy.io import savemat

from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.responses.ieeg import line_frequency, load_ieeg

SFREQ = 512.0
SECONDS = 12
NAMES = ["G1", "G2", "G3", "NOISY", "FLAT", "D1"]
SETTINGS = {"reference": "car", "high_gamma": "filterbank", "rate_hz": 50.0, "phase_s": 0.0037}


def write_dataset(root: Path) -> Recording:
    """Six channels, G1's 100 Hz amplitude swelling at 2 Hz, and an audio channel at 2048 Hz."""
    rng = np.random.default_rng(5)
    times = np.arange(int(SECONDS * SFREQ)) / SFREQ
    data = 5.0 * rng.standard_normal((len(NAMES), len(times)))  # µV
    data += 20 * np.sin(2 * np.pi * 60 * times)
    data[0] += 60 * (1 + 0.8 * np.sin(2 * np.pi * 2 * times)) * np.sin(2 * np.pi * 100 * times)
    data[3] *= 50
    data[4] = 0.0
    signals = [
        edfio.EdfSignal(
            channel, SFREQ, label=name, physical_dimension="uV", physical_range=(-3000, 3000)
        )
        for name, channel in zip(NAMES, data, strict=True)
    ]
    audio = rng.uniform(-1, 1, int(SECONDS * 2048))
    signals.append(edfio.EdfSignal(audio, 2048, label="DC1", physical_range=(-1, 1)))
    folder = root / "sub-01" / "ieeg"
    folder.mkdir(parents=True)
    path = folder / "sub-01_task-story_ieeg.edf"
    annotations = [edfio.EdfAnnotation(4.0, 1.0, "bad_spike"), edfio.EdfAnnotation(6, 1, "word")]
    edfio.Edf(signals, annotations=annotations).write(path)
    channels = folder / "sub-01_task-story_channels.tsv"
    status = {"NOISY": "bad"}
    rows = [f"{name}\tECOG\tuV\t{status.get(name, 'good')}" for name in NAMES[:5]]
    rows += ["D1\tSEEG\tuV\tgood", "GONE\tECOG\tuV\tgood", "DC1\tMISC\tn/a\tgood"]
    channels.write_text(
        "\n".join(["name\ttype\tunits\tstatus", *rows]) + "\n", encoding="utf-8-sig"
    )
    electrodes = folder / "sub-01_space-MNI305_electrodes.tsv"
    electrodes.write_text(
        "name\tx\ty\tz\tgroup\nD1\t30\t1\t2\tD\nG1\t-50\t1\t2\tG\nG2\t-51\t1\t2\tG\n"
        "NOISY\t-1\t0\t0\tG\nSPARE\t1\t1\t1\tG\nFLAT\t2\t1\t1\tG\nGONE\t3\t1\t1\tG\n",
        encoding="utf-8",
    )
    coordsystem = folder / "sub-01_space-MNI305_coordsystem.json"
    coordsystem.write_text(
        json.dumps({"iEEGCoordinateSystem": "MNI305", "iEEGCoordinateUnits": "mm"}),
        encoding="utf-8",
    )
    events = folder / "sub-01_task-story_events.tsv"
    events.write_text(
        "onset\tduration\ttrial_type\n1.0\t0.5\tBAD_motion\n2\t1\tword\n9\tn/a\tbad\n",
        encoding="utf-8",
    )
    return Recording(
        participant="01",
        session=None,
        task="story",
        run=None,
        modality="ieeg",
        path=path,
        datatype="ieeg",
        entities=(("sub", "01"), ("task", "story")),
        metadata={"SamplingFrequency": 512, "PowerLineFrequency": 60},
        events_path=events,
        channels_path=channels,
        electrodes_path=electrodes,
        coordsystem_path=coordsystem,
        space="MNI305",
    )


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("bids"))


@pytest.fixture(scope="module")
def response(recording):
    return load_ieeg(recording, **SETTINGS)


def test_targets(response):
    targets = response.targets
    assert targets.columns.tolist() == [
        "name", "type", "hemisphere", "region", "x", "y", "z", "device",
    ]  # fmt: skip
    assert targets["name"].tolist() == ["G1", "G2", "G3", "D1"]
    assert targets["type"].tolist() == ["ECOG", "ECOG", "ECOG", "SEEG"]
    assert targets["hemisphere"].tolist() == ["L", "L", "n/a", "R"]
    assert targets["device"].tolist() == ["G", "G", "n/a", "D"]
    assert set(targets["region"]) == {"n/a"}


def test_clock(response):
    assert response.data.shape == (len(response.times), 4)
    assert response.data.dtype == np.float32
    np.testing.assert_allclose(
        (response.times - 0.0037) * 50, np.arange(len(response.times)), atol=1e-6
    )
    assert response.times[-1] > SECONDS - 0.025
    assert response.interval_s == pytest.approx(0.02)
    assert 0.1 < response.support_s < 0.7


def test_planted_amplitude_is_found_in_its_channel_without_delay(response):
    swell = np.sin(2 * np.pi * 2 * response.times)
    inside = slice(50, -50)
    r = [np.corrcoef(column[inside], swell[inside])[0, 1] for column in response.data.T]
    assert r[0] > 0.9
    lags = range(-5, 6)
    by_lag = [np.corrcoef(np.roll(swell, k)[inside], response.data[inside, 0])[0, 1] for k in lags]
    assert lags[int(np.argmax(by_lag))] == 0


def test_only_marked_samples_are_censored(response):
    marked = (response.times >= 4) & (response.times <= 5)
    marked |= (response.times >= 1) & (response.times <= 1.5)
    np.testing.assert_array_equal(response.censored, marked)


def test_notes_say_everything(response):
    text = "\n".join(response.notes)
    for sentence in (
        "1 channel dropped, it has status bad: NOISY.",
        "1 channel dropped, it has type MISC, not ECOG or SEEG: DC1.",
        "In channels.tsv but not in the recording (1): GONE.",
        "1 channel dropped, it is constant or not finite: FLAT.",
        "Reference: common average of 4 channels",
        "Line frequency 60 Hz; notch at 60, 120 Hz.",
        "1 BAD marks have no duration and censor nothing.",
        "Channels without a row in electrodes.tsv (1): G3.",
        "Electrodes without a row in channels.tsv (1): SPARE.",
    ):
        assert sentence in text
    assert "sidecar says" not in text


def test_whole_podcast2025_chain_against_mne(recording):
    """The same file through mne's own methods, read at the clock's samples."""
    raw = mne.io.read_raw_edf(recording.path, include=["G1", "G2", "G3", "D1"], verbose="error")
    raw.load_data(verbose="error").set_channel_types(dict.fromkeys(raw.ch_names, "ecog"))
    raw.set_eeg_reference("average", ch_type="ecog", verbose="error")
    raw.notch_filter([60, 120, 180], notch_widths=2, verbose="error")
    raw.filter(70, 200, method="iir", verbose="error").apply_hilbert(envelope=True)
    raw.filter(None, 22.5, h_trans_bandwidth=5, verbose="error")
    ours = load_ieeg(recording, **(SETTINGS | {"high_gamma": "podcast2025"}))
    theirs = [np.interp(ours.times, raw.times, raw.get_data(name)[0]) for name in raw.ch_names]
    inside = slice(50, -50)
    # Two low-pass designs with the same edges, so close but not equal.
    for name, expected in zip(raw.ch_names, theirs, strict=True):
        found = ours.data[inside, ours.targets["name"].tolist().index(name)]
        assert np.corrcoef(found, expected[inside])[0, 1] > 0.99
        assert np.mean(found) == pytest.approx(np.mean(expected[inside]), rel=0.01)


def test_sidecar_that_disagrees(recording):
    odd = replace(recording, metadata={"SamplingFrequency": 1024, "PowerLineFrequency": "n/a"})
    notes = "\n".join(load_ieeg(odd, **SETTINGS).notes)
    assert "The sidecar says 1024 Hz, the file 512 Hz: the file's rate was used." in notes
    assert "no PowerLineFrequency: no notch filter was applied." in notes


def test_without_electrodes_and_reference(recording):
    bare = replace(recording, electrodes_path=None, coordsystem_path=None)
    response = load_ieeg(bare, **(SETTINGS | {"reference": "none"}))
    assert response.targets[["x", "y", "z"]].isna().all(axis=None)
    assert set(response.targets["hemisphere"]) == {"n/a"}
    assert "Reference: as recorded." in response.notes
    assert any("no electrodes.tsv" in note for note in response.notes)


def test_brainvision(recording, tmp_path):
    raw = mne.io.read_raw_edf(recording.path, include=NAMES, preload=True, verbose="error")
    path = tmp_path / "sub-01" / "ieeg" / "sub-01_task-story_ieeg.vhdr"
    path.parent.mkdir(parents=True)
    write_brainvision(path, raw)
    expected = load_ieeg(replace(recording, events_path=None), **SETTINGS)
    found = load_ieeg(replace(recording, path=path, events_path=None), **SETTINGS)
    np.testing.assert_allclose(found.data, expected.data, atol=1e-3)


def write_brainvision(path, raw):
    """Write the three files by hand: float32 µV, multiplexed."""
    stem = path.with_suffix("")
    raw.get_data().T.astype("<f4").__mul__(np.float32(1e6)).tofile(f"{stem}.eeg")
    channels = "\n".join(f"Ch{k}={name},,1,µV" for k, name in enumerate(raw.ch_names, 1))
    path.write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile={path.stem}.eeg\nMarkerFile={path.stem}.vmrk\nDataFormat=BINARY\n"
        f"DataOrientation=MULTIPLEXED\nNumberOfChannels={len(raw.ch_names)}\n"
        f"SamplingInterval={1e6 / raw.info['sfreq']:.10g}\n[Binary Infos]\n"
        f"BinaryFormat=IEEE_FLOAT_32\n[Channel Infos]\n{channels}\n",
        encoding="utf-8",
    )
    Path(f"{stem}.vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile={path.stem}.eeg\n[Marker Infos]\nMk1=New Segment,,1,1,0,20200101000000000000\n",
        encoding="utf-8",
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("broken_ieeg.edf", b"not an EDF file at all" * 40, "broken_ieeg.edf can't be read"),
        ("broken_ieeg.vhdr", b"nonsense", "broken_ieeg.vhdr can't be read"),
        ("broken_ieeg.set", b"nonsense", "broken_ieeg.set can't be read"),
        ("some_ieeg.mefd", b"x", "no reader for .mefd"),
    ],
)
def test_unreadable_files(recording, tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BrainAlignError) as caught:
        load_ieeg(replace(recording, path=path), **SETTINGS)
    assert message in str(caught.value)
    assert caught.value.exit_code == ExitCode.DATA_ERROR
    assert str(path) in caught.value.where


def test_content_that_is_not_here(recording, tmp_path):
    pointer = tmp_path / "sub-01" / "ieeg" / "sub-01_task-story_ieeg.edf"
    pointer.parent.mkdir(parents=True)
    pointer.symlink_to("../../.git/annex/objects/aa/bb/MD5E-s10--abc.edf/MD5E-s10--abc.edf")
    with pytest.raises(BrainAlignError) as caught:
        load_ieeg(replace(recording, path=pointer), **SETTINGS)
    assert "datalad get sub-01/ieeg/sub-01_task-story_ieeg.edf" in str(caught.value)
    assert caught.value.exit_code == ExitCode.MISSING_INPUT


def test_header_without_data(recording, tmp_path):
    path = tmp_path / "cut_ieeg.edf"
    path.write_bytes(recording.path.read_bytes()[:3000])
    with pytest.raises(BrainAlignError, match=r"cut_ieeg\.edf can't be read"):
        load_ieeg(replace(recording, path=path), **SETTINGS)


def test_file_that_was_cut_off_is_said(recording, tmp_path):
    path = tmp_path / "cut_ieeg.edf"
    content = recording.path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    response = load_ieeg(replace(recording, path=path), **SETTINGS)
    assert response.times[-1] < SECONDS - 2
    assert any("does not match the file size" in note for note in response.notes)


def test_other_channels_than_the_table(recording, tmp_path):
    channels = tmp_path / "sub-01_channels.tsv"
    channels.write_text("name\ttype\tunits\nXX1\tECOG\tuV\n", encoding="utf-8")
    with pytest.raises(BrainAlignError, match="holds none of the channels") as caught:
        load_ieeg(replace(recording, channels_path=channels), **SETTINGS)
    assert "XX1" in caught.value.where


def test_placeholder_of_zeros(recording, tmp_path):
    path = tmp_path / "zeros_ieeg.edf"
    signals = [
        edfio.EdfSignal(np.zeros(1024), 512, label=name, physical_range=(-1, 1)) for name in NAMES
    ]
    edfio.Edf(signals).write(path)
    with pytest.raises(BrainAlignError, match="every good channel is constant"):
        load_ieeg(replace(recording, path=path), **SETTINGS)


def test_no_channels_table(recording):
    with pytest.raises(BrainAlignError, match=r"has no channels\.tsv") as caught:
        load_ieeg(replace(recording, channels_path=None), **SETTINGS)
    assert caught.value.exit_code == ExitCode.MISSING_INPUT


@pytest.mark.parametrize(
    ("value", "expected"), [(60, 60.0), (50.0, 50.0), ("n/a", None), (None, None), (0, None)]
)
def test_line_frequency(value, expected):
    assert line_frequency({"PowerLineFrequency": value}) == expected


def test_bdf_and_eeglab(recording, tmp_path):
    raw = mne.io.read_raw_edf(recording.path, include=NAMES, preload=True, verbose="error")
    microvolt = raw.get_data() * 1e6
    bdf = tmp_path / "sub-01_task-story_ieeg.bdf"
    edfio.Bdf(
        [
            edfio.BdfSignal(
                channel, SFREQ, label=name, physical_dimension="uV", physical_range=(-3000, 3000)
            )
            for name, channel in zip(NAMES, microvolt, strict=True)
        ]
    ).write(bdf)
    eeglab = tmp_path / "sub-01_task-story_ieeg.set"
    names = np.array([(name,) for name in NAMES], dtype=[("labels", "O")])
    content = {
        "setname": "story", "nbchan": len(NAMES), "trials": 1, "srate": SFREQ, "xmin": 0.0,
        "pnts": microvolt.shape[1], "data": microvolt.astype(np.float32), "chanlocs": names,
        "event": [], "icawinv": [], "icaweights": [], "icasphere": [],
    }  # fmt: skip
    savemat(eeglab, {"EEG": content}, appendmat=False)
    expected = load_ieeg(replace(recording, events_path=None), **SETTINGS)
    for path in (bdf, eeglab):
        found = load_ieeg(replace(recording, path=path, events_path=None), **SETTINGS)
        np.testing.assert_allclose(found.data, expected.data, atol=1e-3)
