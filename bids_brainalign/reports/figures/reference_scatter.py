"""Scores with a common average against scores without it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bids_brainalign.reports.figures import canvas

KINDS = (
    ("both ways", True, True, canvas.TRAINED),
    ("only with it", True, False, canvas.FOUND),
    ("only without it", False, True, canvas.UNTRAINED),
    ("neither", False, False, canvas.FAINT),
)


def reference_scatter(table: pd.DataFrame, *, alpha: float) -> Figure:
    """Draw every electrode: r without the reference across, with it upwards.

    Parameters
    ----------
    table : DataFrame
        ``r, q_delta, r_unreferenced, q_delta_unreferenced``.
    alpha : float
        Level of the q of what the model adds to the low-level features; it gives the colours.
    """
    figure = canvas.paper(4.6, 4.0)
    axes = figure.subplots()
    canvas.tidy(axes, xlabel="r as recorded", ylabel="r with common average")
    values = table[["r_unreferenced", "r"]].to_numpy(dtype=np.float64)
    if np.isfinite(values).any():
        low, high = np.nanmin(values) - 0.02, np.nanmax(values) + 0.02
        axes.plot([low, high], [low, high], color=canvas.FAINT, linewidth=0.8)
    with_it, without = table["q_delta"] < alpha, table["q_delta_unreferenced"] < alpha
    for label, first, second, colour in KINDS:
        rows = (with_it == first) & (without == second)
        axes.scatter(
            values[rows, 0], values[rows, 1], s=18, color=colour, label=f"{label} ({rows.sum()})"
        )
    axes.set_aspect("equal", adjustable="datalim")
    figure.legend(
        loc="outside right upper", frameon=False, fontsize=canvas.SIZE_PT - 1,
        title=f"q < {alpha:g}".replace("0.", "."), title_fontsize=canvas.SIZE_PT - 1,
    )  # fmt: skip
    return figure
