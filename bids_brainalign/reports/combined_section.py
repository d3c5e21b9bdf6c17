"""The page's section on the combination of layers."""

from __future__ import annotations

import pandas as pd

from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.rendering import Album
from bids_brainalign.reports.section import Cells, Section, said_instead
from bids_brainalign.reports.summary import NO_TEST, number, probability

TITLE = "Layers together"
_TEXT = ("target", "region", "hemisphere", "model", "layers")
_MOST_ROWS = 10


def combined_section(block: Block, album: Album) -> Section | None:
    """Show what several layers give beyond the best one; None without the table."""
    main = block.main
    path = main.file.path.with_name(f"{main.stem}_combined.tsv")
    table = block.table(path, text=_TEXT)
    if table is None:
        return said_instead(block, path, TITLE)
    tested = bool(table["q"].notna().any())
    top = table.sort_values(["q", "delta_r"], ascending=[True, False], kind="stable")
    top = top.head(_MOST_ROWS)
    rows = tuple(
        (
            str(row["target"]),
            str(row["layers"]),
            number(float(row["r_selected"])),
            number(float(row["r_combined"])),
            probability(float(row["q"])),
        )
        for _, row in top.iterrows()
    )
    cells = Cells(
        ("Electrode", "Layer:weight", "r of one layer", "r combined", "q of the gain"),
        rows,
        f"The electrodes with the {'surest' if tested else 'largest'} gain; sorted on what they "
        "show, so flattered.",
    )
    return Section(TITLE, (_sentence(table, tested=tested),), (), (cells,))


def _sentence(table: pd.DataFrame, *, tested: bool) -> str:
    best, gain = int(table["n_best"].iloc[0]), number(float(table["delta_r"].mean()))
    choice = "Layers and weights come from the inner folds."
    if not tested:
        return (
            f"The {best} best layers together less the best one alone: mean gain {gain} in r; "
            f"{NO_TEST}. {choice}"
        )
    found = int((table["q"] < 0.05).sum())
    return (
        f"The {best} best layers together predict better than the best one alone in {found} of "
        f"{len(table)} electrodes (q < .05); the mean gain is {gain} in r. {choice}"
    )
