"""Phones of a stimulus as columns of features: how they are made, and which of 39 they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.phonemes.articulation import KINDS, categories_of
from bids_brainalign.phonemes.classes import ARPABET, base_symbols, ipa_of, is_arpabet

PHONES_39 = (
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH",
    "IH", "IY", "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH",
    "UW", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip
"""ARPAbet without stress, as CMUdict has it (HuthLab ``ridge_utils/dsutils.py``)."""
ARTICULATION = tuple(
    name for kind in ("manner", "place", "voicing", "vowel") for name in KINDS[kind]
)
"""Features of LeBel et al. 2023 (deep-fMRI-dataset ``encoding/feature_spaces.py``, 22 of them),
with uvulars and diphthongs, and laterals among approximants."""
_FOLDED = {
    "ə": "AH", "ɐ": "AH", "ɚ": "ER", "ɜ": "ER", "ɨ": "IH", "ᵻ": "IH", "ʉ": "UW", "a": "AA",
    "ɒ": "AA", "o": "OW", "əʊ": "OW", "e": "EY", "r": "R", "ɻ": "R", "ɫ": "L", "ɦ": "HH",
    "ʍ": "W", "g": "G", "ɾ": "T", "ʧ": "CH", "ʤ": "JH", "æʊ": "AW", "ɑʊ": "AW", "ɑɪ": "AY",
}  # fmt: skip
"""Further IPA symbols of English → the nearest of the 39; a flap counts as T, as in CMUdict."""
_OF_IPA = {ARPABET[name]: name for name in PHONES_39} | _FOLDED


@dataclass(frozen=True)
class PhoneMarks:
    """What each phone of a stimulus is."""

    columns: tuple[str, ...]
    members: NDArray[np.float32]
    """(n_phones, n_columns): 1 where the phone has what the column names."""
    unknown: tuple[str, ...]
    """Labels, in the order of the stimulus, that are nothing in some kind of columns."""


def phone_marks(
    labels: Sequence[str], *, articulation: bool = False, histogram: bool = False
) -> PhoneMarks:
    """Describe phones by their articulation, by which of 39 they are, or both.

    Parameters
    ----------
    labels : sequence of str
        As annotated: ARPAbet or IPA.
    articulation : bool
        A column for each of `ARTICULATION`.
    histogram : bool
        A column for each of `PHONES_39`; phones that other languages have and English has not are
        none of them.
    """
    arpabet = bool(labels) and is_arpabet(labels)
    columns: list[str] = []
    rows: list[NDArray[np.float32]] = []
    unknown: dict[int, str] = {}
    for names, wanted, prefix in (
        (ARTICULATION, articulation, ""),
        (PHONES_39, histogram, "phone "),
    ):
        if not wanted:
            continue
        found = np.zeros((len(labels), len(names)), dtype=np.float32)
        for row, label in enumerate(labels):
            ipa = ipa_of(label, arpabet=arpabet)
            mine = categories_of(ipa) if names is ARTICULATION else _of_39(ipa)
            at = [names.index(name) for name in mine if name in names]
            found[row, at] = 1
            if not at:
                unknown[row] = label
        columns += [f"{prefix}{name}" for name in names]
        rows.append(found)
    members = np.hstack(rows) if rows else np.zeros((len(labels), 0), dtype=np.float32)
    return PhoneMarks(tuple(columns), members, tuple(unknown[row] for row in sorted(unknown)))


def _of_39(ipa: str) -> tuple[str, ...]:
    """Names of a phone among the 39; two where IPA joins what ARPAbet writes as two.

    Examples
    --------
    >>> [_of_39(ipa) for ipa in ("aɪ", "ə", "œy", "ɑːɹ", "aɪə")]
    [('AY',), ('AH',), (), ('AA', 'R'), ('AY', 'AH')]
    """
    name = _OF_IPA.get(ipa)
    if name is not None:
        return (name,)
    symbols, names = base_symbols(ipa), []
    while symbols:
        known = next((n for n in (2, 1) if symbols[:n] in _OF_IPA), None)
        if known is None:
            return ()
        names.append(_OF_IPA[symbols[:known]])
        symbols = symbols[known:]
    return tuple(names)
