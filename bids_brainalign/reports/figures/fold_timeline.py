"""Which seconds trained, which were held out, which were left as a gap."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from bids_brainalign.reports.figures import canvas

ROLE_COLOURS = {"train": "#b9d7e4", "test": canvas.TRAINED}
OTHER_COLOURS = (canvas.UNTRAINED, "#e3b88a", canvas.BASELINE, "#d9c5dd")
NAMED_RUNS = 12
"""More runs than this are drawn without their names."""


def fold_timeline(folds: pd.DataFrame) -> Figure:
    """Draw the folds over the runs laid end to end.

    Parameters
    ----------
    folds : DataFrame
        ``fold``, ``run``, ``start``, ``stop`` (s on the run's clock), ``role``.

    Returns
    -------
    Figure
        One row per fold, one colour per role, a line between runs.
    """
    folds = folds.assign(
        start=pd.to_numeric(folds["start"], errors="coerce"),
        stop=pd.to_numeric(folds["stop"], errors="coerce"),
    )
    lengths = folds.groupby("run", sort=True)["stop"].max().fillna(0.0)
    offsets = dict(zip(lengths.index, np.r_[0.0, np.cumsum(lengths)[:-1]], strict=True))
    labels = list(dict.fromkeys(folds["fold"]))
    colours = _colours(list(dict.fromkeys(folds["role"].astype(str))))
    figure = canvas.paper(9.8, 1.35 + 0.28 * len(labels))
    axes = figure.subplots()
    canvas.tidy(axes, xlabel="runs end to end (min)", ylabel="fold")
    axes.grid(visible=False)
    # A role's row runs from its first to its last second, across a test block in the middle of
    # a run: training lies under gaps, gaps under the held-out part.
    depth = folds["role"].map({"train": 0, "test": 2}).fillna(1)
    bars = folds.assign(depth=depth).sort_values("depth", kind="stable")
    for fold, run, role, start, stop in zip(
        *(bars[column] for column in ("fold", "run", "role", "start", "stop")), strict=True
    ):
        if np.isfinite(start) and np.isfinite(stop):
            axes.barh(
                labels.index(fold),
                (stop - start) / 60,
                left=(offsets[run] + start) / 60,
                height=0.72,
                color=colours[str(role)],
            )
    shared = _shared_entities([str(run) for run in offsets])
    for run, offset in offsets.items():
        axes.axvline(offset / 60, color=canvas.INK, linewidth=0.8)
        if len(offsets) <= NAMED_RUNS:
            label = f" {str(run)[shared:]}"
            axes.text(offset / 60, -0.75, label, fontsize=canvas.SIZE_PT - 2, color=canvas.FAINT)
    axes.set_yticks(range(len(labels)), [str(label) for label in labels])
    axes.set_ylim(len(labels) - 0.5, -1.1)
    axes.set_xlim(0, max(float(lengths.sum()) / 60, 1e-3))
    handles = [Patch(color=color, label=role) for role, color in colours.items()]
    figure.legend(handles=handles, loc="outside upper right", ncols=6, frameon=False,
                  fontsize=canvas.SIZE_PT - 1)  # fmt: skip
    return figure


def _shared_entities(runs: list[str]) -> int:
    """Length of the entities all runs begin with, e.g. of ``sub-01_task-listen_``."""
    split = [run.split("_") for run in runs]
    shared = 0
    for parts in zip(*split, strict=False):
        if len(runs) < 2 or len(set(parts)) > 1:
            break
        shared += len(parts[0]) + 1
    return shared


def _colours(roles: list[str]) -> dict[str, str]:
    others = [role for role in roles if role not in ROLE_COLOURS]
    spare = {role: OTHER_COLOURS[i % len(OTHER_COLOURS)] for i, role in enumerate(others)}
    return {role: ROLE_COLOURS.get(role) or spare[role] for role in roles}
