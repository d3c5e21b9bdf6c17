"""Content groups: recordings that share content are never on both sides of a fold."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

from bids_brainalign.dataset.stimulus_files import plain_name
from bids_brainalign.dataset.types import Stimulus

_VERSION = re.compile(
    r"(?:short|long|word|sentence|paragraph)?(?:scram(?:bled)?|shuffled)$|(?:intact|original|"
    r"reversed|synonyms|paraphrased?)$"
)
"""How names end that say that a stimulus is a version of another (Narratives)."""
_MIN_CORE = 5
_MOST_REASONS = 4
N_WORDS = 5
"""Transcripts are compared by runs of five words (statistics.md §1)."""


def five_grams(words: Sequence[str]) -> set[tuple[str, ...]]:
    """All runs of five words, lower case, punctuation removed.

    Examples
    --------
    >>> sorted(five_grams(["It", "was", "--", "the", "dog's", "own,", "fault."]))
    [('it', 'was', 'the', 'dogs', 'own'), ('was', 'the', 'dogs', 'own', 'fault')]
    """
    plain = [w for word in words for w in re.sub(r"[^\w\s]|_", "", word.casefold()).split()]
    return {tuple(plain[i : i + N_WORDS]) for i in range(len(plain) - N_WORDS + 1)}


def shared_text(a: Collection[tuple[str, ...]], b: Collection[tuple[str, ...]]) -> float:
    """Share of common 5-grams, of the transcript that has fewer; 0 without transcripts."""
    fewer = min(len(a), len(b))
    return len(set(a) & set(b)) / fewer if fewer else 0.0


def group_content(
    stimuli: Sequence[Stimulus],
    named: Mapping[str, Collection[str]],
    *,
    overlap: float,
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Join stimuli with the same audio, the same given group, or shared text.

    Joins are transitive: if A shares text with B and B with C, all three are one group.

    Parameters
    ----------
    stimuli : sequence of Stimulus
        With different names.
    named : mapping
        Stimulus name → its ``content_group`` entries in the stimuli map.
    overlap : float
        Share of common 5-grams (of the transcript with fewer) above which two are joined.

    Returns
    -------
    groups : dict
        Stimulus name → group, called as the user did, else after the first of its stimuli in
        alphabetical order.
    notes : tuple of str
        One sentence per group that was joined automatically, and why.
    """
    ordered = sorted(stimuli, key=lambda s: s.name)
    parent = {s.name: s.name for s in ordered}

    def first(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    versions = _versions([s.name for s in ordered])
    grams = {s.name: five_grams(_labels(s)) for s in ordered}
    reasons: dict[tuple[str, str], str] = {}
    for a, b in combinations(ordered, 2):
        reason = _reason(a, b, named, shared_text(grams[a.name], grams[b.name]), overlap)
        if reason is None and _by_name(a.name, b.name, versions, named):
            reason = "are called like versions of one story"
        if reason is None:
            continue
        if reason:
            reasons[a.name, b.name] = reason
        low, high = sorted((first(a.name), first(b.name)))
        parent[high] = low
    groups = {s.name: first(s.name) for s in ordered}
    notes = tuple(_note(group, groups, reasons) for group in sorted(set(groups.values())))
    labels = {name: _label(group, groups, named) for name, group in groups.items()}
    return labels, tuple(note for note in notes if note)


def _note(group: str, groups: Mapping[str, str], reasons: Mapping[tuple[str, str], str]) -> str:
    """Sentence on why the members of a group were joined; empty if the user said so."""
    members = [name for name, own in groups.items() if own == group]
    mine = {pair: why for pair, why in reasons.items() if pair[0] in members}
    if not mine:
        return ""
    said = (
        next(iter(mine.values()))
        if len(members) == 2 or len(set(mine.values())) == 1
        else "; ".join(f"{a} and {b} {why}" for (a, b), why in list(mine.items())[:_MOST_REASONS])
    )
    return (
        f"{', '.join(members[:-1])} and {members[-1]} are one content group, never on both sides "
        f"of a fold: they {said}."
        if ";" not in said
        else f"{', '.join(members[:-1])} and {members[-1]} are one content group, never on both "
        f"sides of a fold: {said}."
    )


def _versions(names: Sequence[str]) -> dict[str, str]:
    """Stimulus → the story whose version its name says it is.

    ``notthefallshortscram`` says that there is a story ``notthefall``: every stimulus whose name
    begins so is a version of it. Without such a word, names that begin alike say nothing.
    """
    plain = {name: plain_name(name) for name in names}
    cores = {_VERSION.sub("", text) for text in plain.values() if _VERSION.search(text)}
    stories = sorted((core for core in cores if len(core) >= _MIN_CORE), key=len)
    return {
        name: story
        for name, text in plain.items()
        if (story := next((s for s in stories if text.startswith(s)), None)) is not None
    }


def _by_name(
    a: str, b: str, versions: Mapping[str, str], named: Mapping[str, Collection[str]]
) -> bool:
    """Whether names join two stimuli: unless the user gave both a group of its own."""
    said = bool(named.get(a)) and bool(named.get(b))
    return not said and a in versions and versions[a] == versions.get(b)


def _label(group: str, groups: Mapping[str, str], named: Mapping[str, Collection[str]]) -> str:
    """Call a group as the user did, unless another group goes by that word."""
    members = [name for name, own in groups.items() if own == group]
    words = sorted({word for name in members for word in named.get(name, ())})
    taken = {word for name, own in groups.items() if own != group for word in (name, own)}
    return next((word for word in words if word not in taken), group)


def _reason(
    a: Stimulus,
    b: Stimulus,
    named: Mapping[str, Collection[str]],
    shared: float,
    overlap: float,
) -> str | None:
    """Why two stimuli are joined: words for a note, none if the user said so; None if not."""
    if set(named.get(a.name, ())) & set(named.get(b.name, ())):
        return ""
    if a.sha256 == b.sha256:
        return "have the same audio"
    if shared > overlap:
        return f"share {shared:.0%} of their {N_WORDS}-word sequences"
    return None


def _labels(stimulus: Stimulus) -> list[str]:
    return [] if stimulus.words is None else stimulus.words.table["label"].astype(str).tolist()
