"""Where electrodes lie: ``*_electrodes.tsv`` with its coordinate system, joined by name.

mne-bids gives no montage when a folder holds two spaces and relabels MNI coordinates as head
coordinates, so the table is read here and keeps its millimetres and its declared space.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bids_brainalign.anatomy.spaces import MM_PER_UNIT, has_sides
from bids_brainalign.dataset.tables import read_tsv
from bids_brainalign.errors import BrainAlignError, ExitCode

COLUMNS = ["name", "x", "y", "z", "device", "hemisphere", "space"]


def read_electrodes(electrodes_path: Path, coordsystem_path: Path | None) -> pd.DataFrame:
    """Read the electrodes of one participant in one space.

    Parameters
    ----------
    electrodes_path : Path
        ``*_electrodes.tsv``.
    coordsystem_path : Path or None
        ``*_coordsystem.json``; without it no anatomical claim is made.

    Returns
    -------
    DataFrame
        One row per electrode: ``name``; ``x, y, z`` (mm where the unit is known, else as they are;
        NaN if not localised); ``device`` (the ``group`` column); ``hemisphere`` (``L``, ``R``,
        ``n/a``: the table's own column where it has one, else the sign of x in spaces that have
        sides); ``space``.

    Raises
    ------
    BrainAlignError
        65: columns missing, a coordinate that is no number, a name twice, unreadable JSON.
    """
    table = read_tsv(electrodes_path).fillna("n/a")
    missing = [c for c in ("name", "x", "y", "z") if c not in table.columns]
    if missing:
        raise BrainAlignError(
            f"{electrodes_path.name} has no column {', '.join(missing)}.",
            where=f"It has: {', '.join(table.columns)}.",
            fix="add the column; electrodes without coordinates have n/a.",
        )
    names = table["name"].str.strip()
    twice = sorted(set(names[names.duplicated()]))
    if twice:
        raise BrainAlignError(
            f"{electrodes_path.name} names electrodes more than once: {', '.join(twice)}.",
            fix="keep one row per electrode.",
        )
    space, unit = coordinate_system(coordsystem_path)
    scale = MM_PER_UNIT.get(unit, 1.0)
    xyz = {axis: _numbers(table, axis, electrodes_path) * scale for axis in "xyz"}
    device = table["group"].str.strip() if "group" in table.columns else "n/a"
    result = pd.DataFrame({"name": names, **xyz, "device": device, "space": space})
    result["hemisphere"] = _hemispheres(table, result["x"], space)
    return result[COLUMNS]


def locate(
    channel_names: Sequence[str], electrodes: pd.DataFrame, *, unused: Sequence[str] = ()
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Give every channel its electrode, by name.

    Parameters
    ----------
    channel_names : sequence of str
        Channels in use; the tables of one participant differ in order and in content.
    electrodes : DataFrame
        From :func:`read_electrodes`.
    unused : sequence of str
        Channels of the recording that were left out: their electrodes are no surprise.

    Returns
    -------
    DataFrame
        The columns of :func:`read_electrodes`, one row per channel in its order; NaN coordinates
        and ``n/a`` where no electrode has the channel's name.
    tuple of str
        A sentence for channels without electrode and one for electrodes without channel.
    """
    located = electrodes.set_index("name").reindex(list(channel_names)).reset_index(names="name")
    labels = ["device", "hemisphere", "space"]
    located[labels] = located[labels].fillna("n/a")
    known = set(electrodes["name"])
    lost = [name for name in channel_names if name not in known]
    channels = {*channel_names, *unused}
    spare = [str(name) for name in electrodes["name"] if name not in channels]
    notes = []
    if lost:
        notes.append(f"Channels without a row in electrodes.tsv ({len(lost)}): {', '.join(lost)}.")
    if spare:
        notes.append(
            f"Electrodes without a row in channels.tsv ({len(spare)}): {', '.join(spare)}."
        )
    return located[COLUMNS], tuple(notes)


def coordinate_system(path: Path | None) -> tuple[str, str]:
    """Space and unit; ``n/a`` where not declared."""
    if path is None:
        return "n/a", "n/a"
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise BrainAlignError(
            f"{path.name} can't be read: {error}.",
            where=str(path),
            fix="it must be a JSON object with iEEGCoordinateSystem and iEEGCoordinateUnits.",
            exit_code=ExitCode.DATA_ERROR if path.exists() else ExitCode.MISSING_INPUT,
        ) from error
    if not isinstance(content, dict):
        raise BrainAlignError(f"{path.name} holds no JSON object.", where=str(path))
    kind = "EEG" if "EEGCoordinateSystem" in content else "iEEG"
    space = str(content.get(f"{kind}CoordinateSystem", "n/a"))
    return space, str(content.get(f"{kind}CoordinateUnits", "n/a")).strip().lower()


def _numbers(table: pd.DataFrame, axis: str, path: Path) -> pd.Series[float]:
    text = table[axis].str.strip()
    values = pd.to_numeric(text.where(text.str.lower() != "n/a", "nan"), errors="coerce")
    wrong = values.isna() & ~text.str.lower().isin(["n/a", "nan", ""])
    if wrong.any():
        first = table.index[wrong][0]
        raise BrainAlignError(
            f"{path.name}: {axis} of electrode {table.at[first, 'name']!s} is "
            f"'{text[first]}', not a number.",
            fix="write n/a for electrodes that are not localised.",
        )
    return values.astype(float).replace([np.inf, -np.inf], np.nan)


def _hemispheres(table: pd.DataFrame, x: pd.Series[float], space: str) -> pd.Series[str]:
    side = pd.Series("n/a", index=table.index)
    if has_sides(space):
        side[x < 0] = "L"
        side[x > 0] = "R"
    if "hemisphere" in table.columns:
        said = table["hemisphere"].str.strip().str.upper().str[:1]
        side = said.where(said.isin(["L", "R"]), side)
    return side
