"""Articulation and the 39 phones of English, from ARPAbet and from IPA."""

import numpy as np
import pytest

from bids_brainalign.phonemes.marks import ARTICULATION, PHONES_39, phone_marks


def columns_of(labels, row=0, **kinds):
    marks = phone_marks(labels, **kinds)
    assert marks.members.shape == (len(labels), len(marks.columns))
    return {name for name, on in zip(marks.columns, marks.members[row], strict=True) if on}


CMUDICT = """AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH
UW V W Y Z ZH"""
"""The file cmudict-0.7b.phones."""


def test_the_39_phones_are_those_of_cmudict():
    assert sorted(PHONES_39) == CMUDICT.split()
    assert len(PHONES_39) == 39


def test_arpabet_counts_without_stress_and_each_phone_once():
    labels = [f"{name}1" if name[0] in "AEIOU" else name for name in PHONES_39]
    marks = phone_marks(labels, histogram=True)
    np.testing.assert_array_equal(marks.members, np.eye(39))
    assert marks.columns == tuple(f"phone {name}" for name in PHONES_39)
    assert marks.unknown == ()


@pytest.mark.parametrize(
    ("ipa", "name"),
    [("tʃ", "CH"), ("t͡ʃ", "CH"), ("ˈiː", "IY"), ("ɡ", "G"), ("g", "G"), ("ə", "AH"), ("ɚ", "ER"),
     ("ɹ", "R"), ("r", "R"), ("ɾ", "T"), ("pʰ", "P"), ("əʊ", "OW"), ("aɪ", "AY"), ("ɛ̃", "EH")],
)  # fmt: skip
def test_ipa_is_mapped(ipa, name):
    assert columns_of([ipa, "ʃ", "ŋ"], histogram=True) == {f"phone {name}"}


def test_what_espeak_joins_counts_as_the_phones_it_is():
    assert columns_of(["ɔːɹ", "əl"], 0, histogram=True) == {"phone AO", "phone R"}
    assert columns_of(["ɔːɹ", "əl"], 1, histogram=True) == {"phone AH", "phone L"}


def test_phones_that_english_lacks_are_none_of_them_and_are_named():
    marks = phone_marks(["œy", "ɣ", "t", "œy"], articulation=True, histogram=True)
    assert marks.unknown == ("œy", "ɣ", "œy")
    histogram = marks.members[:, len(ARTICULATION) :]
    assert histogram.sum(axis=1).tolist() == [0, 0, 1, 0]
    timit = ["tcl", "t", "iy", "ah", "sh", "dx"]  # a closure is a part of the T after it
    assert phone_marks(timit, histogram=True).unknown == ("tcl",)


def test_articulation_of_textbook_phones():
    """Ladefoged & Johnson, A Course in Phonetics, ch. 2."""
    labels = ["B", "S", "NG", "JH", "IY1", "AA2", "AY"]
    expected = [
        {"plosive", "bilabial", "voiced consonant"},
        {"fricative", "alveolar", "voiceless consonant"},
        {"nasal", "velar", "voiced consonant"},
        {"affricate", "postalveolar", "voiced consonant"},
        {"high vowel", "front vowel"},
        {"low vowel", "back vowel"},
        {"low vowel", "front vowel", "diphthong"},
    ]
    for row, wanted in enumerate(expected):
        assert columns_of(labels, row, articulation=True) == wanted
    assert len(ARTICULATION) == 23


def test_a_silent_stimulus_has_the_same_columns():
    marks = phone_marks([], articulation=True, histogram=True)
    assert marks.members.shape == (0, 23 + 39)
