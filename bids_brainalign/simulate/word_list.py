"""Single words to speak: which there are, and how each sounds."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.simulate.languages import LANGUAGES
from bids_brainalign.simulate.random_streams import stream
from bids_brainalign.simulate.speech import SAMPLE_RATE_HZ, synthesise
from bids_brainalign.simulate.stories import DEEDS, PEOPLE, PLACES, QUALITIES, THINGS, VOICES

AUDIBLE = 0.01
"""Speech begins and ends where the clean voice reaches this share of its peak (−40 dB)."""
SLOWER = 0.85
"""Single words are read more slowly than stories."""
_KINDS = "POLQD"
"""People, things, places, qualities and deeds of the other languages; times are phrases."""


@dataclass(frozen=True)
class SpokenWord:
    """How a participant says a word."""

    word: str
    wave: NDArray[np.float32]
    """(n_samples,), 16 kHz, from the first to the last audible sample."""
    n_phones: int


def vocabulary(language: str) -> tuple[str, ...]:
    """All words of a language that can be spoken, in alphabetical order."""
    if language == "en":
        return tuple(sorted({*PEOPLE, *THINGS, *PLACES, *QUALITIES, *DEEDS}))
    slots = LANGUAGES[language].slots
    return tuple(sorted({word for kind in _KINDS for word in slots[kind]}))


MAX_WORDS = {language: len(vocabulary(language)) for language in ("en", *LANGUAGES)}


def choose_words(n_words: int, *, language: str, seed: int) -> tuple[str, ...]:
    """Draw different words of a language; the same for all participants."""
    known = vocabulary(language)
    chosen = stream(seed, "production", "words", language).choice(len(known), n_words, False)
    return tuple(known[i] for i in sorted(chosen))


def voice_of(participant: int, language: str) -> tuple[str, int]:
    """espeak-ng voice and words per minute of a participant; they take the voices in turn."""
    voices = VOICES if language == "en" else LANGUAGES[language].voices
    voice, speed = voices[participant % len(voices)]
    return voice, round(SLOWER * speed)


def speak_words(words: tuple[str, ...], *, voice: str, speed: int) -> dict[str, SpokenWord]:
    """Speak words one by one, each as a sentence of its own.

    Raises
    ------
    BrainAlignError
        espeak-ng isn't installed (64).
    """
    if importlib.util.find_spec("espeakng_loader") is None:
        raise BrainAlignError(
            "the words are spoken by espeak-ng, which is not installed",
            fix="pip install 'bids-brainalign[simulate]'",
            exit_code=ExitCode.USAGE,
        )
    said = synthesise(" ".join(f"{w.capitalize()}." for w in words), voice=voice, speed=speed)
    if said.words["word"].tolist() != list(words):
        raise BrainAlignError(f"espeak-ng's voice {voice} did not speak the words one by one")
    starts = said.phones["onset"].to_numpy()
    spoken = {}
    onsets = said.words["onset"].to_numpy(dtype=np.float64)
    stops = onsets + said.words["duration"].to_numpy(dtype=np.float64)
    for word, onset_s, stop_s in zip(words, onsets, stops, strict=True):
        wave = said.wave[round(onset_s * SAMPLE_RATE_HZ) : round(stop_s * SAMPLE_RATE_HZ)]
        heard = np.flatnonzero(np.abs(wave) > AUDIBLE * np.abs(wave).max())
        n_phones = int(((starts >= onset_s - 1e-3) & (starts < stop_s - 1e-3)).sum())
        spoken[word] = SpokenWord(word, wave[heard[0] : heard[-1] + 1], n_phones)
    return spoken
