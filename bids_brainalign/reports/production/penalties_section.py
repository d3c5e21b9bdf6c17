"""How much of the scores is the penalty."""

from __future__ import annotations

import pandas as pd

from bids_brainalign.reports.figures.production_penalties import MOST_ROWS, penalty_curves
from bids_brainalign.reports.production.results import MAPPINGS, Production
from bids_brainalign.reports.production.twin import WHY_HIDDEN, with_twin
from bids_brainalign.reports.rendering import Album, Picture
from bids_brainalign.reports.section import Section
from bids_brainalign.reports.summary import number, span

TITLE = "Penalties"
TEXT = ("embedding", "layer", "mapping", "folds")
ABOUT = (
    "The same fit with penalties fixed instead of chosen, from strong penalties, which pull the "
    "weights to 0 and the prediction to the train mean, to weak ones. Where a score stays the "
    "same all the way, it does not depend on what the weights know; differences of such a score "
    "between embeddings can be differences of shrinkage alone.",
    "Nothing is chosen here: the best point of these curves is not a result.",
)


def penalties_section(production: Production, album: Album) -> Section | None:
    """Show scores at fixed penalties, a figure per mapping; None where there are none."""
    pictures, ranges, hidden, left = [], [], False, 0
    for mapping in (name for name in MAPPINGS if name != "ridge"):
        tables: dict[str, pd.DataFrame] = {}
        for one in production.of_mapping(mapping):
            table = production.table(one, "penalties", text=TEXT)
            if table is not None:
                both = with_twin(table, "pcc", "pcc_train_mean").reindex(table.index)
                hidden |= bool(both["value"].isna().any())
                tables[one.embedding] = table.assign(
                    pcc=both["value"], pcc_train_mean=both["train_mean"]
                )
        if tables:
            ranges.append(_ranges(mapping, tables))
            pictures.append(_picture(production, mapping, tables, album))
            left += max(0, len(tables) - MOST_ROWS)
    if not pictures:
        return None
    sentences = (*ABOUT, *ranges, WHY_HIDDEN) if hidden else (*ABOUT, *ranges)
    if left:
        sentences = (*sentences, f"{left} further curves are in the files (penalties.tsv).")
    return Section(TITLE, sentences, tuple(pictures))


def _ranges(mapping: str, tables: dict[str, pd.DataFrame]) -> str:
    """Say how far each score moves over all penalties."""
    moved = []
    for embedding, table in tables.items():
        across = ""
        if table["pcc"].notna().any():
            twin = number(float(table["pcc_train_mean"].max()))
            across = f"PCC {_range(table['pcc'])} (train mean {twin}), "
        others = f"pattern r {_range(table['pattern_r'])}, weights {_range(table['non_zero'], 0)}"
        moved.append(f"{embedding}: {across}{others}")
    name = MAPPINGS[mapping].capitalize()
    return f"{name}, smallest and largest value over the penalties. {'; '.join(moved)}."


def _range(values: pd.Series[float], digits: int = 3) -> str:
    return span(float(values.min()), float(values.max()), digits)


def _picture(
    production: Production, mapping: str, tables: dict[str, pd.DataFrame], album: Album
) -> Picture:
    name = MAPPINGS[mapping]
    return album.add(
        f"{production.name}_penalties{mapping.replace('-', '')}",
        penalty_curves(tables),
        alt=f"Scores and non-zero weights over penalties, {name}.",
        caption=f"{name.capitalize()} with fixed penalties, k-fold; a row per embedding, a line "
        "per share of the L1 penalty. Weak penalties are on the right.",
    )
