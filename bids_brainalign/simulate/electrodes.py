"""Where the electrodes of a simulated participant lie and what drives each of them (iEEG)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SPACING_MM = 8.0
TEMPORAL = (
    ("LPT", (-66.0, -44.0, 14.0)),
    ("LMT", (-64.0, -22.0, 4.0)),
    ("LAT", (-60.0, 2.0, -6.0)),
    ("LIP", (-58.0, -48.0, 34.0)),
)
"""Devices of planted layers and their first electrode (MNI mm): superior temporal, parietal."""
AUDITORY = ("LHG", (-54.0, -18.0, 10.0))
"""Device of electrodes that follow low-level features only."""
FRONTAL = ("LFG", (-42.0, 28.0, 24.0))
"""Device of the true nulls and of the bad channels."""
BAD = {"no contact": 400.0, "epileptic activity": 150.0}
"""Reason → added noise (µV) of the bad channels, which follow the nulls on their device."""


@dataclass(frozen=True)
class Device:
    """Electrodes on one carrier that share a source."""

    name: str
    source: int | str | None
    """Layer number, ``lowlevel``, or None for nothing."""
    lag_s: float
    n_channels: int
    first_mm: tuple[float, float, float]

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of its channels."""
        return tuple(f"{self.name}{number}" for number in range(1, self.n_channels + 1))


def lay_out(
    *,
    n_channels: int,
    n_planted: int,
    n_lowlevel: int,
    layers: Sequence[int],
    lags_s: Sequence[float],
) -> tuple[Device, ...]:
    """Share the good channels among devices: one per planted layer, one low-level, one of nulls.

    Parameters
    ----------
    n_channels : int
        All good channels.
    n_planted : int
        Divided evenly among ``layers``.
    n_lowlevel : int
        May be 0.
    layers, lags_s : sequences of the same length, at most 4
        What the planted devices follow, and how late.
    """
    if len(layers) != len(lags_s) or not 0 < len(layers) <= len(TEMPORAL):
        raise ValueError(f"one lag per layer and at most {len(TEMPORAL)} layers")
    n_null = n_channels - n_planted - n_lowlevel
    if n_planted < len(layers) or n_null < 1:
        raise ValueError("every planted layer needs a channel, and one null must remain")
    shares = [len(part) for part in np.array_split(np.arange(n_planted), len(layers))]
    devices = [
        Device(name, layer, lag_s, share, first)
        for (name, first), layer, lag_s, share in zip(
            TEMPORAL, layers, lags_s, shares, strict=False
        )
    ]
    if n_lowlevel:
        devices.append(Device(AUDITORY[0], "lowlevel", 0.1, n_lowlevel, AUDITORY[1]))
    devices.append(Device(FRONTAL[0], None, 0.0, n_null, FRONTAL[1]))
    return tuple(devices)


def bad_names(devices: Sequence[Device]) -> tuple[str, ...]:
    """Names of the bad channels: the next numbers on the last device."""
    last = devices[-1]
    return tuple(f"{last.name}{last.n_channels + i}" for i in range(1, len(BAD) + 1))


def channel_table(devices: Sequence[Device], *, sfreq_hz: float) -> pd.DataFrame:
    """Rows of ``channels.tsv``, in the order of the EDF: good, bad, not neural."""
    good = [(name, "ECOG", "good", "n/a") for device in devices for name in device.channels]
    bad = [
        (name, "ECOG", "bad", reason) for name, reason in zip(bad_names(devices), BAD, strict=True)
    ]
    other = [("EKG1", "ECG", "good", "n/a"), ("DC1", "MISC", "good", "n/a")]
    table = pd.DataFrame(
        good + bad + other, columns=["name", "type", "status", "status_description"]
    )
    table.insert(2, "units", "uV")
    table.insert(3, "low_cutoff", "n/a")
    table.insert(4, "high_cutoff", "n/a")
    table.insert(5, "sampling_frequency", sfreq_hz)
    return table


def electrode_table(devices: Sequence[Device]) -> pd.DataFrame:
    """Rows of ``electrodes.tsv``: grids of four columns that grow backwards and upwards."""
    rows = []
    for device in devices:
        names = device.channels + (bad_names(devices) if device is devices[-1] else ())
        for index, name in enumerate(names):
            x, y, z = _position(index, device.first_mm)
            rows.append((name, x, y, z, 4.15, device.name, "L"))
    columns = ["name", "x", "y", "z", "size", "group", "hemisphere"]
    return pd.DataFrame(rows, columns=columns)


def _position(index: int, first_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    step = np.array([0.0, -SPACING_MM / 2 * (index % 4), SPACING_MM / 2 * (index // 4)])
    return np.asarray(np.round(np.array(first_mm) + step, 2))
