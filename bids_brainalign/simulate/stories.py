"""Stories to listen to: written and spoken from a seed, or read from the user's recordings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.audio import load_audio
from bids_brainalign.simulate.languages import LANGUAGES, foreign_text
from bids_brainalign.simulate.random_streams import stream
from bids_brainalign.simulate.speech import SAMPLE_RATE_HZ, on_pcm16_grid, synthesise

VOICES = (
    ("en-us", 160),
    ("en+f3", 168),
    ("en-gb-scotland", 152),
    ("en-us+f2", 172),
    ("en-gb-x-rp+m3", 156),
    ("en-029+f4", 164),
    ("en-us+m7", 150),
    ("en-gb-x-gbclan+f2", 170),
)
"""espeak-ng voice and words per minute; each story takes the next."""
TITLES = ("harbour", "orchard", "railway", "lantern", "market", "glacier", "mill", "garden")
MAX_STORIES = len(TITLES)
MIN_RECORDING_S = 10.0
FADE_S = 0.05
WORDS_PER_S = 3.2
"""More than any of the voices speaks: the text is always long enough to be cut."""

PEOPLE = (
    "fisher baker miller teacher sailor painter doctor weaver farmer porter singer widow "
    "captain gardener clerk tailor hunter student judge cousin stranger pilot nurse smith "
    "shepherd carter uncle barber keeper scholar drummer neighbour"
).split()
THINGS = (
    "boat lamp ladder letter kettle barrel window violin basket hammer bridge mirror blanket "
    "clock engine bucket feather candle shovel compass ribbon ticket bottle pencil saddle "
    "anchor carpet trumpet pillow needle wagon bell coin rope map drum stove hat chair oven "
    "key book sack bench"
).split()
PLACES = (
    "valley cellar station island kitchen chapel meadow tunnel village attic forest harbour "
    "library castle stable river courtyard prairie quarry vineyard tavern beach canyon school "
    "marsh hilltop orchard workshop pasture alley desert theatre"
).split()
QUALITIES = (
    "quiet golden narrow ancient crooked gentle bitter hollow silver patient clumsy frozen "
    "yellow curious heavy tiny faithful dusty brave purple wooden empty famous broken eager "
    "painted lonely clever foreign cheerful ragged polished"
).split()
DEEDS = (
    "carried polished forgot borrowed painted repaired admired dropped followed measured sold "
    "hid noticed collected described lifted traded burned opened ignored discovered offered "
    "wrapped pushed watched guarded cleaned copied lowered answered bought chased"
).split()
TIMES = (
    "before breakfast|after supper|at midnight|in early spring|on market day|during the flood|"
    "near sunset|one cold morning|without a word|for seven weeks|despite the rain|by candlelight|"
    "all summer|twice a year|against all advice|long ago"
).split("|")
SENTENCES = (
    "{T}, a {Q} {P} {D} the {Q} {O}.",
    "{P} and {P} {D} {Q} {O}s {T}.",
    "Beyond the {L}, every {P} {D} some {O}.",
    "Why had that {Q} {P} {D} my {O}?",
    "No {O} in this {L} seemed {Q}, yet another {P} {D} it {T}.",
    "Her {O}, {Q} and {Q}, lay beside our {L}.",
    "{T}, his {O} {D} nobody.",
    "Which {P} {D} both {O}s near a {Q} {L}?",
    "Some {Q} {L} kept its {O}, said the {P}, {T}.",
    "You {D} one {O}; they {D} that {L}.",
    "Under each {Q} {O}, the {P} {D} {Q} {O}s.",
    "Listen, {P}, whispered her {Q} {P}: our {O} {D} the {L}!",
    "From {L} to {L}, {Q} {P}s {D} {O}s {T}.",
    "Only the {P} with an {Q} {O} {D} {L} and {L}.",
)
"""Never more than three fixed words in a row: chance alone makes two stories share a 5-gram."""


@dataclass(frozen=True)
class Story:
    """One stimulus and what was said in it."""

    name: str
    """File name without suffix."""
    wave: NDArray[np.float32]
    """(n_samples,), 16 kHz, on the 16-bit grid."""
    words: pd.DataFrame | None
    """``onset``, ``duration`` (s), ``word``; None where unknown."""
    origin: str
    """What the README says about it."""
    phones: pd.DataFrame | None = None
    """``onset``, ``duration`` (s), ``phone`` (IPA); None where unknown."""
    language: str = "en"

    @property
    def duration_s(self) -> float:
        """Length of the audio."""
        return len(self.wave) / SAMPLE_RATE_HZ

    @property
    def label(self) -> str:
        """The name as a BIDS label: letters and digits only."""
        return re.sub("[^A-Za-z0-9]", "", self.name)


def write_text(index: int, *, n_words: int, seed: int) -> str:
    """Write story number ``index``: random sentences from a vocabulary of its own order.

    Parameters
    ----------
    index : int
        Stories with different numbers share words but hardly any 5-grams.
    n_words : int
        At least this many.
    seed : int
        Same seed and number, same text.
    """
    rng = stream(seed, "story", index)
    slots = {
        "P": _endless(PEOPLE, rng),
        "O": _endless(THINGS, rng),
        "L": _endless(PLACES, rng),
        "Q": _endless(QUALITIES, rng),
        "D": _endless(DEEDS, rng),
        "T": _endless(TIMES, rng),
    }
    patterns = _endless(SENTENCES, rng)
    sentences: list[str] = []
    while sum(len(sentence.split()) for sentence in sentences) < n_words:
        filled = re.sub(r"\{(\w)\}", lambda hit: next(slots[hit.group(1)]), next(patterns))
        filled = re.sub(r"\b(a)n?(?= ([a-z]))", _article, filled)
        sentences.append(filled[0].upper() + filled[1:])
    return " ".join(sentences)


def _article(hit: re.Match[str]) -> str:
    return "an" if hit.group(2) in "aeiou" else "a"


def _endless(items: Sequence[str], rng: np.random.Generator) -> Iterator[str]:
    while True:
        yield from (items[i] for i in rng.permutation(len(items)))


def synthetic_stories(
    n_stories: int, *, duration_s: float, seed: int, first: int = 0, language: str = "en"
) -> list[Story]:
    """Write and speak stories, each with its own text and voice.

    Parameters
    ----------
    n_stories : int
        ``first + n_stories`` may be at most 8, the number of voices.
    duration_s : float
        Length of each, exactly: the speech is cut there, with a short fade.
    seed : int
        Fixes texts and speech.
    first : int
        Number of the first story, to make further stories for the same dataset.
    language : str
        ``en``, ``nl`` or ``fr``.
    """
    if first + n_stories > MAX_STORIES:
        raise BrainAlignError(
            f"{first + n_stories} synthetic stories were asked for, {MAX_STORIES} can be made",
            fix="ask for fewer and longer ones, or give recordings: --audio WAV …",
            exit_code=ExitCode.USAGE,
        )
    stories = []
    for index in range(first, first + n_stories):
        n_words = round(WORDS_PER_S * duration_s)
        if language == "en":
            voice, speed = VOICES[index]
            text = write_text(index, n_words=n_words, seed=seed)
        else:
            voice, speed = LANGUAGES[language].voices[index]
            text = foreign_text(language, index, n_words=n_words, seed=seed)
        spoken = synthesise(text, voice=voice, speed=speed)
        origin = f"synthetic speech, espeak-ng voice {voice}, random sentences"
        story = Story(TITLES[index], spoken.wave, spoken.words, origin, spoken.phones, language)
        stories.append(_cut(story, duration_s))
    return stories


def stories_from_audio(
    paths: Sequence[Path], *, max_duration_s: float | None = None
) -> list[Story]:
    """Take the user's recordings.

    Words and phones come from ``<stem>_words.tsv`` and ``<stem>_phones.tsv`` beside them where
    they exist.

    Raises
    ------
    BrainAlignError
        A file is absent (exit code 66) or unreadable, or two have the same name (64).
    """
    stories: list[Story] = []
    for path in paths:
        if not path.is_file():
            raise BrainAlignError(
                f"{path} does not exist", fix="--audio WAV …", exit_code=ExitCode.MISSING_INPUT
            )
        wave = on_pcm16_grid(load_audio(path))
        if len(wave) < MIN_RECORDING_S * SAMPLE_RATE_HZ:
            raise BrainAlignError(
                f"{path.name} lasts {len(wave) / SAMPLE_RATE_HZ:.1f} s: too short for a story",
                fix=f"give recordings of {MIN_RECORDING_S:g} s or more",
            )
        words, phones = (_beside(path, kind) for kind in ("words", "phones"))
        story = Story(path.stem, wave, words, f"given recording {path.name}", phones)
        if max_duration_s is not None and len(wave) > max_duration_s * SAMPLE_RATE_HZ:
            story = _cut(story, max_duration_s)
        stories.append(story)
    labels = [story.label for story in stories]
    if len(set(labels)) < len(labels) or not all(labels):
        raise BrainAlignError(
            f"the recordings' names don't tell them apart as BIDS labels: {', '.join(labels)}",
            fix="rename them so that letters and digits alone differ",
            exit_code=ExitCode.USAGE,
        )
    return stories


def _beside(recording: Path, kind: str) -> pd.DataFrame | None:
    path = recording.with_name(f"{recording.stem}_{kind}.tsv")
    if not path.is_file():
        return None
    # "null" and "nan" are words; only a missing time is missing.
    absent = {"onset": ["", "n/a"], "duration": ["", "n/a"]}
    return pd.read_csv(path, sep="\t", keep_default_na=False, na_values=absent)


def _cut(story: Story, duration_s: float) -> Story:
    n_samples = round(duration_s * SAMPLE_RATE_HZ)
    if len(story.wave) < n_samples:
        raise BrainAlignError(f"a story is {story.duration_s:.0f} s, not {duration_s} s")
    wave = story.wave[:n_samples].copy()
    n_fade = min(round(FADE_S * SAMPLE_RATE_HZ), n_samples)
    wave[n_samples - n_fade :] *= np.linspace(1.0, 0.0, n_fade)
    tables = (
        None
        if table is None
        else table[table["onset"] + table["duration"] <= duration_s - FADE_S].reset_index(
            drop=True
        )
        for table in (story.words, story.phones)
    )
    words, phones = tables
    return replace(story, wave=on_pcm16_grid(wave), words=words, phones=phones)
