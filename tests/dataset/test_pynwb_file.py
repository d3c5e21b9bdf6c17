"""A file that pynwb wrote, in the layout of SingleWordProductionDutch-iBIDS."""

from pathlib import Path

import numpy as np
import pytest

from bids_brainalign.alignment.sound_level import sound_level
from bids_brainalign.alignment.speech_onsets import speech_times
from bids_brainalign.dataset.nwb import open_neural_series
from bids_brainalign.dataset.speech_audio import find_speech_audio
from bids_brainalign.dataset.spoken_words import find_spoken_words
from bids_brainalign.dataset.types import Recording

FILE = Path(__file__).parents[1] / "oracles" / "nwb" / "words.nwb"


@pytest.fixture
def recording(tmp_path):
    table = tmp_path / "sub-01_task-words_channels.tsv"
    table.write_text("name\ttype\tunits\n" + "".join(f"LA{i}\tSEEG\tuV\n" for i in range(1, 6)))
    entities = (("sub", "01"), ("task", "words"))
    return Recording(
        "01", None, "words", None, "ieeg", FILE, "ieeg", entities, channels_path=table
    )


def test_its_words_sound_and_voltages_are_read(recording):
    words = find_spoken_words(recording).table
    assert words["word"].tolist() == ["huis", "kaas", "kaas"]
    np.testing.assert_allclose(words["cue_s"], [1.0, 3.0, 4.75])
    np.testing.assert_allclose(words["duration_s"], [1.5, 1.5, 1.0])
    neural = open_neural_series(recording)
    assert (neural.n_times, neural.rate_hz, neural.channels[0]) == (6144, 1024.0, "LA1")
    volts = neural.read(range(5), 0, 6144)
    assert 1e-6 < volts.std() < 1e-3
    sound = find_speech_audio(recording)
    assert (sound.rate_hz, sound.duration_s, sound.start_s) == (48_000.0, 6.0, 0.0)
    peak = 8000 / 32768
    assert np.abs(sound.read(1.5, 1.9)).max() == pytest.approx(peak, rel=1e-3)
    assert not sound.read(0.0, 1.49).any()


def test_when_they_were_spoken(recording):
    sound = find_speech_audio(recording)
    level = sound_level(sound.pieces(50_000), sound.rate_hz, start_s=sound.start_s)
    found = speech_times(level, find_spoken_words(recording).table["cue_s"].to_numpy())
    np.testing.assert_allclose(found.onset_s, [1.5, 3.6, 5.1], atol=0.01)
    np.testing.assert_allclose(found.offset_s, [1.9, 4.0, 5.5], atol=0.01)
