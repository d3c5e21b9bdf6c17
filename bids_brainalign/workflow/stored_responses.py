"""Responses in the work folder: HDF5 files whose values are mapped, not read."""

from __future__ import annotations

import io
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.responses.grids import Columns, Grayordinates, Grid, Surface, Volume
from bids_brainalign.responses.types import Blocks, Response, ResponseSource
from bids_brainalign.store.atomic import atomic_path


def save_response(path: Path, response: Response | ResponseSource) -> None:
    """Store a response as HDF5 (no pickle); a source is written as it is read.

    The datasets ``data`` (n_times, n_targets) and, where the stimulus was repeated, ``repeats``
    (n_repeats, n_times, n_targets) are float32, contiguous and uncompressed, so that readers can
    map them. Values that are not finite become 0 in a source; so does all of their column.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        notes = list(response.notes)
        if isinstance(response, Response):
            file["data"] = np.asarray(response.data, dtype=np.float32)
        else:
            notes += _write_source(file, response)
        file["times"] = response.times
        file["censored"] = response.censored
        file.attrs["targets"] = "tsv"
        file["targets"] = response.targets.to_csv(sep="\t", index=False)
        file["notes"] = np.array(notes, dtype=object).astype(h5py.string_dtype())
        file.attrs["support_s"] = response.support_s
        if response.grid is not None:
            _write_grid(file, response.grid)


def load_response(path: Path) -> Response:
    """Read what :func:`save_response` wrote; its data stay in the file, mapped read-only.

    Responses with equal tables of targets share one: copy it before changing it.
    """
    with h5py.File(path) as file:
        return Response(
            data=_mapped(path, file["data"]),
            times=np.asarray(file["times"], dtype=np.float64),
            targets=_read_targets(file["targets"][()].decode()),
            censored=np.asarray(file["censored"]).astype(bool),
            support_s=float(file.attrs["support_s"]),
            notes=tuple(v.decode() for v in file["notes"][()]),
            grid=_read_grid(file),
        )


def count_repeats(path: Path) -> int:
    """Single presentations that a stored response holds beside their mean; 0: none."""
    with h5py.File(path) as file:
        return len(file["repeats"]) if "repeats" in file else 0


def load_repeats(
    path: Path, columns: slice | NDArray[np.int64] | NDArray[np.object_]
) -> NDArray[np.float32] | None:
    """Read single presentations of a repeated stimulus, of some targets only.

    Parameters
    ----------
    path : Path
        Of a stored response.
    columns : slice, ndarray of int or ndarray of str
        Targets, in the order of the response, or their names.

    Returns
    -------
    ndarray of shape (n_repeats, n_times, n_columns) or None
        None where the response is of one presentation.
    """
    with h5py.File(path) as file:
        if "repeats" not in file:
            return None
        values = _mapped(path, file["repeats"])
        if isinstance(columns, np.ndarray) and columns.dtype.kind not in "iu":
            known = _read_targets(file["targets"][()].decode())["name"]
            columns = pd.Index(known).get_indexer(pd.Index(columns))
    return np.array(values[:, :, columns], dtype=np.float32)


def _mapped(path: Path, dataset: Any) -> NDArray[np.float32]:
    offset = dataset.id.get_offset()
    if offset is None or dataset.dtype != np.float32:  # empty, or written by another program
        return np.asarray(dataset, dtype=np.float32)
    # As a plain array: a view of the map that behaves like any other, but can't be written to.
    return np.asarray(np.memmap(path, np.float32, mode="r", offset=offset, shape=dataset.shape))


@lru_cache(maxsize=2)
def _read_targets(text: str) -> pd.DataFrame:
    """Parse a table; runs of one participant share it, and it may have 300,000 rows."""
    strings = {c: str for c in ("name", "type", "hemisphere", "region", "device")}
    return pd.read_csv(io.StringIO(text), sep="\t", dtype=strings, keep_default_na=False,
                       na_values={c: ["", "n/a"] for c in "xyz"})  # fmt: skip


def _write_source(file: Any, source: ResponseSource) -> list[str]:
    """Write the values of a source block by block; say which targets hold none."""
    shape = (len(source.times), len(source.targets))
    silent = _write_blocks(file.create_dataset("data", shape, "f4"), source.blocks())
    if source.n_repeats and source.repeat_blocks is not None:
        repeats = file.create_dataset("repeats", (source.n_repeats, *shape), "f4")
        for index in range(source.n_repeats):
            _write_blocks(repeats, source.repeat_blocks(index), index)
    if not silent.any():
        return []
    names = source.targets["name"].to_numpy()[silent]
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return [
        f"{len(names)} of {len(silent)} targets are constant or not finite in this run: "
        f"{', '.join(map(str, names[:10]))}{more}."
    ]


def _write_blocks(dataset: Any, blocks: Blocks, *leading: int) -> NDArray[np.bool_]:
    """Write rows as they come; returns which columns are constant or not finite.

    A column with a value that is not finite becomes 0 throughout: it takes part in nothing then
    and can't spread NaN.
    """
    n_targets = dataset.shape[-1]
    low, high = np.full(n_targets, np.inf), np.full(n_targets, -np.inf)
    broken = np.zeros(n_targets, dtype=bool)
    for rows, values in blocks:
        finite = np.isfinite(values)
        broken |= ~finite.all(axis=0)
        low = np.minimum(low, np.where(finite, values, np.inf).min(axis=0))
        high = np.maximum(high, np.where(finite, values, -np.inf).max(axis=0))
        dataset[(*leading, rows)] = np.where(finite, values, 0)
    for column in np.flatnonzero(broken):
        dataset[(*leading, slice(None), column)] = 0
    return np.asarray(broken | ~(high > low))


def _write_grid(file: Any, grid: Grid) -> None:
    file.attrs["grid"], file.attrs["space"] = type(grid).__name__, grid.space
    if isinstance(grid, Surface):
        file["left"], file["right"] = grid.left, grid.right
        return
    file["mask"] = grid.mask
    if isinstance(grid, Columns):
        return
    file["affine"] = grid.affine
    if isinstance(grid, Grayordinates):
        file["structure"] = grid.structure.astype(object).astype(h5py.string_dtype())
        file["vertex"], file["voxel"] = grid.vertex, grid.voxel
        file.attrs["volume_shape"] = grid.volume_shape
        file.attrs["n_vertices"] = json.dumps(grid.n_vertices)


def _read_grid(file: Any) -> Grid | None:
    if "space" not in file.attrs:
        return None
    space, kind = str(file.attrs["space"]), file.attrs.get("grid", "Volume")

    def mask(name: str) -> NDArray[np.bool_]:
        return np.asarray(file[name]).astype(bool)

    if kind == "Surface":
        return Surface(mask("left"), mask("right"), space)
    if kind == "Columns":
        return Columns(mask("mask"), space)
    affine = np.asarray(file["affine"], dtype=np.float64)
    if kind == "Volume":
        return Volume(mask("mask"), affine, space)
    i, j, k = (int(n) for n in file.attrs["volume_shape"])
    return Grayordinates(
        mask=mask("mask"),
        structure=np.array([v.decode() for v in file["structure"][()]]),
        vertex=np.asarray(file["vertex"], dtype=np.int64),
        voxel=np.asarray(file["voxel"], dtype=np.int64),
        affine=affine,
        volume_shape=(i, j, k),
        n_vertices=tuple((name, n) for name, n in json.loads(file.attrs["n_vertices"])),
        space=space,
    )
