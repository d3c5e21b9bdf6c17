import pytest

from bids_brainalign.dataset.tables import read_numbered, read_tsv
from bids_brainalign.errors import BrainAlignError, ExitCode
from tests.dataset.trees import write


def test_everything_is_a_string_and_n_a_stays(tmp_path):
    path = write(tmp_path / "t.tsv", "name\tx\nG1\tn/a\nNA\t01\n", bom=True)
    table = read_tsv(path)
    assert table.columns.tolist() == ["name", "x"]
    assert table.to_numpy().tolist() == [["G1", "n/a"], ["NA", "01"]]
    assert table.index.tolist() == [0, 1]


def test_quotes_and_unicode_line_separators_are_text(tmp_path):
    """Transcripts hold quotes that never close, and U+2028 and U+0085 are no line ends."""
    path = write(tmp_path / "t.tsv", 'onset\tword\n1\t"Hello\n2\ta\u2028b\u0085c\n')
    assert read_tsv(path)["word"].tolist() == ['"Hello', "a\u2028b\u0085c"]


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_line_ends_and_blank_lines(tmp_path, end):
    path = tmp_path / "t.tsv"
    path.write_bytes(end.join(["a\tb", "1\t2", "", "3\t", ""]).encode())
    table = read_numbered(path)
    assert table.to_numpy().tolist() == [["1", "2"], ["3", "n/a"]]
    assert table.index.tolist() == [2, 4]


def test_commas_separate_only_in_csv(tmp_path):
    """ds005574 ships podcast_transcript.csv."""
    path = write(tmp_path / "t.csv", 'word,start,end\n"well, yes",1,2\n')
    assert read_tsv(path)["word"].tolist() == ["well, yes"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"a\tb\n1\t2\n3\n", "t.tsv, line 3: 1 fields, but the header has 2"),
        (b"a\tb\n1\t2\t3\n", "t.tsv, line 2: 3 fields, but the header has 2"),
        (b"a\tb\n1\t2\n\xff\t3\n", "t.tsv, line 3: not UTF-8 text \\(byte 0xff\\)"),
        (b"a\ta\n1\t2\n", "the column 'a' stands 2 times"),
        (b"\n \n", "only blank lines"),
    ],
)
def test_broken_tables_name_the_line(tmp_path, raw, message):
    path = tmp_path / "t.tsv"
    path.write_bytes(raw)
    with pytest.raises(BrainAlignError, match=message) as caught:
        read_tsv(path)
    assert caught.value.exit_code == ExitCode.DATA_ERROR


def test_pointers_and_empty_tables_are_missing_input(tmp_path):
    path = write(tmp_path / "t.tsv", "/annex/objects/MD5E-s9--ab.tsv\n")
    with pytest.raises(BrainAlignError, match=r"t\.tsv is not downloaded") as caught:
        read_tsv(path)
    assert caught.value.exit_code == ExitCode.MISSING_INPUT
    with pytest.raises(BrainAlignError, match="empty"):
        read_tsv(write(tmp_path / "e.tsv"))
