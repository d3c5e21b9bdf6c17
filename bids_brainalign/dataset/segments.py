"""Rows of ``events.tsv`` that name one audio file → how often, from when, which parts played."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SLACK_S = 1.0
"""Events are often rounded to seconds: they may run this much past the end of their audio …"""
SLACK_SHARE = 0.02
"""… but by no more than this share of it, so that short clips are not taken for one."""
SILENCE_S = 1.0
"""Rows closer than this are one part: a row per word does not mean that the audio paused."""


@dataclass(frozen=True)
class Row:
    """One event: s on the recording clock; duration None where it is not given."""

    onset_s: float
    duration_s: float | None

    @property
    def end_s(self) -> float:
        """The onset itself where the duration is not given."""
        return self.onset_s + (self.duration_s or 0.0)


@dataclass(frozen=True)
class Pass:
    """The audio was started once."""

    onset_s: float
    """Recording time of second 0 of the audio."""
    segments: tuple[tuple[float, float], ...]
    """(start, stop) s on the stimulus clock."""


def find_passes(rows: Sequence[Row], duration_s: float) -> tuple[tuple[Pass, ...], str]:
    """Group rows of one file by the times that it was started.

    Rows are segments of one pass if the audio is long enough to reach from the first to the end
    of the last: Narratives has rows for the music and for the story of one wav. Rows that need
    several passes are grouped if all groups look alike (music and story, twice); otherwise, each
    row started the audio anew.

    Parameters
    ----------
    rows : sequence of Row
        At least one, in any order.
    duration_s : float
        Of the audio.

    Returns
    -------
    passes : tuple of Pass
        In time order.
    note : str
        What was assumed or does not fit; empty if nothing.
    """
    ordered = sorted(rows, key=lambda row: row.onset_s)
    groups = _group(ordered, duration_s + _slack(duration_s))
    if not _alike(groups, _slack(duration_s)):
        groups = [[row] for row in ordered]
    note = ""
    longest = max(row.end_s - row.onset_s for row in ordered)
    if longest > duration_s + _slack(duration_s):
        note = f"a row lasts {longest:g} s, but the audio only {duration_s:.1f} s"
    elif len(groups) > 1 and len(ordered) > 1:
        note = (
            f"its {len(ordered)} rows don't fit into the {duration_s:.1f} s of the audio: it is "
            f"taken to start anew at {', '.join(f'{g[0].onset_s:g}' for g in groups[:6])}"
            f"{' …' if len(groups) > 6 else ''} s"
        )
    return tuple(Pass(g[0].onset_s, _segments(g, duration_s)) for g in groups), note


def _slack(duration_s: float) -> float:
    return min(SLACK_S, SLACK_SHARE * duration_s)


def _group(rows: Sequence[Row], longest_s: float) -> list[list[Row]]:
    groups: list[list[Row]] = []
    for row in rows:
        if groups and row.end_s - groups[-1][0].onset_s <= longest_s:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _alike(groups: Sequence[Sequence[Row]], slack_s: float) -> bool:
    """Whether all groups have their rows at the same distances from the first."""
    layouts = [[row.onset_s - group[0].onset_s for row in group] for group in groups]
    return all(
        len(layout) == len(layouts[0])
        and all(abs(a - b) <= slack_s for a, b in zip(layout, layouts[0], strict=True))
        for layout in layouts
    )


def _segments(rows: Sequence[Row], duration_s: float) -> tuple[tuple[float, float], ...]:
    first = rows[0].onset_s
    following = [row.onset_s - first for row in rows[1:]] + [duration_s]
    merged: list[tuple[float, float]] = []
    for row, next_start in zip(rows, following, strict=True):
        start = row.onset_s - first
        stop = min(start + row.duration_s if row.duration_s else next_start, duration_s)
        if stop <= start:
            continue
        if merged and start - merged[-1][1] < SILENCE_S:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return tuple(merged) or ((0.0, duration_s),)
