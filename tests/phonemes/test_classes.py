"""Classes of phones against textbook examples, ARPAbet's own list, and the real TextGrids."""

import pandas as pd
import pytest

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.phonemes.articulation import categories_of
from bids_brainalign.phonemes.classes import (
    ARPABET,
    CLASSES,
    PhoneClasses,
    is_arpabet,
    read_phone_classes,
)
from bids_brainalign.phonemes.times import annotated_times

TEXTBOOK = {
    "vowel": "iː ə ɔɪ̯ ɑ̃ ˈʊ y ɜː ɐ",
    "plosive": "p tʰ ɡ kʷ ʔ d̪",
    "fricative": "s ʃ ç h ɣ θ",
    "affricate": "t͡ʃ dʒ ts tʃʰ",
    "nasal": "m ŋ n̩ ɲ",
    "approximant": "j ɹ l̩ w r ɾ",
}
"""International Phonetic Association chart."""


@pytest.mark.parametrize("name", list(TEXTBOOK))
def test_ipa_symbols_with_their_marks(name):
    classes = PhoneClasses()
    assert {classes.of(phone) for phone in TEXTBOOK[name].split()} == {(name,)}


def test_every_arpabet_phone_has_a_class():
    classes = PhoneClasses()
    counts = dict.fromkeys(CLASSES, 0)
    for phone in ARPABET:
        (found,) = classes.of(phone, arpabet=True)
        counts[found] += 1
    # CMUdict: 15 vowels, 6 stops, 2 affricates, 9 fricatives, 3 nasals, 4 liquids and glides;
    # TIMIT adds the vowels ax ax-h axr ix ux, the glottal stop, syllabic nasals and l, a voiced h,
    # and two flaps.
    assert counts == {
        "vowel": 20, "plosive": 7, "nasal": 6, "fricative": 10, "approximant": 7, "affricate": 2,
    }  # fmt: skip
    assert classes.of("AH0", arpabet=True) == classes.of("ah_B", arpabet=True) == ("vowel",)
    assert classes.of("jh_E", arpabet=True) == ("affricate",)


def test_alphabets_are_told_apart():
    assert is_arpabet(["AH0", "B", "sh"])
    assert is_arpabet(["ah_B", "t_E"])
    assert not is_arpabet(["b", "d", "s"])  # the same in both
    assert not is_arpabet(["ə", "b", "tʃ"])
    assert is_arpabet(["ah", "th", "ch", "y", "jh", "oov"])
    assert not is_arpabet(["AH0", "?"])


TIMIT = """b d g p t k dx q bcl dcl gcl pcl tcl kcl jh ch s sh z zh f th v dh m n ng em en eng nx
l r w y hh hv el iy ih eh ey ae aa aw ay ah ao oy ow uh uw ux er ax ix axr ax-h""".split()


def test_phones_of_timit_are_known_and_closures_are_none():
    table = pd.DataFrame({"onset": range(len(TIMIT)), "duration": 1.0, "label": TIMIT})
    phones = annotated_times(table).table["phone"]
    classless = [label for label, ipa in zip(TIMIT, phones, strict=True) if not categories_of(ipa)]
    assert classless == ["bcl", "dcl", "gcl", "pcl", "tcl", "kcl"]


def test_what_is_unknown_has_no_class():
    classes = PhoneClasses()
    assert classes.of("sp9") == ("fricative",)  # read as IPA it begins with an s
    assert classes.of("#") == classes.of("") == classes.of("tcl", arpabet=True) == ()


def test_the_users_table_rules_alone(tmp_path):
    path = tmp_path / "classes.tsv"
    path.write_text("phone\tclass\nb\tvoiced\nb\tlabial\nb\tvoiced\np\tlabial\n")
    classes = read_phone_classes(path)
    assert classes.of("b") == classes.of("b_I") == ("voiced", "labial")
    assert classes.of("p") == ("labial",)
    assert classes.of("a") == ()
    assert "classes.tsv" in classes.source


def test_hostile_tables(tmp_path):
    path = tmp_path / "classes.tsv"
    path.write_text("symbol\tclass\nb\tvoiced\n")
    with pytest.raises(BrainAlignError, match="has no column phone"):
        read_phone_classes(path)
    path.write_text("phone\tclass\nb\tvoiced\np\t\n")
    with pytest.raises(BrainAlignError, match="row 2 lacks a phone or a class"):
        read_phone_classes(path)
