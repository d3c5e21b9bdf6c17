"""How prediction depends on the precision of time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.figure import Figure

from bids_brainalign.reports.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def timescale_figure(table: pd.DataFrame) -> Figure:
    """Draw r per band of modulation and r after jitter, one light line per electrode.

    Parameters
    ----------
    table : DataFrame
        ``timescale.tsv``.
    """
    jitter = table[table["kind"] == "jitter"]
    figure = canvas.paper(8.2 if len(jitter) else 4.4, 2.7)
    grid = figure.subplots(1, 2 if len(jitter) else 1, squeeze=False)
    left = grid[0, 0]
    bands = table[table["kind"] == "band"]
    per_band = bands.pivot_table(index="target", columns=["value", "upper"], values="r")
    labels = [f"{edges[0]:g}–{edges[1]:g}" for edges in per_band.columns.to_list()]
    canvas.tidy(left, title="by modulation", xlabel="band (Hz)", ylabel="held-out r in the band")
    _lines(left, range(len(labels)), per_band)
    left.set_xticks(range(len(labels)), labels)
    if len(jitter):
        per_jitter = jitter.pivot_table(index="target", columns="value", values="r")
        right = grid[0, 1]
        canvas.tidy(right, title="after jitter", xlabel="largest shift (ms)", ylabel="held-out r")
        steps = range(per_jitter.shape[1])
        _lines(right, steps, per_jitter)
        right.set_xticks(steps, [f"{1000 * value:g}" for value in per_jitter.columns])
    return figure


def _lines(axes: Axes, places: Iterable[int], values: pd.DataFrame) -> None:
    axes.plot(list(places), values.to_numpy().T, color=canvas.FAINT, alpha=0.35, linewidth=0.6)
    axes.plot(
        list(places), values.mean().to_numpy(), color=canvas.TRAINED, linewidth=1.8, marker="o",
        markersize=4,
    )  # fmt: skip
    axes.axhline(0, color=canvas.INK, linewidth=0.8)
