"""The little brain of simulated fMRI: its grid, its mask and which voxel follows what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHAPE = (14, 8, 8)
VOXEL_MM = 10.0
SPACE = "MNI152NLin2009cAsym"


@dataclass(frozen=True)
class Part:
    """Voxels that share a source."""

    name: str
    source: int | None
    """Layer number, or None for nothing."""
    voxels: NDArray[np.bool_]
    """(nx, ny, nz), inside the mask."""


def affine() -> NDArray[np.float64]:
    """Voxel to MNI mm: the first axis grows to the right and is centred on the midline."""
    matrix = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    matrix[:3, 3] = (-VOXEL_MM * (SHAPE[0] - 1) / 2, -60.0, -20.0)
    return matrix


def brain_mask() -> NDArray[np.bool_]:
    """Make an ellipsoid that leaves out the corners of the grid."""
    centred = [(np.arange(n) - (n - 1) / 2) / (n / 2) for n in SHAPE]
    x, y, z = np.meshgrid(*centred, indexing="ij")
    return np.asarray(x**2 + y**2 + z**2 < 1.2)


def parts(layers: Sequence[int]) -> tuple[Part, ...]:
    """Share out the mask: nothing in the left half, the layers in the right one.

    Parameters
    ----------
    layers : sequence of 1 or 2 int
        The last is planted in the right half; with two, the first in its posterior quarter.
    """
    mask = brain_mask()
    right = mask & (np.arange(SHAPE[0]) >= SHAPE[0] // 2)[:, None, None]
    left = mask & ~right
    if len(layers) == 1:
        return (Part("right", layers[0], right), Part("left", None, left))
    back = right & (np.arange(SHAPE[1]) < SHAPE[1] // 4)[None, :, None]
    return (
        Part("right-posterior", layers[0], back),
        Part("right-anterior", layers[-1], right & ~back),
        Part("left", None, left),
    )
