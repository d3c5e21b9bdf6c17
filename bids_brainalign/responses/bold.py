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
from bids_brainalign.responses.confounds import Confounds, read_confounds
from bids_brainalign.responses.types import Response, Volume

VOLUMES_AT_ONCE = 32
VOXELS_AT_ONCE = 20_000
"""Cleaned together, in double precision."""

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
        image = _open(path)
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


def load_bold(
    recording: Recording, *, volume: Volume, high_pass_s: float, smoothing_fwhm_mm: float
) -> Response:
    """Voxel time series of one run, confounds regressed out, nothing z-scored.

    Parameters
    ----------
    recording : Recording
        A preprocessed BOLD image of fMRIPrep with its sidecar and confounds.
    volume : Volume
        Its voxels are the targets, in C order.
    high_pass_s : float
        Cut-off period of the cosines built when the confounds have none.
    smoothing_fwhm_mm : float
        0: none.

    Returns
    -------
    Response
        Each voxel keeps its mean. Censored volumes don't enter the regression.

    Raises
    ------
    BrainAlignError
        65: unreadable, not 4-D, another grid than the mask, another length than the confounds.
    """
    image = _open(recording.path)
    if image.ndim != 4 or image.shape[3] < 2:
        raise BrainAlignError(
            f"{recording.path.name} has shape {image.shape}: a run needs several volumes.",
            where=str(recording.path),
        )
    _require_grid(image.shape[:3], np.asarray(image.affine), volume, recording.path)
    tr_s, tr_notes = repetition_time(recording, float(image.header.get_zooms()[3]))
    confounds = read_confounds(
        recording.confounds_path,
        n_volumes=image.shape[3],
        tr_s=tr_s,
        high_pass_s=high_pass_s,
    )
    data, gap_notes = _voxels(image, recording.path, volume, smoothing_fwhm_mm)
    _clean_in_place(data, confounds, recording)
    start_s, start_notes = first_sample_time(recording.metadata, tr_s)
    targets = voxel_targets(volume)
    smoothing = (f"Smoothed with {smoothing_fwhm_mm:g} mm FWHM.",) if smoothing_fwhm_mm > 0 else ()
    return Response(
        data=data,
        times=start_s + tr_s * np.arange(len(data), dtype=np.float64),
        targets=targets,
        censored=confounds.censored,
        support_s=0.0,
        notes=(*tr_notes, *start_notes, *smoothing, *confounds.notes, *gap_notes),
        grid=volume,
    )


def repetition_time(recording: Recording, header_s: float) -> tuple[float, tuple[str, ...]]:
    """TR in s: the sidecar's, else the image header's."""
    said = recording.metadata.get("RepetitionTime")
    if not isinstance(said, int | float) or not said > 0:
        if not header_s > 0:
            raise BrainAlignError(
                f"{recording.path.name}: neither sidecar nor header gives a repetition time.",
                where=str(recording.path),
                fix="add RepetitionTime (s) to the JSON sidecar of the image.",
            )
        return header_s, (f"TR {header_s:g} s is the image header's: the sidecar has none.",)
    # Headers are float32; many tools leave 0 or 1 there, so the sidecar decides.
    if abs(said - header_s) > 0.01 * said:
        return float(said), (
            f"TR {said:g} s is the sidecar's; the image header says {header_s:g}.",
        )
    return float(said), ()


def first_sample_time(metadata: dict[str, object], tr_s: float) -> tuple[float, tuple[str, ...]]:
    """Time to which the first volume refers, in s on the recording clock.

    ``StartTime`` of a slice-time corrected image is its slice-time reference; without correction
    the middle of the volume stands for all its slices.
    """
    start = metadata.get("StartTime")
    corrected = metadata.get("SliceTimingCorrected") is True
    if corrected and isinstance(start, int | float):
        return float(start), (f"Slice times refer to {float(start):g} s after volume onset.",)
    why = (
        "the sidecar has no StartTime" if corrected else "the images are not slice-time corrected"
    )
    return tr_s / 2, (f"As {why}, each volume counts for its middle, {tr_s / 2:g} s.",)


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


def _voxels(
    image: Any, path: Path, volume: Volume, fwhm_mm: float
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Masked series (n_volumes, n_voxels) and a note on voxels without signal."""
    data = np.empty((image.shape[3], int(volume.mask.sum())), dtype=np.float32)
    start = 0
    for block in _blocks(image, path):
        if fwhm_mm > 0:
            block = _smoothed(block, image, fwhm_mm)
        data[start : start + block.shape[3]] = block[volume.mask].T
        start += block.shape[3]
    broken = ~np.isfinite(data).all(axis=0)
    # A constant voxel takes part in nothing and can't spread NaN.
    data[:, broken] = 0.0
    silent = np.ptp(data, axis=0) == 0
    if not silent.any():
        return data, ()
    names = ["-".join(map(str, ijk)) for ijk in np.argwhere(volume.mask)[silent][:10].tolist()]
    more = f" and {int(silent.sum()) - 10} more" if silent.sum() > 10 else ""
    return data, (
        f"{int(silent.sum())} of {len(silent)} voxels are constant or not finite in this run: "
        f"{', '.join(names)}{more}.",
    )


def _blocks(image: Any, path: Path) -> Iterator[NDArray[np.float32]]:
    """Consecutive volumes; a compressed file is read once, front to back."""
    for start in range(0, image.shape[3], VOLUMES_AT_ONCE):
        try:
            block = np.asarray(
                image.dataobj[..., start : start + VOLUMES_AT_ONCE], dtype=np.float32
            )
        # Cut-off files fail in zlib, in nibabel or in the operating system.
        except Exception as error:
            raise _unreadable(path, error) from error
        yield block


def _smoothed(block: NDArray[np.float32], image: Any, fwhm_mm: float) -> NDArray[np.float32]:
    from nilearn.image import new_img_like, smooth_img

    smooth = smooth_img(new_img_like(image, block), fwhm_mm)
    return np.asarray(smooth.dataobj, dtype=np.float32)


def _clean_in_place(data: NDArray[np.float32], confounds: Confounds, recording: Recording) -> None:
    """Regress confounds out of every voxel."""
    from nilearn import signal

    # One column per censored volume: such a volume then bends no coefficient, which is the same
    # as fitting on the others alone.
    spikes = np.eye(len(data))[:, confounds.censored]
    design = np.column_stack([confounds.regressors, spikes])
    design = design[:, np.ptp(design, axis=0) > 0]
    if design.shape[1] == 0:
        return
    if design.shape[1] > len(data) - 2:
        raise BrainAlignError(
            f"{recording.path.name} has {len(data)} volumes but {design.shape[1]} columns to "
            "regress out (confounds and censored volumes): nothing would be left.",
            where=str(recording.confounds_path or recording.path),
            fix="leave the run out, or give it fewer confounds.",
        )
    for start in range(0, data.shape[1], VOXELS_AT_ONCE):
        columns = slice(start, start + VOXELS_AT_ONCE)
        data[:, columns] = signal.clean(
            data[:, columns].astype(np.float64),
            detrend=False,
            standardize=None,
            filter=False,
            confounds=design,
        )


def _mask_path(recording: Recording) -> Path:
    if recording.mask_path is None:
        raise BrainAlignError(
            f"{recording.path.name} has no brain mask.",
            where=f"Looked for *_desc-brain_mask.nii.gz in {recording.path.parent}.",
            fix="keep fMRIPrep's desc-brain_mask beside desc-preproc_bold.",
            exit_code=ExitCode.MISSING_INPUT,
        )
    return recording.mask_path


def _open(path: Path) -> Any:
    import nibabel

    if not path.exists():
        raise BrainAlignError(
            f"{path.name} is not there.",
            where=str(path),
            fix="run `datalad get` if it is a pointer, else restore the file.",
            exit_code=ExitCode.MISSING_INPUT,
        )
    try:
        return nibabel.load(path, keep_file_open=True)
    except Exception as error:
        raise _unreadable(path, error) from error


def _whole(image: Any, path: Path) -> NDArray[np.float64]:
    try:
        return np.asarray(image.dataobj, dtype=np.float64)
    except Exception as error:
        raise _unreadable(path, error) from error


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


def _unreadable(path: Path, error: Exception) -> BrainAlignError:
    return BrainAlignError(
        f"{path.name} can't be read: {' '.join(str(error).split()) or type(error).__name__}.",
        where=str(path),
        fix="the file may be damaged or cut off: get it again, or leave the run out.",
    )
