"""Electrodes × phones: who answers to what, in the order of the clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure

from bids_brainalign.reports.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DIVERGING = "RdBu_r"
MAX_NAMED = 60
"""More electrodes get no names at their rows."""


def phoneme_profiles(psi: pd.DataFrame, classes: pd.DataFrame, clusters: list[int]) -> Figure:
    """Draw the selectivity of electrodes for phones and for categories.

    Parameters
    ----------
    psi : DataFrame of shape (n_electrodes, n_phones)
        Phone selectivity index, NaN where not heard; rows in the order to draw.
    classes : DataFrame of shape (n_electrodes, n_categories)
        Mean response to the category less that to all other phones (SD of the run).
    clusters : list of int
        Cluster of each row; lines part one from the next.

    Returns
    -------
    Figure
    """
    height = 1.9 + 0.17 * min(len(psi), 120)
    figure = canvas.paper(10.5, height)
    left, right = figure.subplots(1, 2, width_ratios=[max(psi.shape[1], 8), classes.shape[1]])
    norm: Normalize = Normalize(0, max(float(np.nanmax(psi.to_numpy(float))), 1.0))
    left.imshow(psi.to_numpy(float), aspect="auto", cmap=canvas.SEQUENTIAL, norm=norm)
    _frame(left, psi, clusters, title="phone selectivity index")
    canvas.colour_bar(figure, [left], norm=norm, label="phones exceeded", whole=True)
    limit = max(float(np.nanmax(np.abs(classes.to_numpy(float)))), 1e-3)
    shades = TwoSlopeNorm(0.0, -limit, limit)
    image = right.imshow(classes.to_numpy(float), aspect="auto", cmap=DIVERGING, norm=shades)
    _frame(right, classes, clusters, title="response to categories", named=False)
    bar = figure.colorbar(image, ax=right, shrink=0.8, pad=0.02)
    bar.set_label("SD of the run, less all other phones", fontsize=canvas.SIZE_PT,
                  color=canvas.INK)  # fmt: skip
    bar.ax.tick_params(labelsize=canvas.SIZE_PT - 1, colors=canvas.FAINT, labelcolor=canvas.INK)
    bar.outline.set_visible(False)
    return figure


def _frame(
    axes: Axes, table: pd.DataFrame, clusters: list[int], *, title: str, named: bool = True
) -> None:
    canvas.tidy(axes, title=title)
    axes.grid(visible=False)
    slanted = any(len(str(name)) > 3 for name in table.columns)
    axes.set_xticks(range(table.shape[1]), [str(name) for name in table.columns],
                    rotation=90 if slanted else 0, fontsize=canvas.SIZE_PT - 1)  # fmt: skip
    if named and len(table) <= MAX_NAMED:
        axes.set_yticks(range(len(table)), [str(name) for name in table.index],
                        fontsize=canvas.SIZE_PT - 2)  # fmt: skip
    else:
        axes.set_yticks([])
    for row in range(1, len(clusters)):
        if clusters[row] != clusters[row - 1]:
            axes.axhline(row - 0.5, color="white", linewidth=2.5)
            axes.axhline(row - 0.5, color=canvas.INK, linewidth=0.8)
