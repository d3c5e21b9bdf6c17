"""Categories of phones by how they are made: from the IPA chart, for any language."""

from __future__ import annotations

from bids_brainalign.phonemes.classes import AFFRICATES, MANNERS, base_symbols

PLACES: dict[str, str] = {
    "bilabial": "pbmɸβʙwʍɥ",
    "labiodental": "fvɱʋⱱ",
    "dental": "θð",
    "alveolar": "tdnszrɾlɬɮɹ",
    "postalveolar": "ʃʒɻʂʐʈɖɳɽɭɕʑɧ",
    "palatal": "cɟɲçʝjʎ",
    "velar": "kɡgŋxɣɰʟ",
    "uvular": "qɢɴχʁʀ",
    "glottal": "ʔhɦħʕʜʢ",
}
"""Place of articulation; retroflex and alveolo-palatal count as postalveolar, pharyngeal as
glottal, labio-velar [w] as bilabial (Mesgarani et al. 2014, Science 343, Fig. 2: labial)."""
HEIGHTS: dict[str, str] = {
    "high vowel": "iyɨʉɯuɪʏʊᵻ",
    "mid vowel": "eøɘɵɤoəɛœɜɞʌɔɚɝ",
    "low vowel": "æɐaɶɑɒ",
}
BACKNESS: dict[str, str] = {
    "front vowel": "iyɪʏeøɛœæaɶ",
    "central vowel": "ɨʉɘɵəɜɞɐɚɝᵻ",
    "back vowel": "ɯuʊɤoʌɔɑɒ",
}
"""A diphthong counts by where it begins."""
VOICELESS = "ptʈckqʔɸfθsʃʂçxχħhɬɕʜɧʍʧʦʨ"
OBSTRUENTS = ("plosive", "fricative", "affricate")
KINDS: dict[str, tuple[str, ...]] = {
    "sonority": ("obstruent", "sonorant"),
    "syllabicity": ("consonant", "vowel"),
    "manner": (*(m for m in MANNERS if m != "vowel"), "affricate"),
    "place": tuple(PLACES),
    "voicing": ("voiced consonant", "voiceless consonant"),
    "vowel": (*HEIGHTS, *BACKNESS, "diphthong"),
}
"""Kind of category → categories, in the order of tables and figures."""
CATEGORIES = tuple(name for names in KINDS.values() for name in names)


def categories_of(ipa: str) -> tuple[str, ...]:
    """Categories of one phone in IPA; none if its first symbol is unknown.

    Examples
    --------
    >>> categories_of("dʒ")
    ('obstruent', 'consonant', 'affricate', 'postalveolar', 'voiced consonant')
    >>> categories_of("aɪ")
    ('sonorant', 'vowel', 'low vowel', 'front vowel', 'diphthong')
    """
    symbols = base_symbols(ipa)
    manner = _manner(symbols)
    if manner is None:
        return ()
    if manner == "vowel":
        axes = [name for table in (HEIGHTS, BACKNESS) if (name := _find(table, symbols[0]))]
        double = len(symbols) > 1 and symbols[1] in MANNERS["vowel"]
        return ("sonorant", "vowel", *axes, *(["diphthong"] if double else []))
    sonority = "obstruent" if manner in OBSTRUENTS else "sonorant"
    # An affricate is made where it is released: [tʃ] is postalveolar.
    made_at = symbols[1] if manner == "affricate" and len(symbols) > 1 else symbols[0]
    place = _find(PLACES, made_at) or _find(PLACES, symbols[0])
    voicing = "voiceless consonant" if symbols[0] in VOICELESS else "voiced consonant"
    return (sonority, "consonant", manner, *([place] if place else []), voicing)


def _manner(symbols: str) -> str | None:
    if symbols.startswith(AFFRICATES):
        return "affricate"
    return _find(MANNERS, symbols[:1]) if symbols else None


def _find(table: dict[str, str], symbol: str) -> str | None:
    return next((name for name, members in table.items() if symbol in members), None)
