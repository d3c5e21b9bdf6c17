"""Electrodes in space, or in a row where they have no place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bids_brainalign.reports.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VIEWS = (("l", (1, 2)), ("z", (0, 1)), ("r", (1, 2)))
"""nilearn's glass-brain directions and the coordinates (0 = x …) each shows."""
VIEW_TITLES = {"l": "left", "z": "from above", "r": "right"}


def glass_brain(
    electrodes: pd.DataFrame,
    *,
    value: str,
    label: str,
    marked: pd.Series[bool],
    last_layer: int | None = None,
) -> Figure:
    """Draw electrodes with MNI coordinates in three outlines.

    Parameters
    ----------
    electrodes : DataFrame
        ``x``, ``y``, ``z`` in mm and the column ``value``.
    value : str
        Column that is the colour; electrodes without a value are grey.
    label : str
        What the colour bar says.
    marked : Series of bool
        Electrodes drawn large and outlined.
    last_layer : int, optional
        Values are layers: colours span 0 to this one.

    Returns
    -------
    Figure
        Left, from above, right.
    """
    from nilearn.plotting.glass_brain import plot_brain_schematics

    place = electrodes[["x", "y", "z"]].to_numpy(dtype=float)
    figure = canvas.paper(9.8, 3.2)
    grid = figure.subplots(1, 3, width_ratios=(1.22, 1.0, 1.22))
    norm = _norm(electrodes[value][marked], last_layer)
    for axes, (direction, shown) in zip(grid, VIEWS, strict=True):
        bounds = plot_brain_schematics(axes, direction, alpha=0.7, linewidth=0.8)
        seen = np.isfinite(place).all(axis=1)
        if direction in "lr":
            seen &= place[:, 0] <= 0 if direction == "l" else place[:, 0] >= 0
        across = place[:, shown[0]]
        _dots(axes, across[seen], place[seen, shown[1]], electrodes[value][seen],
              marked=marked[seen], norm=norm)  # fmt: skip
        ends = (bounds[0] - 4, bounds[1] + 4)
        # nilearn draws one outline for both sides; seen from the left, the front is on the left.
        axes.set_xlim(*(ends[::-1] if direction == "l" else ends))
        axes.set_ylim(bounds[2] - 4, bounds[3] + 4)
        axes.set_aspect("equal")
        axes.axis("off")
        axes.set_title(VIEW_TITLES[direction], fontsize=canvas.SIZE_PT, color=canvas.INK)
    canvas.colour_bar(figure, list(grid), norm=norm, label=label, whole=last_layer is not None)
    return figure


def plain_scatter(
    electrodes: pd.DataFrame,
    *,
    value: str,
    label: str,
    marked: pd.Series[bool],
    last_layer: int | None = None,
) -> Figure:
    """Draw electrodes by their two widest coordinates; no claim about anatomy.

    Parameters and colours as in `glass_brain`; coordinates in whatever unit the dataset has.
    """
    place = electrodes[["x", "y", "z"]].to_numpy(dtype=float)
    finite = np.where(np.isfinite(place), place, 0.0)
    first, second = sorted(np.argsort(-np.ptp(finite, axis=0), kind="stable")[:2])
    figure = canvas.paper(6.0, 4.2)
    axes = figure.subplots()
    names = "xyz"
    canvas.tidy(axes, xlabel=f"{names[first]} (dataset's units)",
                ylabel=f"{names[second]} (dataset's units)")  # fmt: skip
    norm = _norm(electrodes[value][marked], last_layer)
    _dots(axes, place[:, first], place[:, second], electrodes[value], marked=marked, norm=norm)
    axes.set_aspect("equal", adjustable="datalim")
    canvas.colour_bar(figure, [axes], norm=norm, label=label, whole=last_layer is not None)
    return figure


def electrode_strip(
    electrodes: pd.DataFrame, *, value: str, label: str, marked: pd.Series
) -> Figure:
    """Draw one bar per electrode, by device; for electrodes without coordinates.

    Parameters as in `glass_brain`, ``name`` and ``device`` instead of coordinates.
    """
    device = electrodes["device"] if "device" in electrodes else pd.Series("", electrodes.index)
    order = device.astype(str).sort_values(kind="stable").index
    rows = electrodes.loc[order]
    figure = canvas.paper(9.8, 2.9)
    axes = figure.subplots()
    canvas.tidy(axes, xlabel="electrode, by device", ylabel=label)
    colours = np.where(marked.loc[order].to_numpy(dtype=bool), canvas.TRAINED, "#c9d1d8")
    axes.bar(np.arange(len(rows)), rows[value].fillna(0.0).to_numpy(dtype=float), color=colours)
    axes.set_xticks(np.arange(len(rows)), [str(name) for name in rows["name"]], rotation=90)
    axes.tick_params(axis="x", labelsize=float(np.clip(420 / max(len(rows), 1), 3, 8)))
    axes.set_xlim(-0.8, len(rows) - 0.2)
    return figure


def _norm(values: pd.Series, last_layer: int | None) -> Normalize:
    if last_layer is not None:
        return Normalize(0, max(last_layer, 1))
    finite = values.to_numpy(dtype=float)
    finite = finite[np.isfinite(finite)]
    if len(finite) == 0:
        return Normalize(0.0, 1.0)
    low, high = min(0.0, float(finite.min())), float(finite.max())
    return Normalize(low, high if high > low else low + 1e-3)


def _dots(
    axes: Axes,
    across: NDArray[np.float64],
    up: NDArray[np.float64],
    values: pd.Series,
    *,
    marked: pd.Series,
    norm: Normalize,
) -> None:
    """Grey small dots for electrodes that aren't marked, coloured ones on top."""
    shown = marked.to_numpy(dtype=bool) & np.isfinite(values.to_numpy(dtype=float))
    axes.scatter(across[~shown], up[~shown], s=14, color="#b4bec7", linewidth=0)
    axes.scatter(across[shown], up[shown], s=46, c=values.to_numpy(dtype=float)[shown], norm=norm,
                 cmap=canvas.SEQUENTIAL, edgecolor=canvas.INK, linewidth=0.6)  # fmt: skip
