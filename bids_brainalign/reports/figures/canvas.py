"""Paper, ink and colours of all figures; saved the same, byte for byte, every time."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#22303c"
FAINT = "#8a97a3"
GRID = "#e6eaee"
TRAINED = "#0b6e99"
UNTRAINED = "#c8791b"
CAUSAL = "#6b4c9a"
BASELINE = "#5d6873"
FOUND = "#b3261e"
SEQUENTIAL = "viridis"
"""Even in lightness and readable without colour vision."""
SIZE_PT = 9.0
METADATA = ("Creator", "Date", "Format", "Type")
"""What matplotlib would write by itself."""
_CLIP_ID = re.compile(r'<clipPath id="(p[0-9a-f]{10})"')


def paper(width_in: float, height_in: float) -> Figure:
    """Return an empty figure with constrained layout, free of pyplot's global state."""
    return Figure(figsize=(width_in, height_in), layout="constrained", facecolor="white")


def tidy(axes: Axes, *, title: str = "", xlabel: str = "", ylabel: str = "") -> None:
    """Give axes the house look: two spines, light grid, small labels."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.tick_params(colors=FAINT, labelcolor=INK, labelsize=SIZE_PT - 1, length=3)
    axes.grid(visible=True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    if title:
        axes.set_title(title, fontsize=SIZE_PT + 1, color=INK, loc="left", fontweight="bold")
    axes.set_xlabel(xlabel, fontsize=SIZE_PT, color=INK)
    axes.set_ylabel(ylabel, fontsize=SIZE_PT, color=INK)


def panel_grid(count: int) -> tuple[int, int]:
    """Rows and columns for small panels: at most three abreast, four as a square.

    Examples
    --------
    >>> [panel_grid(n) for n in (1, 3, 4, 5)]
    [(1, 1), (1, 3), (2, 2), (2, 3)]
    """
    columns = 2 if count == 4 else min(count, 3)
    return -(-count // columns), columns


def colour_bar(
    figure: Figure, axes: list[Axes], *, norm: Normalize, label: str, whole: bool
) -> None:
    """Put a colour bar beside axes; ``whole`` numbers only, for layers."""
    bar = figure.colorbar(ScalarMappable(norm, SEQUENTIAL), ax=axes, shrink=0.8, pad=0.02)
    bar.set_label(label, fontsize=SIZE_PT, color=INK)
    if whole:
        bar.locator = MaxNLocator(nbins=7, integer=True)
        bar.update_ticks()
    bar.ax.tick_params(labelsize=SIZE_PT - 1, colors=FAINT, labelcolor=INK)
    bar.outline.set_visible(False)


def svg(figure: Figure) -> str:
    """Draw a figure as SVG text.

    Dates and random identifiers are left out, and dollar signs in labels are plain characters:
    an electrode may be called ``A$1`` without breaking the page.
    """
    for label in figure.findobj(Text):
        if isinstance(label, Text):
            label.set_parse_math(False)
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "bids-brainalign", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(METADATA))
    text = buffer.getvalue()
    return _numbered(text[text.index("<svg") :])  # no document type: it names an address


def _numbered(text: str) -> str:
    """Name clipping paths by their order: matplotlib's names hash sizes to the last bit.

    The layout's solver may differ there from run to run, which no printed number shows.
    """
    found = dict.fromkeys(_CLIP_ID.findall(text))
    names = {name: f"clip{index}" for index, name in enumerate(found)}
    for old, new in names.items():
        text = text.replace(f'id="{old}"', f'id="{new}"').replace(f"url(#{old})", f"url(#{new})")
    return text
