"""Layer curves over participants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bids_brainalign.reports.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLES = {
    "trained model": (canvas.TRAINED, "-", 2.4),
    "untrained twin": (canvas.UNTRAINED, "--", 1.6),
    "low-level baseline": (canvas.BASELINE, ":", 1.6),
}
MAX_NAMES = 12
"""More participants than this are drawn without their names."""


@dataclass(frozen=True)
class GroupCurve:
    """One feature space in one region."""

    label: str
    """Key of `STYLES`."""
    layers: NDArray[np.int64]
    """(n_layers,); empty for a baseline without layers, whose arrays have length 1."""
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    """Ends of the interval; NaN where too few participants."""
    high: NDArray[np.float64]
    participants: dict[str, NDArray[np.float64]]
    """Label → curve."""


def group_curves(panels: dict[str, list[GroupCurve]]) -> Figure:
    """Draw a panel per region.

    Parameters
    ----------
    panels : dict
        Title → curves of the feature spaces.

    Returns
    -------
    Figure
        Thick: means; bands: intervals; thin: participants of the trained model.
    """
    rows, columns = canvas.panel_grid(len(panels))
    figure = canvas.paper(max(3.3 * columns + 0.4, 5.4), 2.8 * rows + 0.45)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, (title, curves) in zip(grid.flat, panels.items(), strict=False):
        canvas.tidy(axes, title=title, xlabel="layer (0 = input of the first block)")
        axes.tick_params(labelbottom=True)  # the panel below may be empty
        axes.axhline(0, color=canvas.FAINT, linewidth=0.8)
        for curve in reversed(curves):
            _draw(axes, curve)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for row in grid:
        row[0].set_ylabel("held-out r", fontsize=canvas.SIZE_PT, color=canvas.INK)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=4, frameon=False,
                  fontsize=canvas.SIZE_PT - 0.5)  # fmt: skip
    return figure


def _draw(axes: Axes, curve: GroupCurve) -> None:
    color, style, width = STYLES[curve.label]
    if len(curve.layers) == 0:
        if np.isfinite(curve.mean[0]):
            axes.axhline(curve.mean[0], color=color, linestyle=style, linewidth=width,
                         label=curve.label)  # fmt: skip
        return
    if curve.label == "trained model":
        for name, values in curve.participants.items():
            axes.plot(curve.layers, values, color=color, alpha=0.35, linewidth=0.9)
            if len(curve.participants) <= MAX_NAMES and np.isfinite(values[-1]):
                axes.annotate(name, (float(curve.layers[-1]), values[-1]), xytext=(3, 0),
                              textcoords="offset points", va="center",
                              fontsize=canvas.SIZE_PT - 2.5, color=canvas.FAINT)  # fmt: skip
    axes.fill_between(curve.layers, curve.low, curve.high, color=color, alpha=0.2, linewidth=0)
    axes.plot(curve.layers, curve.mean, color=color, linestyle=style, linewidth=width, marker="o",
              markersize=3.5, label=curve.label)  # fmt: skip
    axes.set_xticks(curve.layers[:: max(1, len(curve.layers) // 8)])
