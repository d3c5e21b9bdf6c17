"""The page's section on the combination of layers."""

from __future__ import annotations

from bids_brainalign.outputs.reading import read_table
from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.rendering import Album
from bids_brainalign.reports.section import Cells, Section

_TEXT = ("target", "region", "hemisphere", "model", "layers")
_MOST_ROWS = 10


def combined_section(block: Block, album: Album) -> Section | None:
    """Show what several layers give beyond the best one; None without the table."""
    main = block.main
    table = read_table(main.file.path.with_name(f"{main.stem}_combined.tsv"), text=_TEXT)
    if table is None:
        return None
    found = int((table["q"] < 0.05).sum())
    sentence = (
        f"The {int(table['n_best'].iloc[0])} best layers together predict better than the best "
        f"one alone in {found} of {len(table)} electrodes (q < .05); the mean gain is "
        f"{table['delta_r'].mean():+.3f} in r. Layers and weights come from the inner folds."
    )
    top = table.sort_values("delta_r", ascending=False, kind="stable").head(_MOST_ROWS)
    rows = tuple(
        (
            str(row["target"]),
            str(row["layers"]),
            f"{row['r_selected']:.3f}",
            f"{row['r_combined']:.3f}",
            f"{row['q']:.3g}",
        )
        for _, row in top.iterrows()
    )
    cells = Cells(
        ("Electrode", "Layer:weight", "r of one layer", "r combined", "q of the gain"),
        rows,
        "The electrodes with the largest gain; sorted on what they show, so flattered.",
    )
    return Section("Layers together", (sentence,), (), (cells,))
