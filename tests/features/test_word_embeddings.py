import numpy as np
import pytest

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.word_embeddings import (
    EmbeddedPart,
    WordEmbeddings,
    concatenate,
    known_to_all,
)


def made(widths, *, known=(True, True, True), seed=0, of_audio=False, notes=()):
    rng = np.random.default_rng(seed)
    rows = np.array(known)
    values = []
    for width in widths:
        layer = rng.standard_normal((len(rows), width)).astype(np.float32)
        layer[~rows] = 0
        values.append(layer)
    layers = tuple(map(str, range(len(widths))))
    return WordEmbeddings(layers, tuple(values), rows, notes, "Made up.", of_audio=of_audio)


def test_a_layer_is_taken_by_name():
    found = made([4, 5, 6], of_audio=True, notes=("A note.",))
    one = found.at("2")
    assert one.layers == ("2",)
    np.testing.assert_array_equal(one.values[0], found.values[2])
    assert (one.notes, one.description, one.of_audio) == (("A note.",), "Made up.", True)
    with pytest.raises(BrainAlignError, match="no layer 3; there are 0 to 2") as caught:
        found.at("3")
    assert caught.value.exit_code == ExitCode.USAGE


def test_side_by_side_every_column_says_where_it_is_from():
    text = made([2, 3], notes=("One is in lower case.",))
    sound = made([4], known=(True, False, True), seed=1, of_audio=True)
    both = concatenate([text.at("1"), sound], ["vectors", "heard"])
    assert both.layers == ("1+0",)
    assert both.parts == (EmbeddedPart("vectors", 3, False), EmbeddedPart("heard", 4, True))
    np.testing.assert_array_equal(both.known, [True, False, True])
    np.testing.assert_array_equal(both.values[0][[0, 2], :3], text.values[1][[0, 2]])
    np.testing.assert_array_equal(both.values[0][[0, 2], 3:], sound.values[0][[0, 2]])
    assert not both.values[0][1].any()
    assert both.notes == ("vectors: One is in lower case.",)
    assert not both.of_audio
    assert "columns 1 to 3 are vectors, layer 1" in both.description
    assert "columns 4 to 7 are heard, layer 0" in both.description
    with pytest.raises(ValueError, match="choose one layer"):
        concatenate([text, sound], ["a", "b"])


def test_all_models_are_scored_on_the_words_that_all_know():
    first, second = made([2], known=(True, False, True)), made([3], known=(True, True, False))
    np.testing.assert_array_equal(known_to_all([first, second]), [True, False, False])
    with pytest.raises(BrainAlignError, match="different words: 2, 3"):
        known_to_all([first, made([2], known=(True, True))])


def test_numbers_that_are_none_are_refused_where_they_are_made():
    layer = np.ones((3, 2), dtype=np.float32)
    layer[1, 1] = np.inf
    with pytest.raises(BrainAlignError, match=r"Layer 0 .* 1 of 3 words, the first is word 2"):
        WordEmbeddings(("0",), (layer,), np.ones(3, dtype=bool), (), "")
    with pytest.raises(ValueError, match="2 rows of 3 words"):
        WordEmbeddings(("0",), (layer[:2],), np.ones(3, dtype=bool), (), "")
