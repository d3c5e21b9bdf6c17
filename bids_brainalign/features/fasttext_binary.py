"""FastText's binary models: word vectors, and those of words made of their character n-grams."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError

_MAGIC = 793_712_314
_VERSIONS = (11, 12)
_ARGUMENTS = struct.Struct("<12id")
"""dim, ws, epoch, minCount, neg, wordNgrams, loss, model, bucket, minn, maxn, lrUpdateRate, t."""
_DICTIONARY = struct.Struct("<3i2q")
"""Entries, words, labels, tokens, pruned n-grams (−1: all are kept)."""
_AFTER_WORD = 9
"""Bytes after an entry's text and its end: its count (8) and its kind (1)."""
_SUPERVISED = 3
_END = "</s>"
_FNV_OFFSET, _FNV_PRIME, _32_BITS = 2_166_136_261, 16_777_619, 0xFFFFFFFF


@dataclass(frozen=True)
class _Header:
    n_dims: int
    n_buckets: int
    shortest: int
    longest: int
    """Of the character n-grams; 0: the model has none."""


class FastTextBinary:
    """A FastText model as ``fasttext skipgram`` and ``cbow`` write it (``cc.en.300.bin``).

    Parameters
    ----------
    path : Path
        The matrix stays on the disk; only the places of the words are kept in memory.

    Raises
    ------
    BrainAlignError
        Not such a file, quantised, or cut off (65).

    References
    ----------
    Bojanowski et al. 2017, TACL 5:135 (a word is the mean of its own vector and those of its
    n-grams); file and hash as in github.com/facebookresearch/fastText v0.9.2, ``fasttext.cc``
    (``loadModel``), ``dictionary.cc`` (``load``, ``computeSubwords``, ``hash``).
    """

    def __init__(self, path: Path) -> None:
        self._header = self.require_header(path)
        self.n_dims = self._header.n_dims
        self._rows: dict[bytes, int] = {}
        try:
            with (
                path.open("rb") as stream,
                mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
            ):
                place = self._read_words(content)
                (quantised,) = struct.unpack_from("<?", content, place)
                if quantised:
                    raise _bad(path, "it is quantised (.ftz)")
                n_rows, n_dims = struct.unpack_from("<2q", content, place + 1)
                size = len(content)
        except struct.error as error:
            raise _bad(path, "it is cut off") from error
        first = place + 1 + 16
        if n_dims != self.n_dims or n_rows < self._n_words or size < first + 4 * n_rows * n_dims:
            raise _bad(path, f"its matrix of {n_rows} × {n_dims} numbers is cut off")
        self._matrix = np.memmap(path, "<f4", mode="r", offset=first, shape=(n_rows, n_dims))

    @staticmethod
    def require_header(path: Path) -> _Header:
        """Read the settings at the beginning of the file.

        Raises
        ------
        BrainAlignError
            Not a FastText model of a version that we know (65).
        """
        with path.open("rb") as stream:
            begin = stream.read(8 + _ARGUMENTS.size)
        if len(begin) < 8 + _ARGUMENTS.size:
            raise _bad(path, "it is cut off")
        magic, version = struct.unpack_from("<2i", begin)
        if magic != _MAGIC or version not in _VERSIONS:
            raise _bad(path, "it does not begin as FastText's models do")
        n_dims, *_, model, n_buckets, shortest, longest, _, _ = _ARGUMENTS.unpack_from(begin, 8)
        if version == _VERSIONS[0] and model == _SUPERVISED:
            longest = 0  # models of that version wrote what they did not use
        return _Header(n_dims, n_buckets, shortest, longest)

    def find(self, word: str) -> NDArray[np.float32] | None:
        """Vector of a word of the vocabulary: mean of its own and its n-grams', (n_dims,)."""
        row = self._rows.get(word.encode())
        if row is None:
            return None
        grams = [] if word == _END else self._grams(word)
        return self._mean([row, *grams])

    def compose(self, word: str) -> NDArray[np.float32] | None:
        """Vector of any other word: mean of its n-grams'; None where the model has none."""
        grams = self._grams(word)
        return self._mean(grams) if grams else None

    def _mean(self, rows: list[int]) -> NDArray[np.float32]:
        # Added one by one in float32, as the original does.
        total = np.zeros(self.n_dims, dtype=np.float32)
        for row in rows:
            total += self._matrix[row]
        return total / np.float32(len(rows))

    def _grams(self, word: str) -> list[int]:
        """Rows of the n-grams of ``<word>``."""
        if not self._has_grams:
            return []
        h = self._header
        return [
            self._n_words + fnv1a(gram.encode()) % h.n_buckets
            for gram in n_grams(word, shortest=h.shortest, longest=h.longest)
        ]

    def _read_words(self, content: mmap.mmap) -> int:
        """Read the dictionary; give the place after it."""
        place = 8 + _ARGUMENTS.size
        counts: tuple[int, ...] = _DICTIONARY.unpack_from(content, place)
        n_entries, self._n_words, _, _, n_pruned = counts
        place += _DICTIONARY.size
        for entry in range(n_entries):
            end = content.find(b"\0", place)
            if end < 0:
                raise struct.error("no end of a word")
            if entry < self._n_words:  # labels of supervised models come after the words
                self._rows[content[place:end]] = entry
            place = end + 1 + _AFTER_WORD
        # Pruning comes with quantisation; 0 means that no n-gram was kept.
        self._has_grams = n_pruned < 0 and self._header.longest > 0 and self._header.n_buckets > 0
        return place + 8 * max(n_pruned, 0)


def n_grams(word: str, *, shortest: int, longest: int) -> Iterator[str]:
    """Character n-grams of ``<word>``, in FastText's order; the lone ``<`` and ``>`` are none.

    Examples
    --------
    >>> list(n_grams("cat", shortest=3, longest=4))
    ['<ca', '<cat', 'cat', 'cat>', 'at>']
    """
    marked = f"<{word}>"
    for start in range(len(marked)):
        for stop in range(start + 1, min(start + longest, len(marked)) + 1):
            lone_mark = stop - start == 1 and (start == 0 or stop == len(marked))
            if stop - start >= shortest and not lone_mark:
                yield marked[start:stop]


def fnv1a(text: bytes) -> int:
    """Hash of an n-gram: FNV-1a of 32 bits, over bytes taken as signed as FastText takes them.

    Examples
    --------
    >>> fnv1a(b"a")
    3826002220
    """
    value = _FNV_OFFSET
    for byte in text:
        signed = byte if byte < 0x80 else byte | 0xFFFFFF00
        value = ((value ^ signed) * _FNV_PRIME) & _32_BITS
    return value


def _bad(path: Path, what: str) -> BrainAlignError:
    return BrainAlignError(
        f"{path.name} is no FastText model that can be read: {what}",
        where=str(path),
        fix="give a .bin as fasttext skipgram or cbow writes it (cc.en.300.bin), or the .vec "
        "beside it",
    )
