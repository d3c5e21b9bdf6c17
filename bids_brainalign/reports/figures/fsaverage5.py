"""The mesh of fsaverage5 that comes with nilearn: no download."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Cortex:
    """A surface of one hemisphere."""

    vertices: NDArray[np.float64]
    """(n_vertices, 3) mm; of the pial surface in MNI305."""
    faces: NDArray[np.int64]
    """(n_faces, 3)."""
    depth: NDArray[np.float64]
    """(n_vertices,): sulcal depth, positive in sulci."""


@lru_cache(maxsize=2)
def fsaverage5(surface: Literal["pial", "inflated"]) -> dict[str, Cortex]:
    """Load a surface of both hemispheres, ``left`` and ``right``."""
    from nilearn.datasets import load_fsaverage, load_fsaverage_data

    meshes = load_fsaverage("fsaverage5")[surface].parts
    depths = load_fsaverage_data("fsaverage5", mesh_type=surface, data_type="sulcal").data.parts
    return {
        side: Cortex(
            np.asarray(meshes[side].coordinates, dtype=np.float64),
            np.asarray(meshes[side].faces, dtype=np.int64),
            np.asarray(depths[side], dtype=np.float64),
        )
        for side in ("left", "right")
    }
