"""Vectors of spoken words from tables: FastText's own numbers, and what is said of gaps."""

import numpy as np
import pandas as pd
import pytest

from bids_brainalign.features.static_vectors import open_vectors
from bids_brainalign.features.word_lookup import embed_static
from tests.features.test_fasttext_binary import EXPECTED, KNOWN, ORACLE


def test_words_of_a_fasttext_model_have_fasttexts_own_vectors():
    words = list(EXPECTED["small"])
    assert set(words) - KNOWN  # some that it has not seen
    found = embed_static(open_vectors(ORACLE / "fasttext_small.bin"), words)
    assert found.layers == ("0",)
    assert found.known.all()
    assert not found.of_audio
    for row, word in enumerate(words):
        expected = EXPECTED["small"][word]
        np.testing.assert_allclose(found.values[0][row], expected, rtol=1e-6, atol=1e-8)
    unseen = [word for word in words if word not in KNOWN]
    assert found.notes == (
        f"{len(unseen)} of {len(words)} words are not in the table, and their vectors are made of "
        f"their parts: {', '.join(unseen)}.",
    )


def test_a_model_without_n_grams_leaves_unseen_words_without_a_vector():
    words = ["the", "harbours", "sailor", "the"]
    found = embed_static(open_vectors(ORACLE / "fasttext_plain.bin"), words)
    np.testing.assert_array_equal(found.known, [True, False, True, True])
    np.testing.assert_allclose(found.values[0][2], EXPECTED["plain"]["sailor"], rtol=1e-6)
    np.testing.assert_array_equal(found.values[0][0], found.values[0][3])
    assert not found.values[0][1].any()
    assert found.notes == ("1 of 4 words have no vector: harbours.",)


@pytest.fixture
def glove(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_text("the 1 2 3\nnan 4 5 6\nsailor 7 8 9\n")
    return open_vectors(path)


def test_forms_of_words_and_words_that_are_none_are_told_apart(glove):
    words = ["Sailor", "nan", float("nan"), None, pd.NA, "", "the,", "qwx"]
    found = embed_static(glove, words)
    np.testing.assert_array_equal(found.known, [1, 1, 0, 0, 0, 0, 1, 0])
    np.testing.assert_allclose(found.values[0][:2], [[7, 8, 9], [4, 5, 6]])
    assert found.notes == (
        "5 of 8 words have no vector: (empty), qwx.",
        "2 of 8 words were found in another form: Sailor as sailor, the, as the.",
    )


def test_a_list_in_capitals_is_looked_up_in_lower_case(glove):
    found = embed_static(glove, ["THE", "SAILOR"])
    np.testing.assert_allclose(found.values[0], [[1, 2, 3], [7, 8, 9]])
    assert "capitals" in found.notes[0]
