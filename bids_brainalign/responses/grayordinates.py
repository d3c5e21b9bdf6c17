"""CIFTI time series (cortex of both hemispheres and subcortical voxels) → responses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.responses.grids import Grayordinates
from bids_brainalign.responses.series import (
    Cleaning,
    cleaned_response,
    open_image,
    refuse_smoothing,
    unreadable,
)
from bids_brainalign.responses.types import Response

ROWS_AT_ONCE = 64
_PREFIX = "CIFTI_STRUCTURE_"


def live_grayordinates(recording: Recording) -> NDArray[np.bool_]:
    """Which grayordinates have a finite series that varies."""
    image, _ = _open(recording.path)
    low, high = np.full(image.shape[1], np.inf), np.full(image.shape[1], -np.inf)
    for block in _blocks(image, recording.path):
        # NaN stays, and compares as False.
        low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
    return np.asarray((high > low) & np.isfinite(low) & np.isfinite(high))


def common_grayordinates(
    recordings: Sequence[Recording], live: Sequence[NDArray[np.bool_]]
) -> Grayordinates:
    """Grayordinates that live in all recordings.

    Parameters
    ----------
    recordings : sequence of Recording
    live : sequence of ndarray
        :func:`live_grayordinates` of each.

    Raises
    ------
    BrainAlignError
        65: the files are of different grayordinates, or none is common.
    """
    grid: Grayordinates | None = None
    for recording in recordings:
        _, axis = _open(recording.path)
        if grid is None:
            grid = _grid(axis, recording.space or "n/a")
        else:
            _require_same(axis, grid, recording.path)
    mask = np.logical_and.reduce(live)
    if grid is None or not mask.any():
        raise BrainAlignError(
            f"{', '.join(r.name for r in recordings)} have no common grayordinate with a signal.",
            fix="leave out the run that is empty.",
        )
    return grid.kept(np.flatnonzero(mask))


def load_grayordinates(
    recording: Recording, *, grid: Grayordinates, cleaning: Cleaning
) -> Response:
    """Time series of one run, confounds regressed out, nothing z-scored.

    Parameters
    ----------
    recording : Recording
        A ``.dtseries.nii`` with sidecar and confounds.
    grid : Grayordinates
        Its vertices and voxels are the targets, in the order of the file.
    cleaning : Cleaning

    Raises
    ------
    BrainAlignError
        65: unreadable, other grayordinates, or confounds of another length. 64: asked to smooth.
    """
    refuse_smoothing(recording, cleaning)
    image, axis = _open(recording.path)
    _require_same(axis, grid, recording.path)
    if image.shape[0] < 2:
        raise BrainAlignError(
            f"{recording.path.name} has shape {image.shape}: a run needs several time points.",
            where=str(recording.path),
        )
    data = np.empty((image.shape[0], int(grid.mask.sum())), dtype=np.float32)
    start = 0
    for block in _blocks(image, recording.path):
        data[start : start + len(block)] = block[:, grid.mask]
        start += len(block)
    left_out = int((~grid.mask).sum())
    notes = [f"{left_out} of {len(grid.mask)} grayordinates have no signal in some run."]
    return cleaned_response(
        data,
        recording,
        cleaning,
        header_tr_s=_step_s(image),
        targets=grayordinate_targets(grid),
        grid=grid,
        notes=notes if left_out else (),
    )


def grayordinate_targets(grid: Grayordinates) -> pd.DataFrame:
    """One row per target: ``CORTEX_LEFT-12`` (vertex) or ``THALAMUS_LEFT-30-41-22`` (voxel).

    The structure is the region; mm coordinates of voxels only.
    """
    structure = np.array([name.removeprefix(_PREFIX) for name in grid.structure[grid.mask]])
    vertex, voxel = grid.vertex[grid.mask], grid.voxel[grid.mask]
    is_vertex = vertex >= 0
    where = [str(v) if v >= 0 else "-".join(map(str, ijk))
             for v, ijk in zip(vertex.tolist(), voxel.tolist(), strict=True)]  # fmt: skip
    xyz = voxel @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    xyz[is_vertex] = np.nan
    sides = [np.char.endswith(structure, end) for end in ("_LEFT", "_RIGHT")]
    return pd.DataFrame(
        {
            "name": [f"{s}-{w}" for s, w in zip(structure, where, strict=True)],
            "type": np.where(is_vertex, "vertex", "voxel"),
            "hemisphere": np.select(sides, ["L", "R"], default="n/a"),
            "region": structure,
            "x": xyz[:, 0],
            "y": xyz[:, 1],
            "z": xyz[:, 2],
        }
    )


def _open(path: Path) -> tuple[Any, Any]:
    """Image and the axis of its grayordinates."""
    from nibabel.cifti2 import cifti2, cifti2_axes

    image: Any = open_image(path)
    if not isinstance(image, cifti2.Cifti2Image) or len(image.shape) != 2:
        raise unreadable(path, ValueError("it is no CIFTI file of time by grayordinates"))
    try:
        header: Any = image.header
        time, brain = (header.get_axis(i) for i in (0, 1))
    except Exception as error:
        raise unreadable(path, error) from error
    series = isinstance(time, cifti2_axes.SeriesAxis)
    if not series or not isinstance(brain, cifti2_axes.BrainModelAxis):
        kinds = " by ".join(type(axis).__name__.removesuffix("Axis") for axis in (time, brain))
        raise unreadable(path, ValueError(f"it holds {kinds}, not a series of grayordinates"))
    return image, brain


def _blocks(image: Any, path: Path) -> Iterator[NDArray[np.float32]]:
    """Consecutive rows of all grayordinates."""
    for start in range(0, image.shape[0], ROWS_AT_ONCE):
        try:
            block = np.asarray(image.dataobj[start : start + ROWS_AT_ONCE], dtype=np.float32)
        except Exception as error:
            raise unreadable(path, error) from error
        yield block


def _step_s(image: Any) -> float:
    axis = image.header.get_axis(0)
    return float(axis.step) if axis.unit == "SECOND" else 0.0


def _grid(axis: Any, space: str) -> Grayordinates:
    voxels = axis.volume_shape is not None
    i, j, k = axis.volume_shape if voxels else (0, 0, 0)
    return Grayordinates(
        mask=np.ones(len(axis), dtype=bool),
        structure=np.asarray(axis.name, dtype=str),
        vertex=np.asarray(axis.vertex, dtype=np.int64),
        voxel=np.asarray(axis.voxel, dtype=np.int64),
        affine=np.asarray(axis.affine if voxels else np.zeros((4, 4)), dtype=np.float64),
        volume_shape=(int(i), int(j), int(k)),
        n_vertices=tuple((str(name), int(n)) for name, n in sorted(axis.nvertices.items())),
        space=space,
    )


def _require_same(axis: Any, grid: Grayordinates, path: Path) -> None:
    same = (
        len(axis) == len(grid.mask)
        and np.array_equal(np.asarray(axis.name, dtype=str), grid.structure)
        and np.array_equal(axis.vertex, grid.vertex)
        and np.array_equal(axis.voxel, grid.voxel)
    )
    if not same:
        raise BrainAlignError(
            f"{path.name} has other grayordinates ({len(axis)}) than the runs before it "
            f"({len(grid.mask)}).",
            where=str(path),
            fix="runs analysed together need one density: choose it with --space.",
        )
