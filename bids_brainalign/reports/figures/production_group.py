"""Speech production over participants: a dot for everyone, filled where there is evidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bids_brainalign.reports.figures import canvas

MOST_EMBEDDINGS = 20


def participants_by_embedding(
    people: pd.DataFrame, means: pd.DataFrame, panels: Sequence[tuple[str, str, float]]
) -> Figure:
    """Draw a row per embedding, a panel per score.

    Parameters
    ----------
    people : DataFrame
        ``participant, embedding, score, value, answer``, one row per participant and score.
    means : DataFrame
        ``embedding, score, mean, ci_low, ci_high``; intervals may be NaN.
    panels : sequence of (score, title, chance)
    """
    names = list(dict.fromkeys(people["embedding"]))[:MOST_EMBEDDINGS]
    labels = sorted(set(people["participant"]))
    spread = dict(
        zip(labels, np.linspace(0.25, -0.25, len(labels)) if len(labels) > 1 else [0.0],
            strict=True)
    )  # fmt: skip
    figure = canvas.paper(2.2 + 3.5 * len(panels), 1.25 + 0.5 * len(names))
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (score, title, chance) in zip(grid, panels, strict=True):
        canvas.tidy(axes, title=title)
        axes.grid(visible=False, axis="y")
        axes.axvline(chance, color=canvas.INK, linewidth=0.8)
        mine, of_all = people[people["score"] == score], means[means["score"] == score]
        for place, name in enumerate(names):
            dots = mine[mine["embedding"] == name]
            at = -place + np.array([spread[label] for label in dots["participant"]])
            found = (dots["answer"] == "evidence").to_numpy()
            face = np.where(found, canvas.TRAINED, "white")
            axes.scatter(dots["value"], at, s=24, c=face.tolist(), edgecolor=canvas.TRAINED,
                         linewidth=1.1, zorder=2)  # fmt: skip
            for row in of_all[of_all["embedding"] == name].to_dict("records"):
                axes.hlines(-place - 0.38, row["ci_low"], row["ci_high"], color=canvas.INK,
                            linewidth=1.8)  # fmt: skip
                axes.scatter([row["mean"]], [-place - 0.38], s=30, marker="D", color=canvas.INK,
                             linewidth=0, zorder=3)  # fmt: skip
        low, high = axes.get_xlim()  # rounding errors alone must not fill the panel
        axes.set_xlim(min(low, chance - 0.06), max(high, chance + 0.06))
    grid[0].set_yticks(-np.arange(len(names)), names)
    grid[0].set_ylim(-len(names) + 0.4, 0.5)
    figure.legend(
        handles=_legend(), loc="outside lower center", ncols=3, frameon=False,
        fontsize=canvas.SIZE_PT - 0.5,
    )  # fmt: skip
    return figure


def _legend() -> list[Line2D]:
    blue = canvas.TRAINED

    def key(marker: str, face: str, edge: str, label: str) -> Line2D:
        return Line2D([], [], linestyle="none", marker=marker, markerfacecolor=face,
                      markeredgecolor=edge, markersize=5.5, label=label)  # fmt: skip

    return [
        key("o", blue, blue, "participant with evidence"),
        key("o", "white", blue, "participant without evidence"),
        key("D", canvas.INK, canvas.INK, "mean over participants"),
    ]
