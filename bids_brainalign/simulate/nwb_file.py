"""An NWB file with plain time series, by h5py alone (NWB 2.7: TimeSeries in acquisition)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

NWB_VERSION = "2.7.0"
START = "2020-01-01T12:00:00+00:00"
"""Every simulated session: no date of its own, so that the same seed gives the same bytes."""
GROUPS = (
    "acquisition", "analysis", "general", "processing", "stimulus", "stimulus/presentation",
    "stimulus/templates",
)  # fmt: skip


@dataclass(frozen=True)
class Series:
    """One time series."""

    name: str
    data: NDArray[Any] | Sequence[str]
    """(n_times,) or (n_times, n_channels); text is written as UTF-8 of variable length."""
    rate_hz: float
    unit: str
    description: str
    conversion: float = 1.0
    """Units per stored number."""
    start_s: float = 0.0


def write_nwb(path: Path, series: Sequence[Series], *, identifier: str, description: str) -> None:
    """Write series into ``acquisition``.

    References
    ----------
    NWB format specification 2.7, NWBFile and TimeSeries.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        _typed(file, "NWBFile", identifier)
        file.attrs["nwb_version"] = NWB_VERSION
        for group in GROUPS:
            file.create_group(group)
        text = h5py.string_dtype()
        file.create_dataset("identifier", data=identifier, dtype=text)
        file.create_dataset("session_description", data=description, dtype=text)
        file.create_dataset("session_start_time", data=START, dtype=text)
        file.create_dataset("timestamps_reference_time", data=START, dtype=text)
        file.create_dataset("file_create_date", data=[START], dtype=text, maxshape=(None,))
        for one in series:
            _write(file, one, identifier)


def _write(file: h5py.File, series: Series, identifier: str) -> None:
    group = file.create_group(f"acquisition/{series.name}")
    _typed(group, "TimeSeries", f"{identifier}/{series.name}")
    group.attrs["description"] = series.description
    group.attrs["comments"] = "no comments"
    if isinstance(series.data, np.ndarray):
        data = group.create_dataset("data", data=series.data)
    else:
        data = group.create_dataset("data", data=list(series.data), dtype=h5py.string_dtype())
    data.attrs["unit"] = series.unit
    data.attrs["conversion"] = np.float64(series.conversion)
    data.attrs["offset"] = np.float64(0.0)
    data.attrs["resolution"] = np.float64(-1.0)
    start = group.create_dataset("starting_time", data=np.float64(series.start_s))
    start.attrs["rate"] = np.float64(series.rate_hz)
    start.attrs["unit"] = "seconds"


def _typed(item: h5py.Group, kind: str, name: str) -> None:
    item.attrs["namespace"] = "core"
    item.attrs["neurodata_type"] = kind
    item.attrs["object_id"] = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kind} {name}"))
