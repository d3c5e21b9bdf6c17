"""Whisper's decoder writes down states that are given to it."""

import shutil

import numpy as np
import pytest

from bids_brainalign.decoding.transcription import in_window, word_errors
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.audio import load_audio
from bids_brainalign.features.whisper import WhisperLayers
from bids_brainalign.features.whisper_text import WhisperText, can_write
from tests.small_whisper import write_small_whisper, write_tokenizer


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_small_whisper(tmp_path_factory.mktemp("models") / "small", seed=1)


def test_small_model_takes_states_of_its_windows(small, tmp_path):
    folder = shutil.copytree(small, tmp_path / "letters")
    write_tokenizer(folder)
    assert can_write(folder)
    writer = WhisperText(folder)
    silence = writer.silence()
    assert silence.shape == (1500, 64)
    layers = WhisperLayers(folder).extract(np.zeros(480_000, "f4")).layers
    np.testing.assert_allclose(silence, layers[-1], atol=1e-4)  # after the final LayerNorm
    states = np.stack([silence, silence + 3, -silence])
    texts = writer.write(states, language="en", batch_size=2)
    assert len(texts) == 3
    assert texts[:1] == writer.write(states[:1], language="en")


def test_folder_without_tokenizer_cannot_write(small):
    assert not can_write(small)


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "models" / "whisper-base"


@pytest.fixture(scope="module")
def writer(folder):
    return WhisperText(folder)


@pytest.mark.shared
@pytest.mark.slow
def test_true_states_transcribe_noise_degrades_others_do_not(shared, writer):
    """Two windows of real speech (public domain)."""
    clips = sorted((shared / "data" / "librivox").glob("*.wav"))
    said = {
        line.rpartition("(")[2].strip(" )\n"): line.split("<s>")[1].split("</s>")[0]
        for line in (shared / "data" / "librivox" / "transcription").open()
    }
    half = len(clips) // 2
    parts = (clips[:half], clips[half:])
    waves = [np.concatenate([load_audio(c) for c in p])[: writer.window_samples] for p in parts]
    true = writer.states(waves)
    noise = np.random.default_rng(0).standard_normal(true[0].shape) * true[0].std(axis=0)
    given = np.stack([*true, (true[0] + 1.5 * noise).astype("f4")])
    read = [
        writer.words(t, language="en") for t in writer.write(given, language="en", batch_size=3)
    ]
    truth = [writer.words(" ".join(said[c.stem] for c in p), language="en") for p in parts]
    rates = [word_errors(a, b) / len(a) for a, b in zip(truth, read, strict=False)]
    assert max(rates) < 0.15
    assert word_errors(truth[0], read[2]) / len(truth[0]) > rates[0] + 0.3
    assert word_errors(truth[0], read[1]) / len(truth[0]) > 0.6  # another window's text
    # As predicted states are put together: without error, and with the places' mean apart.
    n = len(waves[0]) // 320
    means = true.mean(axis=0)
    again = in_window(
        true[0] - means, np.ones(1500, dtype=bool), slice(0, n),
        means=means, silence=writer.silence(),
    )  # fmt: skip
    text = writer.words(writer.write(again[None], language="en")[0], language="en")
    assert word_errors(truth[0], text) / len(truth[0]) < 0.15


@pytest.mark.shared
def test_unknown_language_is_named(writer):
    with pytest.raises(BrainAlignError, match="can't write 'tlh'") as caught:
        writer.write(writer.silence()[None], language="tlh")
    assert caught.value.exit_code == ExitCode.USAGE
