"""Sound of the participant in a channel of the recording."""

from dataclasses import replace

import edfio
import numpy as np
import pybv
import pytest
import soundfile

from bids_brainalign.dataset.types import Recording
from bids_brainalign.responses.speech_sound import find_sound

SFREQ, SOUND_RATE, SECONDS = 512, 2048, 8


@pytest.fixture
def recording(tmp_path):
    """An EDF of two rates, its sound with an offset and a burst at 3 s."""
    folder = tmp_path / "sub-01" / "ieeg"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    sound = 0.2 + 0.001 * rng.standard_normal(SECONDS * SOUND_RATE)
    sound[3 * SOUND_RATE : 4 * SOUND_RATE] += 0.5 * np.sin(np.arange(SOUND_RATE) * 0.9)
    signals = [
        edfio.EdfSignal(rng.standard_normal(SECONDS * SFREQ), SFREQ, label="A1"),
        edfio.EdfSignal(sound, SOUND_RATE, label="MIC", physical_range=(-1, 1)),
    ]
    path = folder / "sub-01_task-words_ieeg.edf"
    edfio.Edf(signals).write(path)
    channels = folder / "sub-01_task-words_channels.tsv"
    channels.write_text("name\ttype\tunits\nA1\tSEEG\tuV\nMIC\taudio\tV\n", encoding="utf-8-sig")
    entities = (("sub", "01"), ("task", "words"))
    return Recording(
        "01", None, "words", None, "ieeg", path, "ieeg", entities, channels_path=channels
    ), sound


def check(found, sound, rate_hz):
    assert (found.rate_hz, found.start_s, found.duration_s) == (rate_hz, 0.0, float(SECONDS))
    assert not found.feeds_speech_models
    read = found.read(-1.0, SECONDS + 1.0)
    assert not read[: int(rate_hz)].any()
    read = read[int(rate_hz) : -int(rate_hz)]
    centred = sound - sound.mean()
    np.testing.assert_allclose(read, centred / np.abs(centred).max(), atol=1e-4)
    np.testing.assert_array_equal(np.concatenate(list(found.pieces(999))), read)


def test_an_edf_channel_keeps_its_own_rate(recording):
    recording, sound = recording
    found = find_sound(recording)
    check(found, sound, float(SOUND_RATE))
    assert found.source == "Sound is the channel MIC of sub-01_task-words_ieeg.edf (2048 Hz)."


def test_a_brainvision_channel(recording, tmp_path):
    recording, sound = recording
    slow = sound[::4]
    pybv.write_brainvision(
        data=np.stack([slow * 1e-6, slow]), sfreq=SFREQ, ch_names=["A1", "MIC"],
        fname_base="b", folder_out=tmp_path, fmt="binary_float32", unit=["µV", "V"],
    )  # fmt: skip
    check(find_sound(replace(recording, path=tmp_path / "b.vhdr")), slow, float(SFREQ))


def test_a_file_goes_before_a_channel_and_nothing_is_none(recording):
    recording, _ = recording
    table = recording.channels_path.read_text(encoding="utf-8-sig")
    recording.channels_path.write_text(table.replace("MIC\taudio", "MIC\tMISC"))
    assert find_sound(recording) is None
    assert find_sound(replace(recording, channels_path=None)) is None
    recording.channels_path.write_text(table.replace("MIC\t", "GONE\t"))
    assert find_sound(recording) is None
    recording.channels_path.write_text(table)
    path = recording.path.with_name("sub-01_task-words_audio.wav")
    soundfile.write(path, np.zeros(16_000), 16_000)
    assert find_sound(recording).rate_hz == 16_000


def test_a_bad_sound_channel_is_taken_only_if_there_is_no_other(recording):
    recording, _ = recording
    recording.channels_path.write_text(
        "name\ttype\tunits\tstatus\nMIC\tAUDIO\tV\tbad\nA1\tAUDIO\tV\tgood\n"
    )
    assert "channel A1" in find_sound(recording).source
    recording.channels_path.write_text("name\ttype\tunits\tstatus\nMIC\tAUDIO\tV\tbad\n")
    assert "channel MIC" in find_sound(recording).source
