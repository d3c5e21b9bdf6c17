"""How much of what was planted is left in BOLD after its confounds (pure arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array64 = NDArray[np.float64]


@dataclass(frozen=True)
class CleanedRun:
    """One run, its volumes with a spike left out (NaN)."""

    series: Array64
    """(n_volumes, n_voxels) as recorded, after its confounds."""
    planted: Array64
    """(n_volumes, n_voxels) its planted part, after the same confounds."""
    source: Array64
    """(n_volumes, n_voxels) its planted part."""


def clean(
    series: Array64, planted: Array64, regressors: Array64, kept: NDArray[np.bool_]
) -> CleanedRun:
    """Regress the confounds out by least squares over the volumes that are kept.

    Parameters
    ----------
    series, planted : ndarray of shape (n_volumes, n_voxels)
        The recording, and its planted part in the same units.
    regressors : ndarray of shape (n_volumes, n_confounds)
    kept : ndarray of bool, shape (n_volumes,)
    """
    design = np.column_stack([np.ones(kept.sum()), regressors[kept]])
    basis = np.linalg.qr(design)[0]
    found = []
    for values in (series, planted):
        residual = np.full(values.shape, np.nan)
        residual[kept] = values[kept] - basis @ (basis.T @ values[kept])
        found.append(residual)
    return CleanedRun(found[0], found[1], np.where(kept[:, None], planted, np.nan))


def recorded_r(run: CleanedRun) -> Array64:
    """(n_voxels,) correlation of the recording with what was planted; 0 without a signal."""
    return _correlation(run.series, run.source)


def repeated_r(runs: Sequence[CleanedRun], rows: NDArray[np.bool_]) -> Array64:
    """(n_voxels,) ceiling of repeated runs: sqrt(power of the signal that repeats / power).

    The first is the mean covariance of two runs' planted signals after their confounds: what slow
    regressors take of the signal in every run is missing from it, as no model need predict it.

    Parameters
    ----------
    runs : sequence of CleanedRun
        At least two.
    rows : ndarray of bool, shape (n_volumes,)
        Volumes that are compared.
    """
    known = rows & np.all([np.isfinite(run.series).all(axis=1) for run in runs], axis=0)
    planted = np.stack([run.planted[known] for run in runs])
    planted -= planted.mean(axis=1, keepdims=True)
    n_runs, n_rows = planted.shape[:2]
    alone = (planted**2).sum(axis=(0, 1))
    together = (planted.sum(axis=0) ** 2).sum(axis=0)
    signal = (together - alone) / (n_runs * (n_runs - 1) * n_rows)
    power = np.mean([run.series[known].var(axis=0) for run in runs], axis=0)
    return np.asarray(np.sqrt(np.maximum(signal, 0) / power))


def _correlation(a: Array64, b: Array64) -> Array64:
    known = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
    a, b = (values[known] - values[known].mean(axis=0) for values in (a, b))
    norm = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.asarray((a * b).sum(axis=0) / np.where(norm > 0, norm, np.inf))
