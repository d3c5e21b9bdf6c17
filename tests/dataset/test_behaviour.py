"""Tables of behaviour: both kinds, and what is wrong with others."""

import pytest

from bids_brainalign.dataset.behaviour import read_behaviour
from bids_brainalign.errors import BrainAlignError


def written(tmp_path, text):
    path = tmp_path / "behaviour.tsv"
    path.write_text(text)
    return path


def test_scores_of_participants(tmp_path):
    people = read_behaviour(
        written(tmp_path, "participant_id\tspeech\tage\nsub-01\t3.5\t20\n02\tn/a\t31\n")
    ).people
    assert people.index.tolist() == ["01", "02"]
    assert people.loc["01"].tolist() == [3.5, 20]
    assert people["speech"].isna().tolist() == [False, True]


def test_pairs_count_once(tmp_path):
    text = "phone_a\tphone_b\tscore\np\tb\t4\nb\tp\t2\nt\tt\t9\nt\td\t1\nk\td\tn/a\n"
    pairs = read_behaviour(written(tmp_path, text)).pairs
    assert pairs.to_numpy().tolist() == [["b", "p", 3.0], ["d", "t", 1.0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\tscore\na\t1\n", "neither the column participant_id nor the columns phone_a"),
        ("participant_id\nsub-01\n", "has no column of scores"),
        ("participant_id\ts\nsub-01\t1\n01\t2\n", "more than one row for participant 01"),
        ("participant_id\ts\nsub-01\thigh\n", "row 1: s is 'high', not a number"),
        ("participant_id\ts\nsub-01\tinf\n", "row 1: s is 'inf', not a number"),
        ("phone_a\tphone_b\tscore\np\tn/a\t1\n", "row 1 lacks a phone"),
    ],
)
def test_hostile_tables(tmp_path, text, message):
    with pytest.raises(BrainAlignError) as error:
        read_behaviour(written(tmp_path, text))
    assert message in str(error.value)
