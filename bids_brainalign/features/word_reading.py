"""States of a language model at spoken words, each read alone or after the words before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.features.passages import Words
from bids_brainalign.features.transcript import SPACELESS, Reading, named, primary
from bids_brainalign.features.word_embeddings import WordEmbeddings, spoken_labels

if TYPE_CHECKING:
    from bids_brainalign.features.language_model import LanguageModel

Context = Literal["alone", "running"]


def embed_text(
    model: LanguageModel,
    words: Sequence[object],
    *,
    language: str,
    context: Context,
    reading: Reading,
    passages: Sequence[object] | None = None,
    batch_size: int = 1,
) -> WordEmbeddings:
    """Read spoken words.

    Parameters
    ----------
    model : LanguageModel
    words : sequence of str
        In the order spoken, repetitions included.
    language : str
        BCP-47; says whether there are blanks between words.
    context : {"alone", "running"}
        ``alone``: the token that begins texts, and the word; equal words get equal vectors.
        ``running``: with ``reading.context_words`` before it, of its own passage.
    reading : Reading
        Alone, only its ``pooling`` counts.
    passages : sequence, optional
        Of every word; a passage ends where the next word's is another. Without it, all words are
        one passage.
    batch_size : int
        How much is read at once, in units of some 512 tokens.

    Returns
    -------
    WordEmbeddings
        All layers.

    Notes
    -----
    A word alone is given with the blank that stands before it in running text, where the tokenizer
    makes a difference. GPT-2's does: nearly all words that it learnt from had one, and without it
    many words fall apart into other tokens, which continue words. It stands after the token that
    begins texts, because states at a model's very first position are of a kind of their own, much
    alike whatever stands there (Sun et al. 2024, COLM, "massive activations"). In running text the
    first word of a passage has no blank before it.
    """
    labels, lowered = spoken_labels(words)
    stretches = _stretches(labels, passages)
    read = _Reader(model, language, reading, batch_size)
    found = read.alone(labels) if context == "alone" else read.running(labels, stretches)
    notes = _notes(labels, found.n_tokens, lowered=lowered)
    if context == "running" and all(len(rows) == 1 for rows in stretches):
        notes.append("No word has another before it in its passage: each was read alone.")
    return WordEmbeddings(
        tuple(map(str, range(len(found.layers)))),
        tuple(found.layers),
        found.n_tokens > 0,
        tuple(notes),
        _described(model, context, reading, language),
    )


def text_passes(
    words: Sequence[object],
    *,
    context: Context,
    reading: Reading,
    passages: Sequence[object] | None = None,
) -> int:
    """Count the texts that a language model reads for these words.

    Each is some words with those before them. More, where words fill the model's positions.
    """
    labels, _ = spoken_labels(words)
    stretches = _stretches(labels, passages)
    if context == "alone":
        return len(set(labels) - {""})
    return sum(math.ceil(len(rows) / reading.words_per_pass) for rows in stretches)


@dataclass(frozen=True)
class _States:
    layers: list[NDArray[np.float32]]
    """(n_words, n_dims) each."""
    n_tokens: NDArray[np.int64]
    """(n_words,)."""


@dataclass(frozen=True)
class _Reader:
    model: LanguageModel
    language: str
    reading: Reading
    batch_size: int

    def alone(self, labels: Sequence[str]) -> _States:
        distinct = list(dict.fromkeys(labels))
        # Twice, for the tokens that follow a blank.
        tokens = [
            self.model.tokens([label] * 2, language=self.language)[1] if label else ()
            for label in distinct
        ]
        read = self._read(tokens, Reading(0, 1, self.reading.pooling))
        place = {label: row for row, label in enumerate(distinct)}
        rows = np.array([place[label] for label in labels], dtype=np.int64)
        return _States([layer[rows] for layer in read.layers], read.n_tokens[rows])

    def running(self, labels: Sequence[str], stretches: Sequence[list[int]]) -> _States:
        shapes = [(len(labels), width) for width in self.model.widths]
        found = _States(
            [np.zeros(shape, dtype=np.float32) for shape in shapes],
            np.zeros(len(labels), dtype=np.int64),
        )
        for rows in stretches:
            tokens = self.model.tokens([labels[row] for row in rows], language=self.language)
            read = self._read(tokens, self.reading)
            found.n_tokens[rows] = read.n_tokens
            for layer, own in zip(found.layers, read.layers, strict=True):
                layer[rows] = own
        return found

    def _read(self, tokens: Sequence[tuple[int, ...]], reading: Reading) -> _States:
        untimed = np.zeros(len(tokens))
        layers, _ = self.model.read(
            Words(untimed, untimed, tuple(tokens)), reading=reading, batch_size=self.batch_size
        )
        return _States(list(layers), np.array([len(own) for own in tokens], dtype=np.int64))


def _stretches(labels: Sequence[str], passages: Sequence[object] | None) -> list[list[int]]:
    """Rows of the words of each passage, in order; empty words are left out."""
    if passages is not None and len(passages) != len(labels):
        raise BrainAlignError(f"{len(passages)} passages are given for {len(labels)} words.")
    of_row = [""] * len(labels) if passages is None else [str(passage) for passage in passages]
    found = [list(rows) for _, rows in groupby(range(len(labels)), key=lambda row: of_row[row])]
    spoken = [[row for row in rows if labels[row]] for rows in found]
    return [rows for rows in spoken if rows]


def _notes(labels: Sequence[str], n_tokens: NDArray[np.int64], *, lowered: bool) -> list[str]:
    missing = [label or "(empty)" for label, n in zip(labels, n_tokens, strict=True) if not n]
    several = [label for label, n in zip(labels, n_tokens, strict=True) if n > 1]
    notes = ["The words are written in capitals only and were read in lower case."]
    notes = notes if lowered else []
    return notes + [
        f"{len(which)} of {len(labels)} words {what}: {named(which)}."
        for which, what in (
            (missing, "have no tokens and so no vector"),
            (several, "are read in several tokens"),
        )
        if which
    ]


def _described(model: LanguageModel, context: Context, reading: Reading, language: str) -> str:
    state = "its last token's" if reading.pooling == "last" else "the mean of its tokens'"
    begin = "after the token that begins texts" if model.begin else "from the first position on"
    if context == "alone":
        blank = "" if primary(language) in SPACELESS else ", with the blank of running text"
        return (
            f"Each word was read alone, {begin}{blank}: what was spoken before it is not in its "
            f"state, which is {state}."
        )
    before = str(reading.context_words)
    if reading.words_per_pass > 1:
        before += f" to {reading.context_words + reading.words_per_pass - 1}"
    return (
        f"Each word was read {begin} with the {before} words before it in the same passage, of "
        "those that are analysed (fewer at its start, or where the model takes no more), and none "
        f"after it; its state is {state}."
    )
