"""Embeddings of spoken words by every kind of model that a run can name."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from transformers import WavLMConfig

from bids_brainalign.config.schema import Config, Features, Paths
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.language_model import LanguageModel
from bids_brainalign.features.models import open_model
from bids_brainalign.features.static_vectors import open_vectors
from bids_brainalign.features.transcript import Reading
from bids_brainalign.features.waveform import WaveformLayers
from bids_brainalign.features.word_clips import embed_clips
from bids_brainalign.features.word_embeddings import concatenate
from bids_brainalign.features.word_lookup import embed_static
from bids_brainalign.features.word_reading import embed_text
from bids_brainalign.production.inputs import Part, Preparation
from bids_brainalign.production.mapping import map_words
from bids_brainalign.production.ridge import Ridge
from bids_brainalign.workflow.production_embeddings import (
    WordEmbedder,
    embeds_words,
    preparation_of,
    word_embeddings,
    word_work,
)
from bids_brainalign.workflow.spaces import list_spaces, twin_seed
from tests.features.test_language_model import write_gpt2
from tests.features.test_waveform import SIZES, noise, save
from tests.production.planted import folds_of
from tests.small_whisper import write_small_whisper

LABELS = ["sailor", "storm", "white", "houses", "sailor", "silence"]
WORDS = pd.DataFrame(
    {
        "word": LABELS,
        "onset_s": [0.2, 1.0, 2.1, 3.0, np.nan, 5.1],
        "offset_s": [0.6, 1.5, 2.6, 3.7, np.nan, 5.6],
        "content_group": ["a", "a", "a", "b", "b", "b"],
    }
)
WAVE = noise(6)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    root = tmp_path_factory.mktemp("production")
    gpt2 = write_gpt2(root / "gpt2")
    (gpt2 / "README.md").write_text("---\nlanguage: en\n---\n")
    vectors = root / "cc.nl.vec"
    rng = np.random.default_rng(0)
    lines = [f"{word} {' '.join(map(str, rng.normal(size=5)))}\n" for word in LABELS[:4]]
    vectors.write_text("".join(lines))
    own = root / "own"
    own.mkdir()
    (own / "words.tsv").write_text("word\tsize\tsound\nstorm\t3\t1\nsailor\t2\t-1\n")
    speech = WavLMConfig(**SIZES)
    models = {
        "gpt2": gpt2,
        "vectors": vectors,
        "wavlm": save(root / "wavlm", speech),
        "whisper": write_small_whisper(root / "whisper", seed=0),
    }
    return Config(
        level="participant",
        paths=Paths(root, root / "out", root / "work", features=(("mine", own),)),
        features=Features(
            models=tuple((name, str(path)) for name, path in models.items()), text_context_words=2
        ),
    )


@pytest.fixture(scope="module")
def spaces(config):
    return {space.name: space for space in list_spaces(config)}


def embedded(config, space, *, wave=lambda: WAVE, context="alone", language="en", words=WORDS):
    return word_embeddings(config, space, words, language=language, wave=wave, context=context)


def same(found, expected):
    assert found.layers == expected.layers
    np.testing.assert_array_equal(found.known, expected.known)
    for value, other in zip(found.values, expected.values, strict=True):
        np.testing.assert_allclose(value, other, atol=1e-6)


@pytest.mark.parametrize("context", ["alone", "running"])
@pytest.mark.parametrize("name", ["gpt2", "gpt2:untrained"])
def test_language_models_read_as_the_run_says(config, spaces, name, context):
    space = spaces[name]
    seed = twin_seed(config, space) if name.endswith("untrained") else None
    found = embedded(config, space, context=context, wave=None)
    expected = embed_text(
        LanguageModel(space.source, untrained_seed=seed), LABELS, language="en", context=context,
        reading=Reading(2, 1, "last"), passages=["a"] * 3 + ["b"] * 3,
    )  # fmt: skip
    same(found, expected)
    assert found.description.startswith("Language model gpt2 (2 blocks, width 16")
    assert ("random weights" in found.description) == (seed is not None)
    assert found.description.endswith(expected.description)


def test_a_twin_has_other_vectors_than_its_model(config, spaces):
    for name in ("gpt2", "wavlm", "whisper"):
        trained = embedded(config, spaces[name]).values[2]
        twin = embedded(config, spaces[f"{name}:untrained"]).values[2]
        assert not np.allclose(trained, twin, atol=1e-2 * np.abs(trained).max())


@pytest.mark.parametrize("name", ["wavlm", "whisper", "wavlm:untrained"])
def test_speech_models_hear_the_words_of_the_recording(config, spaces, name):
    space = spaces[name]
    seed = twin_seed(config, space) if name.endswith("untrained") else None
    found = embedded(config, space)
    model = open_model(space.source, untrained_seed=seed)
    expected = embed_clips(
        model, WAVE, WORDS["onset_s"].to_numpy(), WORDS["offset_s"].to_numpy(), words=LABELS
    )
    same(found, expected)
    np.testing.assert_array_equal(found.known, [1, 1, 1, 1, 0, 1])
    assert found.notes == ("1 of 6 words have no time in the sound and so no vector: sailor.",)
    with pytest.raises(BrainAlignError, match=f"{name} hears words, and there is no") as caught:
        embedded(config, space, wave=None)
    assert caught.value.exit_code == ExitCode.MISSING_INPUT


def test_tables_are_looked_up(config, spaces):
    found = embedded(config, spaces["vectors"], wave=None, language="nl-BE")
    same(found, embed_static(open_vectors(spaces["vectors"].source), LABELS))
    assert found.notes == ("1 of 6 words have no vector: silence.",)
    assert found.description.startswith("Word vectors of cc.nl.vec. One vector of 5 numbers")
    mine = embedded(config, spaces["mine"], wave=None)
    np.testing.assert_array_equal(mine.known, [1, 1, 0, 0, 1, 0])
    np.testing.assert_allclose(mine.values[0][:2], [[2, -1], [3, 1]])
    assert mine.description.startswith("Vectors given by the user in own.")


def test_words_in_a_language_that_a_model_does_not_know_are_noted(config, spaces):
    for name, language, known in (("gpt2", "nl", "en"), ("vectors", "en", "nl")):
        found = embedded(config, spaces[name], language=language)
        assert found.notes[0].startswith(
            f"{name} knows {known}, and the words are in '{language}'"
        )
    assert "knows" not in " ".join(embedded(config, spaces["gpt2"], language="en-GB").notes)


def test_spaces_without_vectors_of_words_are_told_apart(config, spaces, tmp_path):
    assert [name for name, space in spaces.items() if not embeds_words(space)] == ["lowlevel"]
    causal = replace(spaces["whisper"], name="whisper:causal", mode="causal")
    for space in (spaces["lowlevel"], causal):
        with pytest.raises(BrainAlignError, match=f"{space.name} has no vectors of words"):
            embedded(config, space)
    empty = replace(spaces["mine"], source=tmp_path)
    with pytest.raises(BrainAlignError, match="has no vectors of words") as caught:
        embedded(config, empty)
    assert caught.value.exit_code == ExitCode.MISSING_INPUT


def test_a_model_is_opened_once_for_all_participants(config, spaces, monkeypatch):
    opened = []
    init = WaveformLayers.__init__

    def counted(self, *args, **options):
        opened.append(1)
        init(self, *args, **options)

    monkeypatch.setattr(WaveformLayers, "__init__", counted)
    embedder = WordEmbedder(config, spaces["wavlm"])
    first, second = (
        embedder.embed(WORDS, language="en", wave=lambda wave=wave: wave, context="alone")
        for wave in (WAVE, noise(6, seed=1))
    )
    assert len(opened) == 1
    assert not np.allclose(first.values[1], second.values[1])


@pytest.mark.parametrize(
    ("name", "context", "n_passes"),
    [
        ("gpt2", "alone", 5), ("gpt2", "running", 6), ("gpt2:untrained", "alone", 5),
        ("wavlm", "alone", 5), ("whisper", "running", 5), ("vectors", "alone", 0),
        ("mine", "alone", 0),
    ],
)  # fmt: skip
def test_work_is_told_before_weights_are_opened(config, spaces, name, context, n_passes):
    work = word_work(config, spaces[name], WORDS, context=context)
    assert work.n_passes == n_passes
    assert (work.operations > 0) == (n_passes > 0)


def test_whisper_works_as_long_on_a_short_word_as_on_a_long_one(config, spaces):
    short = WORDS.assign(offset_s=WORDS["onset_s"] + 0.1)
    whole, brief = (
        {
            name: word_work(config, spaces[name], words, context="alone").operations
            for name in ("wavlm", "whisper")
        }
        for words in (WORDS, short)
    )
    assert whole["whisper"] == brief["whisper"]
    assert whole["wavlm"] > 4 * brief["wavlm"]


def test_side_by_side_what_was_heard_is_reduced_and_what_was_read_is_not(config, spaces):
    rng = np.random.default_rng(0)
    n = 30
    words = pd.DataFrame(
        {
            "word": rng.choice(["sailor", "storm", "white", "houses"], n),
            "onset_s": 0.15 * np.arange(n) + 0.5,
            "offset_s": 0.15 * np.arange(n) + 0.6,
            "content_group": np.arange(n),
        }
    )
    read = embedded(config, spaces["vectors"], words=words)
    heard = embedded(config, spaces["wavlm"], words=words)
    assert preparation_of(read, explained=0.9) == Preparation()
    assert preparation_of(heard, explained=0.9) == Preparation(0.9)
    both = concatenate([read, heard.at("2")], ["vectors", "wavlm"])
    how = preparation_of(both, explained=0.9)
    assert how == Preparation(parts=(Part(5), Part(24, 0.9)))
    responses = rng.standard_normal((n, 3)) + 10
    found = map_words(both.values[0], responses, folds_of(n), Ridge(), preparation=how)
    assert np.isfinite(found.model).all()
    assert (found.non_zero < 29).all()
