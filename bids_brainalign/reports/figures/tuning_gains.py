"""What tuning changed, and how its epoch was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from bids_brainalign.reports.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS = 30
"""More can't be told apart: those with the largest differences from the original are kept."""
SMALL_GAIN = 0.01
"""Axes reach this far on both sides at least."""
_NAMED = {"tuned": canvas.TRAINED, "original": canvas.INK, "permuted": canvas.BASELINE}
_OTHERS = (canvas.FOUND, canvas.UNTRAINED, canvas.CAUSAL)


def colours_of(names: Sequence[str]) -> dict[str, str]:
    """Give every training its colour, the same in all figures of a page."""
    others = [name for name in names if name not in _NAMED]
    spare = [str(c) for c in _OTHERS]
    for place in np.linspace(0.1, 0.85, max(0, len(others) - len(spare))):
        red, green, blue, _ = colormaps[canvas.SEQUENTIAL](place)
        spare.append(f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}")
    return _NAMED | dict(zip(others, spare, strict=False))


def tuning_gains(table: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """Draw Δr against every reference, one row per target with its intervals.

    Parameters
    ----------
    table : DataFrame
        ``tuning.tsv``.
    labels : mapping of str to str
        Short name of each reference.
    """
    references = list(dict.fromkeys(table["reference"]))
    colours = colours_of([labels[name] for name in references])
    first = table[table["reference"] == references[0]]
    if len(first) > MOST_ROWS:
        largest = first["delta_r"].abs().sort_values(ascending=False).index[:MOST_ROWS]
        first = first.loc[sorted(largest)]
    order = [str(name) for name in first["target"]]
    height = max(0.2, 0.075 * len(references)) * len(order) + 1.1
    figure = canvas.paper(6.6, max(height, 2.2))
    axes = figure.subplots()
    canvas.tidy(axes, title="", xlabel="Δr on the test stories (tuned − reference)")
    axes.axvline(0, color=canvas.INK, linewidth=0.8)
    places = -np.arange(len(order), dtype=float)
    step = min(0.22, 0.8 / len(references))
    for index, reference in enumerate(references):
        rows = table[table["reference"] == reference].set_index("target").reindex(order)
        at = places - step * (index - (len(references) - 1) / 2)
        colour = colours[labels[reference]]
        low, high = rows["ci_low"].to_numpy(float), rows["ci_high"].to_numpy(float)
        axes.hlines(at, low, high, color=colour, linewidth=1.2, alpha=0.6)
        axes.scatter(
            rows["delta_r"], at, s=14, color=colour, zorder=3, label=f"− {labels[reference]}"
        )
    axes.set_yticks(places, order)
    low, high = axes.get_xlim()  # rounding errors alone must not fill the figure
    axes.set_xlim(min(low, -SMALL_GAIN), max(high, SMALL_GAIN))
    _legend(axes, len(references))
    return figure


def epoch_scores(curves: Mapping[str, NDArray[np.float64]], chosen: Mapping[str, int]) -> Figure:
    """Draw the validation score over epochs, and the epoch that was taken.

    Parameters
    ----------
    curves : mapping of str to ndarray of shape (n_epochs + 1,)
        By what was trained; epoch 0 is the original.
    chosen : mapping of str to int
    """
    figure, axes = _panel("epoch (0: original)", "r on validation stories")
    colours = colours_of(list(curves))
    for name, values in curves.items():
        axes.plot(np.arange(len(values)), values, color=colours[name], linewidth=1.6, label=name)
        axes.scatter([chosen[name]], [values[chosen[name]]], s=30, color=colours[name], zorder=3)
    _legend(axes, len(curves))
    return figure


def layers_beside(curves: Mapping[str, pd.Series], ylabel: str = "r on test stories") -> Figure:
    """Draw scores over the layers, a line per training.

    Parameters
    ----------
    curves : mapping of str to Series
        Score by layer number.
    ylabel : str
    """
    figure, axes = _panel("layer", ylabel)
    colours = colours_of(list(curves))
    for name, values in curves.items():
        axes.plot(
            values.index, values, color=colours[name], linewidth=1.6, marker="o", markersize=3,
            linestyle="-" if name == "tuned" or "=" in name else "--", label=name,
        )  # fmt: skip
    _legend(axes, len(curves))
    return figure


def gradients_beside(norms: Mapping[str, pd.Series]) -> Figure:
    """Draw the norm of the gradient of every layer, a line per training.

    Parameters
    ----------
    norms : mapping of str to Series
        By layer as text; ``head`` is the readout.
    """
    figure, axes = _panel("layer (0: front end)", "norm of the gradient")
    colours = colours_of(list(norms))
    for name, values in norms.items():
        shown = values[(values.index != "head") & (values > 0)]
        axes.plot(
            shown.index.astype(int), shown, color=colours[name], linewidth=1.6, marker="o",
            markersize=3, label=name,
        )  # fmt: skip
    axes.set_yscale("log")
    _legend(axes, len(norms))
    return figure


def _panel(xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    figure = canvas.paper(6.2, 2.8)
    axes = figure.subplots()
    canvas.tidy(axes, title="", xlabel=xlabel, ylabel=ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure, axes


def _legend(axes: Axes, count: int) -> None:
    """Beside the lines where there are many."""
    if count > 3:
        axes.legend(
            frameon=False, fontsize=canvas.SIZE_PT - 1, loc="center left", bbox_to_anchor=(1, 0.5)
        )
    else:
        axes.legend(frameon=False, fontsize=canvas.SIZE_PT - 1, loc="best")
