"""Probes over the layers of models, changes by tuning, and likeness of layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bids_brainalign.reports.figures import canvas

Array64 = NDArray[np.float64]
COLOURS = (canvas.TRAINED, canvas.FOUND, canvas.CAUSAL, canvas.UNTRAINED, canvas.BASELINE)
"""Of models, in their order; a further one begins again."""


@dataclass(frozen=True)
class Curve:
    """A value with its interval over layers."""

    label: str
    layers: Array64
    value: Array64
    low: Array64
    high: Array64
    chance: Array64 | None = None
    dashed: bool = False
    """Of an untrained twin: in the colour of the curve before it."""


def value_curves(panels: Sequence[tuple[str, str, Sequence[Curve]]]) -> Figure:
    """Draw a panel per probe with a curve per model.

    Parameters
    ----------
    panels : sequence of (title, ylabel, curves)

    Returns
    -------
    Figure
        Bands: intervals; dashed: untrained twins; dotted: chance.
    """
    rows, columns = canvas.panel_grid(len(panels))
    figure = canvas.paper(max(3.3 * columns + 0.4, 5.4), 2.6 * rows + 0.5)
    grid = figure.subplots(rows, columns, squeeze=False)
    seen: dict[str, Artist] = {}
    for axes, (title, ylabel, curves) in zip(grid.flat, panels, strict=False):
        canvas.tidy(
            axes, title=title, xlabel="layer (0 = input of the first block)", ylabel=ylabel
        )
        axes.axhline(0, color=canvas.FAINT, linewidth=0.8)
        number = -1
        for curve in curves:
            number += not curve.dashed
            colour = COLOURS[max(number, 0) % len(COLOURS)]
            style = "--" if curve.dashed else "-"
            axes.fill_between(
                curve.layers, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0
            )
            (line,) = axes.plot(
                curve.layers, curve.value, style, color=colour, marker="o", markersize=3.5,
                linewidth=1.4 if curve.dashed else 2.0, label=curve.label,
            )  # fmt: skip
            seen.setdefault(curve.label, line)
            if curve.chance is not None and not curve.dashed:
                (dots,) = axes.plot(
                    curve.layers, curve.chance, ":", color=canvas.BASELINE, linewidth=1.4
                )
                seen.setdefault("chance", dots)
        if curves:
            layers = max((c.layers for c in curves), key=len)
            axes.set_xticks(layers[:: max(1, len(layers) // 8)])
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    names = [*(n for n in seen if n != "chance"), *(n for n in seen if n == "chance")]
    figure.legend(
        [seen[n] for n in names], names, loc="outside lower center", ncols=4, frameon=False,
        fontsize=canvas.SIZE_PT - 0.5,
    )  # fmt: skip
    return figure


def layer_matrices(
    panels: Sequence[tuple[str, str, Array64]], *, label: str = "debiased CKA"
) -> Figure:
    """Draw the likeness of all layers of two models, a panel per pair.

    Parameters
    ----------
    panels : sequence of (row model, column model, ndarray of shape (n_layers, n_other_layers))
    label : str
        What is drawn.
    """
    rows, columns = canvas.panel_grid(len(panels))
    figure = canvas.paper(max(2.9 * columns + 0.9, 4.2), 2.7 * rows + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False)
    norm = Normalize(0, 1)
    for axes, (first, second, values) in zip(grid.flat, panels, strict=False):
        canvas.tidy(axes, xlabel=f"layer of {second}", ylabel=f"layer of {first}")
        axes.grid(visible=False)
        axes.imshow(values, cmap=canvas.SEQUENTIAL, norm=norm, origin="lower", aspect="auto")
        for ticks, n in ((axes.set_xticks, values.shape[1]), (axes.set_yticks, values.shape[0])):
            ticks(range(0, n, max(1, n // 7)))
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    used = list(grid.flat[: len(panels)])
    canvas.colour_bar(figure, used, norm=norm, label=label, whole=False)
    return figure
