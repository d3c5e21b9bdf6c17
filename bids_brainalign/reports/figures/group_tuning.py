"""Gains of tuned models over participants, and matrices of what was tuned on and scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from bids_brainalign.reports.figures import canvas
from bids_brainalign.reports.figures.tuning_gains import SMALL_GAIN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_REGIONS = 24
MOST_NUMBERS = 12
"""Cells of a larger matrix are drawn without their numbers."""
DIVERGING = "PuOr_r"


def gains_by_region(
    values: pd.DataFrame, table: pd.DataFrame, labels: Mapping[str, str]
) -> Figure:
    """Draw the gain per region: a panel per reference, a dot per participant.

    Parameters
    ----------
    values : DataFrame
        ``reference, region, participant, delta_r``.
    table : DataFrame
        Means with intervals: ``reference, region, delta_r, ci_low, ci_high``.
    labels : mapping of str to str
        Title of each reference's panel, in order.
    """
    regions = list(dict.fromkeys(table["region"]))[:MOST_REGIONS]
    figure = canvas.paper(1.6 + 2.4 * len(labels), 1.1 + 0.24 * max(4, len(regions)))
    panels = figure.subplots(1, len(labels), sharey=True, sharex=True, squeeze=False)[0]
    for axes, (reference, title) in zip(panels, labels.items(), strict=True):
        canvas.tidy(axes, title=title, xlabel="Δr")
        axes.axvline(0, color=canvas.INK, linewidth=0.8)
        mine = values[values["reference"] == reference]
        means = table[table["reference"] == reference].set_index("region")
        for place, region in enumerate(regions):
            dots = mine.loc[mine["region"] == region, "delta_r"].to_numpy(dtype=float)
            spread = np.linspace(-0.22, 0.22, len(dots)) if len(dots) > 1 else np.zeros(len(dots))
            axes.scatter(dots, -place + spread, s=11, color=canvas.FAINT, linewidth=0)
            if region in means.index:
                row = means.loc[region]
                axes.hlines(-place, row["ci_low"], row["ci_high"], color=canvas.TRAINED,
                            linewidth=1.6)  # fmt: skip
                axes.scatter([row["delta_r"]], [-place], s=30, marker="D", color=canvas.TRAINED,
                             zorder=3)  # fmt: skip
    panels[0].set_yticks(-np.arange(len(regions)), regions)
    return figure


def delta_matrix(matrix: pd.DataFrame, *, xlabel: str, ylabel: str) -> Figure:
    """Draw a matrix of Δr; cells without a value stay grey.

    Parameters
    ----------
    matrix : DataFrame
        A row per what was tuned on, a column per what is scored.
    xlabel, ylabel : str
    """
    rows, columns = matrix.shape
    figure = canvas.paper(2.0 + 0.55 * max(columns, 4), 1.3 + 0.42 * max(rows, 2))
    axes = figure.subplots()
    canvas.tidy(axes, xlabel=xlabel, ylabel=ylabel)
    axes.grid(visible=False)
    axes.set_facecolor(canvas.GRID)
    values = matrix.to_numpy(dtype=float)
    known = np.abs(values[np.isfinite(values)])
    most = max(float(known.max()) if known.size else 0.0, SMALL_GAIN)
    image = axes.imshow(values, cmap=DIVERGING, norm=TwoSlopeNorm(0.0, -most, most), aspect="auto")
    axes.set_xticks(range(columns), [str(name) for name in matrix.columns])
    axes.set_yticks(range(rows), [str(name) for name in matrix.index])
    if columns > 5:
        axes.tick_params(axis="x", labelrotation=60)
    if max(rows, columns) <= MOST_NUMBERS:
        _numbers(axes, values, most)
    bar = figure.colorbar(image, ax=axes, shrink=0.9)
    bar.set_label("Δr", fontsize=canvas.SIZE_PT, color=canvas.INK)
    bar.ax.tick_params(labelsize=canvas.SIZE_PT - 1, labelcolor=canvas.INK)
    return figure


def _numbers(axes: Axes, values: np.ndarray[tuple[int, int], np.dtype[np.float64]],
             most: float) -> None:  # fmt: skip
    for row, column in np.argwhere(np.isfinite(values)):
        value = values[row, column]
        axes.text(
            column, row, f"{round(value, 3) + 0.0:.3f}".replace("-", "−"),
            ha="center", va="center", fontsize=canvas.SIZE_PT - 1.5,
            color="white" if abs(value) > 0.7 * most else canvas.INK,
        )  # fmt: skip
