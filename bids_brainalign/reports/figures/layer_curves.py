"""Prediction over the layers of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bids_brainalign.reports.curves import CurvePanel, column_mean
from bids_brainalign.reports.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def layer_curves(panels: list[CurvePanel], *, ylabel: str = "held-out r") -> Figure:
    """Draw mean curves over layers with one light line per target.

    Parameters
    ----------
    panels : list of CurvePanel
        One panel each; all share their axes' limits.
    ylabel : str
        What is drawn.

    Returns
    -------
    Figure
        Solid: trained; dashed: untrained twin; dotted: low-level baseline. Bands are the standard
        error over targets.
    """
    rows, columns = canvas.panel_grid(len(panels))
    figure = canvas.paper(max(3.3 * columns + 0.4, 5.4), 2.7 * rows + 0.45)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw_panel(axes, panel)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for row in grid:
        row[0].set_ylabel(ylabel, fontsize=canvas.SIZE_PT, color=canvas.INK)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles[::-1],
        labels[::-1],
        loc="outside lower center",
        ncols=4,
        frameon=False,
        fontsize=canvas.SIZE_PT - 0.5,
    )
    return figure


def _draw_panel(axes: Axes, panel: CurvePanel) -> None:
    canvas.tidy(axes, title=panel.title, xlabel="layer (0 = input of the first block)")
    axes.tick_params(labelbottom=True)  # the panel below may be empty
    axes.axhline(0, color=canvas.FAINT, linewidth=0.8)
    if len(panel.trained) > 1:
        axes.plot(panel.layers, panel.trained.T, color=canvas.TRAINED, alpha=0.16, linewidth=0.7)
    if panel.lowlevel is not None:
        _flat_line(axes, panel)
    if panel.untrained is not None:
        _mean_line(axes, panel.layers, panel.untrained, color=canvas.UNTRAINED, untrained=True)
    _mean_line(axes, panel.layers, panel.trained, color=canvas.TRAINED, untrained=False)
    step = max(1, len(panel.layers) // 8)
    axes.set_xticks(panel.layers[::step])


def _mean_line(
    axes: Axes,
    layers: NDArray[np.int64],
    values: NDArray[np.float64],
    *,
    color: str,
    untrained: bool,
) -> None:
    mean, sem = column_mean(values)
    axes.fill_between(layers, mean - sem, mean + sem, color=color, alpha=0.22, linewidth=0)
    axes.plot(
        layers,
        mean,
        color=color,
        linewidth=1.6 if untrained else 2.2,
        linestyle="--" if untrained else "-",
        marker="o",
        markersize=3.2 if untrained else 4.5,
        label="untrained twin" if untrained else "trained model",
    )


def _flat_line(axes: Axes, panel: CurvePanel) -> None:
    mean, _ = column_mean(np.asarray(panel.lowlevel)[:, None])
    if np.isfinite(mean[0]):
        axes.axhline(
            mean[0],
            color=canvas.BASELINE,
            linewidth=1.6,
            linestyle=":",
            label="low-level baseline",
        )
