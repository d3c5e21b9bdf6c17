import numpy as np
import pandas as pd
import pytest

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.static_vectors import (
    file_languages,
    open_vectors,
    read_static,
    require_vectors,
)
from tests.features.test_fasttext_binary import EXPECTED, ORACLE

VECTORS = {"the": [0.5, -1.25, 3.0], ". . .": [7.0, 8.0, 9.0], "straße": [-0.5, 0.0, 2e-3]}


@pytest.fixture(params=["glove.txt", "crawl.vec"])
def table(request, tmp_path):
    """GloVe's form, and FastText's with a header and blanks at the line ends."""
    end = " \n" if request.param.endswith(".vec") else "\n"
    lines = [f"{word} {' '.join(map(str, vector))}{end}" for word, vector in VECTORS.items()]
    header = f"{len(lines)} 3\n" if request.param.endswith(".vec") else ""
    path = tmp_path / request.param
    path.write_text(header + "".join(lines), encoding="utf-8")
    return path


def spoken(*labels):
    onset = 0.25 + 0.5 * np.arange(len(labels))
    return pd.DataFrame({"onset": onset, "duration": 0.4, "label": labels})


def at(found, seconds):
    return int(np.searchsorted(found.times, seconds, side="right")) - 1


def test_words_of_a_text_file_are_found(table):
    require_vectors(table)
    vectors = open_vectors(table)
    assert vectors.n_dims == 3
    for word, vector in VECTORS.items():
        if " " not in word:
            np.testing.assert_allclose(vectors.find(word), vector)
    assert vectors.find(".") is None  # only ". . ." is there
    assert vectors.find("") is None
    assert vectors.find("3") is None  # the header is no word
    assert vectors.compose("thes") is None


def test_a_story_has_one_layer_and_its_missing_words_are_zeros_and_named(table):
    words = spoken("The", "qwx", "straße,", "the", "qwx")
    found = read_static(open_vectors(table), words, duration_s=3.0)
    assert len(found.layers) == 1
    layer = found.layers[0]
    np.testing.assert_allclose(layer[at(found, 0.3)], VECTORS["the"])  # in lower case
    np.testing.assert_allclose(layer[at(found, 1.3)], VECTORS["straße"])  # without its comma
    assert not layer[at(found, 0.8)].any()
    assert not layer[at(found, 0.7)].any()  # between words
    assert found.notes == ("2 of 5 words have no vector and are zeros: qwx.",)
    assert found.context_past_s == found.context_future_s == pytest.approx(0.4)


def test_a_transcript_in_capitals_is_looked_up_in_lower_case(table):
    found = read_static(open_vectors(table), spoken("THE", "I"), duration_s=2.0)
    np.testing.assert_allclose(found.layers[0][at(found, 0.3)], VECTORS["the"])
    assert found.notes == ("1 of 2 words have no vector and are zeros: i.",)


def test_fasttext_makes_vectors_of_words_it_has_not_seen():
    vectors = open_vectors(ORACLE / "fasttext_small.bin")
    found = read_static(vectors, spoken("the", "harbours!"), duration_s=2.0)
    for seconds, word in ((0.3, "the"), (0.8, "harbours")):
        expected = EXPECTED["small"][word]
        np.testing.assert_allclose(found.layers[0][at(found, seconds)], expected, rtol=1e-5)
    assert found.notes == (
        "1 of 2 words are not in the table, and their vectors are made of their parts: harbours!.",
    )


@pytest.mark.parametrize("text", ["", "hello\nworld\n", "the cat sat on the mat\n", "2 3\n",
                                  "the 0.1\ncat 1 2 3\n"])  # fmt: skip
def test_other_text_is_refused(tmp_path, text):
    path = tmp_path / "notes.txt"
    path.write_text(text)
    for refuse in (require_vectors, open_vectors):
        with pytest.raises(BrainAlignError, match=r"notes\.txt holds no word vectors"):
            refuse(path)


def test_a_spoilt_line_is_named(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_text("the 1 2 3\ncat 1 x 3\n")
    with pytest.raises(BrainAlignError, match="what follows 'cat' is no vector"):
        open_vectors(path).find("cat")


@pytest.mark.parametrize(
    ("rows", "word", "message"),
    [
        (
            ["the 1 2 3", "cat 1 2"],
            "cat",
            r"line 2: 'cat' has 2 numbers, but the first word has 3",
        ),
        (["the 1 2 3", "cat 1 2 3 4"], "cat", r"line 2: 'cat' has 4 numbers, .* has 3"),
        (["2 3", "the 1 2", "a 1 2", "cat 1 2 3"], "cat", r"line 4: 'cat' has 3 numbers, .* 2"),
        (["the\t1\t2\t3", "cat\t1\t2"], "cat", r"line 2: 'cat' has 2 numbers, .* has 3"),
    ],
)
def test_rows_of_other_lengths_are_named_with_both_numbers(tmp_path, rows, word, message):
    path = tmp_path / "glove.txt"
    path.write_text("\n".join(rows) + "\n")
    with pytest.raises(BrainAlignError, match=message) as caught:
        require_vectors(path)
    assert caught.value.exit_code == ExitCode.DATA_ERROR
    assert "as many numbers" in caught.value.fix
    # Beyond what is looked at before the work, the word's own line tells.
    good = rows[-2].replace("the", "{}").replace("a ", "{} ")
    many = [good.format(f"w{n}") for n in range(150)]
    path.write_text("\n".join([*rows[:-1], *many, rows[-1]]) + "\n")
    require_vectors(path)
    vectors = open_vectors(path)
    with pytest.raises(BrainAlignError, match=message.replace(r"line 2", "line 152")
                       .replace(r"line 4", "line 154")):  # fmt: skip
        vectors.find(word)
    assert vectors.find("the") is not None


def test_tabs_separate_as_blanks_do(tmp_path):
    for form in ("{}\t{}\t{}\t{}", "{}\t{} {} {} ", "{}  {}  {}  {}"):
        path = tmp_path / "own.txt"
        lines = [form.format(word, *vector) for word, vector in VECTORS.items() if " " not in word]
        lines += ["New York\t1\t2\t3"] if form.startswith("{}\t") else []
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        require_vectors(path)
        vectors = open_vectors(path)
        assert vectors.n_dims == 3
        np.testing.assert_allclose(vectors.find("straße"), VECTORS["straße"])
        np.testing.assert_allclose(vectors.find("the"), VECTORS["the"])
        if form.startswith("{}\t"):
            np.testing.assert_allclose(vectors.find("New York"), [1, 2, 3])


def test_fasttext_names_its_languages(tmp_path):
    assert file_languages(tmp_path / "cc.nl.300.bin") == ("nl",)
    assert file_languages(tmp_path / "wiki.de.vec") == ("de",)
    assert file_languages(tmp_path / "glove.6B.100d.txt") == ()
