"""How words are pronounced: CMU's dictionary for English, espeak-ng otherwise."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from bids_brainalign.phonemes.classes import ARPABET, base_symbols, ipa_of

NEAREST: dict[str, str] = {
    "tʃ": "CH", "dʒ": "JH", "ts": "CH", "dz": "JH", "tɕ": "CH", "dʑ": "JH", "pf": "F",
    "aɪ": "AY", "aʊ": "AW", "ɑʊ": "AW", "ʌʊ": "AW", "ɔɪ": "OY", "oʊ": "OW", "əʊ": "OW",
    "eɪ": "EY", "ɛi": "EY", "ɛɪ": "EY", "œy": "AW", "ʌu": "AW", "ɑu": "AW", "ai": "AY",
    "i": "IY", "y": "UW", "ɨ": "IH", "ʉ": "UW", "ɯ": "UH", "u": "UW", "ɪ": "IH", "ʏ": "UH",
    "ʊ": "UH", "ᵻ": "IH", "e": "EY", "ø": "ER", "ɘ": "ER", "ɵ": "UH", "ɤ": "AH", "o": "OW",
    "ə": "AH", "ɛ": "EH", "œ": "ER", "ɜ": "ER", "ɞ": "ER", "ʌ": "AH", "ɔ": "AO", "æ": "AE",
    "ɐ": "AH", "a": "AA", "ɶ": "AA", "ɑ": "AA", "ɒ": "AO", "ɚ": "ER", "ɝ": "ER",
    "p": "P", "b": "B", "t": "T", "d": "D", "ʈ": "T", "ɖ": "D", "c": "K", "ɟ": "G", "k": "K",
    "ɡ": "G", "g": "G", "q": "K", "ɢ": "G", "ʔ": "T", "m": "M", "ɱ": "M", "n": "N", "ɳ": "N",
    "ɲ": "N", "ŋ": "NG", "ɴ": "NG", "ɸ": "F", "β": "V", "f": "F", "v": "V", "θ": "TH",
    "ð": "DH", "s": "S", "z": "Z", "ʃ": "SH", "ʒ": "ZH", "ʂ": "SH", "ʐ": "ZH", "ç": "SH",
    "ʝ": "Y", "x": "HH", "ɣ": "G", "χ": "HH", "ʁ": "R", "ħ": "HH", "ʕ": "HH", "h": "HH",
    "ɦ": "HH", "ɬ": "L", "ɮ": "L", "ɕ": "SH", "ʑ": "ZH", "ɧ": "SH", "ʋ": "V", "ɹ": "R",
    "ɻ": "R", "j": "Y", "ɰ": "W", "l": "L", "ɫ": "L", "ɭ": "L", "ʎ": "L", "ʟ": "L", "w": "W",
    "ʍ": "W", "ɥ": "W", "r": "R", "ɾ": "D", "ʀ": "R", "ɽ": "R", "ʙ": "B",
}  # fmt: skip
"""IPA → the English phone that is most alike in manner, then place, for aligning with the acoustic
model of another language; one phone each, so that times can be handed back."""
_OUTER = re.compile(r"^[^\w']+|[^\w']+$")


@dataclass(frozen=True)
class Pronunciation:
    """One word."""

    ipa: tuple[str, ...]
    arpabet: tuple[str, ...]
    """For the acoustic model; as many as ``ipa``."""


def plain_word(label: str) -> str:
    """Word as dictionaries spell it: small letters, no outer punctuation.

    Examples
    --------
    >>> plain_word("“Don’t,”")
    "don't"
    """
    return _OUTER.sub("", label.replace("’", "'")).casefold()


def from_arpabet(phones: Sequence[str]) -> Pronunciation:
    """Take a pronunciation in ARPAbet, with or without stress digits."""
    bare = tuple(phone.rstrip("012") for phone in phones)
    return Pronunciation(tuple(ARPABET[phone] for phone in bare), bare)


def from_ipa(phones: Sequence[str]) -> Pronunciation | None:
    """Take a pronunciation in IPA; None if a phone is on no chart."""
    ipa, arpabet = [], []
    for phone in phones:
        symbols = base_symbols(phone)
        nearest = NEAREST.get(symbols[:2]) or NEAREST.get(symbols[:1])
        if nearest is None:
            if symbols:
                return None
            continue
        ipa.append(ipa_of(phone))
        arpabet.append(nearest)
    return Pronunciation(tuple(ipa), tuple(arpabet)) if ipa else None


def has_espeak() -> bool:
    """Whether espeak-ng is installed."""
    return importlib.util.find_spec("espeakng_loader") is not None


def espeak_pronunciations(words: Sequence[str], language: str) -> dict[str, Pronunciation]:
    """Ask espeak-ng, in a process of its own.

    Parameters
    ----------
    words : sequence of str
    language : str
        BCP-47 tag; its first part is tried where espeak-ng has no voice for all of it.

    Returns
    -------
    dict
        Without the words that espeak-ng can't say; empty if it has no such voice.
    """
    for voice in dict.fromkeys((language.lower(), language.partition("-")[0].lower())):
        done = subprocess.run(
            [sys.executable, "-m", "bids_brainalign.phonemes.espeak_pronouncer"],
            input=json.dumps({"voice": voice, "words": list(words)}).encode(),
            capture_output=True,
            check=False,
        )
        if done.returncode == 0:
            answers = json.loads(done.stdout)
            found = {w: from_ipa(phones) for w, phones in zip(words, answers, strict=True)}
            return {w: p for w, p in found.items() if p is not None}
    return {}
