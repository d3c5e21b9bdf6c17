"""GIFTI time series of the two hemispheres → vertex responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.dataset.filenames import DatasetFile
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.responses.grids import Surface
from bids_brainalign.responses.series import (
    Cleaning,
    cleaned_response,
    open_image,
    refuse_smoothing,
    unreadable,
)
from bids_brainalign.responses.types import Response

Side = Literal["L", "R"]
Array32 = NDArray[np.float32]
_NAMES: dict[Side, str] = {"L": "left", "R": "right"}


def live_vertices(recording: Recording) -> dict[str, NDArray[np.bool_]]:
    """Vertices whose series is finite and varies, per hemisphere that there is.

    fMRIPrep leaves the medial wall out as NaN (``--medial-surface-nan``) or as zeros, and vertices
    outside the field of view are constant.
    """
    found = {}
    for side, path in _sides(recording).items():
        series, _ = _read(path)
        # NaN compares as False.
        found[str(side)] = np.asarray(np.ptp(series, axis=0) > 0)
    return found


def common_surface(
    recordings: Sequence[Recording], live: Sequence[Mapping[str, NDArray[np.bool_]]]
) -> Surface:
    """Vertices that live in all recordings; a hemisphere that one of them lacks is left out.

    Parameters
    ----------
    recordings : sequence of Recording
    live : sequence of mapping
        :func:`live_vertices` of each.

    Raises
    ------
    BrainAlignError
        65: meshes differ, or nothing is common.
    """
    masks = {side: np.zeros(0, dtype=bool) for side in _NAMES}
    for side in _NAMES:
        if not all(side in mine for mine in live):
            continue
        sizes = [len(mine[side]) for mine in live]
        if len(set(sizes)) > 1:
            odd = next(i for i, size in enumerate(sizes) if size != sizes[0])
            raise BrainAlignError(
                f"{recordings[odd].name} has {sizes[odd]} vertices in the {_NAMES[side]} "
                f"hemisphere, {recordings[0].name} {sizes[0]}.",
                where=str(recordings[odd].path),
                fix="runs analysed together need one mesh: choose it with --space.",
            )
        masks[side] = np.logical_and.reduce([mine[side] for mine in live])
    if not masks["L"].any() and not masks["R"].any():
        raise BrainAlignError(
            f"The surfaces of {', '.join(r.name for r in recordings)} have no common vertex with "
            "a signal.",
            fix="leave out the run that is empty, or that lacks a hemisphere the others have.",
        )
    return Surface(masks["L"], masks["R"], recordings[0].space or "n/a")


def load_surfaces(recording: Recording, *, surface: Surface, cleaning: Cleaning) -> Response:
    """Vertex time series of one run, confounds regressed out, nothing z-scored.

    Parameters
    ----------
    recording : Recording
        One or both hemispheres, with sidecar and confounds.
    surface : Surface
        Its vertices are the targets: left before right.
    cleaning : Cleaning

    Raises
    ------
    BrainAlignError
        65: unreadable, another mesh, hemispheres or confounds of different lengths. 64: asked
        to smooth.
    """
    refuse_smoothing(recording, cleaning)
    masks: dict[Side, NDArray[np.bool_]] = {"L": surface.left, "R": surface.right}
    used = {side: path for side, path in _sides(recording).items() if len(masks[side])}
    data, tr_s = _joined(recording, used, masks)
    notes = []
    for side, name in _NAMES.items():
        if side not in used:
            what = "there is no file of it" if side not in _sides(recording) else "others lack it"
            notes.append(f"The {name} hemisphere is left out in all runs: {what}.")
    left_out = sum(int((~masks[side]).sum()) for side in used)
    if left_out:
        total = sum(len(masks[side]) for side in used)
        notes.append(
            f"{left_out} of {total} vertices are left out: medial wall, or no signal in a run."
        )
    return cleaned_response(
        data,
        recording,
        cleaning,
        header_tr_s=tr_s,
        targets=vertex_targets(surface),
        grid=surface,
        notes=notes,
    )


def vertex_targets(surface: Surface) -> pd.DataFrame:
    """One row per vertex: name ``L-123``; a mesh's coordinates are not in the series' files."""
    tables = [
        pd.DataFrame({"name": [f"{side}-{v}" for v in np.flatnonzero(mask)], "hemisphere": side})
        for side, mask in (("L", surface.left), ("R", surface.right))
        if len(mask)
    ]
    table = pd.concat(tables, ignore_index=True)
    table.insert(1, "type", "vertex")
    return table.assign(region="n/a", x=np.nan, y=np.nan, z=np.nan)


def _sides(recording: Recording) -> dict[Side, Path]:
    if recording.right_path is not None:
        return {"L": recording.path, "R": recording.right_path}
    side = DatasetFile(recording.path).entities.get("hemi")
    if side not in ("L", "R"):
        raise BrainAlignError(
            f"{recording.path.name} does not say which hemisphere it is.",
            where=str(recording.path),
            fix="the name needs hemi-L or hemi-R, as fMRIPrep writes it.",
        )
    return {"L" if side == "L" else "R": recording.path}


def _joined(
    recording: Recording, used: Mapping[Side, Path], masks: Mapping[Side, NDArray[np.bool_]]
) -> tuple[Array32, float]:
    """Series of the hemispheres side by side, and the TR in s; one is read after the other."""
    data, start, tr_s = np.empty((0, 0), dtype=np.float32), 0, 0.0
    for side, path in used.items():
        series, tr_s = _read(path)
        if series.shape[1] != len(masks[side]):
            raise BrainAlignError(
                f"{path.name} has {series.shape[1]} vertices, the mesh {len(masks[side])}.",
                where=str(path),
                fix="runs analysed together need one mesh: choose it with --space.",
            )
        if not len(data):
            n_vertices = sum(int(masks[one].sum()) for one in used)
            data = np.empty((len(series), n_vertices), dtype=np.float32)
        if len(series) != len(data) or len(series) < 2:
            raise BrainAlignError(
                f"{recording.name}: {path.name} has {len(series)} time points, but "
                f"{recording.path.name} {len(data)}: both need the same, and several.",
                where=str(path),
                fix="both must come from the same fMRIPrep run.",
            )
        stop = start + int(masks[side].sum())
        data[:, start:stop] = series[:, masks[side]]
        start = stop
        del series  # before the next is read: each may have 200 MB
    return data, tr_s


def _read(path: Path) -> tuple[Array32, float]:
    """Series (n_times, n_vertices), and the TR in s (0 if the file has none)."""
    image = open_image(path)
    try:
        arrays, step_s = list(image.darrays), _time_step_s(image)
        if not arrays:
            raise ValueError("it holds no arrays")
        first = np.asarray(arrays[0].data, dtype=np.float32)
        if len(arrays) == 1 and first.ndim == 2:  # one array for all time points
            return np.ascontiguousarray(first.T), step_s
        series = np.empty((len(arrays), *first.shape), dtype=np.float32)
        for row, one in zip(series, arrays, strict=True):
            if one.data.shape != first.shape:
                raise ValueError(f"its arrays have shapes {first.shape} and {one.data.shape}")
            row[:] = one.data
        return series, step_s
    # No GIFTI file, no arrays, or arrays of different lengths.
    except (AttributeError, ValueError) as error:
        raise unreadable(path, error) from error


def _time_step_s(image: Any) -> float:
    """``TimeStep`` (ms) of the file or of its first array."""
    for meta in (image.meta, *(one.meta for one in image.darrays[:1])):
        try:
            return float(meta.get("TimeStep", "")) / 1000
        except ValueError:
            continue
    return 0.0
