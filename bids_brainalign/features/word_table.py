"""Vectors of words that users bring: ``--features NAME=DIR`` with a file ``words.tsv``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.dataset.tables import read_numbered
from bids_brainalign.errors import BrainAlignError, ExitCode

FILE = "words.tsv"
WORD = "word"
_FIX = (
    f"write {FILE} with a column {WORD} and one column of numbers per dimension, separated by "
    "tabs; every word once"
)


@dataclass(frozen=True)
class WordTable:
    """A table of word vectors in memory."""

    n_dims: int
    rows: dict[str, NDArray[np.float32]]

    def find(self, word: str) -> NDArray[np.float32] | None:
        """Vector of a word that the table holds: (n_dims,)."""
        return self.rows.get(word)

    def compose(self, word: str) -> None:
        """Nothing: such a table has no parts of words."""
        return


def word_table_file(folder: Path) -> Path:
    """Find the table of a folder.

    Raises
    ------
    BrainAlignError
        There is none (66).
    """
    path = folder / FILE
    if path.is_file():
        return path
    present = sorted(p.name for p in folder.glob("*") if p.is_file())[:5]
    raise BrainAlignError(
        f"--features: {folder} has no vectors of words",
        where=f"looked for {FILE}; the folder has {', '.join(present) or 'no files'}",
        fix=_FIX,
        exit_code=ExitCode.MISSING_INPUT,
    )


def open_word_table(folder: Path) -> WordTable:
    """Read the table of a folder.

    Parameters
    ----------
    folder : Path
        With ``words.tsv``: a column ``word``, all others numbers.

    Raises
    ------
    BrainAlignError
        The file is absent (66), has no column ``word`` or no other, a field is no finite number,
        or a word has two different vectors (65).
    """
    path = word_table_file(folder)
    table = read_numbered(path)
    if WORD not in table.columns:
        raise _bad(path, f"has no column {WORD}, but {', '.join(map(str, table.columns))}")
    names = [name for name in table.columns if name != WORD]
    if not names or not len(table):
        raise _bad(path, "has no columns of numbers" if not names else "has no words")
    numbers = np.empty((len(table), len(names)), dtype=np.float32)
    for place, name in enumerate(names):
        for row, (line, text) in enumerate(table[name].items()):
            numbers[row, place] = _number(path, f"{line}", str(name), str(text))
    rows: dict[str, NDArray[np.float32]] = {}
    for word, vector, line in zip(table[WORD], numbers, table.index, strict=True):
        if not np.array_equal(rows.setdefault(str(word), vector), vector):
            raise _bad(path, f"line {line}: {word!r} has had another vector before")
    return WordTable(len(names), rows)


def _number(path: Path, line: str, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not abs(value) <= float(np.finfo(np.float32).max):
        raise _bad(path, f"line {line}, column {column}: {text!r} is no finite number")
    return value


def _bad(path: Path, what: str) -> BrainAlignError:
    separator = ", " if what.startswith("line") else " "
    return BrainAlignError(f"{path.name}{separator}{what}", where=str(path), fix=_FIX)
