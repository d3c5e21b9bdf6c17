"""HDF5 files of responses that others preprocessed (ds003020) → responses, read piece by piece.

LeBel et al. 2023 (Scientific Data 10:555) detrended each story, cut 10 volumes off either end and
standardised every voxel; ``data`` is float64, (volumes − 20) × voxels, and of the story that was
heard again and again it is the mean of ``individual_repeats``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.dataset.kinds import TRIMMED_VOLUMES
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.responses.grids import Columns
from bids_brainalign.responses.series import first_sample_time, repetition_time, unreadable
from bids_brainalign.responses.types import Blocks, ResponseSource

DATA = "data"
REPEATS = "individual_repeats"
ROWS_AT_ONCE = 32
VOLUMES_FILE = "respdict.json"
"""Story → volumes of its raw image; beside the participants' folders or one level up."""


def open_columns(recording: Recording) -> ResponseSource:
    """Describe the responses in a file, and read them later.

    Parameters
    ----------
    recording : Recording

    Returns
    -------
    ResponseSource
        Times count from the first volume of the raw image, so the first row is at 10 TR. Nothing
        is censored or regressed out. Blocks are float32.

    Raises
    ------
    BrainAlignError
        65: unreadable, other contents, no TR, or another length than ``respdict.json`` tells.
    """
    path = recording.path
    (n_rows, n_columns), n_repeats = column_shape(path)
    tr_s, _ = repetition_time(recording, 0.0)
    known = _volumes_known(path)
    if known is not None and known - n_rows != 2 * TRIMMED_VOLUMES:
        raise BrainAlignError(
            f"{path.name} has {n_rows} rows, but {VOLUMES_FILE} tells of {known} volumes: "
            f"{known - 2 * TRIMMED_VOLUMES} would be left without {TRIMMED_VOLUMES} at each end.",
            where=str(path),
            fix="get both from the same version of the dataset, or leave the story out.",
        )
    start_s = TRIMMED_VOLUMES * tr_s + first_sample_time({}, tr_s)[0]
    by = f"as {VOLUMES_FILE} tells" if known is not None else "assumed"
    notes = [
        f"The responses were preprocessed and standardised per story by those who published them "
        f"({path.parent.parent.name}): nothing is regressed out here.",
        f"{TRIMMED_VOLUMES} volumes are cut off either end ({by}): the first row is the volume at "
        f"{TRIMMED_VOLUMES * tr_s:g} s and counts for its middle, {start_s:g} s.",
    ]
    if n_repeats:
        notes.append(f"The responses are the mean of {n_repeats} presentations.")
    return ResponseSource(
        blocks=lambda: _rows(path, DATA, lambda dataset, rows: dataset[rows]),
        times=start_s + tr_s * np.arange(n_rows, dtype=np.float64),
        targets=column_targets(n_columns),
        censored=np.zeros(n_rows, dtype=bool),
        support_s=0.0,
        notes=tuple(notes),
        grid=Columns(np.ones(n_columns, dtype=bool), recording.space or "n/a"),
        n_repeats=n_repeats,
        repeat_blocks=lambda index: _rows(
            path, REPEATS, lambda dataset, rows: dataset[index, rows], axis=1
        ),
    )


def column_shape(path: Path) -> tuple[tuple[int, int], int]:
    """Rows and columns of a file, and how many presentations it holds one by one (0: none).

    Raises
    ------
    BrainAlignError
        65: unreadable, or other contents.
    """
    try:
        with h5py.File(path) as file:
            shapes = {n: d.shape for n, d in file.items() if isinstance(d, h5py.Dataset)}
    except OSError as error:
        raise unreadable(path, error) from error
    data, repeats = shapes.get(DATA), shapes.get(REPEATS)
    if data is None or len(data) != 2 or data[0] < 2 or data[1] < 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "no dataset"
        raise BrainAlignError(
            f"{path.name} has no dataset {DATA} of volumes by voxels.",
            where=f"It holds {listed}.",
            fix="give responses as ds003020 has them, or leave the file out of the folder.",
        )
    if repeats is None:
        return data, 0
    if len(repeats) != 3 or repeats[1:] != data:
        raise BrainAlignError(
            f"{path.name}: {REPEATS} has shape {repeats}, {DATA} {data}.",
            where=str(path),
            fix=f"{REPEATS} needs repeats by volumes by voxels; get the file again.",
        )
    return data, int(repeats[0])


def column_targets(n_columns: int) -> pd.DataFrame:
    """One row per column, named by its index; the file tells nothing else."""
    return pd.DataFrame(
        {
            "name": [f"voxel-{i}" for i in range(n_columns)],
            "type": "voxel",
            "hemisphere": "n/a",
            "region": "n/a",
            "x": np.nan,
            "y": np.nan,
            "z": np.nan,
        }
    )


def _volumes_known(path: Path) -> int | None:
    """Volumes of the raw image of a story."""
    for folder in path.parents[1:3]:
        listed = folder / VOLUMES_FILE
        if listed.is_file():
            try:
                said = json.loads(listed.read_text(encoding="utf-8-sig")).get(path.stem)
            except (AttributeError, ValueError):  # a pointer, or something else
                return None
            return said if isinstance(said, int) else None
    return None


def _rows(
    path: Path,
    name: str,
    read: Callable[[h5py.Dataset, slice], NDArray[np.floating]],
    *,
    axis: int = 0,
) -> Blocks:
    """Consecutive rows of a dataset as float32."""

    def blocks() -> Iterator[tuple[slice, NDArray[np.float32]]]:
        with h5py.File(path) as file:
            dataset = file[name]
            for start in range(0, dataset.shape[axis], ROWS_AT_ONCE):
                rows = slice(start, min(start + ROWS_AT_ONCE, dataset.shape[axis]))
                yield rows, np.asarray(read(dataset, rows), dtype=np.float32)

    try:
        yield from blocks()
    except (OSError, TypeError, ValueError) as error:  # cut off, or no numbers
        raise unreadable(path, error) from error
