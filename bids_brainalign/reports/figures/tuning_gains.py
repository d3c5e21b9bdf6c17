"""What tuning changed, and how its epoch was chosen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bids_brainalign.reports.figures import canvas

MOST_ROWS = 30
"""More can't be told apart: those with the largest differences from the original are kept."""
COLOURS = (canvas.TRAINED, canvas.BASELINE, canvas.FOUND)


def tuning_gains(table: pd.DataFrame, labels: Sequence[str]) -> Figure:
    """Draw Δr against every reference, one row per target with its intervals.

    Parameters
    ----------
    table : DataFrame
        ``tuning.tsv``.
    labels : sequence of str
        What to call each reference, in the order in which they come.
    """
    references = list(dict.fromkeys(table["reference"]))
    first = table[table["reference"] == references[0]]
    if len(first) > MOST_ROWS:
        largest = first["delta_r"].abs().sort_values(ascending=False).index[:MOST_ROWS]
        first = first.loc[sorted(largest)]
    order = [str(name) for name in first["target"]]
    figure = canvas.paper(6.2, max(0.2 * len(order) + 1.1, 2.2))
    axes = figure.subplots()
    canvas.tidy(axes, title="", xlabel="Δr on the test stories (tuned − reference)")
    axes.axvline(0, color=canvas.INK, linewidth=0.8)
    places = -np.arange(len(order), dtype=float)
    for index, (reference, label) in enumerate(zip(references, labels, strict=True)):
        rows = table[table["reference"] == reference].set_index("target").reindex(order)
        at = places - 0.22 * (index - (len(references) - 1) / 2)
        colour = COLOURS[index % len(COLOURS)]
        low, high = rows["ci_low"].to_numpy(float), rows["ci_high"].to_numpy(float)
        axes.hlines(at, low, high, color=colour, linewidth=1.2, alpha=0.6)
        axes.scatter(rows["delta_r"], at, s=14, color=colour, zorder=3, label=label)
    axes.set_yticks(places, order)
    axes.legend(frameon=False, fontsize=canvas.SIZE_PT - 1, loc="best")
    return figure


def epoch_scores(curves: dict[str, NDArray[np.float64]], chosen: dict[str, int]) -> Figure:
    """Draw the validation score over epochs, and the epoch that was taken.

    Parameters
    ----------
    curves : dict of str to ndarray of shape (n_epochs + 1,)
        By what was trained; epoch 0 is the original.
    chosen : dict of str to int
    """
    figure = canvas.paper(5.2, 2.6)
    axes = figure.subplots()
    canvas.tidy(axes, title="", xlabel="epoch (0: original)", ylabel="r on validation stories")
    for colour, (name, values) in zip(COLOURS, curves.items(), strict=False):
        axes.plot(np.arange(len(values)), values, color=colour, linewidth=1.6, label=name)
        axes.scatter([chosen[name]], [values[chosen[name]]], s=30, color=colour, zorder=3)
    axes.legend(frameon=False, fontsize=canvas.SIZE_PT - 1)
    return figure
