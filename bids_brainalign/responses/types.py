"""A recording turned into something a model can predict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class Volume:
    """The grid that voxel targets come from."""

    mask: NDArray[np.bool_]
    """(nx, ny, nz): voxels that are targets, in C order."""
    affine: NDArray[np.float64]
    """(4, 4), voxel to mm."""
    space: str


@dataclass(frozen=True)
class Response:
    """Brain responses of one recording, all targets on one clock."""

    data: NDArray[np.float32]
    """(n_times, n_targets)."""
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
    volume: Volume | None = None

    @property
    def interval_s(self) -> float:
        """Seconds between samples."""
        return float(np.median(np.diff(self.times)))
