"""Re-referencing of intracranial recordings.

Every reference here makes a target from one channel by subtracting the mean of some others, so a
reference is a list of such derivations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.responses.neighbours import (
    CONSECUTIVE,
    NEIGHBOUR,
    along,
    consecutive,
    neighbours,
    shafts,
)

REFERENCES = ("none", "car", "car-device", "bipolar", "laplacian")

SPREADING = ("car", "car-device")
"""References that put a share of every electrode's signal into the others."""


@dataclass(frozen=True)
class Derivation:
    """One target: a channel less the mean of some channels."""

    name: str
    channel: int
    minus: tuple[int, ...]
    """Channels averaged; empty where nothing is subtracted."""


def derivations(
    kind: str, targets: pd.DataFrame
) -> tuple[tuple[Derivation, ...], tuple[str, ...]]:
    """List the targets that a reference makes.

    Parameters
    ----------
    kind : str
        ``none``; ``car``: less the mean of all channels; ``car-device``: less that of the
        channels of the same device (``group`` of electrodes.tsv); ``bipolar``: neighbours along
        a strip, shaft or grid row, ``A1-A2``; ``laplacian``: less the mean of the nearest
        neighbours on the device.
    targets : DataFrame of n_channels rows
        Good channels only (a bad one would be put into others): ``name, type, device, x, y, z``.

    Returns
    -------
    tuple of Derivation
    tuple of str
        What was done, and which channels it left alone or out.

    Raises
    ------
    BrainAlignError
        64: unknown reference. 65: nothing can be derived.
    """
    if kind not in REFERENCES:
        raise BrainAlignError(
            f"There is no reference '{kind}'.",
            fix=f"--reference {' or '.join(REFERENCES)}",
            exit_code=ExitCode.USAGE,
        )
    names = [str(name) for name in targets["name"]]
    if kind == "none":
        alone = tuple(Derivation(name, i, ()) for i, name in enumerate(names))
        return alone, ("Reference: as recorded.",)
    if kind == "car":
        return _common_average(names)
    if kind == "car-device":
        return _device_average(names, targets)
    return _bipolar(targets) if kind == "bipolar" else _laplacian(targets)


class Rereferenced:
    """Channels read through derivations, a few at a time.

    Parameters
    ----------
    data : ndarray of shape (n_channels, n_times)
    """

    def __init__(self, data: NDArray[np.floating]) -> None:
        self._data = data
        self._mean: tuple[tuple[int, ...], NDArray[np.float64]] | None = None

    def read(self, wanted: Sequence[Derivation]) -> NDArray[np.float64]:
        """Derive some targets, shape (n_wanted, n_times)."""
        result = self._data[[d.channel for d in wanted]].astype(np.float64)
        for row, derivation in zip(result, wanted, strict=True):
            if derivation.minus:
                row -= self._average(derivation.minus)
        return result

    def _average(self, channels: tuple[int, ...]) -> NDArray[np.float64]:
        """Mean of channels; the last one is kept, as a device's targets follow each other."""
        if self._mean is None or self._mean[0] != channels:
            # Summed in double precision, also for float32 data of hundreds of channels.
            whole = channels == tuple(range(len(self._data)))
            chosen = self._data if whole else self._data[list(channels)]
            self._mean = channels, np.asarray(chosen.mean(axis=0, dtype=np.float64))
        return self._mean[1]


def derived_targets(targets: pd.DataFrame, derived: Sequence[Derivation]) -> pd.DataFrame:
    """Give the table of the derived targets; a bipolar one lies midway between its contacts."""
    table = targets.iloc[[d.channel for d in derived]].reset_index(drop=True)
    table["name"] = [d.name for d in derived]
    names = targets["name"].to_numpy(dtype=str)
    for row, derivation in enumerate(derived):
        if derivation.name == names[derivation.channel]:
            continue
        both = targets.iloc[[derivation.channel, *derivation.minus]]
        for axis in "xyz":
            table.loc[row, axis] = both[axis].to_numpy(dtype=float).mean()
        if both["hemisphere"].nunique() > 1:
            table.loc[row, "hemisphere"] = "n/a"
    return table


def _common_average(names: list[str]) -> tuple[tuple[Derivation, ...], tuple[str, ...]]:
    if len(names) < 2:
        raise BrainAlignError(
            "A common average reference needs at least two good channels; there is one.",
            fix="--reference none",
        )
    every = tuple(range(len(names)))
    note = (
        f"Reference: common average of {len(names)} channels, which puts about 1/{len(names)} of "
        "every electrode's signal into each of the others."
    )
    return tuple(Derivation(name, i, every) for i, name in enumerate(names)), (note,)


def _device_average(
    names: list[str], targets: pd.DataFrame
) -> tuple[tuple[Derivation, ...], tuple[str, ...]]:
    device = targets["device"].to_numpy(dtype=str)
    if (device == "n/a").all():
        raise BrainAlignError(
            "No electrode has a device, so there is no common average per device.",
            where="electrodes.tsv is missing or has no column group",
            fix="add the column group to electrodes.tsv, or use --reference car",
        )
    derived: dict[int, Derivation] = {}
    alone, sizes = [], []
    for label in dict.fromkeys(device):
        members = tuple(int(i) for i in np.flatnonzero(device == label))
        # Electrodes without a device have nothing in common but that.
        single = len(members) < 2 or label == "n/a"
        alone += [names[i] for i in members] if single else []
        sizes += [] if single else [f"{label} {len(members)}"]
        derived |= {i: Derivation(names[i], i, () if single else members) for i in members}
    notes: tuple[str, ...] = (
        f"Reference: common average per device ({', '.join(sizes) or 'none'} channels), which "
        "puts about 1/n of every electrode's signal into the others of its device.",
    )
    if alone:
        notes += (
            f"Left as recorded, with no other channel on their device ({len(alone)}): "
            f"{', '.join(alone)}.",
        )
    return tuple(derived[i] for i in sorted(derived)), notes


def _bipolar(targets: pd.DataFrame) -> tuple[tuple[Derivation, ...], tuple[str, ...]]:
    names = [str(name) for name in targets["name"]]
    derived = []
    unplaced: list[str] = []
    for members in shafts(targets):
        near = neighbours(targets, members, reach=CONSECUTIVE)
        if near is None:
            unplaced += [names[i] for i in members]
            continue
        order = along(targets, members)
        for first, second in pairwise(order):
            if second in near[first] and consecutive(names[first], names[second]):
                derived.append(Derivation(f"{names[first]}-{names[second]}", first, (second,)))
    used = {i for d in derived for i in (d.channel, *d.minus)}
    lost = [name for i, name in enumerate(names) if i not in used and name not in unplaced]
    if not derived:
        raise _no_neighbours("bipolar")
    note = f"Reference: bipolar, {len(derived)} pairs of neighbouring contacts."
    return tuple(derived), (note, *_left_out(lost, unplaced))


def _laplacian(targets: pd.DataFrame) -> tuple[tuple[Derivation, ...], tuple[str, ...]]:
    names = [str(name) for name in targets["name"]]
    derived: dict[int, Derivation] = {}
    unplaced: list[str] = []
    for members in shafts(targets):
        near = neighbours(targets, members, reach=NEIGHBOUR)
        if near is None:
            unplaced += [names[i] for i in members]
            continue
        derived |= {i: Derivation(names[i], i, near[i]) for i in members if near[i]}
    lost = [n for i, n in enumerate(names) if i not in derived and n not in unplaced]
    if not derived:
        raise _no_neighbours("laplacian")
    note = (
        f"Reference: Laplacian, {len(derived)} contacts less the mean of their "
        "nearest neighbours on the device (two along a shaft, up to four on a grid)."
    )
    return tuple(derived[i] for i in sorted(derived)), (note, *_left_out(lost, unplaced))


def _left_out(lost: list[str], unplaced: list[str]) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    if lost:
        notes += (
            f"Left out, with no good neighbour on their device ({len(lost)}): {', '.join(lost)}.",
        )
    if unplaced:
        notes += (
            f"Left out, as neighbours on a grid can't be told without coordinates "
            f"({len(unplaced)}): {', '.join(unplaced)}.",
        )
    return notes


def _no_neighbours(kind: str) -> BrainAlignError:
    return BrainAlignError(
        f"No two good contacts are neighbours on one device: --reference {kind} has no target.",
        where="neighbours have consecutive numbers (A1, A2) or coordinates in electrodes.tsv",
        fix="--reference car or none",
    )
