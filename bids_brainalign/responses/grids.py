"""Where the targets of fMRI lie: what a map needs to be written as their own kind of file."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Volume:
    """The grid that voxel targets come from."""

    mask: Mask
    """(nx, ny, nz): voxels that are targets, in C order."""
    affine: NDArray[np.float64]
    """(4, 4), voxel to mm."""
    space: str

    def kept(self, columns: NDArray[np.int64]) -> Volume:
        """Keep some targets, given by increasing indices."""
        return replace(self, mask=_thinned(self.mask, columns))


@dataclass(frozen=True)
class Surface:
    """The two meshes that vertex targets come from: left before right."""

    left: Mask
    """(n_vertices,): those that are targets; of length 0 without this hemisphere."""
    right: Mask
    space: str

    def kept(self, columns: NDArray[np.int64]) -> Surface:
        """Keep some targets, given by increasing indices."""
        both = _thinned(np.concatenate([self.left, self.right]), columns)
        return replace(self, left=both[: len(self.left)], right=both[len(self.left) :])


@dataclass(frozen=True)
class Grayordinates:
    """The vertices and voxels of a CIFTI file."""

    mask: Mask
    """(n_grayordinates,): those that are targets, in the order of the file."""
    structure: NDArray[np.str_]
    """(n_grayordinates,): ``CIFTI_STRUCTURE_CORTEX_LEFT`` …"""
    vertex: NDArray[np.int64]
    """(n_grayordinates,): index into the mesh of the structure; -1 for voxels."""
    voxel: NDArray[np.int64]
    """(n_grayordinates, 3): indices into the volume; -1 for vertices."""
    affine: NDArray[np.float64]
    """(4, 4), voxel to mm; zeros in a file without voxels."""
    volume_shape: tuple[int, int, int]
    """Zeros in a file without voxels."""
    n_vertices: tuple[tuple[str, int], ...]
    """Structure → vertices of its whole mesh."""
    space: str

    def kept(self, columns: NDArray[np.int64]) -> Grayordinates:
        """Keep some targets, given by increasing indices."""
        return replace(self, mask=_thinned(self.mask, columns))


@dataclass(frozen=True)
class Columns:
    """Targets that are known by their column in the source file only (ds003020's HDF5)."""

    mask: Mask
    """(n_columns,): those that are targets."""
    space: str

    def kept(self, columns: NDArray[np.int64]) -> Columns:
        """Keep some targets, given by increasing indices."""
        return replace(self, mask=_thinned(self.mask, columns))


Grid = Volume | Surface | Grayordinates | Columns


def _thinned(mask: Mask, columns: NDArray[np.int64]) -> Mask:
    """Mask of the same shape in which only some of its true elements stay."""
    thinned = np.zeros(mask.size, dtype=bool)
    thinned[np.flatnonzero(mask)[columns]] = True
    return thinned.reshape(mask.shape)
