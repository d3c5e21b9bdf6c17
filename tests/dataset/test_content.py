from pathlib import Path

import pandas as pd
import pytest

from bids_brainalign.dataset.annotations import read_words
from bids_brainalign.dataset.content import five_grams, group_content, shared_text
from bids_brainalign.dataset.types import Annotations, Stimulus


def stimulus(name, *, sha256=None, text=()):
    times = [float(i) for i in range(len(text))]
    table = pd.DataFrame({"onset": times, "duration": 0.1, "label": list(text)})
    words = Annotations(table, Path("w.tsv")) if len(text) else None
    return Stimulus(name, Path(f"{name}.wav"), 60.0, sha256 or name, words)


def numbered(start, stop):
    return [f"w{i}" for i in range(start, stop)]


def test_case_and_punctuation_do_not_hide_the_same_words():
    written = ["Well,", "-", "don\u2019t", "YOU", "go", "there!"]
    aligned = ["well", "dont", "you", "go", "there"]
    assert five_grams(written) == five_grams(aligned) != set()


def test_share_is_of_the_shorter_transcript():
    """40 of 96 and of 56 five-grams are common, counted by hand from overlapping numbers."""
    long, short = five_grams(numbered(0, 100)), five_grams(numbered(56, 116))
    assert (len(long), len(short)) == (96, 56)
    assert shared_text(long, short) == shared_text(short, long) == 40 / 56
    assert shared_text(long, set()) == 0.0


@pytest.mark.parametrize(("shift", "joined"), [(70, False), (69, True)])
def test_threshold_is_above_not_at(shift, joined):
    """104 words have 100 five-grams; a shift by 70 leaves exactly 30 of them."""
    a = stimulus("a", text=numbered(0, 104))
    b = stimulus("b", text=numbered(shift, shift + 104))
    groups, notes = group_content([a, b], {}, overlap=0.3)
    assert (groups["a"] == groups["b"]) is joined
    assert len(notes) == joined


def test_joins_are_transitive_and_called_after_the_first_name():
    parts = [stimulus(n, text=numbered(s, s + 104)) for n, s in (("c", 0), ("b", 50), ("a", 100))]
    alone = stimulus("d", text=numbered(900, 1000))
    groups, notes = group_content([*parts, alone], {}, overlap=0.3)
    assert groups == {"a": "a", "b": "a", "c": "a", "d": "d"}
    assert notes == (
        "a, b and c are one content group, never on both sides of a fold: they share 50% of their "
        "5-word sequences.",
    )
    assert all("share" in note for note in notes)


def test_user_groups_join_without_a_note_and_name_the_group():
    stimuli = [stimulus("a"), stimulus("b"), stimulus("c")]
    groups, notes = group_content(stimuli, {"a": ["tale"], "c": ["tale"]}, overlap=0.3)
    assert groups == {"a": "tale", "c": "tale", "b": "b"}
    assert notes == ()


def test_a_user_word_that_is_another_stimulus_does_not_swallow_it():
    stimuli = [stimulus("a"), stimulus("b"), stimulus("c")]
    groups, _ = group_content(stimuli, {"a": ["b"], "c": ["b"]}, overlap=0.3)
    assert groups["a"] == groups["c"] != groups["b"]


def test_same_bytes_are_said():
    groups, notes = group_content(
        [stimulus("x", sha256="1"), stimulus("y", sha256="1")], {}, overlap=0.3
    )
    assert groups == {"x": "x", "y": "x"}
    assert notes == (
        "x and y are one content group, never on both sides of a fold: they have the same audio.",
    )


@pytest.mark.shared
def test_halves_of_the_podcast_are_two_stories_and_a_rerun_is_one(shared):
    words = read_words(shared / "data/ds005574/stimuli/spectral/transcript.tsv")
    text = words.table["label"].tolist()
    stimuli = [
        stimulus("all", text=text),
        stimulus("first", text=text[: len(text) // 2]),
        stimulus("second", text=text[len(text) // 2 :]),
    ]
    halves, notes = group_content(stimuli[1:], {}, overlap=0.3)
    assert halves == {"first": "first", "second": "second"}
    assert notes == ()
    assert set(group_content(stimuli, {}, overlap=0.3)[0].values()) == {"all"}


def test_several_reasons_are_said_pair_by_pair():
    words = numbered(0, 100)
    stimuli = [
        stimulus("a", sha256="1", text=words),
        stimulus("b", sha256="1"),
        stimulus("c", sha256="2", text=words),
    ]
    groups, (note,) = group_content(stimuli, {}, overlap=0.3)
    assert set(groups.values()) == {"a"}
    assert "a and b have the same audio; a and c share 100%" in note


@pytest.mark.parametrize(
    ("names", "together"),
    [
        (("notthefallintact_audio", "notthefallshortscram_audio", "notthefall_audio"), True),
        (("milkyway-original", "milkyway-synonyms", "MilkyWay_vodka"), True),
        (("tale_scrambled", "tale"), False),  # "tale" is too short to tell stories apart
        (("pieman_audio", "piemanpni_audio"), False),  # no word says that one is a version
        (("souls", "original"), False),
    ],
)
def test_names_that_say_so_join_versions_of_a_story(names, together):
    stimuli = [stimulus(name, sha256=name) for name in (*names, "another_story")]
    groups, notes = group_content(stimuli, {}, overlap=0.3)
    assert (len({groups[name] for name in names}) == 1) is together
    assert groups["another_story"] == "another_story"
    assert bool(notes) is together


def test_the_user_s_groups_come_before_names():
    stimuli = [stimulus(n, sha256=n) for n in ("milkywayoriginal", "milkywaysynonyms")]
    named = {"milkywayoriginal": ("one",), "milkywaysynonyms": ("two",)}
    groups, _ = group_content(stimuli, named, overlap=0.3)
    assert groups == {"milkywayoriginal": "one", "milkywaysynonyms": "two"}
