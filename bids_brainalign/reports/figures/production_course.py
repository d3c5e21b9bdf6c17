"""Time course of rebuilt responses: layers by time with their peaks, or lines of single layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bids_brainalign.reports.figures import canvas
from bids_brainalign.reports.figures.phoneme_profiles import DIVERGING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ALPHA = 0.05
SMALL = 0.05
"""The scale reaches this far at least: noise alone must not look like much."""
_COLOURS = (canvas.TRAINED, canvas.FOUND, canvas.CAUSAL, canvas.UNTRAINED, canvas.INK)


def layers_by_time(table: pd.DataFrame, peaks: pd.DataFrame | None) -> Figure:
    """Draw pattern r of every layer and bin; outlined where it is significant.

    Parameters
    ----------
    table : DataFrame
        ``layer, time, pattern_r, p_all`` of one embedding, layers as text in order.
    peaks : DataFrame or None
        ``layer, peak, ci_low, ci_high``.
    """
    layers, times = list(dict.fromkeys(table["layer"])), np.unique(table["time"])
    wide = {
        name: table.pivot_table(index="layer", columns="time", values=name, dropna=False)
        .reindex(index=layers, columns=times).to_numpy(dtype=float)
        for name in ("pattern_r", "p_all")
    }  # fmt: skip
    figure = canvas.paper(8.2, 1.4 + min(0.24 * max(len(layers), 5), 6.0))
    axes = figure.subplots()
    canvas.tidy(axes, xlabel="time after the onset of the word (s)", ylabel="layer")
    axes.grid(visible=False)
    most = max(float(np.nanmax(np.abs(wide["pattern_r"]), initial=0.0)), SMALL)
    norm: Normalize = TwoSlopeNorm(0.0, -most, most)
    half = float(np.median(np.diff(times))) / 2 if len(times) > 1 else 0.5
    edges = (times[0] - half, times[-1] + half, -0.5, len(layers) - 0.5)
    image = axes.imshow(
        wide["pattern_r"], origin="lower", aspect="auto", extent=edges, cmap=DIVERGING, norm=norm,
        interpolation="nearest",
    )  # fmt: skip
    for row, column in np.argwhere(wide["p_all"] <= ALPHA):
        corner = (times[column] - half, row - 0.5)
        outline = Rectangle(corner, 2 * half, 1, fill=False, edgecolor=canvas.INK, linewidth=0.9)
        axes.add_patch(outline)
    if peaks is not None:
        _peaks(axes, peaks, layers)
    axes.axvline(0, color=canvas.INK, linewidth=0.9, linestyle=":")
    step = max(1, len(layers) // 14)
    axes.set_yticks(range(0, len(layers), step), layers[::step])
    axes.set_xlim(edges[0], edges[1])
    bar = figure.colorbar(image, ax=axes, shrink=0.9, pad=0.02)
    bar.set_label("pattern r", fontsize=canvas.SIZE_PT, color=canvas.INK)
    bar.ax.tick_params(labelsize=canvas.SIZE_PT - 1, colors=canvas.FAINT, labelcolor=canvas.INK)
    bar.outline.set_visible(False)
    return figure


def _peaks(axes: Axes, peaks: pd.DataFrame, layers: list[str]) -> None:
    rows = peaks[peaks["layer"].isin(layers)]
    at = np.array([layers.index(name) for name in rows["layer"]], dtype=float)
    low, high, best = (rows[name].to_numpy(dtype=float) for name in ("ci_low", "ci_high", "peak"))
    axes.hlines(at, low, high, color=canvas.INK, linewidth=1.3)
    axes.scatter(best, at, s=22, color="white", edgecolor=canvas.INK, linewidth=1.0, zorder=3)


def course_lines(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw pattern r over time, a line per embedding and layer; dots where it is significant.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        What the legend says → ``time, pattern_r, p``.
    """
    figure = canvas.paper(7.2, 3.0)
    axes = figure.subplots()
    canvas.tidy(axes, xlabel="time after the onset of the word (s)", ylabel="pattern r")
    axes.axhline(0, color=canvas.FAINT, linewidth=0.8)
    axes.axvline(0, color=canvas.INK, linewidth=0.9, linestyle=":")
    for number, (name, table) in enumerate(tables.items()):
        rows, colour = table.sort_values("time"), _COLOURS[number % len(_COLOURS)]
        style = "-" if number < len(_COLOURS) else "--"
        axes.plot(rows["time"], rows["pattern_r"], style, color=colour, linewidth=1.6, label=name)
        found = rows[rows["p"] <= ALPHA]
        axes.scatter(found["time"], found["pattern_r"], s=20, color=colour, zorder=3)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -2 * SMALL), max(high, 2 * SMALL))
    axes.legend(frameon=False, fontsize=canvas.SIZE_PT - 1)
    return figure
