"""Maps of fMRI results, in the kind of file that the responses came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bids_brainalign.outputs.names import FitName
from bids_brainalign.responses.grids import Columns, Grayordinates, Grid, Surface, Volume
from bids_brainalign.store.atomic import atomic_path, write_json

_image: Any = nib.Nifti1Image
"""Untyped in nibabel."""


def write_maps(
    root: Path,
    name: FitName,
    values: NDArray[np.floating],
    grid: Grid,
    *,
    analysis: str,
    stat: str,
    layers: Sequence[str],
    sidecar: Mapping[str, object],
) -> list[Path]:
    """Write one statistic of all targets; NaN where there is no target.

    Parameters
    ----------
    root : Path
        output_dir.
    name : FitName
    values : ndarray of shape (n_targets,) or (n_layers, n_targets)
    grid : Grid
        Volumes become ``.nii.gz`` (layers along the fourth axis), surfaces a ``.func.gii`` per
        hemisphere (one array per layer), grayordinates ``.dscalar.nii`` (one map per layer),
        columns ``.h5`` (dataset ``data``, layers × columns of the source).
    analysis, stat : str
        Labels of ``desc-`` and ``stat-``.
    layers : sequence of str
        Names of the rows of `values`, if it has several.
    sidecar : mapping

    Returns
    -------
    list of Path
        Maps and their sidecars.
    """
    names = list(layers) if values.ndim == 2 else [stat]

    def path(extension: str, hemi: str | None = None) -> Path:
        return root / name.file(f"statmap{extension}", analysis=analysis, stat=stat, hemi=hemi)

    if isinstance(grid, Volume):
        return list(write_statmap(path(".nii.gz"), values, grid, sidecar=sidecar))
    rows = np.atleast_2d(values).astype(np.float32)
    if isinstance(grid, Surface):
        sides = {"L": grid.left, "R": grid.right}
        edge = int(grid.left.sum())
        parts = {"L": rows[:, :edge], "R": rows[:, edge:]}
        written = []
        for side, mask in sides.items():
            if len(mask):
                gifti = path(".func.gii", side)
                _write_gifti(gifti, _spread(parts[side], mask), side, names)
                written += [gifti, _write_sidecar(gifti, ".func.gii", sidecar)]
        return written
    if isinstance(grid, Grayordinates):
        cifti = path(".dscalar.nii")
        _write_cifti(cifti, _spread(rows, grid.mask), grid, names)
        return [cifti, _write_sidecar(cifti, ".dscalar.nii", sidecar)]
    vector = path(".h5")
    _write_columns(vector, _spread(rows, grid.mask), grid, names)
    return [vector, _write_sidecar(vector, ".h5", sidecar)]


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
    return path, _write_sidecar(path, ".nii.gz", sidecar)


def _write_sidecar(path: Path, extension: str, sidecar: Mapping[str, object]) -> Path:
    return write_json(path.with_name(path.name.removesuffix(extension) + ".json"), dict(sidecar))


def _spread(rows: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Values of targets on the whole grid (n_layers, n_places)."""
    data = np.full((len(rows), len(mask)), np.nan, dtype=np.float32)
    data[:, mask] = rows
    return data


def _write_gifti(path: Path, data: NDArray[np.float32], side: str, names: Sequence[str]) -> None:
    from nibabel.gifti import gifti

    meta: Any = gifti.GiftiMetaData
    array: Any = gifti.GiftiDataArray
    image: Any = gifti.GiftiImage
    structure = {"L": "CortexLeft", "R": "CortexRight"}[side]
    darrays = [
        array(row, intent="NIFTI_INTENT_NONE", datatype="NIFTI_TYPE_FLOAT32", meta=meta(Name=name))
        for row, name in zip(data, names, strict=True)
    ]
    written = image(darrays=darrays, meta=meta(AnatomicalStructurePrimary=structure))
    with atomic_path(path) as temporary:
        nib.save(written, temporary)


def _write_cifti(
    path: Path, data: NDArray[np.float32], grid: Grayordinates, names: Sequence[str]
) -> None:
    from nibabel.cifti2 import cifti2, cifti2_axes

    scalar_axis: Any = cifti2_axes.ScalarAxis
    brain_axis: Any = cifti2_axes.BrainModelAxis
    make: Any = cifti2.Cifti2Image
    voxels = bool((grid.vertex < 0).any())
    brain = brain_axis(
        grid.structure,
        voxel=grid.voxel,
        vertex=grid.vertex,
        affine=grid.affine if voxels else None,
        volume_shape=grid.volume_shape if voxels else None,
        nvertices=dict(grid.n_vertices),
    )
    image = make(data, header=(scalar_axis(list(names)), brain))
    image.nifti_header.set_intent("NIFTI_INTENT_CONNECTIVITY_DENSE_SCALARS")
    with atomic_path(path) as temporary:
        nib.save(image, temporary)


def _write_columns(
    path: Path, data: NDArray[np.float32], grid: Columns, names: Sequence[str]
) -> None:
    with atomic_path(path) as temporary, h5py.File(temporary, "w", track_order=True) as file:
        file.create_dataset("data", data=data, compression="gzip", shuffle=True)
        file["layer"] = np.array(list(names), dtype=object).astype(h5py.string_dtype())
        file.attrs["space"] = grid.space
