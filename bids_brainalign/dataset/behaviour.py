"""``--behaviour``: scores of participants, or of how alike two phones are heard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.dataset.tables import read_tsv
from bids_brainalign.errors import BrainAlignError

PERSON = "participant_id"
PAIR = ("phone_a", "phone_b", "score")
_FIX = (
    "write participant_id and one column of numbers per score, or phone_a, phone_b and score "
    "(how alike two phones are heard)"
)


@dataclass(frozen=True)
class Behaviour:
    """One of the two kinds of table; the other is empty."""

    people: pd.DataFrame
    """Index: participants without ``sub-``; a column of numbers per score."""
    pairs: pd.DataFrame
    """``phone_a, phone_b, score``: each pair once, the first in order of the alphabet."""


def read_behaviour(path: Path) -> Behaviour:
    """Read the table.

    Raises
    ------
    BrainAlignError
        Columns are missing, a score is no number, or a participant stands twice (65); no such
        file (66).
    """
    table = read_tsv(path)
    if PERSON in table.columns:
        return Behaviour(_people(table, path), pd.DataFrame(columns=[*PAIR]))
    if set(PAIR) <= set(table.columns):
        return Behaviour(pd.DataFrame(), _pairs(table, path))
    raise BrainAlignError(
        f"--behaviour: {path.name} has neither the column {PERSON} nor the columns "
        f"{', '.join(PAIR)}",
        where=f"its columns are {', '.join(table.columns)}",
        fix=_FIX,
    )


def _people(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    names = [column for column in table.columns if column != PERSON]
    if not names:
        raise BrainAlignError(
            f"--behaviour: {path.name} has no column of scores beside {PERSON}",
            where=str(path),
            fix=_FIX,
        )
    people = table[PERSON].str.removeprefix("sub-")
    twice = people[people.duplicated()]
    if len(twice):
        raise BrainAlignError(
            f"--behaviour: {path.name} has more than one row for participant {twice.iloc[0]}",
            where=f"{path}, row {twice.index[0] + 1}",
            fix="give every participant one row; more scores are more columns",
        )
    scores = {name: _numbers(table[name], path) for name in names}
    return pd.DataFrame(scores).set_index(pd.Index(people, name=PERSON))


def _pairs(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    first, second = table["phone_a"], table["phone_b"]
    empty = table.index[(first == "n/a") | (second == "n/a")]
    if len(empty):
        raise BrainAlignError(
            f"--behaviour: {path.name}, row {empty[0] + 1} lacks a phone",
            where=str(path),
            fix="name both phones, as in phonemes.tsv (IPA)",
        )
    ordered = pd.DataFrame(
        {
            "phone_a": np.where(first <= second, first, second),
            "phone_b": np.where(first <= second, second, first),
            "score": _numbers(table["score"], path),
        }
    )
    # Confusions are counted both ways (a heard as b, b heard as a): their mean says how alike.
    apart = ordered[ordered["phone_a"] != ordered["phone_b"]].dropna(subset=["score"])
    return apart.groupby(["phone_a", "phone_b"])["score"].mean().reset_index()


def _numbers(column: pd.Series[str], path: Path) -> pd.Series[float]:
    values: pd.Series[float] = pd.to_numeric(column.mask(column == "n/a"), errors="coerce")
    wrong = column[(values.isna() & (column != "n/a")) | np.isinf(values)]
    if len(wrong):
        raise BrainAlignError(
            f"--behaviour: {path.name}, row {wrong.index[0] + 1}: {column.name} is "
            f"{wrong.iloc[0]!r}, not a number",
            where=str(path),
            fix="write numbers, or n/a where a score is missing",
        )
    return values
