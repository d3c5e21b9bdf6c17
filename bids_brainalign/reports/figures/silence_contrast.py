"""Speech against silence, one dot per channel."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bids_brainalign.reports.figures import canvas

NAMED = 60
"""Up to this many channels are named on the axis."""


def contrast_dots(table: pd.DataFrame) -> Figure:
    """Draw the difference of every channel, from the largest to the smallest.

    Parameters
    ----------
    table : DataFrame
        ``target``, ``d``, ``q_fdr``.

    Returns
    -------
    Figure
        Filled: q < .05.
    """
    rows = table[np.isfinite(table["d"])].sort_values("d", ascending=False, kind="stable")
    found = (rows["q_fdr"] < 0.05).to_numpy(dtype=bool)
    at = np.arange(len(rows))
    d = rows["d"].to_numpy(dtype=float)
    figure = canvas.paper(9.8, 2.9)
    axes = figure.subplots()
    canvas.tidy(axes, xlabel="channel, by size of the difference", ylabel="speech - silence (SD)")
    axes.axhline(0, color=canvas.INK, linewidth=0.8)
    axes.vlines(at, 0, d, color="#c9d1d8", linewidth=1.2, zorder=2)
    axes.scatter(at[~found], d[~found], s=18, facecolor="white", edgecolor=canvas.FAINT, zorder=3)
    axes.scatter(
        at[found], d[found], s=26, color=canvas.TRAINED, edgecolor=canvas.INK, lw=0.5, zorder=3
    )
    axes.set_xlim(-0.8, max(len(rows), 2) - 0.2)
    if len(rows) <= NAMED:
        axes.set_xticks(at, [str(name) for name in rows["target"]], rotation=90)
        axes.tick_params(axis="x", labelsize=float(np.clip(420 / max(len(rows), 1), 5, 8)))
    return figure
