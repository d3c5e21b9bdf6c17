"""Numbers of phones: counted by hand from IPA as dictionaries print it."""

import numpy as np
import pytest

from bids_brainalign.phonemes import forced_alignment
from bids_brainalign.phonemes.phone_counts import word_lengths
from bids_brainalign.phonemes.pronunciation import has_espeak

ENGLISH = {"sailor": 4, "the": 2, "thought": 3, "church": 3, "Don't": 4, "strengths": 8}
"""CMU's dictionary says S T R EH NG K TH S first."""
DUTCH = {"huis": 3, "schip": 4, "tijd": 3, "meisje": 5, "school": 4}
needs_pocketsphinx = pytest.mark.skipif(
    not forced_alignment.has_pocketsphinx(), reason="pocketsphinx is not installed"
)
needs_espeak = pytest.mark.skipif(not has_espeak(), reason="espeak-ng is not installed")


@needs_pocketsphinx
@pytest.mark.parametrize("language", ["en", "en-GB"])
def test_english_words_are_counted_by_cmus_dictionary(language):
    found = word_lengths([*ENGLISH, "sailor"], language=language)
    assert found.name == "n_phones"
    np.testing.assert_array_equal(found.counts, [*ENGLISH.values(), 4])
    assert found.note == "Phones per word are those of CMU's dictionary or espeak-ng."


@needs_espeak
def test_dutch_words_are_counted_by_espeak():
    found = word_lengths([*DUTCH, None, "…"], language="nl")
    assert found.name == "n_phones"
    np.testing.assert_array_equal(found.counts[:-2], [*DUTCH.values()])
    assert np.isnan(found.counts[-2:]).all()
    assert found.note.endswith("2 of 7 words have none: (empty), ….")


@needs_espeak
def test_letters_are_called_letters_where_nothing_speaks_the_language():
    found = word_lengths(["nuqneH", "Qapla'", "7", ""], language="qaa")
    assert found.name == "n_letters"
    np.testing.assert_array_equal(found.counts, [6, 5, np.nan, np.nan])
    assert found.note.startswith("Letters per word")


def test_letters_are_counted_where_nothing_is_installed(monkeypatch):
    monkeypatch.setattr(forced_alignment, "has_espeak", lambda: False)
    monkeypatch.setattr(forced_alignment, "has_pocketsphinx", lambda: False)
    found = word_lengths(["sailor", "don't"], language="en")
    assert found.name == "n_letters"
    np.testing.assert_array_equal(found.counts, [6, 4])
