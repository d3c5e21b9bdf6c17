"""Praat TextGrids: tiers of words and phones."""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bids_brainalign.config.schema import Stimuli
from bids_brainalign.dataset.annotations import from_columns
from bids_brainalign.dataset.pointers import require_content
from bids_brainalign.dataset.types import Annotations
from bids_brainalign.errors import BrainAlignError

WORD_TIERS, PHONE_TIERS = Stimuli.word_tiers, Stimuli.phone_tiers


@dataclass(frozen=True)
class TextGrid:
    """A parsed file."""

    path: Path
    tiers: tuple[dict[str, Any], ...]
    """As praatio gives them: ``name``, ``class``, ``entries``."""

    def labels(self, names: Sequence[str]) -> Annotations | None:
        """Labels of one interval tier, silences left out; None without such a tier.

        Parameters
        ----------
        names : sequence of str
            Names that the tier may have, the preferred one first; case does not count, and
            aligners that put a speaker before it (``Jane - words``) are understood.

        Raises
        ------
        BrainAlignError
            The tier holds points instead of intervals, or a time is wrong (65).
        """
        tiers = self._tiers(names)
        if not tiers:
            return None
        tables = [self._read(tier) for tier in tiers]
        if len(tables) == 1:
            return tables[0]
        joined = pd.concat([part.table for part in tables]).sort_values("onset", kind="stable")
        return Annotations(joined.reset_index(drop=True), self.path)

    def _tiers(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Tiers of the first name that there is; one per speaker where names carry speakers."""
        for name in (n.casefold() for n in names):
            whole = [t for t in self.tiers if t["name"].casefold() == name]
            found = whole or [
                t for t in self.tiers
                if t["name"].casefold().rsplit(" - ", 1)[-1].strip() == name
            ]  # fmt: skip
            if found:
                return found
        return []

    def _read(self, tier: dict[str, Any]) -> Annotations:
        if tier["class"] != "IntervalTier":
            raise BrainAlignError(
                f"{self.path.name}: the tier {tier['name']} holds points, not intervals",
                where=str(self.path),
                fix="annotate intervals, or name another tier",
            )
        starts, stops, labels = list(zip(*tier["entries"], strict=True)) or ((), (), ())
        start, stop = (pd.Series(map(float, times), dtype=float) for times in (starts, stops))
        if (stop < start).any():
            raise BrainAlignError(
                f"{self.path.name}: an interval of the tier {tier['name']} ends before it starts",
                where=str(self.path),
                fix="correct it in Praat",
            )
        return from_columns(start, stop - start, pd.Series(labels, dtype=str), self.path)


def read_textgrid(path: Path, *, root: Path) -> TextGrid:
    """Read a TextGrid in long or short text format, UTF-8 or UTF-16.

    Parameters
    ----------
    path : Path
    root : Path
        The dataset; messages name the file relative to it.

    Raises
    ------
    BrainAlignError
        It is not a TextGrid (65), or not downloaded (66).
    """
    require_content(path, root)
    # praatio costs a quarter of a second to import; datasets without TextGrids must not pay it.
    from praatio.utilities.errors import PraatioException
    from praatio.utilities.textgrid_io import parseTextgridStr

    raw = path.read_bytes()
    try:
        text = raw.decode("utf-16" if raw[:2] in (BOM_UTF16_LE, BOM_UTF16_BE) else "utf-8-sig")
        # Not praatio's openTextgrid: it refuses intervals that overlap by a rounding error.
        tiers = parseTextgridStr(text, includeEmptyIntervals=False)["tiers"]
    except (PraatioException, ValueError, LookupError, AttributeError, TypeError) as error:
        raise BrainAlignError(
            f"{path.name} can't be read as a TextGrid: {error}",
            where=str(path),
            fix="open it in Praat and save it as a text file",
        ) from error
    # The entries are an iterator: a tier may be asked for twice.
    return TextGrid(path, tuple(t | {"entries": list(t["entries"])} for t in tiers))
