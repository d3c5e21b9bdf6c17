"""Training, validation and test parts that share no speaker, no sentence and no story."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError

PARTS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)
OUT = -1
"""Part of what is left out."""
SHARES = (0.6, 0.2, 0.2)
_MOST = 0.7
"""Share of the clips in one connected group above which speakers and sentences are parted each
for itself: all 91 actors of CREMA-D say the same 12 sentences."""

Keys = Sequence[Hashable | None]


@dataclass(frozen=True)
class Parts:
    """To which part each clip belongs."""

    part: NDArray[np.int64]
    """(n_clips,): 0 training, 1 validation, 2 test, −1 left out."""
    rule: str
    """How it was parted, as a sentence."""


def split_clips(
    speakers: Keys,
    sentences: Keys,
    *,
    official: Sequence[str | None],
    rng: np.random.Generator,
) -> Parts:
    """Part clips so that nothing is shared; official parts are kept.

    Parameters
    ----------
    speakers, sentences : sequence of hashable or None
        Of each clip; None where it is unknown, and then shared with no other clip. What stories
        share stands in `sentences`.
    official : sequence of {"train", "validation", "test", None}
        The part that a corpus itself gives. What it gives wins: of the clips that share a speaker
        or a sentence with a later part, the earlier part's are left out.
    rng : Generator

    Returns
    -------
    Parts

    Raises
    ------
    BrainAlignError
        There are not three groups of clips that share nothing (65).
    """
    if any(official):
        return _official(speakers, sentences, official, rng)
    groups = connected(speakers, sentences)
    sizes = np.bincount(groups)
    can_fill = len(sizes) >= len(PARTS)
    crossed = None
    if not can_fill or sizes.max() > _MOST * len(groups):
        crossed = _crossed(speakers, sentences, rng)
    if crossed is not None:
        return crossed
    if can_fill:
        return Parts(
            _filled(sizes, rng)[groups],
            "parts share no speaker, sentence or story, drawn at random",
        )
    raise BrainAlignError(
        "the clips can't be parted for training, validation and test",
        where=f"{len(sizes)} groups share no speaker, sentence or story, and three are needed",
        fix="give a folder with more speakers or recordings",
    )


def connected(*keys: Keys) -> NDArray[np.int64]:
    """Find groups of clips: two that share any key are in one group.

    Examples
    --------
    >>> connected(["a", "a", "b", None], ["x", "y", "y", None]).tolist()
    [0, 0, 0, 1]
    """
    parent = list(range(len(keys[0])))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for kind in keys:
        first: dict[Hashable, int] = {}
        for i, key in enumerate(kind):
            if key is not None:
                parent[root(i)] = root(first.setdefault(key, i))
    roots = [root(i) for i in range(len(parent))]
    order = {r: n for n, r in enumerate(dict.fromkeys(roots))}
    return np.array([order[r] for r in roots], dtype=np.int64)


def check_disjoint(part: NDArray[np.int64], *keys: Keys) -> None:
    """Refuse parts that share a key: a fault of ours, not of the user.

    Raises
    ------
    ValueError
    """
    for kind in keys:
        seen: dict[Hashable, int] = {}
        for key, mine in zip(kind, part.tolist(), strict=True):
            if key is not None and mine != OUT and seen.setdefault(key, mine) != mine:
                raise ValueError(f"{key!r} is in two parts")


def _filled(sizes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Part of every group: the next group goes where most is lacking; no part stays empty."""
    order = rng.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")] if len(sizes) < 12 else order
    wanted = np.array(SHARES) * sizes.sum()
    filled, count = np.zeros(3), np.zeros(3, dtype=int)
    part = np.empty(len(sizes), dtype=np.int64)
    for left, group in zip(range(len(order), 0, -1), order, strict=True):
        lacking = np.where(count == 0, np.inf, 0) if left <= (count == 0).sum() else 0
        chosen = int(np.argmax(lacking + (wanted - filled) / wanted))
        part[group] = chosen
        filled[chosen] += sizes[group]
        count[chosen] += 1
    return part


def _official(
    speakers: Keys, sentences: Keys, official: Sequence[str | None], rng: np.random.Generator
) -> Parts:
    index = {name: i for i, name in enumerate(PARTS)}
    part = np.array([OUT if o is None else index[o] for o in official], dtype=np.int64)
    rule = "the parts that the corpus gives"
    for later in (TEST, VALIDATION):
        for kind in (speakers, sentences):
            held = {k for k, p in zip(kind, part, strict=True) if p == later and k is not None}
            shared = np.array([k in held for k in kind], dtype=bool)
            part[shared & (part != later)] = OUT
    for lacking, source in ((TEST, TRAIN), (VALIDATION, TRAIN)):
        if not (part == lacking).any():
            rows = np.flatnonzero(part == source)
            groups = connected(
                *([kind[i] for i in rows.tolist()] for kind in (speakers, sentences))
            )
            share = SHARES[lacking] if lacking == TEST else SHARES[lacking] / 2
            part[rows[_share_of(groups, share, rng)]] = lacking
            rule += f"; of its training part, groups that share nothing are for {PARTS[lacking]}"
    if len(set(part.tolist()) - {OUT}) < len(PARTS):
        raise BrainAlignError(
            "the parts of the corpus share speakers or sentences, and too little else is left",
            fix="give the whole corpus",
        )
    return Parts(part, rule)


def _share_of(
    groups: NDArray[np.int64], share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Rows of some groups, about this share of all; one group stays where there are two."""
    names = rng.permutation(np.unique(groups))
    chosen: list[int] = []
    for name in names[: max(0, len(names) - 1)]:
        if np.isin(groups, chosen).mean() >= share:
            break
        chosen.append(int(name))
    return np.asarray(np.isin(groups, chosen))


def _crossed(speakers: Keys, sentences: Keys, rng: np.random.Generator) -> Parts | None:
    """Part speakers and sentences each for itself; clips that mix parts are left out."""
    parts = []
    for kind in (speakers, sentences):
        names = [k for k in dict.fromkeys(kind) if k is not None]
        if len(names) < len(PARTS) or None in kind:
            return None
        sizes = np.bincount([names.index(k) for k in kind])
        of = dict(zip(names, _filled(sizes, rng), strict=True))
        parts.append(np.array([of[k] for k in kind], dtype=np.int64))
    part = np.where(parts[0] == parts[1], parts[0], OUT)
    if len(set(part.tolist()) - {OUT}) < len(PARTS):
        return None
    return Parts(
        part,
        "speakers and sentences are parted each for itself; clips that mix parts are left out",
    )


def within_stories(
    times: NDArray[np.float64], durations: NDArray[np.float64], *, gap_s: float
) -> NDArray[np.int64]:
    """Part the time of each story, where there are too few stories: first 60, then 20, 20 %.

    Parameters
    ----------
    times : ndarray of shape (n_rows, 2)
        Start and end of each row's window, s on the story's clock.
    durations : ndarray of shape (n_rows,)
        Of the story of each row, s.
    gap_s : float
        Left out after each border; at most 5 % of the story.

    Returns
    -------
    ndarray of shape (n_rows,)
        Part, −1 in a gap.
    """
    borders = np.cumsum(SHARES)[:2]
    gap = np.minimum(gap_s, 0.05 * durations)
    start, end = times.T
    part = np.full(len(times), OUT, dtype=np.int64)
    part[end <= borders[0] * durations] = TRAIN
    part[(start >= borders[0] * durations + gap) & (end <= borders[1] * durations)] = VALIDATION
    part[start >= borders[1] * durations + gap] = TEST
    return part
