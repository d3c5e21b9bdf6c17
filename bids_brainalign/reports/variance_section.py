"""The page's section on variance: what a model and other features explain alone and together."""

from __future__ import annotations

import pandas as pd

from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.figures.variance_parts import variance_parts
from bids_brainalign.reports.rendering import Album
from bids_brainalign.reports.section import Section
from bids_brainalign.reports.summary import NO_TEST

_TEXT = ("target", "region", "hemisphere", "model", "other")
_POINTS = (
    "Bars: means over all targets. Blue points: q < .05 (the shared part has no test). Parts may "
    "be negative: on new data two sets of features can predict worse than one."
)


def variance_section(block: Block, album: Album) -> Section | None:
    """Show unique and shared variance; None without the tables."""
    main = block.main
    table = block.table(main.file.path.with_name(f"{main.stem}_variance.tsv"), text=_TEXT)
    pairs = _pairs(block)
    sentences, pictures = [], []
    if table is not None:
        sentences.append(_sentence(table, main.model, "low-level features", "lowlevel"))
        pictures.append(
            album.add(
                f"{block.name}_variance",
                variance_parts(table, second="lowlevel", names=("low-level", "model")),
                alt="Unique and shared parts of explained variance, a point per target.",
                caption="Squared held-out r of low-level features and model together, in its "
                f"parts. {_POINTS}",
            )
        )
    for other, table in pairs.items():
        sentences.append(_sentence(table, main.model, other, "other"))
        pictures.append(
            album.add(
                f"{block.name}_variance-{len(pictures)}",
                variance_parts(table, second="other", names=(other, main.model)),
                alt=f"Unique and shared parts of {main.model} and {other}, a point per target.",
                caption=f"Squared held-out r of {main.model} and {other} together, in its parts; "
                f"low-level features are not taken out. {_POINTS}",
            )
        )
    if not sentences:
        return None
    return Section("Unique and shared variance", tuple(sentences), tuple(pictures))


def _pairs(block: Block) -> dict[str, pd.DataFrame]:
    """Read the tables of this model beside others."""
    main, found = block.main, {}
    for path in sorted(main.file.path.parent.glob(f"{main.stem}And*_variance.tsv")):
        table = block.table(path, text=_TEXT)
        if table is not None and "other" in table and table["model"].iloc[0] == main.model:
            found[str(table["other"].iloc[0])] = table
    return found


def _sentence(table: pd.DataFrame, model: str, other: str, second: str) -> str:
    if table[["q_unique_model", f"q_unique_{second}"]].isna().all(axis=None):
        return f"What {model} and {other} explain alone: {NO_TEST}."
    n = len(table)
    mine = int((table["q_unique_model"] < 0.05).sum())
    its = int((table[f"q_unique_{second}"] < 0.05).sum())
    return (
        f"{model} explains variance that {other} can't in {mine} of {n} targets; the other way "
        f"round it is {its} of {n} (q < .05)."
    )
