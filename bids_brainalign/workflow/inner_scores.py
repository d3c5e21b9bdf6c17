"""Scores of ridge on the inner folds, kept from encoding: networks choose their layer by them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.store.atomic import atomic_path
from bids_brainalign.store.digest import code_digest, digest_of
from bids_brainalign.workflow.spaces import Space

Array64 = NDArray[np.float64]


def keep_inner_scores(
    config: Config, inputs: Mapping[str, object], space: Space, scores: Array64
) -> None:
    """Keep the scores in the work folder.

    Parameters
    ----------
    config : Config
    inputs : mapping
        What every result of the fit depends on.
    space : Space
    scores : ndarray of shape (n_layers, n_folds)
        Mean over electrodes, or voxels.
    """
    path = _path(config, inputs, space)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, scores, allow_pickle=False)


def kept_inner_scores(
    config: Config, inputs: Mapping[str, object], space: Space
) -> Array64 | None:
    """Read what encoding kept; None where it has not."""
    path = _path(config, inputs, space)
    return np.asarray(np.load(path, allow_pickle=False)) if path.is_file() else None


def _path(config: Config, inputs: Mapping[str, object], space: Space) -> Path:
    code = code_digest(("bids_brainalign.encoding.layerwise",))
    key = digest_of({"fit": dict(inputs), "model": space.name, "code": code})
    return config.paths.work_dir / "inner_scores" / f"{key[:24]}.npy"
