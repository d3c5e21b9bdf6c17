"""Explained variance in its parts: a point per target, a bar for the mean."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bids_brainalign.reports.figures import canvas


def variance_parts(table: pd.DataFrame, *, second: str, names: tuple[str, str]) -> Figure:
    """Draw the three parts of explained variance.

    Parameters
    ----------
    table : DataFrame
        Of ``variance.tsv``.
    second : str
        What the model is compared with, as the columns say it: ``lowlevel`` or ``other``.
    names : tuple of str
        Of what is compared with the model, and of the model, for the axis.

    Returns
    -------
    Figure
        Dark points: q < .05 of a part that has a test.
    """
    parts = (
        (f"unique_{second}", f"{names[0]}\nalone", f"q_unique_{second}"),
        ("shared", "shared", None),
        ("unique_model", f"{names[1]}\nalone", "q_unique_model"),
    )
    figure = canvas.paper(5.4, 2.9)
    axes = figure.subplots()
    canvas.tidy(axes, ylabel="squared held-out r")
    axes.axhline(0, color=canvas.FAINT, linewidth=0.8)
    # Spread sideways evenly, not at random: the same page every time.
    spread = np.linspace(-0.18, 0.18, len(table)) if len(table) > 1 else np.zeros(len(table))
    for place, (column, _, q) in enumerate(parts):
        values = table[column].to_numpy(dtype=float)
        order = np.argsort(np.argsort(values))
        found = np.zeros(len(table), bool) if q is None else table[q].to_numpy(dtype=float) < 0.05
        for mask, color in ((~found, canvas.FAINT), (found, canvas.TRAINED)):
            axes.scatter(place + spread[order][mask], values[mask], s=14, color=color, linewidth=0)
        if np.isfinite(values).any():
            mean = float(np.nanmean(values))
            axes.plot([place - 0.28, place + 0.28], [mean, mean], color=canvas.INK, linewidth=2)
    axes.set_xticks(range(len(parts)), [label for _, label, _ in parts])
    return figure
