"""Networks against ridge, and what their attention and occlusion look like."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bids_brainalign.reports.figures import canvas

MOST_TARGETS = 40
"""More can't be told apart in one column: those with the largest differences are kept."""
COLOURS = {"attention": canvas.TRAINED, "occlusion": canvas.FOUND, "ridge": canvas.BASELINE}


def encoder_differences(table: pd.DataFrame, *, mean_name: str) -> Figure:
    """Draw Δr of every encoder over ridge, one dot per electrode with its interval.

    Parameters
    ----------
    table : DataFrame
        Rows of ``encoders.tsv`` whose reference is ridge.
    mean_name : str
        The target that stands for the mean over electrodes; drawn on top.
    """
    encoders = list(table["encoder"].unique())
    first = table[(table["encoder"] == encoders[0]) & (table["target"] != mean_name)]
    first = first.reindex(first["delta_r"].abs().sort_values(ascending=False).index)
    names = list(first["target"][:MOST_TARGETS])
    order = [mean_name, *[n for n in first["target"] if n in names]]
    height = 0.16 * len(order) + 1.1
    figure = canvas.paper(max(2.1 * len(encoders) + 1.4, 4.6), max(height, 2.4))
    grid = figure.subplots(1, len(encoders), sharex=True, sharey=True, squeeze=False)
    places = -np.arange(len(order))
    for axes, encoder in zip(grid.flat, encoders, strict=True):
        canvas.tidy(axes, title=encoder, xlabel="Δr (network − ridge)")
        axes.axvline(0, color=canvas.INK, linewidth=0.8)
        rows = table[table["encoder"] == encoder].set_index("target").reindex(order)
        value = rows["delta_r"].to_numpy(float)
        low, high = rows["ci95_low"].to_numpy(float), rows["ci95_high"].to_numpy(float)
        colours = [canvas.INK, *[canvas.TRAINED] * (len(order) - 1)]
        axes.hlines(places, low, high, color=colours, linewidth=1.2, alpha=0.6)
        axes.scatter(value, places, s=14, color=colours, zorder=3)
        axes.set_yticks(places, order)
    return figure


def lag_profiles(profiles: pd.DataFrame, lags: pd.DataFrame, *, title: str) -> Figure:
    """Draw attention and occlusion over lags: their means over electrodes, and each electrode.

    Parameters
    ----------
    profiles : DataFrame
        ``attention.tsv``.
    lags : DataFrame
        ``peaks.tsv``: electrodes with p_occlusion < .05 are drawn, or all if there are none.
    """
    found = set(lags[lags["p_occlusion"] < 0.05]["target"])
    rows = profiles[profiles["target"].isin(found)] if found else profiles
    figure = canvas.paper(8.6, 2.7)
    left, right = figure.subplots(1, 2)
    what = f"{len(found)} electrodes with p < .05" if found else "all electrodes"
    canvas.tidy(
        left, title=f"{title}: weights over lags", xlabel="lag (s)", ylabel="attention weight"
    )
    mean = rows.groupby("lag_s").mean(numeric_only=True)
    left.plot(mean.index, mean["attention"], color=COLOURS["attention"], lw=1.8, label="trained")
    left.plot(
        mean.index, mean["attention_null"], color=canvas.FAINT, lw=1.2, label="shifted responses"
    )
    left.fill_between(
        mean.index, 0, mean["attention_null_max"], color=canvas.FAINT, alpha=0.2, linewidth=0
    )
    left.legend(frameon=False, fontsize=canvas.SIZE_PT - 1)
    canvas.tidy(right, title=f"occlusion ({what})", xlabel="lag (s)", ylabel="loss of held-out r")
    for _, one in rows.groupby("target"):
        right.plot(one["lag_s"], one["occlusion"], color=COLOURS["occlusion"], alpha=0.2, lw=0.6)
    right.plot(mean.index, mean["occlusion"], color=COLOURS["occlusion"], lw=1.8, label="network")
    right.plot(
        mean.index, mean["ridge_occlusion"], color=COLOURS["ridge"], lw=1.4, ls="--", label="ridge"
    )
    limit = float(mean["occlusion_null_q95"].mean())
    if np.isfinite(limit):
        right.axhline(limit, color=canvas.FAINT, lw=1, label="95 % of null")
    right.legend(frameon=False, fontsize=canvas.SIZE_PT - 1)
    for axes in (left, right):
        axes.axvline(0, color=canvas.INK, linewidth=0.8)
    return figure


def onset_attention(table: pd.DataFrame) -> Figure:
    """Draw attended lag and prediction around onsets, with the band of shifted onsets."""
    signals, kinds = list(table["signal"].unique()), list(table["locked_to"].unique())
    figure = canvas.paper(4.3 * len(kinds) + 0.3, 2.2 * len(signals))
    grid = figure.subplots(len(signals), len(kinds), squeeze=False, sharex=True, sharey="row")
    for row, signal in zip(grid, signals, strict=True):
        for axes, kind in zip(row, kinds, strict=True):
            part = table[(table["signal"] == signal) & (table["locked_to"] == kind)]
            canvas.tidy(axes, title=f"{kind} ({int(part['n'].iloc[0])})", xlabel="s from onset")
            axes.fill_between(
                part["time_s"], part["null_low"], part["null_high"],
                color=canvas.FAINT, alpha=0.3, linewidth=0,
            )  # fmt: skip
            axes.plot(part["time_s"], part["mean"], color=canvas.TRAINED, linewidth=1.6)
            axes.axvline(0, color=canvas.INK, linewidth=0.8)
        row[0].set_ylabel(signal, fontsize=canvas.SIZE_PT - 1, color=canvas.INK)
    return figure
