"""Features that users bring: ``--features NAME=DIR``, one file per stimulus."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError, ExitCode


def own_feature_file(folder: Path, stimulus: str) -> Path:
    """Find the file of a stimulus: ``<stimulus>.h5`` or ``<stimulus>.npy``.

    Raises
    ------
    BrainAlignError
        Neither exists (exit code 66).
    """
    for suffix in (".h5", ".npy"):
        path = folder / f"{stimulus}{suffix}"
        if path.is_file():
            return path
    present = sorted(p.name for p in folder.glob("*") if p.suffix in {".h5", ".npy"})[:5]
    raise BrainAlignError(
        f"--features: {folder} has no file for the stimulus {stimulus}",
        where=f"looked for {stimulus}.h5 and {stimulus}.npy; the folder has "
        + (", ".join(present) or "neither .h5 nor .npy files"),
        fix=f"write {stimulus}.h5 with datasets data (n_frames, n_dims) and times (n_frames,) in "
        f"seconds, or {stimulus}.npy and {stimulus}_times.npy",
        exit_code=ExitCode.MISSING_INPUT,
    )


def own_feature_files(folder: Path, stimulus: str) -> tuple[Path, ...]:
    """All files that a stimulus' features are read from: the data, and times of their own."""
    path = own_feature_file(folder, stimulus)
    times = path.with_name(f"{path.stem}_times.npy")
    return (path, times) if path.suffix == ".npy" and times.is_file() else (path,)


def load_own_features(
    path: Path,
) -> tuple[tuple[NDArray[np.float32], ...], NDArray[np.float64]]:
    """Read a user's features and check them.

    Parameters
    ----------
    path : Path
        ``.h5`` with ``data`` of shape (n_frames, n_dims) or (n_layers, n_frames, n_dims) and
        ``times`` (n_frames,) in s; or ``.npy`` with the data and ``<stem>_times.npy``.

    Returns
    -------
    layers : tuple of ndarray of shape (n_frames, n_dims), float32
    times : ndarray of shape (n_frames,)

    Raises
    ------
    BrainAlignError
        Missing times, wrong shapes, times that don't increase, NaN (exit code 65).
    """
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            missing = [name for name in ("data", "times") if name not in file]
            if missing:
                raise _bad(path, f"has no dataset {' and no dataset '.join(missing)}")
            data, times = np.asarray(file["data"]), np.asarray(file["times"])
    else:
        times_path = path.with_name(f"{path.stem}_times.npy")
        if not times_path.is_file():
            raise _bad(path, f"has no times: {times_path.name} is missing beside it")
        data = np.load(path, allow_pickle=False)
        times = np.load(times_path, allow_pickle=False)
    if data.ndim == 2:
        data = data[None]
    if data.ndim != 3 or times.ndim != 1 or data.shape[1] != len(times):
        raise _bad(path, f"has data of shape {data.shape} and times of shape {times.shape}")
    if len(times) < 2 or (np.diff(times) <= 0).any():
        raise _bad(path, "has times that don't increase")
    if not np.isfinite(data).all():
        raise _bad(path, "has NaN or infinite values")
    return tuple(np.asarray(layer, dtype=np.float32) for layer in data), times.astype(np.float64)


def _bad(path: Path, what: str) -> BrainAlignError:
    return BrainAlignError(
        f"{path.name} {what}",
        where=str(path),
        fix="data must be (n_frames, n_dims) or (n_layers, n_frames, n_dims) with times "
        "(n_frames,) in increasing seconds of the stimulus",
    )
