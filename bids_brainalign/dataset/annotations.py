"""Words of a stimulus with their times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.dataset.tables import read_tsv
from bids_brainalign.dataset.types import Annotations
from bids_brainalign.errors import BrainAlignError

ONSETS = ("onset", "start")
STOPS = ("offset", "end", "stop")
LABELS = ("word", "label", "text")


def read_words(path: Path) -> Annotations:
    """Read word times from a TSV.

    Parameters
    ----------
    path : Path
        Columns ``onset`` (or ``start``), ``duration`` (or ``offset``/``end``/``stop``), both s,
        and ``word``. Rows may be in any order; rows without an onset are left out.

    Raises
    ------
    BrainAlignError
        A column is missing, a time is not a number, or a duration is negative (exit code 65).
    """
    table = read_tsv(path)
    onset = _numbers(table, _column(table, ONSETS, path), path)
    if "duration" in table.columns:
        duration = _numbers(table, "duration", path)
    else:
        duration = _numbers(table, _column(table, STOPS, path), path) - onset
    if (duration < 0).any():
        line = int(np.flatnonzero(duration < 0)[0]) + 2
        raise BrainAlignError(
            f"{path.name}, line {line}: a word ends before it starts",
            where=str(path),
            fix="onset and duration (or end) are seconds on the stimulus clock",
        )
    words = pd.DataFrame(
        {"onset": onset, "duration": duration, "label": table[_column(table, LABELS, path)]}
    )
    words = words.dropna(subset=["onset"]).sort_values("onset", kind="stable")
    return Annotations(words.reset_index(drop=True), path)


def _column(table: pd.DataFrame, names: tuple[str, ...], path: Path) -> str:
    for name in names:
        if name in table.columns:
            return name
    raise BrainAlignError(
        f"{path.name} has no column {' or '.join(names)}",
        where=f"its columns are {', '.join(table.columns)}",
        fix="word tables need onset, duration (seconds) and word",
    )


def _numbers(table: pd.DataFrame, column: str, path: Path) -> pd.Series[float]:
    text = table[column].replace("n/a", None)
    numbers = pd.to_numeric(text, errors="coerce")
    bad = np.flatnonzero((numbers.isna() & text.notna()).to_numpy())
    if bad.size:
        raise BrainAlignError(
            f"{path.name}, line {int(bad[0]) + 2}: {column} is {text.iloc[bad[0]]!r}, no number",
            where=str(path),
            fix="write seconds, or n/a",
        )
    return numbers.astype(float)
