import pytest

from bids_brainalign.dataset.textgrid import PHONE_TIERS, WORD_TIERS, read_textgrid
from bids_brainalign.errors import BrainAlignError, ExitCode
from tests.dataset.trees import write

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 3
tiers? <exists>
size = {size}
item []:
{items}"""


def tier(number, name, intervals):
    lines = [
        f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{name}"',
        "        xmin = 0", "        xmax = 3", f"        intervals: size = {len(intervals)}",
    ]  # fmt: skip
    for i, (start, stop, label) in enumerate(intervals, start=1):
        lines += [f"        intervals [{i}]:", f"            xmin = {start}",
                  f"            xmax = {stop}", f'            text = "{label}"']  # fmt: skip
    return "\n".join(lines) + "\n"


def grid(*tiers):
    items = "".join(tier(i, name, intervals) for i, (name, intervals) in enumerate(tiers, start=1))
    return LONG.format(size=len(tiers), items=items)


WORDS = [
    (0, 0.5, "sp"),
    (0.5, 1.0, "I"),
    (1.0, 1.5, "{BR}"),
    (1.5, 2.25, "reached"),
    (2.25, 3, ""),
]
PHONES = [(0, 0.5, "sil"), (0.5, 1.0, "AY1"), (1.0, 1.5, "<unk>"), (1.5, 3, "R")]


@pytest.mark.parametrize(
    "names", [("words", "phones"), ("word", "phone"), ("Joe - Words", "PHONES")]
)
def test_tiers_are_read_and_silences_dropped(tmp_path, names):
    path = write(tmp_path / "s.TextGrid", grid((names[0], WORDS), (names[1], PHONES)))
    words = read_textgrid(path, root=tmp_path).labels(WORD_TIERS)
    assert words.table.to_numpy().tolist() == [[0.5, 0.5, "I"], [1.5, 0.75, "reached"]]
    phones = read_textgrid(path, root=tmp_path).labels(PHONE_TIERS)
    assert phones.table["label"].tolist() == ["AY1", "R"]


def test_the_short_format_and_utf16_are_read_too(tmp_path):
    short = (
        'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n3\n<exists>\n1\n'
        '"IntervalTier"\n"word"\n0\n3\n2\n0\n1\n"naïve"\n1\n3\n"sp"\n'
    )
    path = tmp_path / "s.TextGrid"
    path.write_text(short, encoding="utf-16")
    words = read_textgrid(path, root=tmp_path).labels(WORD_TIERS)
    assert words.table.to_numpy().tolist() == [[0.0, 1.0, "naïve"]]


def test_own_tier_names_and_none(tmp_path):
    path = write(tmp_path / "s.TextGrid", grid(("mots", WORDS)))
    assert read_textgrid(path, root=tmp_path).labels(WORD_TIERS) is None
    assert len(read_textgrid(path, root=tmp_path).labels(("Mots",)).table) == 2


@pytest.mark.parametrize("text", ["onset\tduration\n1\t2\n", 'File type = "ooTextFile"\n'])
def test_what_is_no_textgrid_is_an_error(tmp_path, text):
    path = write(tmp_path / "s.TextGrid", text)
    with pytest.raises(BrainAlignError, match="can't be read as a TextGrid") as caught:
        read_textgrid(path, root=tmp_path).labels(WORD_TIERS)
    assert caught.value.exit_code == ExitCode.DATA_ERROR


def test_points_are_refused(tmp_path):
    text = grid(("words", [])).replace("IntervalTier", "TextTier").replace(
        "intervals: size = 0", "points: size = 1"
    )  # fmt: skip
    text += '        points [1]:\n            number = 1\n            mark = "click"\n'
    with pytest.raises(BrainAlignError, match="holds points"):
        read_textgrid(write(tmp_path / "s.TextGrid", text), root=tmp_path).labels(WORD_TIERS)


def test_overlap_by_rounding_is_no_error_but_an_end_before_its_start_is(tmp_path):
    overlap = [(0, 1.0000001, "a"), (1.0, 2.0, "b")]
    path = write(tmp_path / "s.TextGrid", grid(("words", overlap)))
    labels = read_textgrid(path, root=tmp_path).labels(WORD_TIERS).table["label"].tolist()
    assert labels == ["a", "b"]
    write(path, grid(("words", [(2, 1, "a")])))
    with pytest.raises(BrainAlignError, match="ends before it starts"):
        read_textgrid(path, root=tmp_path).labels(WORD_TIERS)


def test_an_empty_tier_has_no_words(tmp_path):
    path = write(tmp_path / "s.TextGrid", grid(("words", [(0, 3, "")])))
    assert len(read_textgrid(path, root=tmp_path).labels(WORD_TIERS).table) == 0


def test_speakers_tiers_are_joined_in_time_and_may_be_named_alone(tmp_path):
    jane = [(0, 1, "hello"), (1, 2, ""), (2, 3, "fine")]
    bob = [(0, 1, ""), (1, 2, "how"), (2, 3, "")]
    path = write(tmp_path / "s.TextGrid", grid(("Jane - words", jane), ("Bob - words", bob)))
    parsed = read_textgrid(path, root=tmp_path)
    assert parsed.labels(WORD_TIERS).table["label"].tolist() == ["hello", "how", "fine"]
    assert parsed.labels(["Jane - words"]).table["label"].tolist() == ["hello", "fine"]
