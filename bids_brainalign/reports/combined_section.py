"""The page's section on the combination of layers."""

from __future__ import annotations

from bids_brainalign.outputs.reading import read_table
from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.rendering import Album
from bids_brainalign.reports.section import Cells, Section, said_instead
from bids_brainalign.reports.summary import number

TITLE = "Layers together"
_TEXT = ("target", "region", "hemisphere", "model", "layers")
_MOST_ROWS = 10


def combined_section(block: Block, album: Album) -> Section | None:
    """Show what several layers give beyond the best one; None without the table."""
    main = block.main
    path = main.file.path.with_name(f"{main.stem}_combined.tsv")
    table = read_table(path, text=_TEXT)
    if table is None:
        return said_instead(path, TITLE)
    found = int((table["q"] < 0.05).sum())
    sentence = (
        f"The {int(table['n_best'].iloc[0])} best layers together predict better than the best "
        f"one alone in {found} of {len(table)} electrodes (q < .05); the mean gain is "
        f"{table['delta_r'].mean():+.3f} in r. Layers and weights come from the inner folds."
    )
    top = table.sort_values(["q", "delta_r"], ascending=[True, False], kind="stable")
    top = top.head(_MOST_ROWS)
    rows = tuple(
        (
            str(row["target"]),
            str(row["layers"]),
            number(float(row["r_selected"])),
            number(float(row["r_combined"])),
            f"{row['q']:.3g}",
        )
        for _, row in top.iterrows()
    )
    cells = Cells(
        ("Electrode", "Layer:weight", "r of one layer", "r combined", "q of the gain"),
        rows,
        "The electrodes with the surest gain; sorted on what they show, so flattered.",
    )
    return Section(TITLE, (sentence,), (), (cells,))
