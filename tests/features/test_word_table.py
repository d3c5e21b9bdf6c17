import numpy as np
import pytest

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.word_lookup import embed_static
from bids_brainalign.features.word_table import open_word_table

TABLE = "size\tword\tanimacy\n2.5\thuis\t-1\n1e-3\tkat\t1\n2.5\thuis\t-1\n"


def written(folder, text, name="words.tsv"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_a_users_table_is_an_embedding_of_its_columns(tmp_path):
    vectors = open_word_table(written(tmp_path, TABLE))
    found = embed_static(vectors, ["Kat", "huis", "hond"])
    np.testing.assert_allclose(found.values[0], [[1e-3, 1], [2.5, -1], [0, 0]])
    assert found.notes[0] == "1 of 3 words have no vector: hond."


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("label\tsize\nkat\t1\n", "has no column word, but label, size"),
        ("word\nkat\n", "has no columns of numbers"),
        ("word\tsize\n", "has no words"),
        ("word\tsize\nhuis\t1\nkat\tbig\n", "words.tsv, line 3, column size: 'big' is no finite"),
        ("word\tsize\nkat\tn/a\n", "line 2, column size: 'n/a'"),
        ("word\tsize\nkat\tinf\n", "line 2, column size: 'inf'"),
        ("word\tsize\nkat\t1e39\n", "line 2, column size: '1e39'"),
        ("word\tsize\nkat\t1\nkat\t2\n", "line 3: 'kat' has had another vector"),
    ],
)
def test_a_wrong_table_is_refused_where_it_is_wrong(tmp_path, text, what):
    with pytest.raises(BrainAlignError, match=what) as caught:
        open_word_table(written(tmp_path, text))
    assert caught.value.exit_code == ExitCode.DATA_ERROR


def test_a_folder_without_a_table_is_refused_by_name(tmp_path):
    written(tmp_path, "", name="story.npy")
    with pytest.raises(BrainAlignError, match="no vectors of words") as caught:
        open_word_table(tmp_path)
    assert caught.value.exit_code == ExitCode.MISSING_INPUT
    assert "story.npy" in str(caught.value)
