"""What a fixed penalty does to the published score, to the corrected one, and to the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from bids_brainalign.reports.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS = 4
TICKS = (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
COLUMNS = ("PCC across channels", "pattern r", "non-zero weights per channel")
_PENS = (
    (canvas.TRAINED, "o"),
    (canvas.CAUSAL, "s"),
    (canvas.FOUND, "^"),
    (canvas.BASELINE, "v"),
    (canvas.INK, "D"),
)


def penalty_curves(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw a row per embedding, a line per share of the L1 penalty.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Embedding → ``alpha, l1_ratio, pcc, pcc_train_mean, pattern_r, non_zero``; where the
        scores across channels are missing their panel stays empty.
    """
    shown = dict(list(tables.items())[:MOST_ROWS])
    figure = canvas.paper(9.6, 0.75 + 1.95 * len(shown))
    grid = figure.subplots(len(shown), len(COLUMNS), squeeze=False, sharex=True)
    for number, (name, table) in enumerate(shown.items()):
        last = number == len(shown) - 1
        for axes, title in zip(grid[number], COLUMNS, strict=True):
            canvas.tidy(axes, title=title if number == 0 else "",
                        xlabel="penalty α, from strong to weak" if last else "")  # fmt: skip
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(FixedLocator(TICKS))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.xaxis.set_minor_locator(NullLocator())
        grid[number, 0].set_ylabel(name, fontsize=canvas.SIZE_PT, color=canvas.INK)
        _row(list(grid[number]), table)
    grid[0, 0].invert_xaxis()  # shared
    handles, labels = grid[0, 0].get_legend_handles_labels()
    if not handles:
        handles, labels = grid[0, 1].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=4, frameon=False,
        fontsize=canvas.SIZE_PT - 0.5,
    )  # fmt: skip
    return figure


def _row(panels: list[Axes], table: pd.DataFrame) -> None:
    across, corrected, weights = panels
    ratios = sorted(set(table["l1_ratio"]))
    for ratio, (colour, marker) in zip(ratios, _PENS, strict=False):
        rows = table[table["l1_ratio"] == ratio].sort_values("alpha")
        label = f"L1 share {ratio:g}"
        curves = [(corrected, "pattern_r"), (weights, "non_zero")]
        if rows["pcc"].notna().any():
            curves.append((across, "pcc"))
        for axes, column in curves:
            axes.plot(rows["alpha"], rows[column], label=label, color=colour, marker=marker,
                      markersize=3, linewidth=1.5)  # fmt: skip
    twin = table.drop_duplicates("alpha").sort_values("alpha")
    if twin["pcc_train_mean"].notna().any():
        across.plot(
            twin["alpha"], twin["pcc_train_mean"], color=canvas.UNTRAINED, linewidth=7, alpha=0.45,
            label="mean over training words", zorder=1, solid_capstyle="round",
        )  # fmt: skip
        low = float(np.nanmin(table[["pcc", "pcc_train_mean"]].to_numpy(dtype=float)))
        across.set_ylim(min(0.0, low), 1.02)
    corrected.axhline(0, color=canvas.FAINT, linewidth=0.8)
    low, high = corrected.get_ylim()  # rounding errors alone must not fill the panel
    corrected.set_ylim(min(low, -0.05), max(high, 0.05))
    weights.set_ylim(0, max(1.0, weights.get_ylim()[1]))  # counts: a change of 1 % must look small
