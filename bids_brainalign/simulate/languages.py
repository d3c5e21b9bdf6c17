"""Voices and random sentences in languages other than English."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bids_brainalign.simulate.random_streams import stream

# Words of plain ASCII letters: espeak-ng's times count bytes.
_DUTCH = {
    "P": "visser bakker molenaar lerares matroos schilder dokter wever boer drager zanger weduwe "
    "kapitein tuinman klerk jager student rechter vreemdeling smid",
    "O": "boot lamp ladder brief ketel ton spiegel deken klok emmer schop kompas lint kaartje "
    "fles potlood zadel anker trompet kussen naald munt touw trommel stoel sleutel boek",
    "L": "vallei kelder herberg eiland keuken kapel weide tunnel dorp zolder haven rivier bron "
    "wijngaard school werkplaats woestijn schuur",
    "Q": "stille gouden smalle oude kromme zachte bittere holle zware kleine trouwe stoffige "
    "dappere houten lege beroemde gebroken geschilderde eenzame slimme vrolijke",
    "D": "droeg poetste vergat leende schilderde herstelde bewonderde volgde verkocht verborg "
    "opende vond ruilde waste bewaakte kopieerde kocht",
    "T": "voor het ontbijt|na het eten|om middernacht|in het voorjaar|op marktdag|"
    "bij zonsondergang|op een koude ochtend"
    "|zonder een woord|ondanks de regen|de hele zomer|lang geleden",
}
_FRENCH = {
    "P": "marin boulanger meunier docteur tisserand fermier porteur chanteur capitaine jardinier "
    "tailleur chasseur juge cousin pilote berger oncle barbier gardien tambour voisin",
    "O": "bateau tonneau miroir violon panier marteau pont ruban billet crayon coussin grelot "
    "tambour chapeau livre moteur couteau rideau manteau tapis verre journal",
    "L": "vallon jardin village tunnel grenier port moulin couvent chantier marais verger bois "
    "quartier salon magasin domaine",
    "Q": "tranquille ancien tordu doux amer creux patient maladroit jaune curieux lourd petit "
    "pourpre vide brillant robuste solitaire malin joyeux blanc",
    "D": "porta frotta oublia emprunta laissa suivit mesura vendit cacha trouva ouvrit garda "
    "nettoya copia poussa acheta souleva admira",
    "T": "avant le repas|vers minuit|au printemps|un matin froid|sans un mot|"
    "pendant sept semaines|tout le jour|depuis longtemps|sous la pluie|en secret",
}
_DUTCH_SENTENCES = (
    "{T} {D} een {Q} {P} de {Q} {O}.",
    "De {P} en de {P} {D} elke {O} {T}.",
    "Achter de {L} {D} iedere {P} een {O}.",
    "Waarom {D} die {Q} {P} mijn {O}?",
    "Geen {O} in deze {L} leek op de {Q} {O}.",
    "Onder de {Q} {O} {D} de {P} nog een {O}.",
    "Van {L} naar {L} {D} een {P} zijn {O} {T}.",
)
_FRENCH_SENTENCES = (
    "{T}, un {P} {Q} {D} le {O} {Q}.",
    "Le {P} et son {P} {D} chaque {O} {T}.",
    "Dans le {L}, un {P} {D} le {O}.",
    "Pourquoi ce {P} {Q} {D} mon {O}?",
    "Aucun {O} du {L} ne semble {Q}.",
    "Sous le {O} {Q}, le {P} {D} un {O}.",
    "Du {L} au {L}, ce {P} {D} son {O} {T}.",
)


@dataclass(frozen=True)
class Language:
    """What is needed to write and speak stories in a language."""

    voices: tuple[tuple[str, int], ...]
    """espeak-ng voice and words per minute; stories take them in turn."""
    slots: Mapping[str, tuple[str, ...]]
    sentences: tuple[str, ...]


def _language(
    voice: str, words: Mapping[str, str], sentences: tuple[str, ...], *, speed: int
) -> Language:
    variants = ("", "+f2", "+m3", "+f4", "+m7", "+f3", "+m1", "+f1")
    return Language(
        tuple((f"{voice}{variant}", speed + 4 * i) for i, variant in enumerate(variants)),
        {k: tuple(v.split("|" if k == "T" else None)) for k, v in words.items()},
        sentences,
    )


LANGUAGES: dict[str, Language] = {
    "nl": _language("nl", _DUTCH, _DUTCH_SENTENCES, speed=155),
    "fr": _language("fr", _FRENCH, _FRENCH_SENTENCES, speed=155),
}


def foreign_text(language: str, index: int, *, n_words: int, seed: int) -> str:
    """Write story number ``index``: random sentences of at least ``n_words`` words."""
    about = LANGUAGES[language]
    rng = stream(seed, "story", language, index)
    sentences: list[str] = []
    while sum(len(sentence.split()) for sentence in sentences) < n_words:
        pattern = about.sentences[rng.integers(len(about.sentences))]
        filled = re.sub(
            r"\{(\w)\}",
            lambda hit: str(rng.choice(about.slots[hit.group(1)])),
            pattern,
        )
        sentences.append(filled[0].upper() + filled[1:])
    return " ".join(sentences)
