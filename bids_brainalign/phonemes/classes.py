"""Classes of phones: manner of articulation of IPA or ARPAbet, or the user's own table."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bids_brainalign.dataset.tables import read_tsv
from bids_brainalign.errors import BrainAlignError

MANNERS: dict[str, str] = {
    "vowel": "iyɨʉɯuɪʏʊeøɘɵɤoəɛœɜɞʌɔæɐaɶɑɒɚɝᵻ",
    "plosive": "pbtdʈɖcɟkɡgqɢʔ",
    "nasal": "mɱnɳɲŋɴ",
    "fricative": "ɸβfvθðszʃʒʂʐçʝxɣχʁħʕhɦɬɮɕʑʜʢɧ",
    "approximant": "ʋɹɻjɰlɭʎʟwɥʍɫrɾʀɽⱱʙ",
}
"""Base symbols of the IPA chart (2020); trills, taps and laterals count as approximants, as in the
sonorant consonants of Mesgarani et al. 2014, Science 343."""
AFFRICATES = ("tʃ", "dʒ", "ts", "dz", "tɕ", "dʑ", "ʈʂ", "ɖʐ", "pf", "ʧ", "ʤ", "ʦ", "ʣ", "ʨ", "ʥ")
CLASSES = (*MANNERS, "affricate")
ARPABET: dict[str, str] = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AX": "ə", "AXR": "ɚ", "AY": "aɪ",
    "B": "b", "CH": "tʃ", "D": "d", "DH": "ð", "DX": "ɾ", "EH": "ɛ", "ER": "ɝ", "EY": "eɪ",
    "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IX": "ɨ", "IY": "i", "JH": "dʒ", "K": "k",
    "L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "oʊ", "OY": "ɔɪ", "P": "p", "R": "ɹ",
    "S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "UH": "ʊ", "UW": "u", "UX": "ʉ", "V": "v",
    "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
    "AX-H": "ə̥", "EL": "l̩", "EM": "m̩", "EN": "n̩", "ENG": "ŋ̩", "HV": "ɦ", "NX": "ɾ̃", "Q": "ʔ",
}  # fmt: skip
"""CMUdict's phones and TIMIT's additions → IPA. TIMIT's closures (``bcl``, ``tcl`` …) are parts of
the plosives that follow them, no phones."""
_SYMBOL_CLASS = {symbol: name for name, symbols in MANNERS.items() for symbol in symbols}
_MOSTLY = 0.8
_WORD_POSITION = re.compile(r"_[BIES]$")  # Kaldi and Gentle: ah_B
_LENGTH_AND_STRESS = str.maketrans("", "", "ːˑˈˌ.‿|ʰʲʷˠˤⁿˡ'")


@dataclass(frozen=True)
class PhoneClasses:
    """Which classes a phone belongs to."""

    table: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Phones that the user gave, as written in the annotations; they come before all rules."""
    source: str = "manner of articulation (IPA)"

    def of(self, phone: str, *, arpabet: bool = False) -> tuple[str, ...]:
        """Classes of one phone; none if it is unknown.

        Parameters
        ----------
        phone : str
            As annotated.
        arpabet : bool
            Read ``iy`` and the like as ARPAbet, not as IPA: see :func:`is_arpabet`.
        """
        if self.table:
            plain = _WORD_POSITION.sub("", phone)
            return self.table.get(phone, self.table.get(plain, ()))
        symbols = _arpabet_to_ipa(phone) if arpabet else _base_symbols(phone)
        if symbols is None:
            return ()
        if any(symbols.startswith(pair) for pair in AFFRICATES):
            return ("affricate",)
        found = _SYMBOL_CLASS.get(symbols[:1])
        return () if found is None else (found,)


def is_arpabet(phones: Iterable[str]) -> bool:
    """Whether labels are ARPAbet: nearly all known there, and some not to be read as IPA.

    ``b d k s`` are the same in both; ``AH0``, ``iy1`` and ``ch`` are not. A few labels that
    nobody knows must not turn the others into IPA.
    """
    distinct = set(phones)
    known = {p for p in distinct if _arpabet_to_ipa(p) is not None}
    telling = any(len(_arpabet_key(p)) > 1 or p[:1].isupper() for p in known)
    return telling and len(known) >= _MOSTLY * len(distinct)


def read_phone_classes(path: Path) -> PhoneClasses:
    """Read ``--phone-classes``: columns ``phone`` and ``class``, one row per membership.

    Raises
    ------
    BrainAlignError
        A column is missing, or a phone has no class (65); no such file (66).
    """
    table = read_tsv(path)
    missing = [name for name in ("phone", "class") if name not in table.columns]
    if missing:
        raise BrainAlignError(
            f"--phone-classes: {path.name} has no column {' and no column '.join(missing)}",
            where=f"its columns are {', '.join(table.columns)}",
            fix="write phone and class, one line per phone and class it belongs to",
        )
    empty = table.index[(table["phone"] == "n/a") | (table["class"] == "n/a")]
    if len(empty):
        raise BrainAlignError(
            f"--phone-classes: {path.name}, row {empty[0] + 1} lacks a phone or a class",
            fix="fill it in, or leave the row out: phones without a row belong to no class",
        )
    found: dict[str, list[str]] = {}
    for phone, name in zip(table["phone"], table["class"], strict=True):
        classes = found.setdefault(str(phone), [])
        if name not in classes:
            classes.append(str(name))
    return PhoneClasses({p: tuple(c) for p, c in found.items()}, f"the table {path.name}")


def ipa_of(phone: str, *, arpabet: bool = False) -> str:
    """Name a phone in IPA, without stress, length, tie bar and word position.

    A tilde stays: nasal vowels are phones of their own. A label that nobody knows stays as it is;
    among ARPAbet it gets a question mark, or ``tcl`` would be read as an IPA t.

    Examples
    --------
    >>> ipa_of("IY1", arpabet=True), ipa_of("ˈiː"), ipa_of("t͡ʃ"), ipa_of("tcl", arpabet=True)
    ('i', 'i', 'tʃ', '?tcl')
    """
    if arpabet:
        return _arpabet_to_ipa(phone) or f"?{phone}"
    composed = unicodedata.normalize("NFC", phone.replace("\u0361", "").replace("\u035c", ""))
    return composed.translate(_LENGTH_AND_STRESS) or phone


def base_symbols(phone: str) -> str:
    """IPA symbols of a phone alone: no length, stress, tie bars, diacritics."""
    return _base_symbols(phone)


def _arpabet_key(phone: str) -> str:
    return _WORD_POSITION.sub("", phone).rstrip("012").upper()


def _arpabet_to_ipa(phone: str) -> str | None:
    return ARPABET.get(_arpabet_key(phone))


def _base_symbols(phone: str) -> str:
    """IPA without length, stress, tie bars, secondary articulation and diacritics."""
    # Decomposed, ã and ç part from their marks; ç is a symbol of its own.
    kept = phone.replace("ç", "\0")
    plain = "".join(c for c in unicodedata.normalize("NFD", kept) if not unicodedata.combining(c))
    return plain.replace("\0", "ç").translate(_LENGTH_AND_STRESS)
