"""Words of a stimulus as Whisper's decoder reads them: one passage of tokens per audio window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError

SHORTEST_S = 0.02
"""A word without duration stands for one encoder frame."""
_STAMP_DIGITS = 6  # times that differ by less are the same

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]


@dataclass(frozen=True)
class Words:
    """Words in the order of their onsets."""

    onset_s: Array64
    offset_s: Array64
    tokens: tuple[tuple[int, ...], ...]
    """May be empty: such a word is not read and gets no state."""

    @property
    def middle_s(self) -> Array64:
        """Half-way between onset and offset."""
        return (self.onset_s + self.offset_s) / 2


@dataclass(frozen=True)
class Frame:
    """The tokens around the words."""

    previous: int
    """``<|startofprev|>``, before the words of the audio before the window."""
    start: tuple[int, ...]
    """``<|startoftranscript|>``, language, task and ``<|notimestamps|>``."""
    max_tokens: int


@dataclass(frozen=True)
class Passage:
    """One pass of the decoder."""

    start_s: float
    """Of the audio window."""
    tokens: tuple[int, ...]
    spans: tuple[tuple[int, int, int], ...]
    """Word, its first position in `tokens`, and the position after its last; only the words whose
    states are taken from this passage."""
    first_word: int
    """The earliest word that is read."""


def passages(words: Words, frame: Frame, starts_s: Array64, *, window_s: float) -> list[Passage]:
    """Give each word to the window in whose middle it lies best, with what comes before it.

    Parameters
    ----------
    words : Words
    frame : Frame
    starts_s : ndarray of shape (n_windows,)
        Seconds at which the audio windows start.
    window_s : float

    Returns
    -------
    list of Passage
        Windows from which no word is taken are left out. A passage holds the words that lie in
        its window (by their middles) up to the last one taken, and before them, as Whisper does
        with text before its window, earlier words in at most half of the decoder's positions
        (Radford et al. 2022, section 2.3; ``n_text_ctx // 2 - 1`` in its decoding).

    Raises
    ------
    BrainAlignError
        The words taken from one window have more tokens than the decoder has positions (65).
    """
    middle = words.middle_s
    distance = np.abs(middle[:, None] - (starts_s + window_s / 2))
    taken_from = distance.argmin(axis=1)
    found = []
    for window, start in enumerate(starts_s):
        mine = [int(i) for i in np.flatnonzero(taken_from == window) if words.tokens[i]]
        if mine:
            first = int(min(mine[0], np.searchsorted(middle, start)))
            found.append(_passage(words, frame, mine, first, float(start)))
    return found


def _passage(words: Words, frame: Frame, mine: list[int], first: int, start_s: float) -> Passage:
    last = mine[-1]
    room = frame.max_tokens - len(frame.start)
    lengths = np.array([len(t) for t in words.tokens])
    while first < mine[0] and lengths[first : last + 1].sum() > room:
        first += 1
    n_body = int(lengths[first : last + 1].sum())
    if n_body > room:
        raise BrainAlignError(
            f"{last + 1 - first} words from {words.onset_s[first]:.1f} s to "
            f"{words.offset_s[last]:.1f} s have {n_body} tokens, and the model's decoder takes "
            f"{room}.",
            fix="lower hop_s in [features] of the configuration: fewer words are then taken from "
            "one window",
        )
    before, n_before = first, 0
    most = min(frame.max_tokens // 2 - 1, room - n_body - 1)
    while before and n_before + lengths[before - 1] <= most:
        before -= 1
        n_before += int(lengths[before])
    tokens = [frame.previous] if n_before else []
    tokens += [t for i in range(before, first) for t in words.tokens[i]]
    tokens += frame.start
    spans, wanted = [], set(mine)
    for word in range(first, last + 1):
        stop = len(tokens) + int(lengths[word])
        if word in wanted:
            spans.append((word, len(tokens), stop))
        tokens += words.tokens[word]
    return Passage(start_s, tuple(tokens), tuple(spans), before)


def hold(words: Words, *, duration_s: float) -> tuple[NDArray[np.intp], Array64]:
    """Say which word stands when: from its onset to its end, and none elsewhere.

    Parameters
    ----------
    words : Words
    duration_s : float
        Of the stimulus.

    Returns
    -------
    owner : ndarray of int, shape (n_changes,)
        Word that stands from each time until the next, the first time being its onset; -1 for
        silence. Where words overlap, the later one counts.
    times : ndarray of shape (n_changes,)
        s on the stimulus clock; from 0 to the stimulus' end at least.
    """
    start = words.onset_s.round(_STAMP_DIGITS)
    stop = np.maximum(words.offset_s, words.onset_s + SHORTEST_S).round(_STAMP_DIGITS)
    times = np.unique(np.concatenate([[0.0, round(duration_s, _STAMP_DIGITS)], start, stop]))
    owner = np.full(len(times), -1)
    places = zip(np.searchsorted(times, start), np.searchsorted(times, stop), strict=True)
    for word, (a, b) in enumerate(places):
        owner[a:b] = word
    return owner, times


def held(layer: Array32, owner: NDArray[np.intp]) -> Array32:
    """Put the states of words (n_words, n_dims) where they stand: (n_changes, n_dims), else 0."""
    frames: Array32 = layer[owner]
    frames[owner < 0] = 0
    return frames
