"""Whisper's decoder reads the words of a stimulus; its states stand at the words' times."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.audio import load_audio
from bids_brainalign.features.decoder_folder import decoder_facts
from bids_brainalign.features.dense import Windowing
from bids_brainalign.features.passages import Passage
from bids_brainalign.features.whisper_decoder import WhisperDecoder

WINDOWING = Windowing(30.0, 18.0, 5.0, 2.0)
SPECIAL = (
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|nl|>", "<|transcribe|>",
    "<|startofprev|>", "<|notimestamps|>",
)  # fmt: skip


def write_reading_whisper(path, *, n_positions=448):
    """Write a random Whisper whose tokens are bytes, so that every word is split."""
    path.mkdir(parents=True, exist_ok=True)
    vocabulary = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.save(str(path / "tokenizer.json"))
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=tokenizer.get_vocab_size(), d_model=16, encoder_layers=1, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32,
        decoder_ffn_dim=32, max_target_positions=n_positions, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, decoder_start_token_id=257, init_std=0.5,
    )  # fmt: skip
    WhisperModel(config).save_pretrained(path)
    WhisperFeatureExtractor().save_pretrained(path)
    languages = {"lang_to_id": {"<|en|>": 258, "<|nl|>": 259}}
    (path / "generation_config.json").write_text(json.dumps(languages))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_reading_whisper(tmp_path_factory.mktemp("reading") / "model")


@pytest.fixture(scope="module")
def decoder(folder):
    return WhisperDecoder(folder)


def noise(seconds, seed=0):
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(int(16_000 * seconds))).astype(np.float32)


def spoken(labels, *, step=0.5, duration=0.4, first=0.25):
    onset = first + step * np.arange(len(labels))
    return pd.DataFrame({"onset": onset, "duration": duration, "label": labels})


def at(found, seconds):
    """Index of the frame that is held at a time."""
    return int(np.searchsorted(found.times, seconds, side="right")) - 1


def test_a_word_is_the_mean_of_its_tokens_states_as_transformers_gives_them(folder, decoder):
    table, wave = spoken(["so", "Anna,", "slept"]), noise(3)
    found = decoder.extract(wave, table, language="en-GB", windowing=WINDOWING)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    start = [tokenizer.token_to_id(t) for t in ("<|startoftranscript|>", "<|en|>",
                                                "<|transcribe|>", "<|notimestamps|>")]  # fmt: skip
    ids = start + tokenizer.encode(" so Anna, slept", add_special_tokens=False).ids
    model = WhisperModel.from_pretrained(folder, dtype=torch.float32).eval()
    inputs = WhisperFeatureExtractor()(wave, sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        states = model(
            inputs.input_features,
            decoder_input_ids=torch.tensor([ids]),
            output_hidden_states=True,
        ).decoder_hidden_states
    assert len(found.layers) == len(states) == 3
    for layer, expected in zip(found.layers, states, strict=True):
        word = expected[0, 7:13].mean(dim=0)  # " Anna," after four tokens of start and " so"
        np.testing.assert_allclose(layer[at(found, 0.8)], word, atol=1e-5)


def test_states_stand_from_onset_to_end_and_nothing_elsewhere(decoder):
    table = spoken(["one", "two", "three"])
    found = decoder.extract(noise(3), table, language="en", windowing=WINDOWING)
    np.testing.assert_allclose(found.times, [0, 0.25, 0.65, 0.75, 1.15, 1.25, 1.65, 3.0])
    loud = np.abs(found.layers[1]).max(axis=1) > 0
    assert loud.tolist() == [False, True, False, True, False, True, False, False]
    # The window holds the whole stimulus: the first word hears 2.75 s after its onset.
    assert found.context_future_s == pytest.approx(2.75)
    assert found.context_past_s == pytest.approx(1.65)


def test_later_words_change_no_earlier_state_and_earlier_words_do(decoder):
    before = ["we", "met", "a", "sailor", "there"]
    changed = [*before[:3], "tinker", "there"]
    wave = noise(4)
    first, second = (
        decoder.extract(wave, spoken(labels), language="en", windowing=WINDOWING)
        for labels in (before, changed)
    )
    for a, b in zip(first.layers, second.layers, strict=True):
        np.testing.assert_allclose(a[: at(first, 1.7)], b[: at(second, 1.7)], atol=1e-6)
    last = at(first, 2.3)
    assert np.abs(first.layers[2][last] - second.layers[2][last]).max() > 1e-3


def test_other_audio_changes_all_layers_but_the_embedding(decoder):
    table = spoken(["we", "met"])
    first, second = (
        decoder.extract(noise(3, seed), table, language="en", windowing=WINDOWING)
        for seed in (0, 1)
    )
    np.testing.assert_allclose(first.layers[0], second.layers[0], atol=1e-6)
    assert np.abs(first.layers[1] - second.layers[1]).max() > 1e-4


def test_every_word_of_a_long_story_is_read_once_with_words_before_it(decoder):
    table = spoken(["w"] * 138, step=0.5)  # 70 s: windows start at 0, 18, 36 and 40 s
    words = decoder.words(table, language="en")
    frame = decoder.frame("en")
    from bids_brainalign.features.passages import passages

    found = passages(words, frame, np.array([0.0, 18.0, 36.0, 40.0]), window_s=30.0)
    taken = [word for passage in found for word, _, _ in passage.spans]
    assert sorted(taken) == list(range(138))
    assert found[0].tokens[: len(frame.start)] == frame.start
    # Later passages begin with what was said before their window.
    assert found[1].tokens[0] == frame.previous
    assert found[1].first_word == 0
    position = found[1].tokens.index(frame.start[0])
    assert position == 1 + 2 * 36  # 36 words of two tokens have their middle before 18 s
    for passage in found:
        for word, first, stop in passage.spans:
            assert passage.tokens[first:stop] == words.tokens[word]
            assert passage.start_s <= words.middle_s[word] < passage.start_s + 30
    told = decoder.extract(noise(70), table, language="en", windowing=WINDOWING)
    assert told.context_past_s > 30  # the prompt reaches beyond the window


def test_a_text_too_long_for_the_decoder_drops_what_came_before_first(tmp_path):
    short = WhisperDecoder(write_reading_whisper(tmp_path / "short", n_positions=40))
    found = short.extract(
        noise(6), spoken(["abc"] * 9), language="en", windowing=WINDOWING
    )  # 9 words of 4 tokens fill the 36 positions that are left
    assert len(found.times) == 2 + 2 * 9
    with pytest.raises(BrainAlignError, match=r"10 words .* have 40 tokens.* takes 36") as caught:
        short.extract(noise(6), spoken(["abc"] * 10), language="en", windowing=WINDOWING)
    assert "hop_s" in caught.value.fix


@pytest.mark.parametrize("label", ["", "  "])
def test_an_empty_word_stays_silent_and_shifts_no_other(decoder, label):
    wave = noise(3)
    full = decoder.extract(wave, spoken(["a", label, "b"]), language="en", windowing=WINDOWING)
    two = spoken(["a", "x", "b"]).iloc[[0, 2]]
    without = decoder.extract(wave, two, language="en", windowing=WINDOWING)
    assert not full.layers[2][at(full, 0.8)].any()
    np.testing.assert_allclose(
        full.layers[2][at(full, 1.3)], without.layers[2][at(without, 1.3)], atol=1e-6
    )


def test_special_tokens_in_a_transcript_are_text(decoder):
    words = decoder.words(spoken(["<|endoftext|>"]), language="en")
    assert len(words.tokens[0]) == len(" <|endoftext|>")


def test_overlapping_words_and_words_without_duration(decoder):
    table = pd.DataFrame(
        {"onset": [0.0, 0.2, 1.0], "duration": [0.8, 0.2, 0.0], "label": ["a", "b", "c"]}
    )
    found = decoder.extract(noise(2), table, language="en", windowing=WINDOWING)
    layer = found.layers[1]
    np.testing.assert_array_equal(layer[at(found, 0.1)], layer[at(found, 0.5)])
    assert np.abs(layer[at(found, 0.1)] - layer[at(found, 0.3)]).max() > 1e-4
    assert layer[at(found, 1.01)].any()
    assert not layer[at(found, 1.03)].any()


def test_an_unknown_language_is_refused(decoder):
    with pytest.raises(BrainAlignError, match="reads 2 languages, but not 'tlh'") as caught:
        decoder.extract(noise(1), spoken(["Qapla"]), language="tlh", windowing=WINDOWING)
    assert "--language" in caught.value.fix


def test_an_english_only_model_has_no_language_token_and_reads_english(tmp_path):
    folder = write_reading_whisper(tmp_path / "english")
    (folder / "generation_config.json").write_text("{}")
    decoder = WhisperDecoder(folder)
    assert len(decoder.frame("en-US").start) == 2
    with pytest.raises(BrainAlignError, match="reads English, but not 'nl'"):
        decoder.frame("nl")


def test_a_folder_without_tokenizer_is_refused(tmp_path):
    folder = write_reading_whisper(tmp_path / "mute")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(BrainAlignError, match=r"has no tokenizer\.json: no words") as caught:
        decoder_facts(folder)
    assert caught.value.exit_code == ExitCode.MISSING_INPUT


def test_random_weights_are_other_weights(folder, decoder):
    table, wave = spoken(["we", "met"]), noise(2)
    twin = WhisperDecoder(folder, untrained_seed=3)
    again = WhisperDecoder(folder, untrained_seed=3)
    first, second, third = (
        d.extract(wave, table, language="en", windowing=WINDOWING).layers[2]
        for d in (decoder, twin, again)
    )
    assert np.abs(first - second).max() > 1e-3
    np.testing.assert_array_equal(second, third)


def test_the_true_audio_makes_the_true_words_likely(shared):
    """Real Whisper: the decoder hears its audio, through half-precision weights on disk."""
    decoder = WhisperDecoder(shared / "models" / "whisper-base")
    clips = shared / "data" / "librivox"
    text = {
        line.rpartition("(")[2].strip(") \n"): line.replace("<s>", "").partition("</s>")[0].split()
        for line in (clips / "transcription").read_text().splitlines()
    }
    names = [n for n in sorted(text) if (clips / f"{n}.wav").is_file()][:2]
    waves = [load_audio(clips / f"{name}.wav") for name in names]
    length = min(map(len, waves))
    words = decoder.words(spoken(text[names[0]], step=0.25, duration=0.2), language="en")
    frame = decoder.frame("en")
    tokens = frame.start + tuple(t for word in words.tokens for t in word)
    passage = Passage(0.0, tokens, (), 0)
    told = []
    for wave in waves:
        last = torch.tensor(decoder.read(wave[:length], passage)[-1])
        assert last.dtype == torch.float32
        logits = last @ decoder.decoder.embed_tokens.weight.T
        at_words = torch.log_softmax(logits, dim=1)[len(frame.start) - 1 : -1]
        truth = torch.tensor(tokens[len(frame.start) :])
        told.append(float(at_words[torch.arange(len(truth)), truth].detach().mean()))
    true, other = told
    assert true > other + 1.0
