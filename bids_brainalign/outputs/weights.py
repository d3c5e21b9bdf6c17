"""Encoding weights per delay."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from bids_brainalign.store.atomic import atomic_path

DESCRIPTION = (
    "Ridge weights of the layer that most outer folds chose, per delay: standard deviations of "
    "the response per unit of the feature as extracted; mean over outer folds, each fitted on "
    "its training part. prediction(t) = sum over delays d of features(t - d) @ weights[d], up to "
    "a constant."
)


def write_weights(
    path: Path,
    *,
    weights: NDArray[np.float32],
    layer: Sequence[str],
    alpha: NDArray[np.float64],
    delays_s: NDArray[np.float64],
    targets: Sequence[str],
    voxels: NDArray[np.int64] | None,
    affine: NDArray[np.float64] | None,
) -> Path:
    """Write the weights of all targets of one analysis.

    Parameters
    ----------
    path : Path
        Ends in ``.h5``.
    weights : ndarray of shape (n_delays, n_dims, n_targets)
    layer : sequence of str
        Layer of each target.
    alpha : ndarray of shape (n_targets,)
        Penalty, on standardised features.
    delays_s : ndarray of shape (n_delays,)
        s; positive: the response follows the stimulus.
    targets : sequence of str
    voxels : ndarray of shape (n_targets, 3), optional
        Indices into the image.
    affine : ndarray of shape (4, 4), optional
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = h5py.string_dtype()
    with atomic_path(path) as temporary, h5py.File(temporary, "w", track_order=True) as file:
        file.attrs["description"] = DESCRIPTION
        stored = file.create_dataset(
            "weights", weights.shape, np.float32, compression="gzip", shuffle=True
        )
        for delay, part in enumerate(weights):  # may be mapped from a file, and large
            stored[delay] = part
        file["layer"] = np.array(list(layer), dtype=object).astype(text)
        file["alpha"], file["delays_s"] = alpha, delays_s
        file["targets"] = np.array(list(targets), dtype=object).astype(text)
        if voxels is not None and affine is not None:
            file["voxels"], file["affine"] = voxels, affine
    return path
