"""Head motion and what fMRIPrep would write about it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.simulate.noise import ar1_noise, cosine_drift

MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
TRANSLATION_MM, ROTATION_RAD = 0.1, 0.002
N_OUTLIERS = 2
HIGH_PASS_S = 128.0
HEAD_RADIUS_MM = 50.0


def confound_table(n_times: int, *, rng: np.random.Generator, interval_s: float) -> pd.DataFrame:
    """Draw one run's confounds with fMRIPrep's column names.

    Returns
    -------
    DataFrame
        One row per volume: motion and its derivatives, white matter, CSF, cosines, framewise
        displacement, one non-steady-state volume and two motion outliers (head jumps).
    """
    motion = ar1_noise(n_times, len(MOTION), rng=rng, phi=0.95)
    outliers = np.sort(rng.choice(np.arange(n_times // 3, n_times - 2), N_OUTLIERS, replace=False))
    for volume in outliers:
        motion[volume] += rng.normal(0, 6.0, len(MOTION))
    scale = np.array([TRANSLATION_MM] * 3 + [ROTATION_RAD] * 3)
    table = pd.DataFrame(motion * scale, columns=list(MOTION))
    for name in MOTION:
        table[f"{name}_derivative1"] = table[name].diff()
    tissue = ar1_noise(n_times, 2, rng=rng, phi=0.6)
    table["white_matter"] = 900.0 + 2.0 * tissue[:, 0]
    table["csf"] = 1100.0 + 3.0 * tissue[:, 1]
    steps = table[list(MOTION)].diff().abs() * np.array([1.0] * 3 + [HEAD_RADIUS_MM] * 3)
    table["framewise_displacement"] = steps.sum(axis=1, skipna=False)
    cosines = cosine_drift(n_times, interval_s=interval_s, period_s=HIGH_PASS_S)
    for index, cosine in enumerate(cosines.T):
        table[f"cosine{index:02d}"] = cosine
    table["non_steady_state_outlier00"] = np.eye(n_times, dtype=int)[:, 0]
    for index, volume in enumerate(outliers):
        table[f"motion_outlier{index:02d}"] = np.eye(n_times, dtype=int)[:, volume]
    return table.round(6)


def nuisance(table: pd.DataFrame) -> NDArray[np.float64]:
    """Select what leaks into voxels, each of SD 1: motion, derivatives, white matter, CSF, drift.

    Returns
    -------
    ndarray of shape (n_times, n_columns)
    """
    leaking = ("trans", "rot", "white", "csf", "cosine")
    names = [n for n in map(str, table) if n.startswith(leaking)]
    values = table[names].fillna(0.0).to_numpy(dtype=np.float64)
    centred = values - values.mean(axis=0)
    return np.asarray(centred / centred.std(axis=0))


def spikes(table: pd.DataFrame) -> NDArray[np.float64]:
    """Volumes that are spoiled altogether.

    Returns
    -------
    ndarray of shape (n_times,)
        1 at motion outliers and non-steady-state volumes.
    """
    names = [n for n in map(str, table) if "_outlier" in n]
    return np.asarray(table[names].to_numpy(dtype=np.float64).sum(axis=1))


def sidecar(table: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Describe the columns."""
    names = map(str, table)
    return {name: {"Description": f"Simulated {name.replace('_', ' ')}"} for name in names}
