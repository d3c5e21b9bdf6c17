"""Which words and layers are used, and what is refused without harm to the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.dataset.speech_audio import SpeechAudio
from bids_brainalign.dataset.spoken_words import SpokenWords
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.features.word_embeddings import WordEmbeddings
from bids_brainalign.outputs.names import fit_name
from bids_brainalign.workflow.production import word_vectors
from bids_brainalign.workflow.production.speakers import Speaker
from bids_brainalign.workflow.production.word_sounds import SpeakerSound
from bids_brainalign.workflow.production.word_vectors import (
    Source,
    choose_words,
    embedding_label,
    embedding_step,
    layer_of,
    load_embedding,
    save_embedding,
)
from bids_brainalign.workflow.spaces import Space
from tests.workflow.production.spoken import config, vectors

WORDS = pd.DataFrame({"word": [f"word{i}" for i in range(24)]})


def model(n_layers: int = 4, *, unknown: tuple[int, ...] = (), width: int = 3) -> WordEmbeddings:
    rng = np.random.default_rng(n_layers)
    known = ~np.isin(np.arange(len(WORDS)), unknown)
    values = [rng.standard_normal((len(WORDS), width)).astype("f") for _ in range(n_layers)]
    return WordEmbeddings(
        tuple(map(str, range(n_layers))),
        tuple(np.where(known[:, np.newaxis], v, 0) for v in values),
        known,
        ("2 words have none.",) if unknown else (),
        "Of a test.",
    )


@pytest.mark.parametrize(
    ("wanted", "layer"), [("penultimate", "2"), ("last", "3"), ("0", "0"), ("3", "3")]
)
def test_layers(wanted: str, layer: str) -> None:
    assert layer_of(model(), wanted, "gpt2") == layer


def test_one_layer_is_taken_whatever_is_asked_for() -> None:
    assert layer_of(model(1), "7", "fasttext") == "0"


def test_a_layer_that_a_model_has_not() -> None:
    with pytest.raises(BrainAlignError, match=r"gpt2 has no layer 4.\n.*it has 0 to 3"):
        layer_of(model(), "4", "gpt2")


def test_all_embeddings_get_the_same_words_and_the_lost_ones_are_named() -> None:
    found = {"a": model(unknown=(2, 5)), "b": model(1, unknown=(7,))}
    chosen, refused = choose_words(found, ("a+b",), "last", WORDS)
    assert not refused
    assert list(chosen.by_name) == ["a", "b", "a+b"]
    assert np.flatnonzero(~chosen.shared).tolist() == [2, 5, 7]
    assert chosen.by_name["a+b"].values[0].shape == (24, 6)
    assert "3 of 24 words lack a vector somewhere" in chosen.lost
    assert "word2, word5, word7" in chosen.lost
    assert chosen.notes_of("a") == ["2 words have none.", chosen.lost]


def test_an_embedding_without_words_costs_the_others_nothing() -> None:
    foreign = model(1, unknown=tuple(range(15)))
    chosen, refused = choose_words({"a": model(), "zh": foreign}, ("a+zh",), "last", WORDS)
    assert list(chosen.by_name) == ["a"]
    assert chosen.shared.all()
    assert "vectors of 9 different words" in str(refused["zh"])
    assert "another language" in str(refused["zh"])
    assert "there is no zh" in str(refused["a+zh"])


def test_embeddings_are_kept_as_they_are(tmp_path: Path) -> None:
    one = model(unknown=(3,))
    back = load_embedding(save_embedding(tmp_path / "one.npz", one))
    assert back.layers == one.layers
    assert all(np.array_equal(a, b) for a, b in zip(back.values, one.values, strict=True))
    assert back.known.tolist() == one.known.tolist()
    assert (back.notes, back.description, back.of_audio) == (one.notes, one.description, False)


def test_labels() -> None:
    assert embedding_label("fast-text") == "fasttext"
    assert embedding_label("gpt2:running+wav2vec2:untrained") == "gpt2RunningAndWav2vec2Untrained"


class Tone:
    """Loud everywhere."""

    path = Path("tone.wav")

    def samples(self, first: int, stop: int) -> np.ndarray:
        return np.ones(stop - first, dtype=np.float32)


def joined() -> tuple[pd.DataFrame, SpeakerSound]:
    """Two runs, the first without a sound; the sound of the second is from 1 to 9 s."""
    audio = SpeechAudio(16_000.0, 1.0, 8 * 16_000, "A tone.", Tone())
    words = pd.DataFrame(
        {
            "word": list("abcdefg"),
            "recording": ["one", "one", "two", "two", "two", "two", "two"],
            "content_group": "",
            "run": [0, 0, 1, 1, 1, 1, 1],
            "onset": [0.0, 2.0, 0.2, 2.0, 8.8, 8.9, 9.5],
            "offset": [0.5, 2.5, 0.7, 2.5, 9.3, 12.0, 9.9],
        }
    )
    return words, SpeakerSound((None, audio), "d")


def embedded_words(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[pd.DataFrame, Path]:
    """Words as a speech model gets them, and where its vectors are left."""
    given: list[pd.DataFrame] = []

    def embed(_config: object, _space: object, words: pd.DataFrame, **_: object) -> WordEmbeddings:
        given.append(words)
        return vectors(np.zeros((len(words), 2)))

    monkeypatch.setattr(word_vectors, "word_embeddings", embed)
    words, sound = joined()
    recording = Recording("01", None, "w", None, "ieeg", Path("a.edf"), "ieeg", ())
    said = SpokenWords(pd.DataFrame(), "", ())
    who = Speaker(fit_name([recording]), (recording,), (said,))
    space = Space("wavlm", "model", None, "w")
    step = embedding_step(config(folder), who, Source("wavlm", space, "alone"), words, sound)
    (path,) = step.work()
    return given[0], path


def test_words_that_no_sound_was_recorded_of_have_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else they would hear the next recording, or silence."""
    found, _ = embedded_words(tmp_path, monkeypatch)
    nan = np.nan  # the second run begins after a second of silence, and another one follows it
    np.testing.assert_allclose(found["onset_s"], [nan, nan, nan, 3.0, 9.8, 9.9, nan])
    np.testing.assert_allclose(found["offset_s"], [nan, nan, nan, 3.5, 10.3, 11.0, nan])


def test_other_places_in_the_joined_sound_are_other_embeddings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, path = embedded_words(tmp_path, monkeypatch)
    monkeypatch.setattr(SpeakerSound, "offsets_s", (0.0, 0.0))
    _, other = embedded_words(tmp_path, monkeypatch)
    assert path != other
