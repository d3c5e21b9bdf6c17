"""Ceilings beside scores: r_ceiling, ceiling_kind and r_normalised of scores.tsv."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.statistics.correlation import fisher_mean
from bids_brainalign.workflow.ceilings import Ceilings, TargetCeilings
from bids_brainalign.workflow.inference import SpaceResult

Array64 = NDArray[np.float64]


def normalised(r: Array64, ceilings: TargetCeilings, ceiling: Array64) -> Array64:
    """Divide r by the ceiling where there is one at all; never clip."""
    usable = ceilings.found & (ceiling > 0)
    return np.where(usable, r / np.where(usable, ceiling, 1.0), np.nan)


def r_of_pooled(r_fold: Array64, sizes: Sequence[int], ceilings: Ceilings) -> Array64:
    """Score over the folds that ceilings are from.

    Parameters
    ----------
    r_fold : ndarray of shape (n_folds, n_targets)
    sizes : sequence of int
        Held-out samples per fold.
    ceilings : Ceilings
    """
    folds = list(ceilings.pooled)
    return np.asarray(fisher_mean(r_fold[folds], np.asarray(sizes, dtype=np.float64)[folds]))


def add_ceilings(
    scores: pd.DataFrame,
    ceilings: Ceilings | None,
    r_fold: Array64,
    *,
    fold_sizes: Sequence[int],
    min_samples: int,
) -> pd.DataFrame:
    """Fill ``r_ceiling``, ``ceiling_kind`` and ``r_normalised`` of a table of scores.

    Parameters
    ----------
    scores : DataFrame
        In the layout of scores.tsv: for each layer and fold, one row per target, in order.
    ceilings : Ceilings, optional
    r_fold : ndarray of shape (n_folds, n_targets)
        Of the nested choice of layer.
    fold_sizes : sequence of int
    min_samples : int
        Folds with fewer are not scored.

    Notes
    -----
    Over folds a ceiling is divided into the r of the same folds: on rows of single layers there is
    none if only some folds hold repeats.
    """
    if ceilings is None:
        return scores
    scores = scores.copy()
    scores["ceiling_kind"] = scores["ceiling_kind"].astype(object)
    rows = ceilings.rows
    complete = _complete(ceilings, fold_sizes, min_samples)
    for key, index in scores.groupby(["layer", "fold"], sort=False).groups.items():
        layer, fold = map(str, key)  # type: ignore[call-overload]
        r = scores.loc[index, "r"].to_numpy(dtype=np.float64)
        ceiling = rows.value
        if fold != "all":
            k = int(fold) - 1
            if k not in ceilings.pooled:
                continue
            ceiling = np.where(rows.per_fold[k] > 0, rows.per_fold[k], np.nan)
        elif not complete:
            if layer.isdigit():
                continue
            r = r_of_pooled(r_fold, fold_sizes, ceilings)
        scores.loc[index, "r_ceiling"] = ceiling
        scores.loc[index, "r_normalised"] = normalised(r, rows, ceiling)
        scores.loc[index, "ceiling_kind"] = ceilings.kind
    return scores


def normalised_map(
    result: SpaceResult, ceilings: Ceilings, fold_sizes: Sequence[int], min_samples: int
) -> tuple[Array64, str]:
    """Divide r of every voxel by its ceiling: of all layers, or of the nested choice.

    Returns
    -------
    values : ndarray of shape (n_layers, n_voxels) or (n_voxels,)
        NaN where there is no significant ceiling.
    description : str
    """
    targets = ceilings.targets
    what = "Held-out correlation divided by its noise ceiling"
    where = (
        f"({ceilings.kind.replace('_', ' ')}, {ceilings.n_repeats} presentations); NaN where "
        "presentations don't agree significantly (q < .05); not clipped at 1"
    )
    if _complete(ceilings, fold_sizes, min_samples):
        values = np.stack([normalised(r, targets, targets.value) for r in result.layer_r])
        return values, f"{what}, every layer {where}"
    r = r_of_pooled(result.selected_r_fold, fold_sizes, ceilings)
    which = "of the layer chosen on the inner folds, over the folds that hold repeats"
    return normalised(r, targets, targets.value), f"{what}, {which} {where}"


def _complete(ceilings: Ceilings, fold_sizes: Sequence[int], min_samples: int) -> bool:
    """Whether every scored fold has a ceiling."""
    scored = {k for k, size in enumerate(fold_sizes) if size >= min_samples}
    return scored == set(ceilings.pooled)
