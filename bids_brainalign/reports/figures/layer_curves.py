"""Prediction over the layers of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bids_brainalign.reports.curves import CurvePanel, column_mean
from bids_brainalign.reports.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class _Pen:
    """How one kind of curve is drawn."""

    label: str
    color: str
    style: str
    width: float


TRAINED = _Pen("trained model", canvas.TRAINED, "-", 2.2)
UNTRAINED = _Pen("untrained twin", canvas.UNTRAINED, "--", 1.6)
CAUSAL = _Pen("trained model, past only", canvas.CAUSAL, "-.", 1.6)


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
        Solid: trained; dash-dotted: trained, having heard the past only; dashed: untrained twin;
        dotted: low-level baseline. Bands are the standard
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
        _mean_line(axes, panel.layers, panel.untrained, UNTRAINED)
    if panel.causal is not None:
        _mean_line(axes, panel.layers, panel.causal, CAUSAL)
    _mean_line(axes, panel.layers, panel.trained, TRAINED)
    step = max(1, len(panel.layers) // 8)
    axes.set_xticks(panel.layers[::step])


def _mean_line(
    axes: Axes, layers: NDArray[np.int64], values: NDArray[np.float64], pen: _Pen
) -> None:
    mean, sem = column_mean(values)
    axes.fill_between(layers, mean - sem, mean + sem, color=pen.color, alpha=0.22, linewidth=0)
    axes.plot(
        layers,
        mean,
        color=pen.color,
        linewidth=pen.width,
        linestyle=pen.style,
        marker="o",
        markersize=2 * pen.width,
        label=pen.label,
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
