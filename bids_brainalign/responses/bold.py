"""Preprocessed BOLD images → voxel responses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.responses.grids import Volume
from bids_brainalign.responses.series import Cleaning, cleaned_response, open_image, unreadable
from bids_brainalign.responses.types import Response

VOLUMES_AT_ONCE = 32
AFFINE_TOLERANCE_MM = 1e-3
"""fMRIPrep writes float32 affines: runs of one space differ by rounding only."""


def common_mask(recordings: Sequence[Recording]) -> Volume:
    """Voxels that lie in the brain masks of all recordings.

    Raises
    ------
    BrainAlignError
        66: a recording without mask. 65: grids differ, or nothing is common.
    """
    volume: Volume | None = None
    for recording in recordings:
        path = _mask_path(recording)
        image = open_image(path)
        mask = _whole(image, path) > 0
        affine = np.asarray(image.affine, dtype=np.float64)
        if volume is None:
            volume = Volume(mask, affine, recording.space or "n/a")
            continue
        _require_grid(mask.shape, affine, volume, path)
        volume = Volume(volume.mask & mask, volume.affine, volume.space)
    if volume is None or not volume.mask.any():
        raise BrainAlignError(
            f"The brain masks of {', '.join(r.name for r in recordings)} have no common voxel.",
            fix="leave out the run whose mask is empty or elsewhere.",
        )
    return volume


def load_bold(recording: Recording, *, volume: Volume, cleaning: Cleaning) -> Response:
    """Voxel time series of one run, confounds regressed out, nothing z-scored.

    Parameters
    ----------
    recording : Recording
        A preprocessed BOLD image of fMRIPrep with its sidecar and confounds.
    volume : Volume
        Its voxels are the targets, in C order.
    cleaning : Cleaning

    Returns
    -------
    Response
        Each voxel keeps its mean. Censored volumes don't enter the regression.

    Raises
    ------
    BrainAlignError
        65: unreadable, not 4-D, another grid than the mask, another length than the confounds.
    """
    image = open_image(recording.path)
    if image.ndim != 4 or image.shape[3] < 2:
        raise BrainAlignError(
            f"{recording.path.name} has shape {image.shape}: a run needs several volumes.",
            where=str(recording.path),
        )
    _require_grid(image.shape[:3], np.asarray(image.affine), volume, recording.path)
    fwhm_mm = cleaning.smoothing_fwhm_mm
    return cleaned_response(
        _voxels(image, recording.path, volume, fwhm_mm),
        recording,
        cleaning,
        header_tr_s=float(image.header.get_zooms()[3]),
        targets=voxel_targets(volume),
        grid=volume,
        notes=(f"Smoothed with {fwhm_mm:g} mm FWHM.",) if fwhm_mm > 0 else (),
    )


def voxel_targets(volume: Volume) -> pd.DataFrame:
    """One row per voxel of the mask: name ``i-j-k``, mm coordinates, side from the sign of x."""
    ijk = np.argwhere(volume.mask)
    xyz = ijk @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    side = np.select([xyz[:, 0] < 0, xyz[:, 0] > 0], ["L", "R"], default="n/a")
    return pd.DataFrame(
        {
            "name": [f"{i}-{j}-{k}" for i, j, k in ijk.tolist()],
            "type": "voxel",
            "hemisphere": side,
            "region": "n/a",
            "x": xyz[:, 0],
            "y": xyz[:, 1],
            "z": xyz[:, 2],
        }
    )


def _voxels(image: Any, path: Path, volume: Volume, fwhm_mm: float) -> NDArray[np.float32]:
    """Masked series (n_volumes, n_voxels)."""
    data = np.empty((image.shape[3], int(volume.mask.sum())), dtype=np.float32)
    start = 0
    for block in _blocks(image, path):
        if fwhm_mm > 0:
            block = _smoothed(block, image, fwhm_mm)
        data[start : start + block.shape[3]] = block[volume.mask].T
        start += block.shape[3]
    return data


def _blocks(image: Any, path: Path) -> Iterator[NDArray[np.float32]]:
    """Consecutive volumes; a compressed file is read once, front to back."""
    for start in range(0, image.shape[3], VOLUMES_AT_ONCE):
        try:
            block = np.asarray(
                image.dataobj[..., start : start + VOLUMES_AT_ONCE], dtype=np.float32
            )
        # Cut-off files fail in zlib, in nibabel or in the operating system.
        except Exception as error:
            raise unreadable(path, error) from error
        yield block


def _smoothed(block: NDArray[np.float32], image: Any, fwhm_mm: float) -> NDArray[np.float32]:
    from nilearn.image import new_img_like, smooth_img

    smooth = smooth_img(new_img_like(image, block), fwhm_mm)
    return np.asarray(smooth.dataobj, dtype=np.float32)


def _mask_path(recording: Recording) -> Path:
    if recording.mask_path is None:
        raise BrainAlignError(
            f"{recording.path.name} has no brain mask.",
            where=f"Looked for *_desc-brain_mask.nii.gz in {recording.path.parent}.",
            fix="keep fMRIPrep's desc-brain_mask beside desc-preproc_bold.",
            exit_code=ExitCode.MISSING_INPUT,
        )
    return recording.mask_path


def _whole(image: Any, path: Path) -> NDArray[np.float64]:
    try:
        return np.asarray(image.dataobj, dtype=np.float64)
    except Exception as error:
        raise unreadable(path, error) from error


def _require_grid(
    shape: tuple[int, ...], affine: NDArray[np.float64], volume: Volume, path: Path
) -> None:
    same = tuple(shape) == volume.mask.shape
    if same and np.allclose(affine, volume.affine, rtol=0, atol=AFFINE_TOLERANCE_MM):
        return
    said = "another position or voxel size" if same else f"shape {tuple(shape)}"
    raise BrainAlignError(
        f"{path.name} does not lie on the grid of the mask: it has {said}, "
        f"the mask {volume.mask.shape}.",
        where=str(path),
        fix="runs analysed together need one --space and one resolution.",
    )
