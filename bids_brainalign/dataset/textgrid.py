"""Praat TextGrids: tiers of words and phones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bids_brainalign.dataset.annotations import from_columns
from bids_brainalign.dataset.pointers import require_content
from bids_brainalign.dataset.types import Annotations
from bids_brainalign.errors import BrainAlignError

WORD_TIERS = ("words", "word")
PHONE_TIERS = ("phones", "phone")


def read_textgrid(path: Path, tiers: Sequence[str], *, root: Path) -> Annotations | None:
    """Read one interval tier.

    Parameters
    ----------
    path : Path
        Long or short text format, UTF-8 or UTF-16.
    tiers : sequence of str
        Names that the tier may have, the preferred one first; case does not count, and aligners
        that put a speaker before it (``Jane - words``) are understood.
    root : Path
        The dataset; messages name the file relative to it.

    Returns
    -------
    Annotations or None
        Silences left out; None without such a tier.

    Raises
    ------
    BrainAlignError
        It is not a TextGrid, or the tier holds points instead of intervals (65); it is not
        downloaded (66).
    """
    require_content(path, root)
    grid = _open(path)
    known = {str(name).casefold().rsplit(" - ", 1)[-1].strip(): name for name in grid.tierNames}
    name = next((known[tier.casefold()] for tier in tiers if tier.casefold() in known), None)
    if name is None:
        return None
    entries = grid.getTier(name).entries
    if any(not hasattr(entry, "start") for entry in entries):
        raise BrainAlignError(
            f"{path.name}: the tier {name} holds points, not intervals",
            where=str(path),
            fix="annotate intervals, or name another tier",
        )
    starts = pd.Series([float(e.start) for e in entries], dtype=float)
    stops = pd.Series([float(e.end) for e in entries], dtype=float)
    labels = pd.Series([str(e.label) for e in entries], dtype=str)
    return from_columns(starts, stops - starts, labels, path)


def tier_names(path: Path, *, root: Path) -> tuple[str, ...]:
    """Names of all tiers, for messages."""
    require_content(path, root)
    return tuple(str(name) for name in _open(path).tierNames)


def _open(path: Path):  # type: ignore[no-untyped-def]  # praatio is not typed
    # praatio costs a quarter of a second to import; datasets without TextGrids must not pay it.
    from praatio import textgrid
    from praatio.utilities.errors import PraatioException

    try:
        return textgrid.openTextgrid(
            str(path), includeEmptyIntervals=False, reportingMode="silence"
        )
    except (PraatioException, ValueError, IndexError, KeyError, OSError, AssertionError) as error:
        raise BrainAlignError(
            f"{path.name} can't be read as a TextGrid: {error}",
            where=str(path),
            fix="open it in Praat and save it as a text file",
        ) from error
