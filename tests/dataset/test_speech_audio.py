"""Sound of the participant: in the NWB file, or in a file beside the recording."""

import h5py
import numpy as np
import pytest
import soundfile

from bids_brainalign.dataset.speech_audio import find_speech_audio
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError, ExitCode
from tests.dataset.test_nwb import series
from tests.dataset.trees import write

RATE, SOUND_RATE = 1024.0, 48_000


def wave(seconds=2.0, rate=SOUND_RATE):
    return 0.5 * np.sin(2 * np.pi * 300 * np.arange(round(seconds * rate)) / rate)


def recording_of(path, **entities):
    own = {"sub": "01", "task": "words", **entities}
    return Recording(
        "01", own.get("ses"), "words", own.get("run"), "ieeg", path, "ieeg", tuple(own.items())
    )


def nwb(tmp_path, sound, *, start_s=0.0, neural_start_s=0.0, rate=SOUND_RATE):
    path = tmp_path / "sub-01" / "ieeg" / "sub-01_task-words_ieeg.nwb"
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        group = series(file, "acquisition/iEEG", np.zeros((2048, 3)))
        group["starting_time"][()] = neural_start_s
        if sound is not None:
            group = series(file, "acquisition/Audio", sound, rate=rate)
            if rate is not None:
                group["starting_time"][()] = start_s
    return recording_of(path)


@pytest.mark.parametrize(
    "stored",
    [
        lambda x: np.round(x * 2**15).astype(np.int16),
        lambda x: np.round(x * 2**15).astype(np.float64),  # 16 bits kept as real numbers
        lambda x: np.round(x * 2**15 + 2**15).astype(np.uint16),
        lambda x: x.astype(np.float32),
        lambda x: np.stack([x + 0.1, x - 0.1], axis=1),
    ],
)
def test_nwb_sound_at_unit_scale(tmp_path, stored):
    truth = wave() * 1.7
    found = find_speech_audio(nwb(tmp_path, stored(truth), start_s=0.5))
    assert (found.rate_hz, found.start_s, found.duration_s) == (48_000, 0.5, 2.0)
    assert found.feeds_speech_models
    read = found.read(1.0, 1.25)
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, truth[24_000:36_000], atol=2e-5)
    np.testing.assert_allclose(np.concatenate(list(found.pieces(7000))), truth, atol=2e-5)


def test_sound_on_the_clock_of_a_running_computer(tmp_path):
    """The published Dutch files: timestamps of 9 million seconds, 47 999.19 samples a second."""
    n, measured = 100 * SOUND_RATE, 47_999.19
    sound = np.zeros(n, dtype=np.int16)
    sound[95 * SOUND_RATE] = 2**14  # at 95.0016 s
    recording = nwb(tmp_path, None)
    with h5py.File(recording.path, "w") as file:
        stamps = 9_062_565.6 + np.arange(102_400) / 1024
        series(file, "acquisition/iEEG", np.zeros((102_400, 3)), timestamps=stamps)
        stamps = 9_062_565.600003 + np.arange(n) / measured
        series(file, "acquisition/Audio", sound, timestamps=stamps)
    found = find_speech_audio(recording)
    assert found.rate_hz == 48_000.0  # what to resample from
    assert found.clock_hz == pytest.approx(measured, abs=1e-3)
    assert found.start_s == pytest.approx(3e-6, abs=1e-6)
    at_s = 95 * SOUND_RATE / measured
    read = found.read(at_s - 0.01, at_s + 0.01)
    assert len(read) == 960
    assert abs(int(np.argmax(read)) - 480) <= 1


def test_outside_of_the_sound_there_is_silence(tmp_path):
    truth = wave()
    found = find_speech_audio(nwb(tmp_path, truth, start_s=10.5, neural_start_s=10.0))
    assert found.start_s == 0.5
    read = found.read(0.0, 3.0)
    assert len(read) == 3 * SOUND_RATE
    np.testing.assert_allclose(read[24_000:-24_000], truth, atol=1e-6)
    assert not read[:24_000].any()
    assert not read[-24_000:].any()
    assert not found.read(-3.0, -2.0).any()
    assert len(found.read(90.0, 90.5)) == 24_000
    assert found.covers(0.5, 2.5)
    assert not found.covers(0.4, 2.0)
    assert not found.covers(1.0, 2.6)


def test_samples_that_are_no_numbers_are_silent(tmp_path):
    sound = wave()
    sound[[10, 20]] = np.nan, np.inf
    read = find_speech_audio(nwb(tmp_path, sound)).read(0, 0.01)
    assert np.isfinite(read).all()
    np.testing.assert_allclose(read[30:], sound[30:480], atol=1e-6)


def test_no_sound_is_no_error_but_no_clock_is(tmp_path):
    assert find_speech_audio(nwb(tmp_path, None)) is None
    assert find_speech_audio(nwb(tmp_path, np.zeros(0))) is None
    assert find_speech_audio(nwb(tmp_path, [b"words", b"words"])) is None
    with pytest.raises(BrainAlignError, match="has no sampling rate"):
        find_speech_audio(nwb(tmp_path, wave(), rate=None))


def edf(tmp_path, **entities):
    name = "_".join(f"{k}-{v}" for k, v in {"sub": "01", "task": "words", **entities}.items())
    path = write(tmp_path / "sub-01" / "ieeg" / f"{name}_ieeg.edf", "not really")
    return recording_of(path, **entities), name


@pytest.mark.parametrize("folder", ["ieeg", "beh"])
@pytest.mark.parametrize("extension", [".wav", ".flac", ".ogg"])
def test_file_beside_the_recording_or_in_beh(tmp_path, folder, extension):
    recording, name = edf(tmp_path)
    assert find_speech_audio(recording) is None
    path = tmp_path / "sub-01" / folder / f"{name}_audio{extension}"
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, np.stack([wave(), np.zeros(96_000)], axis=1), SOUND_RATE)
    write(path.with_suffix(".json"), '{"StartTime": -0.25}')
    found = find_speech_audio(recording)
    assert (found.rate_hz, found.start_s, found.duration_s) == (48_000, -0.25, 2.0)
    assert path.name in found.source
    tolerance = 0.02 if extension == ".ogg" else 2e-5
    read = found.read(0.5, 1.0)
    np.testing.assert_allclose(read, wave()[36_000:60_000] / 2, atol=tolerance)


def test_only_the_sound_of_the_same_run_is_taken(tmp_path):
    recording, _ = edf(tmp_path, run="02", acq="clinical")
    folder = recording.path.parent
    for name in ("sub-01_task-words", "sub-01_task-words_run-1", "sub-01_task-words_run-2_acq-x"):
        soundfile.write(folder / f"{name}_audio.wav", wave(1.0), SOUND_RATE)
    assert find_speech_audio(recording) is None
    soundfile.write(folder / "sub-01_task-words_run-2_audio.wav", wave(), SOUND_RATE)
    found = find_speech_audio(recording)
    assert found.start_s == 0.0
    assert "sub-01_task-words_run-2_audio.wav" in found.source


def test_wrong_start_broken_file_and_pointer(tmp_path):
    recording, name = edf(tmp_path)
    path = recording.path.with_name(f"{name}_audio.wav")
    soundfile.write(path, wave(), SOUND_RATE)
    sidecar = write(path.with_suffix(".json"), '{"StartTime": "later"}')
    with pytest.raises(BrainAlignError, match=r"StartTime of .* is 'later'"):
        find_speech_audio(recording)
    sidecar.unlink()
    path.write_text("no sound at all")
    with pytest.raises(BrainAlignError, match=r"audio\.wav can't be read as audio"):
        find_speech_audio(recording)
    path.unlink()
    path.symlink_to(f"../../.git/annex/objects/aa/bb/SHA256E-s9--{'0' * 64}.wav/x.wav")
    with pytest.raises(BrainAlignError, match="datalad get sub-01/ieeg/") as caught:
        find_speech_audio(recording)
    assert caught.value.exit_code == ExitCode.MISSING_INPUT
