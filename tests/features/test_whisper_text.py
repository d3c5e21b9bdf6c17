"""Whisper's decoder writes down states that are given to it."""

import shutil

import numpy as np
import pytest

from bids_brainalign.decoding.transcription import in_window, window_parts, word_errors
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.audio import load_audio
from bids_brainalign.features.whisper import WhisperLayers
from bids_brainalign.features.whisper_text import WhisperText, can_write
from tests.small_whisper import write_small_whisper


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_small_whisper(tmp_path_factory.mktemp("models") / "small", seed=1)


def write_tokenizer(folder):
    """A tokenizer of single letters for the small Whisper's 64 tokens."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    letters = ["<pad>", "<s>", "</s>", *map(chr, range(32, 93))]
    inner = Tokenizer(models.WordLevel({c: i for i, c in enumerate(letters)}, letters[0]))
    inner.decoder = decoders.Fuse()
    special = dict(zip(("pad_token", "bos_token", "eos_token"), letters, strict=False))
    PreTrainedTokenizerFast(tokenizer_object=inner, **special).save_pretrained(folder)


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
def test_true_states_transcribe_noise_degrades_others_do_not(shared, folder, writer):
    """Two windows of real speech (public domain), at the places that they came from."""
    clips = sorted((shared / "data" / "librivox").glob("*.wav"))
    said = {
        line.rpartition("(")[2].strip(" )\n"): line.split("<s>")[1].split("</s>")[0]
        for line in (shared / "data" / "librivox" / "transcription").open()
    }
    order = [*clips, *clips[::-1]]
    waves = [load_audio(clip) for clip in order]
    states = WhisperLayers(folder).extract(np.concatenate(waves)).layers[-1]
    parts = window_parts(len(states), window=1500, hop=900, margin=250)
    ends = np.cumsum([len(wave) for wave in waves]) / 320
    starts = np.r_[0, ends[:-1]]
    silence, all_on = writer.silence(), np.ones(len(states), dtype=bool)
    noise = np.random.default_rng(0).standard_normal(states.shape) * states.std(axis=0)
    noisy = (states + 1.5 * noise).astype("f4")
    first, last = parts[0], parts[-1]
    given = np.stack(
        [
            in_window(states, all_on, first, silence),
            in_window(states, all_on, last, silence),
            in_window(noisy, all_on, first, silence),
        ]
    )
    texts = [
        writer.words(t, language="en") for t in writer.write(given, language="en", batch_size=3)
    ]
    truth = [
        writer.words(
            " ".join(
                said[order[i].stem]
                for i in range(len(order))
                if starts[i] >= part.start - 25 and ends[i] <= part.stop + 25
            ),
            language="en",
        )
        for part in (first, last)
    ]
    rate = word_errors(truth[0], texts[0]) / len(truth[0])
    assert rate < 0.15
    assert word_errors(truth[0], texts[2]) / len(truth[0]) > rate + 0.3
    assert word_errors(truth[0], texts[1]) / len(truth[0]) > 0.6  # another window's text


@pytest.mark.shared
def test_unknown_language_is_named(writer):
    with pytest.raises(BrainAlignError, match="can't write 'tlh'") as caught:
        writer.write(writer.silence()[None], language="tlh")
    assert caught.value.exit_code == ExitCode.USAGE
