"""Words and phones of a stimulus with their times, from tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.dataset.tables import read_numbered
from bids_brainalign.dataset.types import Annotations
from bids_brainalign.errors import BrainAlignError

ONSETS = ("onset", "start")
STOPS = ("offset", "end", "stop")
LABELS = ("word", "label", "text")
PHONE_LABELS = ("phone", "phoneme", "label", "text")
SILENCES = frozenset(
    ["", "n/a", "sp", "sil", "spn", "sentence_start", "sentence_end",
     "ns", "br", "lg", "ls", "cg"]
)  # fmt: skip
"""Pauses, and the noises and breaths of aligners (P2FA)."""
PHONE_PAUSES = frozenset(
    ["h#", "#h", "#", "pau", "epi", "brth", "nsn", "noise", "vocnoise", "laugh"]
)  # fmt: skip
"""Further labels of pauses and noises among phones (TIMIT, Kaldi, Buckeye): some are words."""
_BRACKETS = ("{}", "<>", "[]")


def is_silence(label: str) -> bool:
    """Whether a label stands for no word and no phone: a pause, or what brackets hold.

    Examples
    --------
    >>> [is_silence(label) for label in ("SP", "{BR}", "<unk>", "spa")]
    [True, True, True, False]
    """
    text = label.strip().casefold()
    return text in SILENCES or any(text[0] == b[0] and text[-1] == b[1] for b in _BRACKETS)


def without_pauses(phones: Annotations) -> Annotations:
    """Leave out what stands for no phone only where phones are annotated: `PHONE_PAUSES`."""
    spoken = ~phones.table["label"].astype(str).str.strip().str.casefold().isin(PHONE_PAUSES)
    return replace(phones, table=phones.table[spoken].reset_index(drop=True))


def read_words(
    path: Path, *, root: Path | None = None, labels: tuple[str, ...] = LABELS
) -> Annotations:
    """Read word times from a table (or those of phones).

    Parameters
    ----------
    path : Path
        Columns ``onset`` (or ``start``), ``duration`` (or ``offset``/``end``/``stop``), both in
        s on the stimulus clock, and ``word``; other columns don't matter. Rows may be in any
        order (ds005574's transcript has 19 inversions).
    root : Path, optional
        The dataset; messages name the file relative to it.
    labels : tuple of str
        Names that the column of labels may have, the preferred one first.

    Returns
    -------
    Annotations
        In the order of their onsets; silences, and words to which the aligner gave no time, are
        left out.

    Raises
    ------
    BrainAlignError
        A column is missing, a time is not a number, an onset or a duration is negative (65).
    """
    table = read_numbered(path, root=root)
    label = table[_column(table, labels, path)]
    onset = _seconds(table, _column(table, ONSETS, path), path)
    if "duration" in table.columns:
        duration = _seconds(table, "duration", path)
    else:
        duration = _seconds(table, _column(table, STOPS, path), path) - onset
    _refuse(onset < 0, label, path, f"a {labels[0]} starts before its audio")
    _refuse(duration < 0, label, path, f"a {labels[0]} ends before it starts")
    return from_columns(onset, duration, label, path)


def from_columns(
    onset: pd.Series[float], duration: pd.Series[float], label: pd.Series[str], path: Path
) -> Annotations:
    """Sort labels by onset; silences and labels without time are left out."""
    spoken = pd.DataFrame({"onset": onset, "duration": duration, "label": label})
    # An array, not a list: an empty list would select no columns of an empty table.
    spoken = spoken[np.array([not is_silence(str(text)) for text in label], dtype=bool)]
    timed = spoken.dropna(subset=["onset", "duration"]).sort_values("onset", kind="stable")
    return Annotations(timed.reset_index(drop=True), path, n_untimed=len(spoken) - len(timed))


def _column(table: pd.DataFrame, names: tuple[str, ...], path: Path) -> str:
    for name in names:
        if name in table.columns:
            return name
    raise BrainAlignError(
        f"{path.name} has no column {' or '.join(names)}",
        where=f"its columns are {', '.join(table.columns)}",
        fix=f"such tables need onset, duration (seconds) and {names[0]}"
        if names in (LABELS, PHONE_LABELS)
        else "such tables need onset, duration (seconds) and word or phone",
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


def _refuse(wrong: pd.Series[bool], label: pd.Series[str], path: Path, what: str) -> None:
    if wrong.any():
        row = int(np.argmax(wrong.to_numpy()))
        raise BrainAlignError(
            f"{path.name}, line {label.index[row]}: {what} ({label.iloc[row]!r})",
            where=str(path),
            fix="times are seconds on the stimulus clock: 0 is the first sample of the audio",
        )
