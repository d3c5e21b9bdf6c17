"""Held-out predictions beside the responses they predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.store.atomic import atomic_path


@dataclass(frozen=True)
class VoxelPredictions:
    """Predictions of single voxels, beside those of their parcels."""

    predicted: Sequence[NDArray[np.float32]]
    """Per fold (n_test, n_voxels); may be mapped from files."""
    response: Sequence[NDArray[np.float32]]
    voxels: NDArray[np.int64] | None
    """(n_voxels, 3): indices into the image; None where it is no volume."""
    affine: NDArray[np.float64] | None
    """(4, 4): indices to mm."""
    names: Sequence[str] = ()
    """Of the voxels, vertices or columns."""


def write_predictions(
    path: Path,
    *,
    predicted: NDArray[np.float32],
    response: NDArray[np.float32],
    samples: pd.DataFrame,
    targets: list[str],
    description: str,
    voxels: VoxelPredictions | None = None,
) -> Path:
    """Write predictions of all held-out samples.

    Parameters
    ----------
    path : Path
        Ends in ``.h5``.
    predicted, response : ndarray of shape (n_samples, n_targets)
        In standard deviations of the training data.
    samples : DataFrame
        One row per sample: ``time`` (s on the recording clock), ``stimulus_time`` (s), ``fold``
        (index), ``run`` and ``stimulus`` (names).
    targets : list of str
    description : str
        What the values are.
    voxels : VoxelPredictions, optional
        Written to the group ``voxels``, with the same samples.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = h5py.string_dtype()
    with atomic_path(path) as temporary, h5py.File(temporary, "w", track_order=True) as file:
        file.attrs["description"] = description
        options = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
        file.create_dataset("predicted", data=predicted.astype(np.float32), **options)
        file.create_dataset("response", data=response.astype(np.float32), **options)
        file["targets"] = np.array(targets, dtype=object).astype(text)
        for column in samples.columns:
            values = samples[column].to_numpy()
            if values.dtype.kind not in "fiub":
                values = values.astype(object).astype(text)
            file.create_dataset(f"samples/{column}", data=values)
        if voxels is not None:
            for name in ("predicted", "response"):
                parts = getattr(voxels, name)
                shape = sum(len(part) for part in parts), parts[0].shape[1]
                stored = file.create_dataset(f"voxels/{name}", shape, np.float32, **options)
                start = 0
                for part in parts:
                    stored[start : start + len(part)] = part
                    start += len(part)
            if voxels.voxels is not None and voxels.affine is not None:
                file["voxels/index"], file["voxels/affine"] = voxels.voxels, voxels.affine
            file["voxels/targets"] = np.array(list(voxels.names), dtype=object).astype(text)
    return path


@dataclass(frozen=True)
class HeldOutResponses:
    """Responses that :func:`write_predictions` stored, of the rows of scores.tsv."""

    targets: tuple[str, ...]
    response: NDArray[np.float32]
    """(n_samples, n_targets)."""
    stimulus_time: NDArray[np.float64]
    """(n_samples,) s."""
    stimulus: tuple[str, ...] | None
    """(n_samples,); None in files that don't tell."""
    run: tuple[str, ...]

    @property
    def interval_s(self) -> float:
        """Seconds between samples."""
        steps = np.diff(self.stimulus_time)
        return float(np.median(steps[steps > 0]))


def read_responses(path: Path) -> HeldOutResponses:
    """Read the responses back; predictions stay in the file."""
    with h5py.File(path) as file:
        samples = file["samples"]

        def names(dataset: h5py.Dataset) -> tuple[str, ...]:
            return tuple(value.decode() for value in dataset[()])

        return HeldOutResponses(
            targets=names(file["targets"]),
            response=np.asarray(file["response"], dtype=np.float32),
            stimulus_time=np.asarray(samples["stimulus_time"], dtype=np.float64),
            stimulus=names(samples["stimulus"]) if "stimulus" in samples else None,
            run=names(samples["run"]),
        )


@dataclass(frozen=True)
class VoxelPlaces:
    """Where the voxels lie whose responses a file holds."""

    index: NDArray[np.int64]
    """(n_voxels, 3) in the image."""
    affine: NDArray[np.float64]

    @staticmethod
    def read(path: Path) -> VoxelPlaces | None:
        """Read them; None where no voxels of a volume were saved."""
        with h5py.File(path) as file:
            if "voxels/index" not in file:
                return None
            index, affine = file["voxels/index"][()], file["voxels/affine"][()]
            return VoxelPlaces(np.asarray(index), np.asarray(affine))

    def same_as(self, other: VoxelPlaces) -> bool:
        """Whether both hold the same voxels, in the same order."""
        return np.array_equal(self.index, other.index) and np.allclose(self.affine, other.affine)


def read_voxel_responses(path: Path, columns: slice) -> NDArray[np.float32]:
    """Read held-out responses (n_samples, n_columns) of some voxels."""
    with h5py.File(path) as file:
        return np.asarray(file["voxels/response"][:, columns], dtype=np.float32)
