"""Prediction over lags: curves of the chosen layer, and a map of layers by lags."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from bids_brainalign.reports.curves import column_mean
from bids_brainalign.reports.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MS = 1000


def lag_curves(tables: dict[str, pd.DataFrame], found: list[str]) -> Figure:
    """Draw r over lags: a light line per target, and the means.

    Parameters
    ----------
    tables : dict
        Label (this model, low-level baseline) → rows of one layer, with ``target, lag_s, r``; the
        first is drawn target by target.
    found : list of str
        Targets whose peak is significant; all are drawn, means are over these where there are any.

    Returns
    -------
    Figure
    """
    figure = canvas.paper(5.8, 3.0)
    axes = figure.subplots()
    canvas.tidy(axes, xlabel="lag (ms); response after the sound: positive", ylabel="held-out r")
    axes.axhline(0, color=canvas.FAINT, linewidth=0.8)
    axes.axvline(0, color=canvas.FAINT, linewidth=0.8)
    pens = ((canvas.TRAINED, "-", 2.2), (canvas.BASELINE, ":", 1.6))
    for number, (label, rows) in enumerate(tables.items()):
        wide = rows.pivot_table(index="target", columns="lag_s", values="r", sort=True)
        lags = MS * wide.columns.to_numpy(dtype=float)
        color, style, width = pens[min(number, 1)]
        if number == 0:
            axes.plot(lags, wide.to_numpy(dtype=float).T, color=color, alpha=0.16, linewidth=0.7)
        shown = wide.loc[wide.index.isin(found)] if found else wide
        mean, sem = column_mean(shown.to_numpy(dtype=float))
        axes.fill_between(lags, mean - sem, mean + sem, color=color, alpha=0.22, linewidth=0)
        axes.plot(lags, mean, color=color, linestyle=style, linewidth=width, label=label)
    figure.legend(
        loc="outside lower center", ncols=3, frameon=False, fontsize=canvas.SIZE_PT - 0.5
    )
    return figure


def layer_by_lag(rows: pd.DataFrame, *, selected: list[str]) -> Figure:
    """Draw mean r over targets for every layer and lag; dots mark the peak of each layer.

    Parameters
    ----------
    rows : DataFrame
        Rows of integer layers, with ``target, layer, lag_s, r``.
    selected : list of str
        Targets to average; all if empty.
    """
    if selected:
        rows = rows[rows["target"].isin(selected)]
    wide = rows.assign(layer=rows["layer"].astype(int)).pivot_table(
        index="layer", columns="lag_s", values="r", aggfunc="mean", sort=True
    )
    values, lags = wide.to_numpy(dtype=float), MS * wide.columns.to_numpy(dtype=float)
    figure = canvas.paper(5.8, 1.2 + 0.2 * min(max(len(wide), 5), 24))
    axes: Axes = figure.subplots()
    canvas.tidy(axes, xlabel="lag (ms)", ylabel="layer")
    axes.grid(visible=False)
    step = lags[1] - lags[0] if len(lags) > 1 else 1.0
    layers = wide.index.to_numpy(dtype=float)
    norm = Normalize(float(np.nanmin(values)), float(np.nanmax(values)))
    axes.imshow(
        values,
        aspect="auto",
        origin="lower",
        cmap=canvas.SEQUENTIAL,
        norm=norm,
        extent=(lags[0] - step / 2, lags[-1] + step / 2, layers[0] - 0.5, layers[-1] + 0.5),
    )
    known = np.isfinite(values).any(axis=1)
    best = np.nan_to_num(values, nan=-2.0).argmax(axis=1)
    axes.plot(lags[best[known]], layers[known], "o", color="white", markersize=3.5)
    axes.axvline(0, color="white", linewidth=0.8)
    axes.set_yticks(layers[:: max(1, len(layers) // 8)])
    canvas.colour_bar(figure, [axes], norm=norm, label="held-out r", whole=False)
    return figure
