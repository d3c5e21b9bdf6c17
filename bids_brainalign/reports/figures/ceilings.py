"""Noise ceilings: a histogram over voxels, or a point with its interval per electrode."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bids_brainalign.reports.figures import canvas


def ceiling_histogram(table: pd.DataFrame) -> Figure:
    """Draw how many voxels have which ceiling, beside what chance would give.

    Parameters
    ----------
    table : DataFrame
        Of ``histogram.tsv``.
    """
    figure = canvas.paper(5.4, 2.9)
    axes = figure.subplots()
    canvas.tidy(axes, xlabel="noise ceiling of r (below 0: no signal power)", ylabel="voxels")
    low, high = (table[name].to_numpy(dtype=float) for name in ("low", "high"))
    every, found = (table[n].to_numpy(dtype=float) for n in ("n_targets", "n_significant"))
    width = (high - low) * 0.92
    middle = (low + high) / 2
    rest = "not tested or q ≥ .05"
    axes.bar(middle, every - found, width, bottom=found, color=canvas.FAINT, label=rest)
    axes.bar(middle, found, width, color=canvas.TRAINED, label="q < .05")
    null = table["n_null"].to_numpy(dtype=float)
    if np.isfinite(null).any():
        axes.step(middle, null, where="mid", color=canvas.INK, linewidth=1.2, label="by chance")
    shown = (every > 0) | (np.nan_to_num(null) > 0.5)
    if shown.any():
        axes.set_xlim(min(low[shown].min(), -0.1), 1.0)
    axes.set_ylim(0, 1.08 * max(every.max(), np.nan_to_num(null).max(), 1))
    axes.legend(frameon=False, fontsize=8)
    return figure


def ceiling_points(table: pd.DataFrame) -> Figure:
    """Draw the ceiling of every electrode with its interval, smallest first.

    Parameters
    ----------
    table : DataFrame
        Of ``ceilings.tsv``.
    """
    figure = canvas.paper(5.4, 2.9)
    axes = figure.subplots()
    canvas.tidy(axes, xlabel="electrodes, by ceiling", ylabel="noise ceiling of r")
    table = table.sort_values("r_ceiling", na_position="first", kind="stable")
    value = table["r_ceiling"].fillna(0.0).to_numpy(dtype=float)
    low, high = (table[name].to_numpy(dtype=float) for name in ("ci_low", "ci_high"))
    found = table["q_fdr"].to_numpy(dtype=float) < 0.05
    place = np.arange(len(table))
    for mask, color, label in (
        (~found, canvas.FAINT, "not tested or q ≥ .05"),
        (found, canvas.TRAINED, "q < .05"),
    ):
        axes.vlines(place[mask], low[mask], high[mask], color=color, linewidth=1.0)
        axes.scatter(place[mask], value[mask], s=16, color=color, linewidth=0, label=label)
    axes.set_xticks([])
    axes.set_ylim(-0.02, 1.02)
    axes.legend(frameon=False, fontsize=8)
    return figure
