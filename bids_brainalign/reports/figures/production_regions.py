"""Score of every region against how many channels it has."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bids_brainalign.reports.figures import canvas

MOST_PANELS = 6
MOST_NAMED = 14


def score_by_channels(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw a panel per embedding, a point per region.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Embedding → ``region, n_channels, pattern_r``.
    """
    shown = dict(list(tables.items())[:MOST_PANELS])
    rows, columns = canvas.panel_grid(len(shown))
    figure = canvas.paper(0.8 + 3.0 * columns, 0.4 + 2.5 * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    for number, (axes, (name, table)) in enumerate(zip(panels, shown.items(), strict=False)):
        canvas.tidy(axes, title=name, xlabel="channels of the region")
        axes.axhline(0, color=canvas.FAINT, linewidth=0.8)
        axes.scatter(table["n_channels"], table["pattern_r"], s=22, color=canvas.TRAINED,
                     linewidth=0)  # fmt: skip
        named = table.sort_values("n_channels") if len(table) <= MOST_NAMED else table[:0]
        for place, row in enumerate(named.to_dict("records")):
            axes.annotate(
                str(row["region"]), (row["n_channels"], row["pattern_r"]),
                xytext=(0, 5) if place % 2 else (0, -5), textcoords="offset points", ha="center",
                va="bottom" if place % 2 else "top", fontsize=canvas.SIZE_PT - 2,
                color=canvas.INK,
            )  # fmt: skip
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.margins(x=0.18, y=0.15)
        if number % columns == 0:
            axes.set_ylabel("pattern r", fontsize=canvas.SIZE_PT, color=canvas.INK)
    low, high = panels[0].get_ylim()
    panels[0].set_ylim(min(low, -0.05), max(high, 0.05))
    return figure
