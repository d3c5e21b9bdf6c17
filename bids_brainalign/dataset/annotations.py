"""Words of a stimulus with their times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.dataset.tables import read_numbered
from bids_brainalign.dataset.types import Annotations
from bids_brainalign.errors import BrainAlignError

ONSETS = ("onset", "start")
STOPS = ("offset", "end", "stop")
LABELS = ("word", "label", "text")


def read_words(path: Path, *, root: Path | None = None) -> Annotations:
    """Read word times from a table.

    Parameters
    ----------
    path : Path
        Columns ``onset`` (or ``start``), ``duration`` (or ``offset``/``end``/``stop``), both in
        s on the stimulus clock, and ``word``; other columns don't matter. Rows may be in any
        order (ds005574's transcript has 19 inversions).
    root : Path, optional
        The dataset; messages name the file relative to it.

    Returns
    -------
    Annotations
        In the order of their onsets; words to which the aligner gave no time are left out.

    Raises
    ------
    BrainAlignError
        A column is missing, a time is not a number, an onset or a duration is negative (65).
    """
    table = read_numbered(path, root=root)
    label = table[_column(table, LABELS, path)]
    onset = _seconds(table, _column(table, ONSETS, path), path)
    if "duration" in table.columns:
        duration = _seconds(table, "duration", path)
    else:
        duration = _seconds(table, _column(table, STOPS, path), path) - onset
    _refuse(onset < 0, table, path, "a word starts before its audio")
    _refuse(duration < 0, table, path, "a word ends before it starts")
    words = pd.DataFrame({"onset": onset, "duration": duration, "label": label})
    timed = words.dropna(subset=["onset", "duration"]).sort_values("onset", kind="stable")
    return Annotations(timed.reset_index(drop=True), path, n_untimed=len(words) - len(timed))


def _column(table: pd.DataFrame, names: tuple[str, ...], path: Path) -> str:
    for name in names:
        if name in table.columns:
            return name
    raise BrainAlignError(
        f"{path.name} has no column {' or '.join(names)}",
        where=f"its columns are {', '.join(table.columns)}",
        fix="word tables need onset, duration (seconds) and word",
    )


def _seconds(table: pd.DataFrame, column: str, path: Path) -> pd.Series[float]:
    text = table[column].where(table[column] != "n/a")
    numbers = pd.to_numeric(text, errors="coerce").astype(float)
    wrong = numbers.isin([np.inf, -np.inf]) | (numbers.isna() & text.notna())
    if wrong.any():
        row = int(np.argmax(wrong.to_numpy()))
        raise BrainAlignError(
            f"{path.name}, line {table.index[row]}: {column} is {text.iloc[row]!r}, no number",
            where=str(path),
            fix="write seconds, or n/a for a word without time",
        )
    return numbers


def _refuse(wrong: pd.Series[bool], table: pd.DataFrame, path: Path, what: str) -> None:
    if wrong.any():
        row = int(np.argmax(wrong.to_numpy()))
        word = table[_column(table, LABELS, path)].iloc[row]
        raise BrainAlignError(
            f"{path.name}, line {table.index[row]}: {what} ({word!r})",
            where=str(path),
            fix="times are seconds on the stimulus clock: 0 is the first sample of the audio",
        )
