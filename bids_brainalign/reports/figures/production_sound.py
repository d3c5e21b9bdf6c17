"""When words were spoken after their cue, and how responses follow the sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bids_brainalign.reports.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MS = 1000
NEAR_S = 0.025
"""Lags up to here on both sides are as good as none."""
MOST_NAMED = 40
"""More channels get no names at their rows."""
MOST_RECORDINGS = 3
WHOLE = {
    "all": ("all channels together", canvas.FOUND),
    "leak": ("sound that leaks into channels", canvas.UNTRAINED),
}
"""Rows that are no channels."""


def latency_histogram(latency_s: NDArray[np.float64]) -> Figure:
    """Draw how long after the cue words were spoken.

    Parameters
    ----------
    latency_s : ndarray of shape (n_words,)
    """
    figure = canvas.paper(6.2, 2.4)
    axes = figure.subplots()
    canvas.tidy(axes, xlabel="from the cue to the word in the sound (s)", ylabel="words")
    axes.hist(latency_s, bins=min(40, max(8, len(latency_s) // 4)), color=canvas.TRAINED,
              edgecolor="white", linewidth=0.6)  # fmt: skip
    axes.axvline(float(np.median(latency_s)), color=canvas.FOUND, linewidth=1.4, label="median")
    if latency_s.min() < 0:
        axes.axvline(0, color=canvas.INK, linewidth=0.8)
    axes.legend(frameon=False, fontsize=canvas.SIZE_PT - 1)
    return figure


def channel_lags(table: pd.DataFrame) -> Figure:
    """Draw the lag of every channel behind the sound, a panel per recording.

    Parameters
    ----------
    table : DataFrame
        ``recording, name, lag, ci_low, ci_high, p``; intervals of single channels may be NaN.
    """
    recordings = list(dict.fromkeys(table["recording"]))[:MOST_RECORDINGS]
    count = int(table.groupby("recording")["name"].size().max())
    height = 1.3 + (0.16 * count if count <= MOST_NAMED else 0.034 * count)
    figure = canvas.paper(3.4 + 2.6 * len(recordings), min(height, 9.0))
    panels = figure.subplots(1, len(recordings), squeeze=False)[0]
    for axes, recording in zip(panels, recordings, strict=True):
        mine = table[table["recording"] == recording]
        rows = mine[~mine["name"].isin(list(WHOLE))]
        canvas.tidy(
            axes, title=str(recording) if len(recordings) > 1 else "",
            xlabel="lag of high gamma behind the sound (ms)",
        )  # fmt: skip
        axes.grid(visible=False, axis="y")
        axes.axvspan(-MS * NEAR_S, MS * NEAR_S, color=canvas.GRID, zorder=0,
                     label="within 25 ms")  # fmt: skip
        places = -np.arange(len(rows), dtype=float)
        reliable = rows["p"].to_numpy(dtype=float) < 0.05
        lag, low, high = (
            MS * rows[name].to_numpy(dtype=float) for name in ("lag", "ci_low", "ci_high")
        )
        for mask, colour, label in (
            (~reliable, canvas.FAINT, "channel that does not follow the sound reliably"),
            (reliable, canvas.TRAINED, "channel that does (p < .05)"),
        ):
            axes.hlines(
                places[mask], low[mask], high[mask], color=colour, linewidth=0.9, alpha=0.6
            )
            axes.scatter(lag[mask], places[mask], s=12, color=colour, linewidth=0, label=label)
        _whole(axes, mine)
        if len(rows) <= MOST_NAMED:
            axes.set_yticks(places, [str(name) for name in rows["name"]])
            axes.tick_params(axis="y", labelsize=canvas.SIZE_PT - 2)
        else:
            axes.set_yticks([])
            axes.set_ylabel(f"{len(rows)} channels", fontsize=canvas.SIZE_PT, color=canvas.INK)
        axes.set_ylim(-len(rows) + 0.2, 0.8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=2, frameon=False,
        fontsize=canvas.SIZE_PT - 0.5,
    )  # fmt: skip
    return figure


def _whole(axes: Axes, table: pd.DataFrame) -> None:
    """Lines of what is over all channels, with their intervals."""
    for name, (label, colour) in WHOLE.items():
        for row in table[table["name"] == name].to_dict("records"):
            lag, low, high = (MS * float(row[key]) for key in ("lag", "ci_low", "ci_high"))
            if np.isfinite(lag):
                axes.axvline(lag, color=colour, linewidth=1.4, label=label)
            if np.isfinite(low) and np.isfinite(high):
                axes.axvspan(low, high, color=colour, alpha=0.15, linewidth=0)
