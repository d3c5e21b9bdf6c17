"""Voxels: fitted layer by layer, compared block by block."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bids_brainalign.encoding.layerwise import FeatureSpace, Problem
from bids_brainalign.encoding.voxelwise import Voxelwise
from bids_brainalign.encoding.weights import TargetWeights
from bids_brainalign.workflow.inference import BlockResult, compare

Array32 = NDArray[np.float32]


@dataclass(frozen=True)
class VoxelResult:
    """All voxels of one fit; large arrays are mapped from files."""

    parts: list[BlockResult]
    """Without their predictions and responses."""
    predicted: Array32
    """(n_test, n_parcels) held-out predictions, means over voxels."""
    response: Array32
    voxel_predictions: tuple[tuple[Array32, ...], tuple[Array32, ...]] | None
    """Per fold, predictions and responses (n_test, n_voxels), if they are to be saved."""
    weights: list[TargetWeights]
    """One, if they are to be saved."""


def encode_voxels(
    problem_of: Callable[[slice], Problem],
    features: Mapping[str, FeatureSpace],
    parcels: NDArray[np.bool_],
    scratch: Path,
    *,
    save: Collection[str],
) -> VoxelResult:
    """Fit all voxels with the low-level features, the model and its twin.

    Parameters
    ----------
    problem_of : callable
        Voxels → their problem.
    features : mapping of str to FeatureSpace
        ``lowlevel``, and ``model`` and ``untrained`` where there are any.
    parcels : ndarray of bool, shape (n_parcels, n_voxels)
    scratch : Path
        Folder for files without a name that hold large arrays.
    save : collection of str
        ``predictions``, ``weights``.
    """
    voxels = Voxelwise(problem_of, parcels.shape[1], scratch)
    mean = (parcels / parcels.sum(axis=1, keepdims=True)).T.astype(np.float32)
    # Our solver has threads of its own, with one of BLAS each.
    blas = 1 if voxels.problem.solver == "own" else voxels.problem.n_threads
    with threadpool_limits(blas, user_api="blas"):
        fits = {name: voxels.encode(space) for name, space in features.items()}
        joint = None
        if "model" in fits:
            joint = voxels.encode_jointly(
                features["model"], fits["model"], features["lowlevel"], fits["lowlevel"]
            )
        kept = voxels.empty_predictions() if "predictions" in save else None
        parts: list[BlockResult] = []
        predicted: Array32 | float = 0.0
        response: Array32 | float = 0.0
        for columns in voxels.blocks():
            problem, held_out = voxels.held_out(columns)
            mine = {
                name: fit.block(columns, held_out, parcel_null=not parts)
                for name, fit in fits.items()
            }
            both = None if joint is None else [np.asarray(part[:, columns]) for part in joint]
            part = compare(problem, held_out, mine, both)
            predicted = predicted + np.concatenate(part.predictions) @ mean[columns]
            response = response + np.concatenate(held_out.responses) @ mean[columns]
            if kept is not None:
                for rows, values in zip(kept, held_out.responses, strict=True):
                    rows[:, columns] = values
            parts.append(replace(part, predictions=(), held_out=None))
        main = "model" if "model" in fits else "lowlevel"
        return VoxelResult(
            parts=parts,
            predicted=np.asarray(predicted),
            response=np.asarray(response),
            voxel_predictions=None if kept is None else (fits[main].predictions, kept),
            weights=[voxels.weights(features[main], fits[main])] if "weights" in save else [],
        )
