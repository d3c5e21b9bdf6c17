"""Kinds of files that fMRI responses come in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Kind = Literal["volume", "surface", "grayordinates", "columns"]

VOLUMES = (".nii.gz", ".nii")
SURFACES = (".func.gii",)
GRAYORDINATES = (".dtseries.nii",)
COLUMNS = (".hf5", ".h5", ".hdf5")
"""HDF5 with one column per voxel (ds003020)."""
TRIMMED_VOLUMES = 10
"""Cut off either end in such files: rows are volumes − 20 in every story of ds003020."""


def kind_of(path: Path) -> Kind:
    """Kind of a file by its name.

    Examples
    --------
    >>> kind_of(Path("sub-01_task-a_space-fsLR_den-91k_bold.dtseries.nii"))
    'grayordinates'
    """
    name = path.name.lower()
    if name.endswith(SURFACES):
        return "surface"
    if name.endswith(GRAYORDINATES):
        return "grayordinates"
    return "columns" if name.endswith(COLUMNS) else "volume"
