"""Inter-subject correlation on the group's page: every participant shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bids_brainalign.outputs.reading import read_table
from bids_brainalign.reports.figures import canvas
from bids_brainalign.reports.rendering import Album
from bids_brainalign.reports.section import Section

TITLE = "Inter-subject correlation"
MAX_TARGETS = 6


def group_isc_files(output_dir: Path) -> list[Path]:
    """Tables of the group level about responses that participants share."""
    return sorted(output_dir.glob("group/desc-responses_isc.tsv"))


def group_isc_section(output_dir: Path, album: Album) -> Section | None:
    """Read ``group/desc-responses_isc.tsv``; None where it is absent."""
    text = ("space", "participant", "session", "target")
    paths = group_isc_files(output_dir)
    table = read_table(paths[0], text=text) if paths else None
    if table is None:
        return None
    sentences = [
        "Correlation of every participant's held-out responses with the mean of the others' who "
        "heard the same. It tells how much of a response is shared; it is no ceiling of a model's "
        "score, and no score is divided by it."
    ]
    for space, part in table.groupby("space", sort=False):
        tested = part[part["q_fdr"].notna()]
        n = part["participant"].nunique()
        found = tested[tested["q_fdr"] < 0.05]["participant"].nunique()
        told = f"in {found} of {n} participants some parcel is above chance (q < .05)"
        sentences.append(f"{space}: {told if len(tested) else 'no test, the data are too short'}.")
    first = table[table["space"] == table["space"].iloc[0]]
    picture = album.add(
        "desc-responses_isc",
        isc_points(first),
        alt="Inter-subject correlation of every participant, by parcel.",
        caption="A point per participant (and session), with its 95 % interval over blocks of "
        "time. Blue: q < .05.",
    )
    return Section(TITLE, tuple(sentences), (picture,))


def isc_points(table: pd.DataFrame) -> Figure:
    """Draw every participant's value by parcel, with its interval.

    Parameters
    ----------
    table : DataFrame
        Of ``isc.tsv``, one space.
    """
    targets = list(dict.fromkeys(table["target"]))[:MAX_TARGETS]
    figure = canvas.paper(max(3.0, 1.2 * len(targets) + 1), 2.9)
    axes = figure.subplots()
    canvas.tidy(axes, ylabel="inter-subject correlation")
    axes.axhline(0, color=canvas.FAINT, linewidth=0.8)
    for place, target in enumerate(targets):
        part = table[table["target"] == target]
        spread = np.linspace(-0.25, 0.25, len(part)) if len(part) > 1 else np.zeros(1)
        value, low, high, q = (
            part[name].to_numpy(dtype=float) for name in ("isc", "ci_low", "ci_high", "q_fdr")
        )
        for mask, color in ((~(q < 0.05), canvas.FAINT), (q < 0.05, canvas.TRAINED)):
            at = place + spread[mask]
            axes.vlines(at, low[mask], high[mask], color=color, linewidth=1.0)
            axes.scatter(at, value[mask], s=18, color=color, linewidth=0)
    axes.set_xticks(range(len(targets)), targets)
    return figure
