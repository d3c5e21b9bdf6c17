"""The words of a stimulus as text models are given them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.features.dense import EncoderLayers
from bids_brainalign.features.layer_rows import LazyLayers
from bids_brainalign.features.passages import Words, held, hold

SPACELESS = frozenset(["zh", "ja", "th", "lo", "my", "yue"])
"""Languages written without spaces between words, as listed in Whisper's tokenizer."""
_NAMED = 12


@dataclass(frozen=True)
class Reading:
    """How a language model reads a story."""

    context_words: int
    """Words before each word that it is read with; fewer at the start of the stimulus."""
    words_per_pass: int
    """Words whose states are taken from one pass: 1, and each is read with exactly
    `context_words`; more, and the later ones of a pass are read with up to as many more."""
    pooling: str
    """Whose state is the word's: ``last`` of its tokens, or their ``mean``."""


def primary(language: str) -> str:
    """Give the language of a tag: ``en`` of ``en-GB``."""
    return language.partition("-")[0].lower()


def plain_labels(labels: Sequence[object]) -> tuple[list[str], bool]:
    """Labels with single blanks; in lower case if the transcript is all capitals.

    Transcripts of aligners (those of ds003020 among them) are often in capitals, which language
    models read as shouting or as abbreviations, and which tables of vectors hardly hold.

    Returns
    -------
    labels : list of str
    lowered : bool
        Whether capitals were made lower case. Never for a single letter such as ``I``.
    """
    plain = [" ".join(str(label).split()) for label in labels]
    letters = "".join(plain)
    lowered = letters.isupper() and sum(c.isalpha() for c in letters) > 1
    return ([label.lower() for label in plain] if lowered else plain), lowered


def named(words: Sequence[str]) -> str:
    """List words for a message, each once, and no more than a dozen."""
    distinct = list(dict.fromkeys(words))
    return ", ".join(distinct[:_NAMED]) + (" …" if len(distinct) > _NAMED else "")


def times_of(table: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Onsets and ends of words, s on the stimulus clock."""
    onset = table["onset"].to_numpy(np.float64)
    return onset, onset + table["duration"].to_numpy(np.float64)


def held_layers(
    layers: Sequence[NDArray[np.float32]],
    words: Words,
    *,
    duration_s: float,
    past_s: float,
    notes: tuple[str, ...] = (),
) -> EncoderLayers:
    """Put the states of words where they stand: from onset to end, zero elsewhere.

    Parameters
    ----------
    layers : sequence of ndarray of shape (n_words, n_dims)
    words : Words
    duration_s : float
        Of the stimulus.
    past_s : float
        From the onset of the earliest word that some state knows to that state's end.
    notes : tuple of str

    Returns
    -------
    EncoderLayers
        A frame per change of word, to be held until the next one. At its onset a word is known
        that has yet to be heard: that is the future in them.
    """
    owner, times = hold(words, duration_s=duration_s)
    longest = float(np.max(words.offset_s - words.onset_s, initial=0.0))
    return EncoderLayers(
        LazyLayers(len(layers), lambda i: held(layers[i], owner)), times, past_s, longest, notes
    )
