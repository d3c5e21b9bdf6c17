"""The response around onsets: whether stimulus and recording are on one clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bids_brainalign.outputs.reading import PHONES
from bids_brainalign.reports.curves import column_mean
from bids_brainalign.reports.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW_TARGETS = 4
"""Up to this many targets each keep their own colour and their own band."""
CLASS_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000",
                 "#8a97a3")  # fmt: skip
"""Okabe and Ito's colours, told apart without colour vision; more classes stay in the table."""
COLOURS = (canvas.INK, canvas.TRAINED, canvas.UNTRAINED, canvas.FAINT)


def onset_response(locked: pd.DataFrame) -> Figure:
    """Draw the mean response around each kind of onset.

    Parameters
    ----------
    locked : DataFrame
        ``locked_to``, ``time_s`` (s), ``target``, ``mean``, ``sem`` (in standard deviations of
        the run), ``n``.

    Returns
    -------
    Figure
        One panel per kind of onset. With few targets: one line each, band = standard error over
        onsets. With many: light lines, their mean, band = standard error over targets.
    """
    every = list(locked["locked_to"].dropna().unique())
    phones = [kind for kind in every if str(kind).endswith(PHONES)]
    kinds = [kind for kind in every if kind not in phones]
    n_panels = max(len(kinds) + bool(phones), 1)
    n_rows, n_columns = canvas.panel_grid(n_panels)
    figure = canvas.paper(4.9 * n_columns + 0.2, 2.9 * n_rows)
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    for axes, kind in zip(grid.flat, kinds, strict=False):
        rows = locked[locked["locked_to"] == kind]
        count = pd.to_numeric(rows["n"], errors="coerce").max()
        onsets = f" ({int(count)} onsets)" if np.isfinite(count) else ""
        canvas.tidy(axes, title=f"{kind}{onsets}", xlabel=f"time from {kind} (s)")
        axes.axvline(0, color=canvas.INK, linewidth=1)
        axes.axhline(0, color=canvas.FAINT, linewidth=0.8)
        _draw(axes, rows)
    if phones:
        _draw_phones(grid.flat[len(kinds)], locked, phones)
    for axes in list(grid.flat)[n_panels:]:
        axes.remove()
    for axes in grid[:, 0]:
        axes.set_ylabel("response (SD of the run)", fontsize=canvas.SIZE_PT, color=canvas.INK)
    return figure


def _draw_phones(axes: Axes, locked: pd.DataFrame, kinds: list[str]) -> None:
    """One line per class of phones, the mean over targets; the most frequent classes."""
    canvas.tidy(axes, title="phones by class", xlabel="time from phone onset (s)")
    axes.axvline(0, color=canvas.INK, linewidth=1)
    axes.axhline(0, color=canvas.FAINT, linewidth=0.8)
    counts = locked.groupby("locked_to")["n"].max()
    frequent = sorted(kinds, key=lambda kind: -counts[kind])[: len(CLASS_COLOURS)]
    for kind, color in zip([k for k in kinds if k in frequent], CLASS_COLOURS, strict=False):
        mean = locked[locked["locked_to"] == kind].groupby("time_s")["mean"].mean()
        label = f"{kind.removesuffix(PHONES)} ({int(counts[kind])})"
        axes.plot(mean.index, mean.to_numpy(), color=color, linewidth=1.6, label=label)
    axes.legend(frameon=False, fontsize=canvas.SIZE_PT - 2, loc="upper left", ncols=2)


def _draw(axes: Axes, rows: pd.DataFrame) -> None:
    table = rows.pivot_table(index="target", columns="time_s", values="mean", sort=True)
    if table.empty:
        return
    times = table.columns.to_numpy(dtype=float)
    values = table.to_numpy(dtype=float)
    if len(table) > FEW_TARGETS:
        axes.plot(times, values.T, color=canvas.FAINT, alpha=0.25, linewidth=0.6)
        mean, sem = column_mean(values)
        axes.fill_between(times, mean - sem, mean + sem, color=canvas.TRAINED, alpha=0.25, lw=0)
        axes.plot(times, mean, color=canvas.TRAINED, linewidth=2)
        return
    errors = rows.pivot_table(index="target", columns="time_s", values="sem", dropna=False)
    errors = errors.reindex(index=table.index, columns=table.columns)
    order = [name for name in rows["target"].unique() if name in table.index]
    for name, color in zip(order, COLOURS, strict=False):
        mean, sem = table.loc[name].to_numpy(float), errors.loc[name].to_numpy(float)
        axes.fill_between(times, mean - sem, mean + sem, color=color, alpha=0.18, linewidth=0)
        axes.plot(times, mean, color=color, linewidth=1.8, label=str(name))
    axes.legend(frameon=False, fontsize=canvas.SIZE_PT - 1)
