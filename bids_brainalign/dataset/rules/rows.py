"""Onsets and durations of ``events.tsv``, checked line by line."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from bids_brainalign.dataset.segments import Row
from bids_brainalign.errors import BrainAlignError


def read_rows(events: pd.DataFrame, path: Path) -> list[Row]:
    """Turn lines of an events table into rows.

    Raises
    ------
    BrainAlignError
        There is no onset, a time is not a number, or a duration is negative (65).
    """
    pairs = zip(_onsets(events, path), _durations(events, path), strict=True)
    return [Row(onset_s, duration_s) for onset_s, duration_s in pairs]


def _onsets(events: pd.DataFrame, path: Path) -> list[float]:
    if "onset" not in events.columns:
        raise BrainAlignError(
            f"{path.name} has no column onset",
            where=f"its columns are {', '.join(events.columns)}",
            fix="events.tsv needs onset and duration, in seconds",
        )
    return [
        seconds_of(text, "onset", int(line), path)
        for line, text in zip(events.index.tolist(), events["onset"], strict=True)
    ]


def _durations(events: pd.DataFrame, path: Path) -> list[float | None]:
    """Durations in s; 0 marks an instant in BIDS, so it says as little as ``n/a``."""
    if "duration" not in events.columns:
        return [None] * len(events)
    pairs = zip(events.index.tolist(), events["duration"], strict=True)
    known = [
        None if text == "n/a" else seconds_of(text, "duration", int(line), path)
        for line, text in pairs
    ]
    for line, seconds in zip(events.index.tolist(), known, strict=True):
        if seconds is not None and seconds < 0:
            raise BrainAlignError(
                f"{path.name}, line {line}: duration is {seconds:g}",
                where=str(path),
                fix="write the seconds that the audio played, or n/a",
            )
    return [seconds or None for seconds in known]


def seconds_of(text: str, column: str, line: int, path: Path) -> float:
    """Read a time of one line; an error names the line (65)."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise BrainAlignError(
            f"{path.name}, line {line}: {column} is {text!r}, not a number of seconds",
            where=str(path),
            fix="write seconds on the recording's clock",
        )
    return seconds
