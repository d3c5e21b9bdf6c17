"""Prediction over the layers in regions of interest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bids_brainalign.reports.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array64 = NDArray[np.float64]


@dataclass(frozen=True)
class RoiPanel:
    """Curves of one region of interest."""

    title: str
    curves: dict[str, Array64]
    """``both``, ``L``, ``R`` (those there are) → (n_layers,) r."""
    lowlevel: float
    """r of the low-level features, of both sides where there are both; NaN if not known."""
    null95: float
    """.95 quantile of the null of the largest r over layers, likewise."""


_PENS = {
    "both": (canvas.INK, "-", 2.0, "both hemispheres"),
    "L": (canvas.TRAINED, "-", 1.4, "left"),
    "R": (canvas.UNTRAINED, "--", 1.4, "right"),
}


def roi_curves(panels: list[RoiPanel], layers: NDArray[np.int64]) -> Figure:
    """Draw a panel per region of interest, a line per hemisphere.

    Parameters
    ----------
    panels : list of RoiPanel
    layers : ndarray of int, shape (n_layers,)

    Returns
    -------
    Figure
        All panels share their axes. Grey: where the largest r over layers lies in 95 % of the
        null draws; dotted: low-level features.
    """
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    figure = canvas.paper(max(2.45 * columns + 0.3, 5.4), 2.1 * rows + 0.5)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw(axes, panel, layers)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for row in grid:
        row[0].set_ylabel("held-out r", fontsize=canvas.SIZE_PT, color=canvas.INK)
    found = dict(
        pair
        for axes in grid.flat
        for pair in zip(*axes.get_legend_handles_labels()[::-1], strict=True)
    )
    figure.legend(
        list(found.values()), list(found), loc="outside lower center", ncols=5, frameon=False,
        fontsize=canvas.SIZE_PT - 0.5,
    )  # fmt: skip
    return figure


def _draw(axes: Axes, panel: RoiPanel, layers: NDArray[np.int64]) -> None:
    canvas.tidy(axes, title=panel.title, xlabel="layer")
    axes.tick_params(labelbottom=True)
    axes.axhline(0, color=canvas.FAINT, linewidth=0.8)
    if np.isfinite(panel.null95):
        axes.axhspan(0, panel.null95, color=canvas.FAINT, alpha=0.18, linewidth=0,
                     label="null, 95 %")  # fmt: skip
    if np.isfinite(panel.lowlevel):
        axes.axhline(panel.lowlevel, color=canvas.BASELINE, linewidth=1.4, linestyle=":",
                     label="low-level")  # fmt: skip
    for side, values in panel.curves.items():
        color, style, width, label = _PENS[side]
        axes.plot(layers, values, color=color, linestyle=style, linewidth=width, marker="o",
                  markersize=1.6 * width, label=label)  # fmt: skip
    axes.set_xticks(layers[:: max(1, len(layers) // 6)])


def region_matrix(names: list[str], r: NDArray[np.float64], layers: NDArray[np.int64]) -> Figure:
    """Draw many regions as rows of a matrix, layers as columns.

    Parameters
    ----------
    names : list of str
        (n_regions,).
    r : ndarray of shape (n_regions, n_layers)
    layers : ndarray of int, shape (n_layers,)

    Returns
    -------
    Figure
        In several columns of at most 60 rows.
    """
    per_column = 60
    columns = -(-len(names) // per_column)
    height = 0.135 * min(len(names), per_column) + 0.7
    figure = canvas.paper(3.3 * columns + 0.8, max(height, 2.2))
    grid = list(figure.subplots(1, columns, squeeze=False).flat)
    finite = r[np.isfinite(r)]
    high = float(finite.max()) if len(finite) else 1.0
    norm = Normalize(min(0.0, float(finite.min()) if len(finite) else 0.0), max(high, 1e-3))
    for k, axes in enumerate(grid):
        rows = slice(k * per_column, (k + 1) * per_column)
        axes.imshow(r[rows], cmap=canvas.SEQUENTIAL, norm=norm, aspect="auto",
                    interpolation="nearest")  # fmt: skip
        axes.set_yticks(range(len(names[rows])), names[rows], fontsize=5.5, color=canvas.INK)
        axes.set_xticks(range(0, len(layers), max(1, len(layers) // 6)))
        axes.set_xticklabels([str(n) for n in layers[:: max(1, len(layers) // 6)]])
        axes.tick_params(colors=canvas.FAINT, labelcolor=canvas.INK, length=2, labelsize=6)
        axes.set_xlabel("layer", fontsize=canvas.SIZE_PT - 1, color=canvas.INK)
    canvas.colour_bar(figure, grid, norm=norm, label="held-out r", whole=False)
    return figure
