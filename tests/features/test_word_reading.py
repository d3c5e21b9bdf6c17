"""Spoken words through language models: against plain calls of transformers."""

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.features.language_model import LanguageModel
from bids_brainalign.features.transcript import Reading
from bids_brainalign.features.word_reading import embed_text, text_passes
from tests.features.test_language_model import STORY, write_gpt2, write_tokenizer

SPOKEN = [*STORY[:9], "sailor", *STORY[:6], "unforgettable", "sailor"]
LAST = Reading(context_words=3, words_per_pass=1, pooling="last")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_gpt2(tmp_path_factory.mktemp("gpt2") / "model")


@pytest.fixture(scope="module")
def gpt2(folder):
    return LanguageModel(folder)


def embedded(model, words, context, reading=LAST, **options):
    return embed_text(model, words, language="en", context=context, reading=reading, **options)


def plain_states(folder, ids, n_own, pooling="last"):
    """(n_layers, n_dims) by one call of transformers."""
    model = GPT2LMHeadModel.from_pretrained(folder).eval()
    with torch.no_grad():
        states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
    first = -n_own if pooling == "mean" else -1
    return np.array([state[0, first:].mean(dim=0).numpy() for state in states])


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_alone_is_the_begin_token_and_the_word_with_its_blank(folder, gpt2, pooling):
    found = embedded(gpt2, SPOKEN, "alone", Reading(3, 4, pooling), batch_size=3)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert found.layers == ("0", "1", "2")
    assert found.known.all()
    lengths = []
    for row, word in enumerate(SPOKEN):
        own = tokenizer.encode(f" {word}").ids
        lengths.append(len(own))
        assert own != tokenizer.encode(word).ids
        expected = plain_states(folder, [0, *own], len(own), pooling)
        for layer, value in enumerate(found.values):
            np.testing.assert_allclose(value[row], expected[layer], atol=1e-5)
    assert max(lengths) > 2
    several = [word for word, n in zip(SPOKEN, lengths, strict=True) if n > 1]
    assert f"{len(several)} of {len(SPOKEN)} words are read in several tokens" in found.notes[0]
    assert "alone" in found.description


def test_alone_equal_words_have_equal_vectors_and_are_read_once(gpt2, monkeypatch):
    batches = []
    forward = LanguageModel._forward

    def counted(self, ids):
        batches.append(len(ids))
        return forward(self, ids)

    monkeypatch.setattr(LanguageModel, "_forward", counted)
    found = embedded(gpt2, SPOKEN, "alone")
    assert sum(batches) == len(set(SPOKEN)) == text_passes(SPOKEN, context="alone", reading=LAST)
    rows = [row for row, word in enumerate(SPOKEN) if word == "sailor"]
    assert len(rows) == 4
    for layer in found.values:
        np.testing.assert_array_equal(layer[rows], layer[[rows[0]] * 4])
    shorter = embedded(gpt2, SPOKEN[:4], "alone")
    np.testing.assert_allclose(shorter.values[2], found.values[2][:4], atol=1e-5)


@pytest.mark.parametrize("context_words", [0, 3, 100])
def test_running_words_know_those_before_them_in_their_passage(folder, gpt2, context_words):
    passages = ["first"] * 7 + ["second"] * (len(SPOKEN) - 7)
    reading = Reading(context_words, 1, "last")
    found = embedded(gpt2, SPOKEN, "running", reading, passages=passages, batch_size=4)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for row, word in enumerate(SPOKEN):
        first = 0 if row < 7 else 7
        tokens = [
            tokenizer.encode(("" if i == first else " ") + SPOKEN[i]).ids
            for i in range(max(first, row - context_words), row + 1)
        ]
        expected = plain_states(folder, [0, *(t for ids in tokens for t in ids)], len(tokens[-1]))
        for layer, value in enumerate(found.values):
            np.testing.assert_allclose(value[row], expected[layer], atol=1e-5, err_msg=word)
    rows = [row for row, word in enumerate(SPOKEN) if word == "sailor"]
    equal = np.allclose(found.values[2][rows[0]], found.values[2][rows[1]], atol=1e-4)
    assert equal == (context_words == 0)


def test_a_passage_may_come_as_any_column_and_returns_as_another_stretch(gpt2):
    words, groups = STORY[:6], pd.Series([1, 1, 2, 2, 1, 1])
    found = embedded(gpt2, words, "running", passages=groups)
    for rows in ([0, 1], [2, 3], [4, 5]):
        alone = embedded(gpt2, [words[row] for row in rows], "running")
        np.testing.assert_allclose(found.values[2][rows], alone.values[2], atol=1e-5)
    assert not any("passage" in note for note in found.notes)
    single = embedded(gpt2, words, "running", passages=range(6))
    assert "No word has another before it in its passage: each was read alone." in single.notes
    with pytest.raises(BrainAlignError, match="5 passages are given for 6 words"):
        embedded(gpt2, words, "running", passages=groups[:5])


@pytest.mark.parametrize("context", ["alone", "running"])
def test_words_that_are_none_have_no_vector_and_change_nothing(gpt2, context):
    words = ["we", None, "met", "n/a", "sailor", np.nan]
    found = embedded(gpt2, words, context)
    np.testing.assert_array_equal(found.known, [1, 0, 1, 0, 1, 0])
    without = embedded(gpt2, ["we", "met", "sailor"], context)
    for layer, plain in zip(found.values, without.values, strict=True):
        np.testing.assert_allclose(layer[found.known], plain, atol=1e-5)
        assert not layer[~found.known].any()
    assert "3 of 6 words have no tokens and so no vector: (empty)." in found.notes
    nothing = embedded(gpt2, [None, ""], context)
    assert not nothing.known.any()
    assert nothing.values[0].shape == (2, 16)


def test_capitals_are_read_in_lower_case(gpt2):
    found = embedded(gpt2, ["WE", "MET"], "alone")
    lower = embedded(gpt2, ["we", "met"], "alone")
    np.testing.assert_array_equal(found.values[2], lower.values[2])
    assert "capitals" in found.notes[0]


def test_the_number_of_passes_is_told_beforehand(gpt2, monkeypatch):
    seen = []
    passes = LanguageModel._passes

    def counted(self, words, reading):
        found = passes(self, words, reading)
        seen.append(len(found))
        return found

    monkeypatch.setattr(LanguageModel, "_passes", counted)
    words, groups = [*STORY[:5], "", *STORY[5:10]], [0] * 4 + [1] * 7
    for per_pass in (1, 3):
        seen.clear()
        reading = Reading(2, per_pass, "last")
        embedded(gpt2, words, "running", reading, passages=groups)
        told = text_passes(words, context="running", reading=reading, passages=groups)
        assert sum(seen) == told == (10 if per_pass == 1 else 4)


def test_tokenizers_that_put_a_blank_themselves_do_not_get_two(tmp_path):
    """GPT-2's with ``add_prefix_space``, and Llama's, which mark words at their beginning."""
    folder = write_gpt2(tmp_path / "gpt2")
    tokenizer = write_tokenizer(folder, prefix_blank=True)
    found = embedded(LanguageModel(folder), ["sailor"], "alone")
    expected = plain_states(folder, [0, *tokenizer.encode("sailor").ids], 1)
    np.testing.assert_allclose(found.values[2][0], expected[2], atol=1e-5)
    words = ["▁" + word for word in dict.fromkeys(STORY)]
    vocabulary = {word: i for i, word in enumerate(["<unk>", "<s>", *words])}
    marked = Tokenizer(models.WordLevel(vocabulary, "<unk>"))
    marked.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    marked.decoder = decoders.Metaspace()
    llama = tmp_path / "llama"
    torch.manual_seed(0)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(vocabulary), hidden_size=16, intermediate_size=24, num_hidden_layers=2,
            num_attention_heads=2, initializer_range=0.3, bos_token_id=1,
        )
    ).save_pretrained(llama)  # fmt: skip
    special = {"bos_token": "<s>"}
    PreTrainedTokenizerFast(tokenizer_object=marked, **special).save_pretrained(llama)
    model = LanguageModel(llama)
    assert model.tokens(["sailor"] * 2, language="en")[1] == (vocabulary["▁sailor"],)
    with torch.no_grad():
        plain = LlamaForCausalLM.from_pretrained(llama).eval()(
            torch.tensor([[1, vocabulary["▁sailor"]]]), output_hidden_states=True
        )
    found = embedded(model, ["sailor"], "alone")
    np.testing.assert_allclose(found.values[1][0], plain.hidden_states[1][0, -1], atol=1e-5)
