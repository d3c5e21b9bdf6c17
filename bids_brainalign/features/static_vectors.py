"""One vector per word, whatever its context: GloVe and FastText tables."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.features.dense import EncoderLayers
from bids_brainalign.features.fasttext_binary import FastTextBinary
from bids_brainalign.features.passages import Words
from bids_brainalign.features.transcript import held_layers, named, plain_labels, times_of

SUFFIXES = (".txt", ".vec", ".bin")
_LANGUAGE = re.compile(r"(?:cc|wiki)\.([a-z]{2,3})\.")
_PUNCTUATION = ".,;:!?…\"'“”‘’«»()[]{}-–—"
_LONGEST_LINE = 1_000_000
_SHORTEST = 2
"""A first line with no more words or numbers is no vector, but the header of FastText and
word2vec."""
_LOOKED_AT = 100
"""Lines that are checked before any work; the others where their words are looked up."""


class StaticVectors(Protocol):
    """A table of word vectors."""

    @property
    def n_dims(self) -> int:
        """Numbers per word."""
        ...

    def find(self, word: str) -> NDArray[np.float32] | None:
        """Vector of a word that the table holds: (n_dims,)."""
        ...

    def compose(self, word: str) -> NDArray[np.float32] | None:
        """Vector of a word that it does not hold, from parts of the word where it has any."""
        ...


class TextVectors:
    """A text file with a word and its numbers in each line, separated by blanks or tabs.

    Parameters
    ----------
    path : Path
        GloVe's form, or FastText's and word2vec's with the numbers of words and dimensions in the
        first line. Only the places of the words are kept in memory.

    Raises
    ------
    BrainAlignError
        The first line with a word holds no numbers (65).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.n_dims = _text_width(path)
        self._places: dict[bytes, int] = {}
        with path.open("rb") as stream:
            place = 0
            for line in stream:
                # Words with blanks (". . ." in GloVe 840B) are found under their first part only
                # where nothing else is: see `find`.
                if place or len(line.split()) > _SHORTEST:
                    self._places.setdefault(_word(line), place)
                place += len(line)

    def find(self, word: str) -> NDArray[np.float32] | None:
        """Vector of a word that the file holds: (n_dims,).

        Raises
        ------
        BrainAlignError
            Its line holds more or fewer numbers than the first, or something else (65).
        """
        place = self._places.get(word.encode())
        if place is None or not word:
            return None
        with self._path.open("rb") as stream:
            stream.seek(place)
            line = stream.readline()
        numbers = _numbers(line, self.n_dims)
        if numbers is None:
            return None
        if len(numbers) != self.n_dims:
            raise _uneven(self._path, self._line_number(place), line, self.n_dims)
        try:
            return np.array([float(number) for number in numbers], dtype=np.float32)
        except ValueError as error:
            raise _bad(self._path, f"what follows {word!r} is no vector: {error}") from error

    def compose(self, word: str) -> None:
        """Nothing: a text file has no parts of words."""
        return

    def _line_number(self, place: int) -> int:
        """Count from 1, as editors do."""
        number, passed = 1, 0
        with self._path.open("rb") as stream:
            while passed < place:
                passed += len(stream.readline())
                number += 1
        return number


def open_vectors(path: Path) -> StaticVectors:
    """Open a table of word vectors: ``.bin`` is FastText's binary form, all others are text.

    Raises
    ------
    BrainAlignError
        It is not in the form that its name says (65).
    """
    return FastTextBinary(path) if path.suffix == ".bin" else TextVectors(path)


def require_vectors(path: Path) -> None:
    """Look at the beginning of a file of word vectors before any work.

    Raises
    ------
    BrainAlignError
        It holds no word vectors in a form that we read (65).
    """
    if path.suffix == ".bin":
        FastTextBinary.require_header(path)
        return
    n_dims = _text_width(path)
    with path.open("rb") as stream:
        for number, line in enumerate(islice(stream, _LOOKED_AT), start=1):
            numbers = _numbers(line, n_dims)
            if number == 1 and len(line.split()) <= _SHORTEST:
                continue  # the header
            if line.strip() and numbers is not None and len(numbers) != n_dims:
                raise _uneven(path, number, line, n_dims)


def file_languages(path: Path) -> tuple[str, ...]:
    """Language of a file as FastText names its own (``cc.nl.300.bin``); else nothing is known."""
    found = _LANGUAGE.match(path.name)
    return (found[1],) if found else ()


def read_static(
    vectors: StaticVectors, table: pd.DataFrame, *, duration_s: float
) -> EncoderLayers:
    """Look up the words of a stimulus.

    Parameters
    ----------
    vectors : StaticVectors
    table : DataFrame
        ``onset`` (s), ``duration`` (s), ``label``, in the order of the onsets.
    duration_s : float
        Of the stimulus.

    Returns
    -------
    EncoderLayers
        One layer: a frame per change of word, to be held until the next one; zero between words
        and for words that are not found, which the notes count and name.
    """
    labels, _ = plain_labels(list(table["label"]))
    layer = np.zeros((len(labels), vectors.n_dims), dtype=np.float32)
    missing: list[str] = []
    composed: list[str] = []
    known: dict[str, tuple[NDArray[np.float32] | None, str]] = {}
    for row, label in enumerate(labels):
        if label not in known:
            known[label] = found_as(vectors, label)
        vector, form = known[label]
        if vector is None:
            missing.append(label)
        else:
            layer[row] = vector
            if not form:
                composed.append(label)
    onset, offset = times_of(table)
    words = Words(onset, offset, tuple(() for _ in labels))
    longest = float(np.max(offset - onset, initial=0.0))
    notes = [
        f"{len(found)} of {len(labels)} words {what}: {named(found)}."
        for found, what in (
            (missing, "have no vector and are zeros"),
            (composed, "are not in the table, and their vectors are made of their parts"),
        )
        if found
    ]
    return held_layers([layer], words, duration_s=duration_s, past_s=longest, notes=tuple(notes))


def look_up(vectors: StaticVectors, label: str) -> NDArray[np.float32] | None:
    """Vector of a word: as written, without punctuation, in lower case, or from its parts."""
    return found_as(vectors, label)[0]


def found_as(vectors: StaticVectors, label: str) -> tuple[NDArray[np.float32] | None, str]:
    """Vector of a word, and the form in which the table holds it.

    Parameters
    ----------
    vectors : StaticVectors
    label : str

    Returns
    -------
    vector : ndarray of shape (n_dims,) or None
    form : str
        The word as written, without punctuation, or in lower case; empty where the table holds
        none of these, and the vector, if any, is made of the word's parts.
    """
    for form in _forms(label):
        vector = vectors.find(form)
        if vector is not None:
            return vector, form
    bare = label.strip(_PUNCTUATION)
    return (vectors.compose(bare) if bare else None), ""


def _forms(label: str) -> Iterator[str]:
    bare = label.strip(_PUNCTUATION)
    yield from dict.fromkeys(form for form in (label, bare, label.lower(), bare.lower()) if form)


def _word(line: bytes) -> bytes:
    """Give what stands before the first tab; where there is none, before the first blank."""
    line = line.rstrip()
    return line.partition(b"\t" if b"\t" in line else b" ")[0].rstrip()


def _numbers(line: bytes, n_dims: int) -> list[bytes] | None:
    """Split what follows the word; None where the word goes on after a blank (". . .")."""
    fields = line.rstrip()[len(_word(line)) :].split()
    spare = fields[: max(0, len(fields) - n_dims)]
    return fields if all(map(_is_number, spare)) else None


def _is_number(text: bytes) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _text_width(path: Path) -> int:
    """Dimensions of the vectors in a text file, from its first line or that after a header."""
    with path.open("rb") as stream:
        for line in (stream.readline(_LONGEST_LINE), stream.readline(_LONGEST_LINE)):
            fields = line.rstrip()[len(_word(line)) :].split()
            if len(fields) < _SHORTEST:
                if fields and not all(field.isdigit() for field in line.split()):
                    raise _bad(path, f"{line.rstrip().decode(errors='replace')!r} is no vector")
                continue
            try:
                return len([float(field) for field in fields])
            except ValueError as error:
                raise _bad(path, f"its first line is no vector: {error}") from error
    raise _bad(path, "its first lines hold no numbers")


def _uneven(path: Path, number: int, line: bytes, n_dims: int) -> BrainAlignError:
    word = _word(line).decode(errors="replace")
    count = len(line.rstrip()[len(_word(line)) :].split())
    return BrainAlignError(
        f"{path.name}, line {number}: {word!r} has {count} numbers, but the first word has "
        f"{n_dims}.",
        where=str(path),
        fix="give all words of the file as many numbers; a file that was cut short must be "
        "downloaded or unpacked again",
    )


def _bad(path: Path, what: str) -> BrainAlignError:
    return BrainAlignError(
        f"{path.name} holds no word vectors that can be read: {what}",
        where=str(path),
        fix="give a text file with a word and its numbers per line (GloVe .txt, FastText .vec), "
        "unpacked, or a FastText .bin that is not quantised",
    )
