"""Published and corrected scores of rebuilt responses, each beside what ignores the word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bids_brainalign.reports.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_EMBEDDINGS = 16
MARKERS = "os^vDP"
"""Of the mappings, in order."""


@dataclass(frozen=True)
class Pair:
    """A score, and what it is without information; both NaN where there is none."""

    value: float
    nothing: float


@dataclass(frozen=True)
class ScoreMark:
    """One embedding by one mapping."""

    embedding: str
    mapping: str
    pairs: tuple[Pair, ...]
    """One per panel."""
    found: bool
    """Whether there is evidence for the embedding."""


def score_marks(
    marks: Sequence[ScoreMark], titles: Sequence[str], answers: dict[str, str]
) -> Figure:
    """Draw one row per embedding, one panel per score.

    Parameters
    ----------
    marks : sequence of ScoreMark
    titles : sequence of str
        Of the panels; the first is the published score, on the whole of its scale.
    answers : dict of str to str
        Embedding → what is said below its name.
    """
    names = list(dict.fromkeys(mark.embedding for mark in marks))[:MOST_EMBEDDINGS]
    mappings = list(dict.fromkeys(mark.mapping for mark in marks))
    figure = canvas.paper(9.6, 1.35 + (0.42 + 0.1 * len(mappings)) * len(names))
    panels = figure.subplots(1, len(titles), sharey=True, squeeze=False)[0]
    for number, (axes, title) in enumerate(zip(panels, titles, strict=True)):
        canvas.tidy(axes, title=title)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        for mark in marks:
            if mark.embedding in names:
                _mark(axes, mark, number, names, mappings)
        _reach(axes, marks, number)
    panels[0].set_yticks(
        -np.arange(len(names)), [f"{name}\n{answers.get(name, '')}" for name in names]
    )
    panels[0].set_ylim(-len(names) + 0.45, 0.55)
    figure.legend(
        handles=_legend(mappings), loc="outside lower center", ncols=3, frameon=False,
        fontsize=canvas.SIZE_PT - 0.5,
    )  # fmt: skip
    return figure


def _mark(
    axes: Axes, mark: ScoreMark, number: int, names: Sequence[str], mappings: Sequence[str]
) -> None:
    pair = mark.pairs[number]
    place = mappings.index(mark.mapping)
    step = 0.0 if len(mappings) == 1 else place / (len(mappings) - 1) - 0.5
    at = -names.index(mark.embedding) - 0.46 * step
    axes.plot([pair.nothing, pair.value], [at, at], color=canvas.FAINT, linewidth=1.2, zorder=1)
    axes.scatter([pair.nothing], [at], s=62, marker="D", facecolor="none", linewidth=1.3,
                 edgecolor=canvas.UNTRAINED, zorder=2)  # fmt: skip
    axes.scatter(
        [pair.value], [at], s=26, marker=MARKERS[place % len(MARKERS)], zorder=3, linewidth=1.2,
        facecolor=canvas.TRAINED if mark.found else "white", edgecolor=canvas.TRAINED,
    )  # fmt: skip


def _reach(axes: Axes, marks: Sequence[ScoreMark], number: int) -> None:
    """Limits that show a published score on its whole scale, and never blow up rounding."""
    values = [x for m in marks for x in (m.pairs[number].value, m.pairs[number].nothing)]
    known = np.array([x for x in values if np.isfinite(x)])
    if not len(known):
        return
    low, high = float(known.min()), float(known.max())
    if number == 0:
        axes.set_xlim(min(0.0, low - 0.05), 1.03)
        return
    room = max(0.05, 0.12 * (high - low))
    axes.set_xlim(low - room, high + room)


def _legend(mappings: Sequence[str]) -> list[Line2D]:
    def key(marker: str, face: str, edge: str, label: str, size: float = 5.5) -> Line2D:
        return Line2D([], [], linestyle="none", marker=marker, markerfacecolor=face,
                      markeredgecolor=edge, markersize=size, label=label)  # fmt: skip

    blue, white, grey = canvas.TRAINED, "white", canvas.FAINT
    shapes = [
        key(MARKERS[place % len(MARKERS)], grey, grey, name) for place, name in enumerate(mappings)
    ]
    if len(mappings) == 1:
        shapes = []
    return [
        key("D", "none", canvas.UNTRAINED, "without information on the word", 7),
        key("o", blue, blue, "embedding with evidence"),
        key("o", white, blue, "embedding without evidence"),
        *shapes,
    ]
