"""Voxel maps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bids_brainalign.responses.types import Volume
from bids_brainalign.store.atomic import atomic_path, write_json

_image: Any = nib.Nifti1Image
"""Untyped in nibabel."""


def write_statmap(
    path: Path,
    values: NDArray[np.floating],
    volume: Volume,
    *,
    sidecar: Mapping[str, object],
) -> tuple[Path, Path]:
    """Write values of voxels as NIfTI, NaN outside the mask.

    Parameters
    ----------
    path : Path
        Ends in ``.nii.gz``.
    values : ndarray of shape (n_voxels,) or (n_layers, n_voxels)
        Layers become the fourth axis.
    volume : Volume
    sidecar : mapping

    Returns
    -------
    tuple of Path
        Image and sidecar.
    """
    layers = np.atleast_2d(values)
    data = np.full((*volume.mask.shape, len(layers)), np.nan, dtype=np.float32)
    data[volume.mask] = layers.T
    image: Any = _image(data if values.ndim == 2 else data[..., 0], volume.affine)
    image.header.set_xyzt_units("mm")
    if volume.space.startswith("MNI"):
        image.set_sform(volume.affine, code=4)
        image.set_qform(volume.affine, code=4)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        nib.save(image, temporary)
    json_path = path.with_name(path.name.removesuffix(".nii.gz") + ".json")
    write_json(json_path, dict(sidecar))
    return path, json_path
