import csv

import pytest

from bids_brainalign.dataset.annotations import read_words
from bids_brainalign.errors import BrainAlignError, ExitCode
from tests.dataset.trees import write


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("onset\tduration\tword", "1.5\t0.5\thi"),
        ("word\tonset\toffset", "hi\t1.5\t2.0"),
        ("start\tend\ttext", "1.5\t2.0\thi"),
        ("label\tstart\tstop\tconfidence", "hi\t1.5\t2.0\t.9"),
    ],
)
def test_usual_column_names_mean_the_same(tmp_path, header, row):
    words = read_words(write(tmp_path / "w.tsv", f"{header}\n{row}\n")).table
    assert words.to_numpy().tolist() == [[1.5, 0.5, "hi"]]
    assert words.columns.tolist() == ["onset", "duration", "label"]


def test_words_without_time_are_counted_not_guessed(tmp_path):
    text = "onset\tduration\tword\n3\t1\tc\nn/a\tn/a\tum\n1\t1\ta\n2\tn/a\tb\n"
    words = read_words(write(tmp_path / "w.tsv", text))
    assert words.table["label"].tolist() == ["a", "c"]
    assert words.n_untimed == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("onset\tduration\tword\n1\t.1\ta\n\n2\t-1\tb\n", "line 4: a word ends before"),
        ("start\tend\tword\n2\t1\tb\n", "line 2: a word ends before it starts"),
        ("onset\tduration\tword\n-2\t1\tb\n", "line 2: a word starts before its audio"),
        ("onset\tduration\tword\ninf\t1\tb\n", "line 2: onset is 'inf'"),
        ("onset\tduration\tword\n1\t1,5\tb\n", "line 2: duration is '1,5'"),
        ("onset\tduration\tphone\n1\t1\tb\n", "no column word or label or text"),
    ],
)
def test_wrong_times_are_named_by_line(tmp_path, text, message):
    with pytest.raises(BrainAlignError, match=message) as caught:
        read_words(write(tmp_path / "w.tsv", text))
    assert caught.value.exit_code == ExitCode.DATA_ERROR


@pytest.mark.shared
def test_the_podcast_transcript_keeps_every_word_and_time(shared):
    path = shared / "data/ds005574/stimuli/spectral/transcript.tsv"
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    onsets = [float(row["start"]) for row in rows]
    assert onsets != sorted(onsets)  # else this shows nothing
    words = read_words(path).table
    assert words["onset"].tolist() == sorted(onsets)
    assert sorted(words["label"]) == sorted(row["word"] for row in rows)
    assert words["duration"].between(0.0, 1.3).all()
