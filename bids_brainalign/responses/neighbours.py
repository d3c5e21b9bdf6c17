"""Which contacts of an electrode array lie side by side: by coordinates, else by their numbers."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

NEIGHBOUR = 1.3
"""Contacts within this many spacings of a device are neighbours; a diagonal of a grid is 1.41."""

CONSECUTIVE = 1.5
"""Two contacts with consecutive numbers may be somewhat further apart (a bent strip); the end of
one row of a grid and the start of the next are much further."""

LONGEST_SHAFT = 18
"""Contacts of the longest depth electrodes in use. An ECoG device with more is a grid, whose rows
only coordinates can tell."""


def shafts(targets: pd.DataFrame) -> list[list[int]]:
    """Contacts of one carrier: same letters in the name and same device.

    ``group`` alone is not enough: in ds005574 it is D for all depth electrodes together.
    """
    carriers: dict[tuple[str, str], list[int]] = {}
    for i, (name, device) in enumerate(zip(targets["name"], targets["device"], strict=True)):
        stem, number = _split(str(name))
        # A name without number tells no carrier: there the device does.
        carriers.setdefault((str(device), stem if number is not None else ""), []).append(i)
    return list(carriers.values())


def _split(name: str) -> tuple[str, int | None]:
    """Split a contact's name into letters and number.

    Examples
    --------
    >>> _split("LHG03"), _split("A'12"), _split("Cz")
    (('LHG', 3), ("A'", 12), ('Cz', None))
    """
    stem, digits = re.fullmatch(r"(.*?)(\d*)", name).groups()  # type: ignore[union-attr]
    return stem, int(digits) if digits else None


def consecutive(first: str, second: str) -> bool:
    """Whether no contact lies between two by their numbers; unknown without numbers."""
    a, b = _split(first)[1], _split(second)[1]
    return a is None or b is None or b - a == 1


def along(targets: pd.DataFrame, members: list[int]) -> list[int]:
    """Contacts in the order of their numbers, else along the longest axis of the device."""
    numbers = [_split(str(targets["name"].iloc[i]))[1] for i in members]
    if all(n is not None for n in numbers):
        return [i for _, i in sorted(zip(numbers, members, strict=True))]
    xyz = _positions(targets, members)
    if xyz is None:
        return []
    centred = xyz - xyz.mean(axis=0)
    axis = np.linalg.svd(centred, full_matrices=False)[2][0]
    return [members[i] for i in np.argsort(centred @ axis, kind="stable")]


def _positions(targets: pd.DataFrame, members: list[int]) -> NDArray[np.float64] | None:
    """(n_members, 3), or None where any is unknown; pixels of a photograph have no z."""
    xyz = _with_z(targets, members)
    return None if np.isnan(xyz).any() else xyz


def _with_z(targets: pd.DataFrame, members: list[int]) -> NDArray[np.float64]:
    """(n_members, 3); z is 0 where none has one."""
    xyz = targets[["x", "y", "z"]].to_numpy(dtype=np.float64)[members]
    if np.isnan(xyz[:, 2]).all():
        xyz[:, 2] = 0.0
    return xyz


def neighbours(
    targets: pd.DataFrame, members: list[int], *, reach: float
) -> dict[int, tuple[int, ...]] | None:
    """Neighbours of every contact: by coordinates, else by number; None if neither tells."""
    lost = np.isnan(_with_z(targets, members)).sum(axis=1)
    placed = [i for i, n_lost in zip(members, lost, strict=True) if n_lost == 0]
    if 2 <= len(placed) < len(members):
        # Contacts without a place have no neighbours; the others keep theirs.
        found = neighbours(targets, placed, reach=reach)
        return None if found is None else found | {i: () for i in members if i not in placed}
    xyz = _positions(targets, members)
    if xyz is not None and len(members) > 1:
        distance = np.linalg.norm(xyz[:, None] - xyz, axis=-1)
        np.fill_diagonal(distance, np.inf)
        spacing = float(np.median(distance.min(axis=1)))
        if spacing > 0:
            close = distance <= reach * spacing
            return {
                i: tuple(members[j] for j in np.flatnonzero(row))
                for i, row in zip(members, close, strict=True)
            }
    named = {i: _split(str(targets["name"].iloc[i]))[1] for i in members}
    kinds = targets["type"].to_numpy(dtype=str)[members]
    highest = max((n for n in named.values() if n is not None), default=0)
    if len(members) > 1 and "ECOG" in kinds and highest > LONGEST_SHAFT:
        return None
    return {
        i: tuple(
            j for j, m in named.items() if n is not None and m is not None and abs(m - n) == 1
        )
        for i, n in named.items()
    }
