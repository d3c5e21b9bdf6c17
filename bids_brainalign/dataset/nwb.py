"""Series in NWB files: which one is neural, its clock, unit and channels, by h5py alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bids_brainalign.dataset.nwb_clock import SeriesClock, series_clock
from bids_brainalign.dataset.tables import read_tsv
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError

ELECTRICAL = "ElectricalSeries"
NAME_COLUMNS = ("channel_name", "label", "name", "electrode_name")
"""Columns of NWB's electrodes table that may hold channel names, in this order."""
PLACES = ("acquisition", "processing/ecephys")


@dataclass(frozen=True)
class NwbSeries:
    """One series of neural data in a file."""

    path: Path
    key: str
    """Path of the series within the file."""
    n_times: int
    rate_hz: float
    """Of the amplifier, if the measured one is as good as that."""
    channels: tuple[str, ...]
    scale: NDArray[np.float64]
    """(n_channels,) volts per stored number."""
    offset: float
    """Volts."""
    clock: SeriesClock = field(default=SeriesClock(0.0, 1.0))
    """As the file tells it. The recording clock begins with the first sample and counts samples at
    `rate_hz`."""

    def on_recording_clock(self, other: SeriesClock) -> SeriesClock:
        """Turn the clock of another series of the file into one on the recording clock."""
        pace = self.clock.rate_hz / self.rate_hz
        return SeriesClock((other.start_s - self.clock.start_s) * pace, other.rate_hz / pace)

    def read(self, columns: Sequence[int], start: int, stop: int) -> NDArray[np.float64]:
        """Volts of some channels, shape (n_columns, stop - start)."""
        with h5py.File(self.path) as file:
            data = file[self.key]["data"]
            # A slice of whole rows: h5py reads scattered columns one by one.
            rows = np.asarray(data[start:stop]).reshape(stop - start, -1)
        wanted = rows[:, list(columns)].T.astype(np.float64)
        return np.asarray(wanted * self.scale[list(columns)][:, np.newaxis] + self.offset)


def open_nwb(path: Path, table_names: Sequence[str] = ()) -> NwbSeries:
    """Find the neural series of a file.

    It is the only ElectricalSeries of ``acquisition`` (else of ``processing/ecephys``), or the
    only series as wide as ``channels.tsv`` is long. Channels are named by the electrodes table,
    else by the order of ``channels.tsv``.

    Parameters
    ----------
    path : Path
    table_names : sequence of str
        ``name`` of all rows of ``channels.tsv``; empty where it is not known, e.g. to measure
        the length.

    Raises
    ------
    BrainAlignError
        65: no series, several, or names that nothing tells; the message lists the series.
    """
    with h5py.File(path) as file:
        key = _choose(file, path, len(table_names))
        series = file[key]
        data = series["data"]
        width = data.shape[1] if data.ndim > 1 else 1
        clock = series_clock(series, path)
        scale = float(data.attrs.get("conversion", 1.0)) * np.ones(width)
        if "channel_conversion" in series:
            scale *= np.asarray(series["channel_conversion"], dtype=np.float64)
        return NwbSeries(
            path=path,
            key=key,
            n_times=int(data.shape[0]),
            rate_hz=clock.nominal_hz(data.shape[0]),
            channels=_names(file, series, path, table_names, width),
            scale=scale,
            offset=float(data.attrs.get("offset", 0.0)),
            clock=clock,
        )


def open_neural_series(recording: Recording) -> NwbSeries:
    """Find the neural series of a recording, its channels named by ``channels.tsv`` if it can."""
    table = recording.channels_path
    known = table is not None and table.is_file()
    rows = read_tsv(table) if known and table is not None else None
    names = list(rows["name"]) if rows is not None and "name" in rows.columns else []
    return open_nwb(recording.path, names)


def series_called(file: h5py.File, name: str) -> h5py.Group | None:
    """Find the series of that name, in any case of letters, in ``acquisition``; None if absent."""
    acquired = file.get("acquisition")
    for key in acquired or ():
        item = acquired[key]
        if key.casefold() == name.casefold() and isinstance(item, h5py.Group) and "data" in item:
            return item
    return None


def _series(file: h5py.File) -> dict[str, tuple[str, int]]:
    """Path within the file → neurodata type and number of channels, of every series."""
    found: dict[str, tuple[str, int]] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Group) and isinstance(item.get("data"), h5py.Dataset):
            shape = item["data"].shape
            kind = _text(item.attrs.get("neurodata_type", "TimeSeries"))
            found[name] = (kind, shape[1] if len(shape) > 1 else 1)

    for place in PLACES:
        if place in file:
            file[place].visititems(lambda name, item, place=place: visit(f"{place}/{name}", item))
    return found


def _choose(file: h5py.File, path: Path, n_table: int) -> str:
    series = _series(file)
    for place in PLACES:
        electrical = [k for k, (t, _) in series.items() if t == ELECTRICAL and k.startswith(place)]
        if len(electrical) > 1:
            electrical = [k for k in electrical if series[k][1] == n_table] or electrical
        if len(electrical) == 1:
            return electrical[0]
        if electrical:
            raise _ambiguous(path, series, "several ElectricalSeries")
    # Words and sounds are series too; neural data are as wide as the table.
    wide = [
        k
        for k, (_, width) in series.items()
        if width > 1 and width == (n_table or width) and not k.casefold().endswith("/audio")
    ]
    if len(wide) != 1:
        problem = "several series" if wide else "no series"
        raise _ambiguous(path, series, f"{problem} as wide as channels.tsv ({n_table} rows)")
    return wide[0]


def _ambiguous(path: Path, series: dict[str, tuple[str, int]], problem: str) -> BrainAlignError:
    held = ", ".join(f"{k} ({t}, {w} channels)" for k, (t, w) in series.items()) or "no series"
    return BrainAlignError(
        f"{path.name} has {problem}: which one is neural can't be told.",
        where=f"it holds {held}",
        fix="channels.tsv must have one row per channel of the neural series, in its order",
    )


def _names(
    file: h5py.File, series: h5py.Group, path: Path, table_names: Sequence[str], width: int
) -> tuple[str, ...]:
    known = set(table_names)
    for names in _electrode_names(file, series):
        if len(names) == width and len(set(names)) == width and (not known or known & set(names)):
            return names
    if len(table_names) == width:
        return tuple(table_names)
    if not table_names:
        return tuple(str(i) for i in range(width))
    raise BrainAlignError(
        f"{path.name}: nothing names the {width} channels of {series.name}.",
        where=f"channels.tsv has {len(table_names)} rows, the electrodes table no matching names",
        fix="give channels.tsv one row per channel, in the order of the recording.",
    )


def _electrode_names(file: h5py.File, series: h5py.Group) -> list[tuple[str, ...]]:
    """Names that the electrodes table may give to the columns of a series."""
    table = file.get("general/extracellular_ephys/electrodes")
    if table is None:
        return []
    rows = np.asarray(series["electrodes"]) if "electrodes" in series else None
    found = []
    for column in NAME_COLUMNS:
        if column in table:
            names = np.asarray(table[column])
            chosen = names if rows is None else names[rows]
            found.append(tuple(_text(name) for name in chosen))
    return found


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
