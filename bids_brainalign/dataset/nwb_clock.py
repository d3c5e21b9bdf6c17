"""When the samples of a series in an NWB file were taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError

MAX_JITTER_S = 0.005
"""Timestamps may scatter about an even clock by this much: those of Lab Streaming Layer do."""
MAX_OFF = 1e-3
"""No amplifier is further from its rate than this share of it."""
MAX_DRIFT_S = 0.01
"""A measured rate that puts the last sample this near to where the rate of an amplifier puts it is
that rate: filters and frames are then those of the amplifier."""
USUAL_HZ = (
    250.0, 256.0, 500.0, 512.0, 1000.0, 1024.0, 2000.0, 2048.0, 4096.0, 8000.0, 11_025.0, 16_000.0,
    22_050.0, 24_000.0, 32_000.0, 44_100.0, 48_000.0, 96_000.0,
)  # fmt: skip
STAMPS_AT_ONCE = 2**20


@dataclass(frozen=True)
class SeriesClock:
    """An even clock."""

    start_s: float
    """Of the first sample, on the file's clock, which may be any: the seconds since a computer
    was switched on."""
    rate_hz: float
    """Samples per second of the file's clock."""

    def nominal_hz(self, n_times: int, *, max_drift_s: float = MAX_DRIFT_S) -> float:
        """Give the amplifier's rate, where it moves no sample by more than 10 ms.

        That is a usual one, or a whole number of hertz.

        Examples
        --------
        >>> SeriesClock(0.0, 1024.002).nominal_hz(300_000)
        1024.0
        >>> SeriesClock(0.0, 47_999.19).nominal_hz(14_000_000)
        48000.0
        >>> SeriesClock(0.0, 512.03).nominal_hz(3_000_000)
        512.03
        """
        for rate_hz in (*USUAL_HZ, float(max(round(self.rate_hz), 1))):
            off = abs(self.rate_hz / rate_hz - 1)
            if off <= MAX_OFF and off * n_times / self.rate_hz <= max_drift_s:
                return rate_hz
        return self.rate_hz


def series_clock(series: h5py.Group, path: Path) -> SeriesClock:
    """Read the clock of a series from ``starting_time`` or from even ``timestamps``.

    Raises
    ------
    BrainAlignError
        65: there is neither, or timestamps are not even.
    """
    if "starting_time" in series and "rate" in series["starting_time"].attrs:
        start, rate_hz = series["starting_time"], float(series["starting_time"].attrs["rate"])
        if not (rate_hz > 0 and np.isfinite(rate_hz)):
            raise BrainAlignError(
                f"{path.name}: the sampling rate of {series.name} is {rate_hz:g}.",
                fix="write starting_time with the samples per second, as NWB requires.",
            )
        return SeriesClock(float(np.asarray(start)), rate_hz)
    if "timestamps" not in series or len(series["timestamps"]) < 2:
        raise BrainAlignError(
            f"{path.name}: {series.name} has no sampling rate.",
            where="neither starting_time with a rate nor timestamps",
            fix="write one of them, as NWB requires.",
        )
    return _fitted(series, path)


def _fitted(series: h5py.Group, path: Path) -> SeriesClock:
    """Fit a straight line to the timestamps."""
    stamps = series["timestamps"]
    n = len(stamps)
    first, last = float(stamps[0]), float(stamps[n - 1])
    middle = (n - 1) / 2
    # About the line between the ends, as the file's clock may show millions of seconds.
    step = (last - first) / (n - 1)
    sums = np.zeros(2)
    for places, seconds in _pieces(stamps):
        rest = seconds - first - step * places
        sums += rest.sum(), rest @ (places - middle)
    slope = step + sums[1] / (n * (n**2 - 1) / 12)
    start = first + sums[0] / n + step * middle - slope * middle
    worst = max(
        float(np.abs(seconds - start - slope * places).max())
        for places, seconds in _pieces(stamps)
    )
    if not slope > 0 or not worst <= MAX_JITTER_S:
        raise BrainAlignError(
            f"{path.name}: the timestamps of {series.name} are not evenly spaced.",
            where=f"up to {worst:.3g} s from an even clock of {slope:.3g} s",
            fix="resample the recording to one rate, or split it at its gaps.",
        )
    return SeriesClock(float(start), float(1 / slope))


def _pieces(stamps: h5py.Dataset) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Places and timestamps, some at a time."""
    for first in range(0, len(stamps), STAMPS_AT_ONCE):
        seconds = np.asarray(stamps[first : first + STAMPS_AT_ONCE], dtype=np.float64)
        yield first + np.arange(len(seconds), dtype=np.float64), seconds
