"""Observed scores against what chance gives."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bids_brainalign.reports.figures import canvas

NAMED_TARGETS = 24
"""Up to this many targets are written under the axis."""


def null_distribution(chosen: pd.DataFrame, nulls: pd.DataFrame) -> Figure:
    """Draw each target's largest r over layers above the quantiles of its own null.

    Parameters
    ----------
    chosen : DataFrame
        Indexed by target: ``r`` (shown where a target has no ``r_max``), ``q_fdr``.
    nulls : DataFrame
        ``target``; ``r_max``, the observed maximum over layers; ``q50``, ``q95``, ``q99`` of the
        null of that maximum.

    Returns
    -------
    Figure
        Targets sorted; bars from the null's median to its 95th percentile, a tick at the
        99th; filled dots have q < .05.
    """
    quantiles = nulls.drop_duplicates("target").set_index("target")
    table = chosen[["r", "q_fdr"]].join(quantiles, how="left")
    if "r_max" in table:
        table["r"] = pd.to_numeric(table["r_max"], errors="coerce").fillna(table["r"])
    table = table.sort_values("r", ascending=False, kind="stable")
    position = np.arange(len(table))
    figure = canvas.paper(9.8, 3.3)
    axes = figure.subplots()
    canvas.tidy(axes, xlabel="target, sorted", ylabel="held-out r, maximum over layers")
    axes.axhline(0, color=canvas.FAINT, linewidth=0.8)

    def column(name: str) -> np.ndarray:
        values = table[name] if name in table else pd.Series(np.nan, index=table.index)
        return pd.to_numeric(values, errors="coerce").to_numpy(dtype=float)

    width = float(np.clip(320 / max(len(table), 1), 1.5, 14))
    axes.vlines(
        position,
        column("q50"),
        column("q95"),
        color="#c9d1d8",
        linewidth=width,
        label="null, median to 95th percentile",
    )
    axes.scatter(position, column("q99"), marker="_", s=width * 8, color=canvas.BASELINE,
                 linewidth=1.2, label="null, 99th percentile")  # fmt: skip
    found = table["q_fdr"].to_numpy(dtype=float) < 0.05
    r = column("r")
    axes.scatter(position[~found], r[~found], s=20, facecolor="white", edgecolor=canvas.TRAINED,
                 linewidth=1, label="observed, q ≥ .05", zorder=3)  # fmt: skip
    axes.scatter(position[found], r[found], s=22, color=canvas.TRAINED,
                 label="observed, q < .05", zorder=3)  # fmt: skip
    if len(table) <= NAMED_TARGETS:
        axes.set_xticks(position, [str(name) for name in table.index],
                        rotation=0 if len(table) <= 8 else 60)  # fmt: skip
    axes.set_xlim(-0.8, max(len(table), 1) - 0.2)
    figure.legend(loc="outside upper right", ncols=4, frameon=False, fontsize=canvas.SIZE_PT - 1)
    return figure
