"""Language models of the true architectures with random weights, through the real loaders."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModel,
    BertConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    PreTrainedTokenizerFast,
    T5Config,
)

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.language_model import LanguageModel
from bids_brainalign.features.text_folder import card_languages, reads_text, text_facts
from bids_brainalign.features.transcript import Reading, plain_labels

STORY = (
    "we met a sailor there, who had seen harbours and the white houses of Malmö. He told us that "
    "unforgettable stories begin with a storm and end with a silence"
).split()


def write_tokenizer(folder, *, prefix_blank=False):
    """Byte-level BPE as GPT-2's, with merges learnt from the story: long words are split."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_blank)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator([" ".join(STORY)], trainer)
    special = dict.fromkeys(("bos_token", "eos_token"), "<|endoftext|>")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    fast.save_pretrained(folder)
    return fast.backend_tokenizer


def write_gpt2(folder, *, n_positions=256, seed=0):
    """Write a small random GPT-2 with its tokenizer."""
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=300, n_embd=16, n_layer=2, n_head=2, n_positions=n_positions,
        initializer_range=0.3, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(folder)
    write_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return write_gpt2(tmp_path_factory.mktemp("gpt2") / "model")


def spoken(labels, *, step=0.5, duration=0.4, first=0.25):
    onset = first + step * np.arange(len(labels))
    return pd.DataFrame({"onset": onset, "duration": duration, "label": labels})


def read(model, labels, context_words=5, pooling="last", per_pass=1, **options):
    table = spoken(labels)
    return model.extract(
        table, duration_s=0.5 + 0.5 * len(labels), language="en",
        reading=Reading(context_words, per_pass, pooling), **options,
    )  # fmt: skip


def states(found, layer):
    """(n_words, n_dims): what stands 0.1 s after each onset."""
    n_words = round((found.times[-1] - 0.5) / 0.5)
    at = np.searchsorted(found.times, 0.35 + 0.5 * np.arange(n_words), side="right") - 1
    return found.layers[layer][at]


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("context_words", [0, 3, 1000])
def test_words_are_read_as_transformers_reads_them_one_by_one(gpt2, context_words, pooling):
    found = read(LanguageModel(gpt2), STORY, context_words, pooling, batch_size=2)
    tokenizer = Tokenizer.from_file(str(gpt2 / "tokenizer.json"))
    model = GPT2LMHeadModel.from_pretrained(gpt2).eval()
    # The first word of the story has no blank before it; all others have.
    tokens = [tokenizer.encode(("" if i == 0 else " ") + word).ids for i, word in enumerate(STORY)]
    assert max(map(len, tokens)) > 4
    assert len(found.layers) == 3
    for word in range(len(STORY)):
        before = [t for ids in tokens[max(0, word - context_words) : word] for t in ids]
        ids = torch.tensor([[0, *before, *tokens[word]]])
        with torch.no_grad():
            expected = model(ids, output_hidden_states=True).hidden_states
        for layer, state in enumerate(expected):
            own = state[0, -len(tokens[word]) :] if pooling == "mean" else state[0, -1:]
            np.testing.assert_allclose(
                states(found, layer)[word], own.mean(dim=0), atol=1e-5, err_msg=f"{layer} {word}"
            )


def test_words_may_share_a_pass(gpt2):
    """Words 8 to 11 are read with word 3 and all that follows it."""
    model = LanguageModel(gpt2)
    shared = read(model, STORY, 5, per_pass=4)
    for word in range(8, 12):
        alone = read(model, STORY, word - 3)
        for layer in (0, 1, 2):
            np.testing.assert_allclose(
                states(shared, layer)[word], states(alone, layer)[word], atol=1e-5
            )
    assert shared.context_past_s == pytest.approx((5 + 3) * 0.5 + 0.4)


def test_passes_that_take_few_tokens_still_give_every_word(tmp_path):
    model = LanguageModel(write_gpt2(tmp_path / "short", n_positions=16))
    found = read(model, STORY, 5, per_pass=20)
    assert (np.abs(states(found, 2)).max(axis=1) > 0).all()


def test_what_comes_later_and_what_lies_before_the_context_change_nothing(gpt2):
    model = LanguageModel(gpt2)
    before = read(model, STORY, 4)
    changed = [*STORY]
    changed[10] = "tinker"
    after = read(model, changed, 4)
    for layer in (1, 2):
        same = np.isclose(states(before, layer), states(after, layer), atol=1e-5).all(axis=1)
        assert same[:10].all()  # earlier words
        assert not same[10:15].any()  # itself, and four words that it is the context of
        assert same[15:].all()
    assert before.context_past_s == pytest.approx(4 * 0.5 + 0.4)
    assert before.context_future_s == pytest.approx(0.4)  # at its onset the word is not yet heard


def test_the_context_is_cut_where_the_model_takes_no_more(tmp_path):
    model = LanguageModel(write_gpt2(tmp_path / "short", n_positions=8))
    found = read(model, STORY, 1000)
    assert np.isfinite(states(found, 2)).all()
    long = read(model, ["unforgettable" * 4, "stories"], 1000)  # one word fills all positions
    assert np.abs(states(long, 2)).min(axis=1).max() > 0


def test_the_untrained_twin_has_other_weights_of_the_same_shape(gpt2):
    trained = read(LanguageModel(gpt2), STORY)
    twin = read(LanguageModel(gpt2, untrained_seed=5), STORY)
    again = read(LanguageModel(gpt2, untrained_seed=5), STORY)
    assert len(twin.layers) == len(trained.layers)
    assert not np.allclose(states(twin, 1), states(trained, 1), atol=1e-3)
    np.testing.assert_array_equal(states(twin, 1), states(again, 1))


def test_capitals_are_read_in_lower_case_and_that_is_said(gpt2):
    model = LanguageModel(gpt2)
    lower, upper = (read(model, labels) for labels in (["so", "it"], ["SO", "IT"]))
    np.testing.assert_array_equal(states(lower, 2), states(upper, 2))
    assert lower.notes == ()
    assert "capitals only" in upper.notes[0]
    assert plain_labels(["I"]) == (["I"], False)
    assert plain_labels(["NASA", " flew  up"]) == (["NASA", "flew up"], False)


def test_text_that_looks_like_a_special_token_is_text(gpt2):
    words, _ = LanguageModel(gpt2).words(spoken(["a", "<|endoftext|>"]), language="en")
    assert len(words.tokens[1]) > 1


def test_every_token_belongs_to_one_word(gpt2):
    model = LanguageModel(gpt2)
    tokenizer = Tokenizer.from_file(str(gpt2 / "tokenizer.json"))
    words, _ = model.words(spoken(STORY), language="en")
    whole = tokenizer.encode(" ".join(STORY)).ids
    assert [t for tokens in words.tokens for t in tokens] == whole
    texts = [tokenizer.decode(list(tokens)).strip() for tokens in words.tokens]
    assert texts == STORY
    # Without blanks, each word by itself: no token reaches into the next word.
    words, _ = model.words(spoken(["东京", "塔"]), language="ja")
    assert [tokenizer.decode(list(tokens)) for tokens in words.tokens] == ["东京", "塔"]


def test_other_causal_architectures_open(tmp_path):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300, hidden_size=16, num_hidden_layers=3, num_attention_heads=2,
        num_key_value_heads=1, intermediate_size=32, max_position_embeddings=64,
    )  # fmt: skip
    AutoModel.from_config(config).save_pretrained(tmp_path)
    write_tokenizer(tmp_path, prefix_blank=True)
    model = LanguageModel(tmp_path)
    assert model.widths == [16] * 4
    assert text_facts(tmp_path).max_tokens == 64
    assert np.isfinite(states(read(model, STORY), 3)).all()


@pytest.mark.parametrize(
    ("config", "what"),
    [
        (BertConfig(vocab_size=300, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                    intermediate_size=32, initializer_range=0.3), "not causal"),
        (T5Config(vocab_size=300, d_model=16, d_kv=8, num_layers=2, num_heads=2, d_ff=32),
         "an encoder with a decoder"),
    ],
)  # fmt: skip
def test_models_that_look_ahead_are_refused(tmp_path, config, what):
    AutoModel.from_config(config).save_pretrained(tmp_path)
    write_tokenizer(tmp_path)
    with pytest.raises(BrainAlignError, match=what) as caught:
        LanguageModel(tmp_path)
    assert caught.value.exit_code == ExitCode.MISSING_INPUT


def test_a_folder_tells_text_from_sound(gpt2, tmp_path):
    facts = text_facts(gpt2)
    assert reads_text(gpt2)
    assert (facts.model_type, facts.n_layers, facts.n_dims, facts.max_tokens) == (
        "gpt2", 3, 16, 256,
    )  # fmt: skip
    assert facts.n_parameters == sum(
        p.numel() for p in GPT2LMHeadModel.from_pretrained(gpt2).parameters()
    )
    speech = tmp_path / "speech"
    speech.mkdir()
    (speech / "config.json").write_text(json.dumps({"model_type": "wav2vec2"}))
    (speech / "vocab.json").write_text("{}")
    assert not reads_text(speech)  # a wav2vec2 without its preprocessor is no text model


@pytest.mark.parametrize(
    ("card", "known"),
    [
        ("---\nlanguage: en\n---\n# GPT-2", ("en",)),
        ("---\nlanguage:\n- nl\n- no\n---\n", ("nl", "no")),
        ("---\nlanguage: multilingual\n---\n", ()),
        ("---\nlicense: mit\n---\n", ()),
        ("no card at all", ()),
        ("---\n: [\n---\n", ()),
    ],
)
def test_the_model_card_states_languages(tmp_path, card, known):
    (tmp_path / "README.md").write_text(card)
    assert card_languages(tmp_path) == known


def test_no_card_states_nothing(tmp_path):
    assert card_languages(tmp_path) == ()
