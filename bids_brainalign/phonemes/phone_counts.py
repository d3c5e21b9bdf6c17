"""How long words are: in phones where a pronunciation is known, else in letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.features.transcript import named
from bids_brainalign.features.word_embeddings import spoken_labels
from bids_brainalign.phonemes.forced_alignment import pronunciations
from bids_brainalign.phonemes.pronunciation import plain_word

PHONES, LETTERS = "n_phones", "n_letters"


@dataclass(frozen=True)
class WordLengths:
    """Length of every word."""

    name: str
    """``n_phones`` or ``n_letters``: what was counted, the same for all words."""
    counts: NDArray[np.float64]
    """(n_words,) NaN where it is not known."""
    note: str
    """Where the numbers come from, and which words have none; a sentence or two."""


def word_lengths(words: Sequence[object], *, language: str) -> WordLengths:
    """Count the phones of words.

    Parameters
    ----------
    words : sequence of str
        As spoken, repetitions included.
    language : str
        BCP-47.

    Returns
    -------
    WordLengths
        Phones of the first pronunciation in CMU's dictionary (English) or of espeak-ng; a
        diphthong or an affricate is one. Letters where neither knows any of the words: it is not
        installed, or does not speak the language.
    """
    labels, _ = spoken_labels(words)
    plain = [plain_word(label) for label in labels]
    said = pronunciations(plain, language=language)
    if not said:
        letters = [float(sum(c.isalpha() for c in label)) or np.nan for label in labels]
        why = "as no pronunciations are to be had for this language on this machine"
        return _told(LETTERS, letters, labels, f"Letters per word were counted, {why}.")
    source = "CMU's dictionary or espeak-ng" if _is_english(language) else "espeak-ng"
    phones = [float(len(said[word].ipa)) if word in said else np.nan for word in plain]
    return _told(PHONES, phones, labels, f"Phones per word are those of {source}.")


def _is_english(language: str) -> bool:
    return language.partition("-")[0].lower() == "en"


def _told(name: str, counts: Sequence[float], labels: Sequence[str], source: str) -> WordLengths:
    lacking = [label or "(empty)" for label, n in zip(labels, counts, strict=True) if np.isnan(n)]
    missing = f" {len(lacking)} of {len(labels)} words have none: {named(lacking)}."
    return WordLengths(name, np.array(counts), source + (missing if lacking else ""))
