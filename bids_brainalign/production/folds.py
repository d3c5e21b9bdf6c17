"""Folds over words: ten-fold or one word at a time, each with inner folds for its penalties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.statistics.folds import Fold, Split

Rows = NDArray[np.int64]
FoldsOver = Literal["k-fold", "leave-one-word-out"]
Cut = Literal["dealt", "contiguous"]

LEAST_WORDS = 10
"""Different words. With fewer, shuffling the training words of a fold hardly changes a fit, and a
mean over words says nothing."""


@dataclass(frozen=True)
class WordFolds:
    """Outer folds over words; those that share their penalties share one tuple of inner folds."""

    folds: tuple[Fold, ...]
    content: Rows
    """(n_words,) equal numbers are the same word or passage, and are held out together."""
    over: FoldsOver
    cut: Cut

    @property
    def n_words(self) -> int:
        """Rows, repetitions included."""
        return len(self.content)

    @property
    def leaves_one_out(self) -> bool:
        """Whether every fold holds out a single word: r over words is then meaningless."""
        return self.over == "leave-one-word-out"

    def selections(self) -> tuple[tuple[Split, ...], ...]:
        """Inner folds, each once."""
        return tuple({id(fold.inner): fold.inner for fold in self.folds}.values())


def selection_rows(inner: tuple[Split, ...]) -> Rows:
    """Words that penalties are chosen on: training and validation words of the inner folds."""
    return np.union1d(inner[0].train, inner[0].test)


def word_folds(
    content: Rows,
    *,
    over: FoldsOver = "k-fold",
    cut: Cut = "dealt",
    n_folds: int = 10,
    n_inner: int = 5,
    seed: int = 0,
) -> WordFolds:
    """Plan the folds.

    Parameters
    ----------
    content : ndarray of shape (n_words,), int
        Equal numbers are held out together: repetitions of a word, words of one passage.
    over : {"k-fold", "leave-one-word-out"}
        One word at a time, penalties are still chosen once per group of the k-fold plan, on words
        outside the group of the word that is held out.
    cut : {"dealt", "contiguous"}
        ``dealt``: words go to folds at random, for words in random order; all shuffles can then
        share their decompositions and stay exact. ``contiguous``: folds are stretches of time,
        for continuous speech.
    n_folds, n_inner : int
    seed : int
        Of the dealing.

    Returns
    -------
    WordFolds

    Raises
    ------
    BrainAlignError
        If there are too few different words.
    """
    content = np.asarray(content, dtype=np.int64)
    labels = _by_appearance(content)
    if len(labels) < LEAST_WORDS:
        raise BrainAlignError(
            f"{len(labels)} different words are too few to rebuild responses from words; "
            f"{LEAST_WORDS} are needed.",
            fix="Leave this participant out, or select more words.",
        )
    rng = np.random.default_rng(seed)
    if cut == "dealt":
        labels = rng.permutation(labels)
    folds: list[Fold] = []
    everything = np.arange(len(content))
    for number, held_out in enumerate(np.array_split(labels, min(n_folds, len(labels)))):
        rest = labels[~np.isin(labels, held_out)]
        inner = _inner(content, rest, n_inner)
        sets = [held_out] if over == "k-fold" else held_out[:, None]
        for place, words in enumerate(sets):
            test = np.flatnonzero(np.isin(content, words))
            name = f"{number + 1}" if over == "k-fold" else f"{number + 1}.{place + 1}"
            folds.append(Fold(name, Split(np.setdiff1d(everything, test), test), inner))
    return WordFolds(tuple(folds), content, over, cut)


def _by_appearance(content: Rows) -> Rows:
    """Each label once, in the order of time."""
    labels, first = np.unique(content, return_index=True)
    return np.asarray(labels[np.argsort(first)])


def _inner(content: Rows, labels: Rows, n_inner: int) -> tuple[Split, ...]:
    rows = np.flatnonzero(np.isin(content, labels))
    splits = []
    for held_out in np.array_split(labels, min(n_inner, len(labels))):
        test = rows[np.isin(content[rows], held_out)]
        splits.append(Split(np.setdiff1d(rows, test), test))
    return tuple(splits)
