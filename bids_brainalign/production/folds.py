"""Folds over words: ten-fold or one word at a time, each with inner folds for its penalties."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
LEAST_GROUPS = 3
"""Of words that are held out together: penalties are chosen on other groups than are tested."""
LEAST_TRAINING = 7
"""Words. So many are left in the inner folds of ten words that are far apart."""


@dataclass(frozen=True)
class WordFolds:
    """Outer folds over words; those that share their penalties share one tuple of inner folds."""

    folds: tuple[Fold, ...]
    content: Rows
    """(n_words,) equal numbers are the same word or passage, and are held out together."""
    over: FoldsOver
    cut: Cut
    reach_s: float
    """Words that start within it of held-out ones don't train; 0: all others train, as no two
    words are so near to each other."""
    types: Rows
    """(n_words,) equal numbers are the same word, whether they are held out together or not."""

    @property
    def n_words(self) -> int:
        """Rows, repetitions included."""
        return len(self.content)

    @property
    def leaves_one_out(self) -> bool:
        """Whether every fold holds out a single word: r over words is then meaningless."""
        return self.over == "leave-one-word-out"

    @property
    def n_purged(self) -> Rows:
        """(n_folds,) words that neither train nor are held out: too near to held-out ones."""
        splits = [fold.outer for fold in self.folds]
        return np.array([self.n_words - len(s.train) - len(s.test) for s in splits])

    def selections(self) -> tuple[tuple[Split, ...], ...]:
        """Inner folds, each once."""
        return tuple({id(fold.inner): fold.inner for fold in self.folds}.values())

    def without(self, rows: Rows) -> WordFolds:
        """Leave words out of all folds, as if they had never been; the others are renumbered."""
        kept = np.setdiff1d(np.arange(self.n_words), rows)
        new = {
            id(inner): tuple(
                split
                for split in (_renumbered(split, kept) for split in inner)
                if len(split.train) and len(split.test)
            )
            for inner in self.selections()
        }
        folds = tuple(
            Fold(fold.name, _renumbered(fold.outer, kept), new[id(fold.inner)])
            for fold in self.folds
            if np.isin(fold.outer.test, kept).any()
        )
        return replace(self, folds=folds, content=self.content[kept], types=self.types[kept])


def _renumbered(split: Split, kept: Rows) -> Split:
    """Give a split by places among the kept rows."""
    parts = (np.intersect1d(part, kept) for part in (split.train, split.test))
    return Split(*(np.searchsorted(kept, part) for part in parts))


def selection_rows(inner: tuple[Split, ...]) -> Rows:
    """Words that penalties are chosen on: training and validation words of the inner folds."""
    return np.unique(
        np.concatenate([rows for split in inner for rows in (split.train, split.test)])
    )


@dataclass(frozen=True)
class _Clock:
    """When words start, and how near to each other is too near."""

    starts_s: NDArray[np.float64]
    runs: Rows
    reach_s: float

    def away(self, rows: Rows, held: Rows) -> Rows:
        """Rows that start further than the reach from every held-out word of the same run."""
        near = np.zeros(len(rows), dtype=np.bool_)
        for run in np.unique(self.runs[held]):
            times = np.sort(self.starts_s[held[self.runs[held] == run]])
            starts = self.starts_s[rows]
            after = np.searchsorted(times, starts - self.reach_s, side="left")
            until = np.searchsorted(times, starts + self.reach_s, side="right")
            near |= (until > after) & (self.runs[rows] == run)
        return rows[~near]


def word_folds(
    content: Rows,
    *,
    over: FoldsOver = "k-fold",
    cut: Cut = "dealt",
    n_folds: int = 10,
    n_inner: int = 5,
    seed: int = 0,
    starts_s: NDArray[np.floating] | None = None,
    runs: Rows | None = None,
    reach_s: float = 0.0,
    types: Rows | None = None,
) -> WordFolds:
    """Plan the folds.

    In continuous speech the response windows of neighbouring words overlap: a word next to a
    held-out one holds part of its response. Words that start within `reach_s` of a held-out word
    don't train then, outside and inside; words within reach of any word of the held-out group
    choose no penalties either.

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
    starts_s : ndarray of shape (n_words,), optional
        When words start, in seconds on the clock of their run.
    runs : ndarray of shape (n_words,), int, optional
        Words of different runs are never near each other; without it, all are of one run.
    reach_s : float
        Length of the response window and the support of the filters before it. Contiguous folds
        lose few words to it, dealt ones many.
    types : ndarray of shape (n_words,), int, optional
        Equal numbers are the same word; without it, those of equal content. In continuous speech
        words come again in other folds: what tells words apart is then known of held-out ones,
        and nulls must know it too.

    Returns
    -------
    WordFolds

    Raises
    ------
    BrainAlignError
        If there are too few different words or groups, or too few words are out of reach of
        held-out ones.
    """
    content = np.asarray(content, dtype=np.int64)
    labels = _by_appearance(content)
    same = content if types is None else np.asarray(types, dtype=np.int64)
    _check_numbers(len(np.unique(same)), len(labels))
    clock = _clock(starts_s, runs, reach_s, len(content))
    rng = np.random.default_rng(seed)
    if cut == "dealt":
        labels = rng.permutation(labels)
    folds: list[Fold] = []
    everything = np.arange(len(content))
    for number, held_out in enumerate(np.array_split(labels, min(n_folds, len(labels)))):
        group = np.flatnonzero(np.isin(content, held_out))
        inner = _inner(content, labels, _training(everything, group, clock), n_inner, clock)
        sets = [held_out] if over == "k-fold" else held_out[:, None]
        for place, words in enumerate(sets):
            test = np.flatnonzero(np.isin(content, words))
            name = f"{number + 1}" if over == "k-fold" else f"{number + 1}.{place + 1}"
            folds.append(Fold(name, Split(_training(everything, test, clock), test), inner))
    reach_s = clock.reach_s if clock else 0.0
    plan = WordFolds(tuple(folds), content, over, cut, reach_s, same)
    _check_training(plan)
    return plan


def _check_numbers(n_different: int, n_groups: int) -> None:
    if n_different < LEAST_WORDS:
        raise BrainAlignError(
            f"{n_different} different words are too few to rebuild responses from words; "
            f"{LEAST_WORDS} are needed.",
            fix="Leave this participant out, or select more words.",
        )
    if n_groups < LEAST_GROUPS:
        raise BrainAlignError(
            f"{n_groups} groups of words that are held out together are too few; {LEAST_GROUPS} "
            "are needed.",
            fix="Give smaller groups (content_group in events.tsv), or none.",
        )


def _clock(
    starts_s: NDArray[np.floating] | None, runs: Rows | None, reach_s: float, n_words: int
) -> _Clock | None:
    """Check the times of words; None where no word is too near to another."""
    if starts_s is None or reach_s <= 0:
        if reach_s > 0:
            raise BrainAlignError(
                "Words near to held-out ones cannot be left out without their times.",
                fix="Give the starts of words, or no reach.",
            )
        return None
    starts = np.asarray(starts_s, dtype=np.float64)
    of_run = np.zeros(n_words, dtype=np.int64) if runs is None else np.asarray(runs)
    if not len(starts) == len(of_run) == n_words:
        raise BrainAlignError(
            f"{n_words} words, {len(starts)} starts and {len(of_run)} runs do not fit."
        )
    lacking = np.flatnonzero(~np.isfinite(starts))
    if len(lacking):
        raise BrainAlignError(
            f"{len(lacking)} of {n_words} words have no start, the first is word "
            f"{lacking[0] + 1}: which words are near to it is not known.",
            fix="Leave words without a time out.",
        )
    # Where all words are far apart, nothing is left out, and nulls may exchange responses.
    apart = [np.diff(np.sort(starts[of_run == run])) for run in np.unique(of_run)]
    if not any((steps <= reach_s).any() for steps in apart):
        return None
    return _Clock(starts, of_run, reach_s)


def _training(rows: Rows, test: Rows, clock: _Clock | None) -> Rows:
    """Rows that are not held out, nor too near to those that are."""
    rest = np.setdiff1d(rows, test)
    return rest if clock is None else clock.away(rest, test)


def _check_training(plan: WordFolds) -> None:
    """Refuse a plan of which the reach has left too little; one without any is as it was cut."""
    if not plan.reach_s:
        return
    for fold in plan.folds:
        for split in (fold.outer, *fold.inner):
            if len(split.train) >= LEAST_TRAINING:
                continue
            of = "" if split is fold.outer else "an inner fold of "
            raise BrainAlignError(
                f"{len(split.train)} of {plan.n_words} words are left to train on in {of}fold "
                f"{fold.name}; {LEAST_TRAINING} are needed.",
                where=f"{len(split.test)} words are held out, and others start within "
                f"{plan.reach_s:g} s of them.",
                fix="Hold out stretches of time (contiguous folds), or take a shorter response "
                "window.",
            )


def _by_appearance(content: Rows) -> Rows:
    """Each label once, in the order of time."""
    labels, first = np.unique(content, return_index=True)
    return np.asarray(labels[np.argsort(first)])


def _inner(
    content: Rows, labels: Rows, rows: Rows, n_inner: int, clock: _Clock | None
) -> tuple[Split, ...]:
    """Inner folds of the rows that may train, by their labels in the order given."""
    left = labels[np.isin(labels, content[rows])]
    splits = []
    for held_out in np.array_split(left, max(1, min(n_inner, len(left)))):
        test = rows[np.isin(content[rows], held_out)]
        splits.append(Split(_training(rows, test, clock), test))
    return tuple(splits)
