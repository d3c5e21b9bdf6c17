import json

import pytest

from bids_brainalign.dataset.gentle import read_gentle_phones, read_gentle_words
from bids_brainalign.errors import BrainAlignError
from tests.dataset.trees import write


def test_words_have_no_header_and_some_have_no_time(tmp_path):
    text = 'I,i,15.33,15.44\n"began, ",began,15.44,15.9\nRam,,,\n\nzounds,<unk>,16,16.5\n'
    words = read_gentle_words(write(tmp_path / "align.csv", text), root=tmp_path)
    assert words.table["label"].tolist() == ["I", "began, ", "zounds"]
    assert words.table["duration"].tolist() == pytest.approx([0.11, 0.46, 0.5])
    assert words.n_untimed == 1


def test_phones_follow_one_another_within_a_word(tmp_path):
    words = [
        {"word": "in", "start": 2.0, "end": 2.3, "case": "success",
         "phones": [{"phone": "ih_B", "duration": 0.1}, {"phone": "n_E", "duration": 0.2}]},
        {"word": "Ram", "case": "not-found-in-audio"},
        {"word": "uh", "start": 3.0, "phones": [{"phone": "oov_S", "duration": 0.2}]},
    ]  # fmt: skip
    path = write(tmp_path / "align.json", json.dumps({"words": words}))
    phones = read_gentle_phones(path, root=tmp_path)
    assert phones.table["label"].tolist() == ["ih", "n", "oov"]
    assert phones.table["onset"].tolist() == pytest.approx([2.0, 2.1, 3.0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("I,i,15.33\n", "line 1: 3 fields"),
        ("word,aligned,start,end\n", "line 1: could not convert"),
        ("I,i,2,1\n", "a time is negative, or an end lies before its start"),
    ],
)
def test_other_forms_are_named(tmp_path, text, message):
    with pytest.raises(BrainAlignError, match=message):
        read_gentle_words(write(tmp_path / "align.csv", text), root=tmp_path)


@pytest.mark.parametrize("text", ["[]", "{", '{"words": [{"start": 1, "phones": [{}]}]}'])
def test_other_json_is_named(tmp_path, text):
    with pytest.raises(BrainAlignError, match="not Gentle's JSON"):
        read_gentle_phones(write(tmp_path / "align.json", text), root=tmp_path)
