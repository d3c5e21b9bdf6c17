"""Voxels summed up into parcels: scores of a parcel are means, tested against the same means."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.statistics.layer_curves import curve_range
from bids_brainalign.statistics.tails import p_values
from bids_brainalign.workflow import tables
from bids_brainalign.workflow.assemble import Assembly
from bids_brainalign.workflow.inference import (
    BlockResult,
    Contrast,
    SpaceResult,
    corrected,
    layer_mode,
    p_over_targets,
)

Array64 = NDArray[np.float64]


def parcels_of(assembly: Assembly) -> tuple[NDArray[np.bool_] | None, pd.DataFrame]:
    """Voxel groups that become rows of scores.tsv: mask, hemispheres, regions of interest."""
    targets = assembly.targets
    if assembly.fit.modality != "fmri":
        return None, targets
    hemisphere = targets["hemisphere"].to_numpy(dtype=str)
    groups = {"whole": ("n/a", np.ones(len(targets), dtype=bool))}
    groups |= {"left": ("L", hemisphere == "L"), "right": ("R", hemisphere == "R")}
    groups = {name: g for name, g in groups.items() if g[1].any()}
    rows = pd.DataFrame(
        {
            "name": list(groups),
            "type": "parcel",
            "hemisphere": [side for side, _ in groups.values()],
            "region": "n/a",
        }
    )
    members = np.stack([members for _, members in groups.values()])
    if assembly.regions is None:
        return members, rows
    members = np.concatenate([members, assembly.regions.members])
    return members, pd.concat([rows, assembly.regions.rows], ignore_index=True)


def parcel_blocks(
    voxels: dict[str, tables.ScoreBlock], parts: list[BlockResult], parcels: NDArray[np.bool_]
) -> dict[str, tables.ScoreBlock]:
    """Means over the voxels of each parcel, tested against the nulls of the same means."""
    weights = parcels / parcels.sum(axis=1, keepdims=True)
    size = parcels.sum(axis=1).astype(np.float64)

    def mean(values: Array64) -> Array64:
        return np.asarray(np.nan_to_num(values) @ weights.T)

    out = {}
    for kind, block in voxels.items():
        nulls = [p.parcel_nulls[kind] for p in parts if kind in p.parcel_nulls]
        null = sum(nulls[1:], start=nulls[0]) / size if nulls else None
        result = _parcel_result(block.result, null, mean, n_parcels=len(parcels))
        mode, agreement = _parcel_mode(block, parcels)
        parcel = tables.ScoreBlock(
            model=block.model,
            layers=block.layers,
            result=result,
            n_null=block.n_null,
            context_past_s=block.context_past_s,
            context_future_s=block.context_future_s,
            q=corrected(result.p),
            p_max=p_over_targets(result.r_max, None if null is None else null.max(axis=(0, 2))),
            r_lowlevel=None if block.r_lowlevel is None else mean(block.r_lowlevel),
            mode=mode,
            agreement=agreement,
        )
        for name in ("delta_lowlevel", "delta_untrained", "delta_model"):
            contrast: Contrast | None = getattr(block, name)
            if contrast is not None:
                value = mean(contrast.value)
                draws = [p.parcel_nulls[name] for p in parts if name in p.parcel_nulls]
                p = np.full(len(value), np.nan)
                if draws:
                    p = p_values(value, sum(draws[1:], start=draws[0]) / size)
                setattr(parcel, name, Contrast(value, p))
        out[kind] = parcel
    if "model" in out and "untrained" in out:
        out["model"].untrained = out["untrained"].result
    return out


def _parcel_result(
    result: SpaceResult,
    null: NDArray[np.floating] | None,
    mean: Callable[[Array64], Array64],
    *,
    n_parcels: int,
) -> SpaceResult:
    layer_r = mean(result.layer_r)
    layer_p = np.full(layer_r.shape, np.nan)
    p, flat_p = np.full((2, n_parcels), np.nan)
    quantiles = np.full((4, n_parcels), np.nan)
    r_max = layer_r.max(axis=0)
    if null is not None:
        layer_p = np.stack([p_values(r, n) for r, n in zip(layer_r, null, strict=True)])
        over_layers = null.max(axis=0)
        p = p_values(r_max, over_layers)
        quantiles = np.quantile(over_layers, [0.5, 0.95, 0.99, 1.0], axis=0)
        flat_p = p_values(np.asarray(curve_range(layer_r)), curve_range(null))
    return SpaceResult(
        layer_r=layer_r,
        layer_r2=mean(result.layer_r2),
        layer_p=layer_p,
        selected_r=mean(result.selected_r),
        selected_r2=mean(result.selected_r2),
        selected_r_fold=mean(result.selected_r_fold),
        chosen=np.zeros((len(result.chosen), n_parcels), dtype=np.int64),
        r_max=r_max,
        p=p,
        null_quantiles=quantiles,
        half_r=mean(result.half_r),
        flat_p=flat_p,
    )


def _parcel_mode(
    block: tables.ScoreBlock, parcels: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], Array64]:
    n_layers = len(block.layers)
    modes, agreements = [], []
    for members in parcels:
        mode, agreement = layer_mode(block.result.chosen[:, members].reshape(-1, 1), n_layers)
        modes.append(mode[0])
        agreements.append(agreement[0])
    return np.array(modes), np.array(agreements)
