"""Voxels selected by their noise ceiling, and the parcels that they make up."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.outputs.reading import CIRCULAR_PARCEL
from bids_brainalign.statistics.noise_ceiling import select_by_ceiling
from bids_brainalign.workflow.assemble import Assembly
from bids_brainalign.workflow.ceilings import estimate_ceilings

SELECTED = ":selected"


def selected_targets(config: Config, assembly: Assembly) -> NDArray[np.bool_]:
    """Choose voxels by their ceiling, as ``[ceiling]`` says.

    With ``halves`` the ceilings are from the rows that :func:`set_aside` took from scoring, with
    ``published`` from those that are scored.

    Raises
    ------
    BrainAlignError
        No stimulus was repeated, or no voxel passes (exit code 65).
    """
    aside = config.ceiling.select == "halves"
    rows = assembly.aside if aside else [fold.outer.test for fold in assembly.plan.folds]
    found = estimate_ceilings(config, assembly, rows, None, purpose="select")
    if found is None:
        raise _no_repeats(assembly)
    chosen = select_by_ceiling(
        found.targets.value, found.targets.q, threshold=config.ceiling.threshold
    )
    if not chosen.any():
        raise BrainAlignError(
            f"{assembly.fit.name.stem}: no voxel has a ceiling above "
            f"{config.ceiling.threshold:g} that is significant (q < .05)",
            where=f"{found.n_repeats} presentations, {found.n_samples} samples to select on",
            fix='set a lower [ceiling] threshold, or select = "none"',
        )
    return chosen


def with_selected(
    config: Config, parcels: NDArray[np.bool_], names: pd.DataFrame, chosen: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], pd.DataFrame]:
    """Add to every parcel the selected voxels of it as a parcel of its own."""
    ending = CIRCULAR_PARCEL if config.ceiling.select == "published" else SELECTED
    inside = parcels & chosen
    keep = np.flatnonzero(inside.any(axis=1))
    more: pd.DataFrame = names.iloc[keep].copy()
    more["name"] = more["name"].astype(str) + ending
    named = ~more["region"].isin(["n/a", ""])
    more.loc[named, "region"] = more.loc[named, "region"].astype(str) + ending
    return np.concatenate([parcels, inside[keep]]), pd.concat([names, more], ignore_index=True)


def selection_fields(config: Config, assembly: Assembly) -> dict[str, object]:
    """Tell in a sidecar how voxels were selected; empty where none were."""
    if assembly.fit.modality != "fmri" or config.ceiling.select == "none":
        return {}
    circular = config.ceiling.select == "published"
    how = (
        "the same samples select voxels and score them, as published: scores of "
        f"parcels that end in {CIRCULAR_PARCEL} are circular"
        if circular
        else "the first half of the repeated stimulus selects voxels, the second half is scored"
    )
    return {
        "CeilingSelection": {
            "select": config.ceiling.select,
            "threshold": config.ceiling.threshold,
            "circular": circular,
            "Description": f"Voxels with a significant ceiling (q < .05) above the threshold; "
            f"{how}.",
        }
    }


def _no_repeats(assembly: Assembly) -> BrainAlignError:
    return BrainAlignError(
        f"{assembly.fit.name.stem}: voxels can't be selected by their ceiling, as no held-out "
        "stimulus was presented more than once",
        where=f"{len(assembly.plan.folds)} folds, {assembly.plan.kind}",
        fix='set [ceiling] select = "none", or hold a repeated stimulus out with --folds',
    )
