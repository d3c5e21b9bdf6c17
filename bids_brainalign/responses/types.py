"""A recording turned into something a model can predict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.responses.grids import Grid, Volume

__all__ = ["Grid", "Response", "ResponseSource", "Volume"]

Blocks = Iterator[tuple[slice, NDArray[np.float32]]]
"""Consecutive rows (time) with their values of all targets."""


@dataclass(frozen=True)
class Response:
    """Brain responses of one recording, all targets on one clock."""

    data: NDArray[np.float32]
    """(n_times, n_targets). Read from a work folder it is a read-only map of the file: slices of
    it cost memory, the whole does not."""
    times: NDArray[np.float64]
    """(n_times,) s on the recording clock, evenly spaced."""
    targets: pd.DataFrame
    """One row per target: ``name, type, hemisphere, region, x, y, z`` (mm; ``n/a`` or NaN if
    unknown) and, for electrodes, ``device`` (the ``group`` column)."""
    censored: NDArray[np.bool_]
    """(n_times,): leave fit and score."""
    support_s: float
    """Half length of the low-pass and band-pass filters applied (−40 dB), for the gap of folds."""
    notes: tuple[str, ...] = ()
    """What was assumed or skipped, one sentence each, for the report."""
    grid: Grid | None = None
    """Where the targets lie (fMRI)."""

    @property
    def interval_s(self) -> float:
        """Seconds between samples."""
        return float(np.median(np.diff(self.times)))

    @property
    def volume(self) -> Volume | None:
        """The grid, if it is one of voxels."""
        return self.grid if isinstance(self.grid, Volume) else None


@dataclass(frozen=True)
class ResponseSource:
    """Responses that are read piece by piece: a file too large to be held as a whole.

    Fields as in :class:`Response`, but for those that read.
    """

    blocks: Callable[[], Blocks]
    """Rows in order, each once."""
    times: NDArray[np.float64]
    targets: pd.DataFrame
    censored: NDArray[np.bool_]
    support_s: float
    notes: tuple[str, ...] = ()
    grid: Grid | None = None
    n_repeats: int = 0
    """Single presentations of the same stimulus of which `blocks` are the mean."""
    repeat_blocks: Callable[[int], Blocks] | None = None
    """As `blocks`, of one presentation."""
