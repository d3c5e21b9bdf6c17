"""Share of words per bin of R² across channels: the model, and the mean over training words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bids_brainalign.reports.figures import canvas

MOST_PANELS = 6


def share_of_words(tables: Mapping[str, pd.DataFrame], labels: list[str]) -> Figure:
    """Draw bars of the model with the outline of its twin.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Title of the panel → ``value, train_mean``, one row per bin.
    labels : list of str
        Of the bins.
    """
    shown = dict(list(tables.items())[:MOST_PANELS])
    rows, columns = canvas.panel_grid(len(shown))
    figure = canvas.paper(0.8 + 2.9 * columns, 0.7 + 2.1 * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    for number, (axes, (title, table)) in enumerate(zip(panels, shown.items(), strict=False)):
        canvas.tidy(axes, title=title, xlabel="R² across channels")
        axes.grid(visible=False, axis="x")
        places = np.arange(len(labels))
        axes.bar(
            places, table["value"], width=0.92, color=canvas.TRAINED, alpha=0.75, label="embedding"
        )
        axes.stairs(
            table["train_mean"].to_numpy(dtype=float), np.arange(len(labels) + 1) - 0.5,
            color=canvas.UNTRAINED, linewidth=1.8, label="mean over training words",
        )  # fmt: skip
        step = 2 if len(labels) > 6 else 1
        axes.set_xticks(places[::step], labels[::step])
        axes.tick_params(axis="x", labelsize=canvas.SIZE_PT - 2)
        if number % columns == 0:
            axes.set_ylabel("share of words", fontsize=canvas.SIZE_PT, color=canvas.INK)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=2, frameon=False,
        fontsize=canvas.SIZE_PT - 0.5,
    )  # fmt: skip
    return figure
