"""Content groups: recordings that share content are never on both sides of a fold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations

from bids_brainalign.dataset.types import Stimulus

N_WORDS = 5
"""Transcripts are compared by runs of five words (statistics.md §1)."""


def five_grams(words: Sequence[str]) -> set[tuple[str, ...]]:
    """All runs of five words, lower case, punctuation removed."""
    plain = [w for word in words if (w := re.sub(r"[^\w']", "", word.lower()))]
    return {tuple(plain[i : i + N_WORDS]) for i in range(len(plain) - N_WORDS + 1)}


def group_content(
    stimuli: Sequence[Stimulus], named: Mapping[str, str], *, overlap: float
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Join stimuli with the same audio, the same given group, or shared text.

    Parameters
    ----------
    stimuli : sequence of Stimulus
    named : mapping
        Stimulus name → ``content_group`` of the stimuli map.
    overlap : float
        Share of common 5-grams (of the shorter transcript) above which two are joined.

    Returns
    -------
    groups : dict
        Stimulus name → group.
    notes : tuple of str
        One sentence per pair that was joined automatically.
    """
    parent = {s.name: s.name for s in stimuli}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    grams = {
        s.name: five_grams(s.words.table["label"].tolist()) if s.words is not None else set()
        for s in stimuli
    }
    notes = []
    for a, b in combinations(sorted(stimuli, key=lambda s: s.name), 2):
        reason = ""
        if a.sha256 == b.sha256:
            reason = "have the same audio"
        elif named.get(a.name) and named.get(a.name) == named.get(b.name):
            reason = "given"
        else:
            least = min(len(grams[a.name]), len(grams[b.name]))
            common = len(grams[a.name] & grams[b.name])
            if least and common / least > overlap:
                reason = f"share {common / least:.0%} of their word sequences"
        if reason:
            if reason != "given":
                notes.append(
                    f"{a.name} and {b.name} {reason}: they are one content group and never on "
                    "both sides of a fold."
                )
            parent[root(b.name)] = root(a.name)
    groups = {s.name: root(s.name) for s in stimuli}
    for name, group in named.items():  # the user's own word for the group
        if name in groups:
            groups = {k: group if v == groups[name] else v for k, v in groups.items()}
    return groups, tuple(notes)
