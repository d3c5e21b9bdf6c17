"""One vector per spoken word and layer, and which words have one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.transcript import plain_labels

Array32 = NDArray[np.float32]


@dataclass(frozen=True)
class EmbeddedPart:
    """Neighbouring columns that come from one embedding."""

    name: str
    n_dims: int
    of_audio: bool
    """Made of the word's sound, not of its letters."""


@dataclass(frozen=True)
class WordEmbeddings:
    """What a model gives for each word that a participant spoke."""

    layers: tuple[str, ...]
    """Names: ``"0"`` … ``"L"`` of a model; ``"0"`` of a table of vectors."""
    values: tuple[Array32, ...]
    """Of each layer, (n_words, n_dims); zero for words without a vector."""
    known: NDArray[np.bool_]
    """(n_words,) whether a word has a vector."""
    notes: tuple[str, ...]
    """Sentences on words that have none, or that were read otherwise than they are written."""
    description: str
    """How the vectors were made."""
    of_audio: bool = False
    """Made of the words' sound, not of their letters."""
    parts: tuple[EmbeddedPart, ...] = ()
    """Of concatenated embeddings, from the first column on; empty for a single one."""

    def __post_init__(self) -> None:
        for name, layer in zip(self.layers, self.values, strict=True):
            if len(layer) != len(self.known):
                raise ValueError(f"layer {name}: {len(layer)} rows of {len(self.known)} words")
            bad = np.flatnonzero(~np.isfinite(layer).all(axis=1))
            if len(bad):
                raise BrainAlignError(
                    f"Layer {name} has NaN or infinite numbers for {len(bad)} of "
                    f"{len(layer)} words, the first is word {bad[0] + 1}.",
                    fix="run the model in float32 (--precision fp32)",
                )

    def at(self, layer: str) -> WordEmbeddings:
        """Take one layer.

        Raises
        ------
        BrainAlignError
            There is no such layer (64).
        """
        if layer not in self.layers:
            raise BrainAlignError(
                f"There is no layer {layer}; there are {self.layers[0]} to {self.layers[-1]}.",
                exit_code=ExitCode.USAGE,
            )
        one = self.values[self.layers.index(layer)]
        rest = (self.known, self.notes, self.description, self.of_audio, self.parts)
        return WordEmbeddings((layer,), (one,), *rest)


def of_words(embedding: WordEmbeddings, rows: NDArray[np.bool_]) -> WordEmbeddings:
    """Take some of the words."""
    values = tuple(layer[rows] for layer in embedding.values)
    return replace(embedding, values=values, known=embedding.known[rows])


def concatenate(embeddings: Sequence[WordEmbeddings], names: Sequence[str]) -> WordEmbeddings:
    """Put embeddings of the same words side by side.

    Parameters
    ----------
    embeddings : sequence of WordEmbeddings
        Of one layer each: choose it with :meth:`WordEmbeddings.at`.
    names : sequence of str
        Of the embeddings.

    Returns
    -------
    WordEmbeddings
        One layer, named after the layers of the parts (``0+11``). A word is known if all parts
        know it. Nothing is scaled: parts come to the same weight by the training words of each
        fold (``production.inputs.Preparation``).
    """
    shared = known_to_all(embeddings)
    if any(len(one.layers) != 1 for one in embeddings):
        raise ValueError("choose one layer of every embedding before putting them side by side")
    parts = tuple(
        EmbeddedPart(name, one.values[0].shape[1], one.of_audio)
        for name, one in zip(names, embeddings, strict=True)
    )
    joined = np.concatenate([one.values[0] for one in embeddings], axis=1)
    joined[~shared] = 0
    notes = [f"{n}: {note}" for n, e in zip(names, embeddings, strict=True) for note in e.notes]
    stops = np.cumsum([part.n_dims for part in parts])
    columns = [
        f"columns {stop - part.n_dims + 1} to {stop} are {part.name}, layer {one.layers[0]} "
        f"({one.description.rstrip('.')})"
        for part, stop, one in zip(parts, stops, embeddings, strict=True)
    ]
    return WordEmbeddings(
        ("+".join(one.layers[0] for one in embeddings),),
        (joined,),
        shared,
        tuple(notes),
        f"Side by side: {'; '.join(columns)}.",
        of_audio=all(part.of_audio for part in parts),
        parts=parts,
    )


def known_to_all(embeddings: Sequence[WordEmbeddings]) -> NDArray[np.bool_]:
    """Words that have a vector in every embedding, so that all are scored on the same: (n_words,).

    Raises
    ------
    BrainAlignError
        Embeddings are of different numbers of words (65).
    """
    counts = sorted({len(one.known) for one in embeddings})
    if len(counts) != 1:
        raise BrainAlignError(
            f"These embeddings are of different words: {', '.join(map(str, counts))} of them."
        )
    return np.asarray(np.all([one.known for one in embeddings], axis=0))


def spoken_labels(words: Sequence[object]) -> tuple[list[str], bool]:
    """Words as models are given them: as of a transcript, and nothing where there is none.

    Parameters
    ----------
    words : sequence
        Strings; ``None``, NaN and BIDS' ``n/a`` are words that nobody wrote down.

    Returns
    -------
    labels : list of str
    lowered : bool
        Whether all were in capitals, and were made lower case.
    """
    return plain_labels(["" if _is_missing(word) else word for word in words])


def _is_missing(word: object) -> bool:
    if isinstance(word, str):
        return word.strip() == "n/a"
    return word is None or word is pd.NA or (isinstance(word, float) and np.isnan(word))
