"""Scores tables into curves over layers, one panel per group of targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.reports.blocks import Block

MAX_GROUPS = 5
"""More groups than this can't be read side by side."""


@dataclass(frozen=True)
class CurvePanel:
    """Curves of one group of targets."""

    title: str
    layers: NDArray[np.int64]
    """(n_layers,) layer numbers."""
    trained: NDArray[np.float64]
    """(n_targets, n_layers)."""
    untrained: NDArray[np.float64] | None
    """(n_targets, n_layers), the twin with random weights on the same layers."""
    lowlevel: NDArray[np.float64] | None
    """(n_targets,): the baseline knows no layers."""
    causal: NDArray[np.float64] | None = None
    """(n_targets, n_layers), the same model having heard the past only."""


def over_folds(scores: pd.DataFrame) -> pd.DataFrame:
    """Pick the rows over all folds."""
    return scores[scores["fold"] == "all"]


def selected(scores: pd.DataFrame) -> pd.DataFrame:
    """Pick the rows that hold the answer: nested choice, or the one row of a plain feature.

    Returns
    -------
    DataFrame
        One row per target, indexed by target name.
    """
    rows = over_folds(scores)
    chosen = rows[rows["layer"] == "selected"]
    if chosen.empty:
        chosen = rows[rows["layer"] == "n/a"]
    return chosen.drop_duplicates("target").set_index("target")


def curve_table(scores: pd.DataFrame, value: str = "r") -> pd.DataFrame:
    """Pivot a scores table to targets × integer layers.

    Returns
    -------
    DataFrame
        (n_targets, n_layers), targets in the table's order, columns int.
    """
    rows = over_folds(scores)
    rows = rows[rows["layer"].str.fullmatch(r"\d+")]
    if rows.empty:
        return pd.DataFrame(dtype=float)
    table = rows.assign(layer=rows["layer"].astype(int)).pivot_table(
        index="target", columns="layer", values=value, aggfunc="mean", dropna=False, sort=True
    )
    return table.reindex(rows["target"].drop_duplicates())


def target_groups(
    scores: pd.DataFrame, channels: pd.DataFrame | None = None
) -> dict[str, list[str]]:
    """Which targets share a panel.

    The whole mask and its hemispheres stand for themselves; regions of interest have figures of
    their own. Electrodes are shown together and then by the first of these
    that makes two to `MAX_GROUPS` groups: region, device (strip, grid, shaft), hemisphere.

    Parameters
    ----------
    scores : DataFrame
        Scores table.
    channels : DataFrame, optional
        Channels table with ``name`` and ``device``.

    Returns
    -------
    dict
        Title → targets.
    """
    targets = scores.drop_duplicates("target").set_index("target")
    if (targets["target_type"] == "parcel").all():
        return {str(name): [str(name)] for name in targets.index[targets["region"] == "n/a"]}
    targets["device"] = "n/a"
    if channels is not None and {"name", "device"} <= set(channels.columns):
        devices = channels.drop_duplicates("name").set_index("name")["device"]
        targets["device"] = devices.reindex(targets.index).fillna("n/a")
    groups = {"all electrodes": [str(name) for name in targets.index]}
    for column in ("region", "device", "hemisphere"):
        known = targets[targets[column] != "n/a"]
        counts = known[column].value_counts()
        if not 2 <= len(counts) <= MAX_GROUPS:
            continue
        # By size, then by name: equal counts must not change places between runs.
        for name in sorted(counts.index, key=lambda name: (-int(counts[name]), str(name))):
            members = [str(target) for target in known.index[known[column] == name]]
            groups[f"{_spelled(str(name))} (n = {len(members)})"] = members
        break
    return groups


def _spelled(name: str) -> str:
    return {"L": "left hemisphere", "R": "right hemisphere"}.get(name, name)


def curve_panels(block: Block, *, value: str = "r") -> list[CurvePanel]:
    """Panels of one block.

    Parameters
    ----------
    block : Block
        Model and controls.
    value : str
        Column of the scores table: ``r`` or ``delta_r_lowlevel``. The controls are drawn for
        ``r`` only.

    Returns
    -------
    list of CurvePanel
        Empty if the table has no finite value over layers.
    """
    trained = curve_table(block.main.scores, value)
    if trained.empty or not np.isfinite(trained.to_numpy(dtype=float)).any():
        return []
    controls = value == "r"
    untrained = (
        curve_table(block.untrained.scores) if controls and block.untrained else pd.DataFrame()
    )
    causal = curve_table(block.causal.scores, value) if block.causal else pd.DataFrame()
    lowlevel = selected(block.lowlevel.scores)["r"] if controls and block.lowlevel else None
    panels = []
    for title, members in target_groups(block.main.scores, block.main.channels).items():
        panels.append(
            CurvePanel(
                title=title,
                layers=trained.columns.to_numpy(dtype=np.int64),
                trained=trained.reindex(members).to_numpy(dtype=float),
                causal=None if causal.empty else _aligned(causal, members, trained),
                untrained=None if untrained.empty else _aligned(untrained, members, trained),
                lowlevel=None
                if lowlevel is None
                else lowlevel.reindex(members).to_numpy(dtype=float),
            )
        )
    return panels


def _aligned(table: pd.DataFrame, members: list[str], like: pd.DataFrame) -> NDArray[np.float64]:
    """Rows of some targets on another table's layers."""
    return table.reindex(index=members, columns=like.columns).to_numpy(dtype=np.float64)


def column_mean(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard error over rows, NaN-aware and silent about empty columns.

    Parameters
    ----------
    values : array, shape (n_rows, n_columns)

    Returns
    -------
    mean, sem : array, shape (n_columns,)
        NaN where a column has no finite value; ``sem`` is NaN with fewer than two.
    """
    finite = np.isfinite(values)
    count = finite.sum(axis=0)
    total = np.where(finite, values, 0.0).sum(axis=0)
    mean = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    squares = (np.where(finite, values - mean, 0.0) ** 2).sum(axis=0)
    variance = np.divide(squares, count - 1, out=np.full(count.shape, np.nan), where=count > 1)
    sem: NDArray[np.float64] = np.sqrt(variance / np.maximum(count, 1))
    return mean, sem
