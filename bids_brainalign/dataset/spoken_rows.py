"""Words in the rows of ``events.tsv``."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.dataset.rules.rows import seconds_of
from bids_brainalign.dataset.stimulus_track import is_word
from bids_brainalign.errors import BrainAlignError, ExitCode

EARLY_S = 1.0
"""Speech may begin this long before its row: aligners differ. Earlier than that, its column counts
from the cue instead of from the start of the recording."""


def spoken_rows(
    events: pd.DataFrame, path: Path, *, word_column: str, roles: tuple[str, ...]
) -> tuple[pd.DataFrame, str, tuple[str, ...]] | None:
    """Read the words of an events table.

    Parameters
    ----------
    events : DataFrame
        Strings; the index holds line numbers, for the messages.
    path : Path
    word_column : str
        Of ``events``.
    roles : tuple of str
        Kept where there is a column ``role``; case doesn't count.

    Returns
    -------
    table : DataFrame
        Columns as :class:`~bids_brainalign.dataset.spoken_words.SpokenWords`, rows in the file's
        order.
    rule : str
    notes : tuple of str
    None
        If no row holds a word.

    Raises
    ------
    BrainAlignError
        65: a column is missing or a time is no number. 66: no row has one of the roles.
    """
    has_word = np.array([is_word(text) for text in events[word_column]], dtype=bool)
    if not has_word.any():
        return None
    notes: list[str] = []
    if not has_word.all():
        notes.append(
            f"{int((~has_word).sum())} of {len(events)} rows of {path.name} have no word."
        )
    rows = events[has_word]
    said_roles = ""
    if "role" in rows.columns:
        rows = _with_role(rows, path, roles, notes)
        said_roles = f", role {' or '.join(roles)}"
    rows = _timed(rows, path, notes)
    table = pd.DataFrame(
        {
            "word": [unicodedata.normalize("NFC", w.strip()) for w in rows[word_column]],
            "cue_s": _times(rows, "onset", path),
            "duration_s": _durations(rows, path),
            "role": rows["role"].str.casefold().to_numpy() if "role" in rows else "speak",
            "content_group": _groups(rows),
            "speech_onset_s": _times(rows, "speech_onset", path),
            "n_phones": _counts(rows, path),
        }
    )
    _check_speech(table, rows, path)
    rule = f"Words are the column {word_column} of {path.name} ({len(table)} rows{said_roles})."
    return table, rule, tuple(notes)


def _with_role(
    rows: pd.DataFrame, path: Path, roles: tuple[str, ...], notes: list[str]
) -> pd.DataFrame:
    said = rows["role"].str.casefold()
    kept = said.isin([role.casefold() for role in roles])
    others = said[~kept].value_counts(sort=False)
    listed = ", ".join(f"{role} ({count})" for role, count in others.items())
    if not kept.any():
        some = others.index[others.index != "n/a"].tolist() or ["listen"]
        raise BrainAlignError(
            f"{path.name}: no word has the role {' or '.join(roles)}.",
            where=f"its column role holds {listed}",
            fix=f'write roles = ["{some[0]}"] under [production] in a file for --config-file, or '
            "write speak in the rows that were spoken",
            exit_code=ExitCode.MISSING_INPUT,
        )
    if listed:
        notes.append(f"{int((~kept).sum())} words of other roles were left out: {listed}.")
    return rows[kept]


def _timed(rows: pd.DataFrame, path: Path, notes: list[str]) -> pd.DataFrame:
    if "onset" not in rows.columns:
        raise BrainAlignError(
            f"{path.name} has no column onset",
            where=f"its columns are {', '.join(rows.columns)}",
            fix="events.tsv needs onset and duration, in seconds",
        )
    timed = rows["onset"] != "n/a"
    if not timed.all():
        notes.append(f"{int((~timed).sum())} words were left out: their onset is n/a.")
    return rows[timed]


def _times(rows: pd.DataFrame, column: str, path: Path) -> list[float]:
    """Read seconds; NaN where there are none."""
    if column not in rows.columns:
        return [np.nan] * len(rows)
    return [
        np.nan if text == "n/a" else seconds_of(text, column, int(line), path)
        for line, text in zip(rows.index.tolist(), rows[column], strict=True)
    ]


def _durations(rows: pd.DataFrame, path: Path) -> list[float]:
    """Read durations; 0 marks an instant in BIDS and says as little as ``n/a``."""
    found = _times(rows, "duration", path)
    for line, seconds in zip(rows.index.tolist(), found, strict=True):
        if seconds < 0:
            raise BrainAlignError(
                f"{path.name}, line {line}: duration is {seconds:g}",
                where=str(path),
                fix="write seconds, or n/a",
            )
    return [seconds or np.nan for seconds in found]


def _groups(rows: pd.DataFrame) -> list[str]:
    if "content_group" not in rows.columns:
        return [""] * len(rows)
    return ["" if text == "n/a" else str(text) for text in rows["content_group"]]


def _counts(rows: pd.DataFrame, path: Path) -> list[float]:
    """Numbers of phones; NaN where there are none."""
    if "n_phones" not in rows.columns:
        return [np.nan] * len(rows)
    numbers = pd.to_numeric(rows["n_phones"].mask(rows["n_phones"] == "n/a"), errors="coerce")
    wrong = (rows["n_phones"] != "n/a") & ~(np.isfinite(numbers) & (numbers > 0))
    if wrong.any():
        line = wrong.index[wrong][0]
        raise BrainAlignError(
            f"{path.name}, line {line}: n_phones is {rows['n_phones'][line]!r}, not a count",
            where=str(path),
            fix="write the number of phones of the word, or n/a",
        )
    return [float(number) for number in numbers]


def _check_speech(table: pd.DataFrame, rows: pd.DataFrame, path: Path) -> None:
    early = (table["speech_onset_s"] < table["cue_s"] - EARLY_S).to_numpy()
    if early.any():
        first = int(np.flatnonzero(early)[0])
        raise BrainAlignError(
            f"{path.name}, line {rows.index[first]}: speech_onset is "
            f"{table['speech_onset_s'][first]:g} s, but its row begins at "
            f"{table['cue_s'][first]:g} s",
            where=str(path),
            fix="speech_onset counts from the start of the recording, as onset does",
        )
