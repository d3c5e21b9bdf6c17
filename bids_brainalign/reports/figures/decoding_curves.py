"""Identification of held-out speech over the layers whose embedding was decoded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from bids_brainalign.reports.figures import canvas


@dataclass(frozen=True)
class DecodingPanel:
    """One score over layers."""

    title: str
    chance: float
    layers: NDArray[np.int64]
    trained: NDArray[np.float64]
    """(n_layers,)."""
    untrained: NDArray[np.float64] | None
    lowlevel: float
    """NaN where there is none."""
    band: NDArray[np.float64] | None
    """(n_layers,) 95th percentile of each layer's null."""
    band_max: float
    """95th percentile of the maximum over layers of the null."""
    points: tuple[tuple[str, float], ...]
    """Further decoders of the chosen layer: name and score."""


def decoding_curves(panels: list[DecodingPanel]) -> Figure:
    """Draw one panel per score.

    Parameters
    ----------
    panels : list of DecodingPanel

    Returns
    -------
    Figure
        Solid: trained; dashed: untrained twin; dotted: low-level features; grey: chance to the
        95th percentile of the null; thin line: that of the maximum over layers.
    """
    figure = canvas.paper(3.3 * len(panels) + 0.4, 3.1)
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, panel in zip(grid, panels, strict=True):
        canvas.tidy(axes, title=panel.title, xlabel="layer (0 = input of the first block)")
        axes.axhline(panel.chance, color=canvas.FAINT, linewidth=0.8)
        if panel.band is not None:
            axes.fill_between(
                panel.layers, panel.chance, panel.band, color=canvas.FAINT, alpha=0.25,
                linewidth=0, label="null, to its 95th percentile",
            )  # fmt: skip
        if np.isfinite(panel.band_max):
            axes.axhline(
                panel.band_max, color=canvas.FAINT, linewidth=0.9, linestyle="-.",
                label="95th percentile, best layer",
            )  # fmt: skip
        if np.isfinite(panel.lowlevel):
            axes.axhline(
                panel.lowlevel, color=canvas.BASELINE, linewidth=1.6, linestyle=":",
                label="low-level features",
            )  # fmt: skip
        if panel.untrained is not None:
            axes.plot(
                panel.layers, panel.untrained, "--o", color=canvas.UNTRAINED, linewidth=1.6,
                markersize=3.2, label="untrained twin",
            )  # fmt: skip
        axes.plot(
            panel.layers, panel.trained, "-o", color=canvas.TRAINED, linewidth=2.2,
            markersize=4.5, label="trained model",
        )  # fmt: skip
        for name, value in panel.points:
            axes.axhline(
                value, color=canvas.FOUND, linewidth=1.2, linestyle=(0, (6, 3)), label=name
            )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(
        handles[::-1], labels[::-1], loc="outside lower center", ncols=3, frameon=False,
        fontsize=canvas.SIZE_PT - 0.5,
    )  # fmt: skip
    return figure
