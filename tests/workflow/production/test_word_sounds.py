"""The joined sound of several recordings: where each begins, and what its digest knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pybv
import pytest

from bids_brainalign.dataset.speech_audio import SpeechAudio
from bids_brainalign.dataset.spoken_words import SpokenWords
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.features.audio import SAMPLE_RATE_HZ
from bids_brainalign.outputs.names import fit_name
from bids_brainalign.workflow.production.speakers import Speaker
from bids_brainalign.workflow.production.word_sounds import SpeakerSound, speaker_sound
from tests.workflow.production.spoken import config

SFREQ_HZ = 1000


class Ramp:
    """Sound whose samples tell their own second."""

    path = Path("ramp.wav")

    def __init__(self, rate_hz: float, level: float) -> None:
        self.rate_hz, self.level = rate_hz, level

    def samples(self, first: int, stop: int) -> np.ndarray:
        return (self.level + np.arange(first, stop) / self.rate_hz).astype(np.float32)


def ramp(seconds: float, level: float, *, start_s: float = 0.0) -> SpeechAudio:
    rate_hz = float(SAMPLE_RATE_HZ)
    n_samples = round(seconds * rate_hz)
    return SpeechAudio(rate_hz, start_s, n_samples, "A ramp.", Ramp(rate_hz, level))


@pytest.mark.parametrize(
    "audio",
    [
        (None, ramp(3, 10)),
        (ramp(3, 10), None, None, ramp(2, 20)),
        (ramp(3, 10, start_s=0.5), ramp(2, 20), None),
    ],
)
def test_every_recording_begins_where_its_offset_says(audio: tuple[SpeechAudio | None]) -> None:
    sound = SpeakerSound(audio, "d")
    wave = sound.wave()
    assert len(wave) == round(sound.stops_s[-1] * SAMPLE_RATE_HZ)
    for one, offset_s in zip(audio, sound.offsets_s, strict=True):
        first = round(offset_s * SAMPLE_RATE_HZ)
        if one is None:
            assert not wave[first : first + SAMPLE_RATE_HZ].any()
            continue
        begin = first + round(one.start_s * SAMPLE_RATE_HZ)
        heard = wave[begin : begin + one.n_samples]
        np.testing.assert_allclose(heard, one.sound.samples(0, one.n_samples))
        assert not wave[begin + one.n_samples :][:SAMPLE_RATE_HZ].any()


def test_no_recording_has_a_sound() -> None:
    with pytest.raises(BrainAlignError, match="no sound of the participant"):
        SpeakerSound((None, None), "d").wave()


def test_when_each_recording_has_a_sound() -> None:
    sound = SpeakerSound((None, ramp(3, 0, start_s=-0.5)), "d")
    np.testing.assert_allclose(sound.heard_s, [[np.nan, np.nan], [-0.5, 2.5]])


def speaker(folder: Path, seed: int = 0, *, microphone: str = "MIC1") -> Speaker:
    """One recording in BrainVision files, two of its channels microphones."""
    data = np.random.default_rng(seed).standard_normal((3, 2 * SFREQ_HZ))
    names = ["A1", "MIC1", "MIC2"]
    pybv.write_brainvision(
        data=data * 1e-4, sfreq=SFREQ_HZ, ch_names=names, fname_base="sub-01_task-words_ieeg",
        folder_out=folder, overwrite=True,
    )  # fmt: skip
    table = pd.DataFrame(
        {
            "name": names,
            "type": ["SEEG", "AUDIO", "AUDIO"],
            "status": ["good", *("good" if name == microphone else "bad" for name in names[1:])],
        }
    )
    channels = folder / "sub-01_task-words_channels.tsv"
    table.to_csv(channels, sep="\t", index=False)
    recording = Recording(
        "01", None, "words", None, "ieeg", folder / "sub-01_task-words_ieeg.vhdr", "ieeg", (),
        channels_path=channels,
    )  # fmt: skip
    words = SpokenWords(pd.DataFrame(), "Said by a test.", ())
    return Speaker(fit_name([recording]), (recording,), (words,))


def test_the_digest_of_a_channel_knows_its_samples_and_its_name(tmp_path: Path) -> None:
    settings = config(tmp_path)
    digests = [speaker_sound(settings, speaker(tmp_path)).digest for _ in range(2)]
    assert digests[0] == digests[1]
    header = (tmp_path / "sub-01_task-words_ieeg.vhdr").read_bytes()
    moved = speaker_sound(settings, speaker(tmp_path, microphone="MIC2"))
    assert "MIC2" in moved.audio[0].source  # type: ignore[union-attr]
    other = speaker(tmp_path, seed=1)
    assert (tmp_path / "sub-01_task-words_ieeg.vhdr").read_bytes() == header
    digests = [digests[0], moved.digest, speaker_sound(settings, other).digest]
    assert len(set(digests)) == 3
