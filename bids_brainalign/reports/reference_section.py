"""Part of a participant's page: what the common average reference does to the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bids_brainalign.outputs.reading import read_sidecar
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.summary import NO_TEST

if TYPE_CHECKING:
    import pandas as pd

    from bids_brainalign.reports.blocks import Block
    from bids_brainalign.reports.rendering import Album

ALPHA = 0.05
NAMES = {"car": "common average", "car-device": "common average per device"}
ROWS = (("r", "q_fdr"), ("Δr over low-level features", "q_delta"))


def reference_section(block: Block, album: Album) -> Section | None:
    """Show how many electrodes are significant with and without the reference."""
    from bids_brainalign.reports.figures.reference_scatter import reference_scatter

    path = block.main.file.path.with_name(f"{block.main.stem}_references.tsv")
    table = block.table(path, text=("target",))
    if table is None:
        return None
    reference = str(read_sidecar(path.with_suffix(".json")).get("Reference", "car"))
    name = NAMES.get(reference, reference)
    rows = [(label, *_counts(table, column)) for label, column in ROWS]
    sentences = [
        f"The {name} puts a share of every electrode's signal into the others: with N electrodes "
        "about 1/N of each. The whole analysis was therefore run again on the responses as "
        "recorded.",
        _only_with_it(table),
    ]
    picture = album.add(
        f"{block.name}_references",
        reference_scatter(table, alpha=ALPHA),
        alt=f"r of every electrode with {name} against r as recorded",
        caption=f"r of the selected layer with {name} and as recorded, one point per electrode. "
        "Colours: where the model adds to the low-level features at q < .05; neither: it does "
        "not, or there was no test.",
    )
    columns = ("Significant (q < .05)", f"with {name}", "as recorded", "both")
    return Section(
        "With and without the reference",
        tuple(sentences),
        (picture,),
        (Cells(columns, tuple(rows)),),
    )


def _counts(table: pd.DataFrame, column: str) -> tuple[str, str, str]:
    """Electrodes found with the reference, without it and both ways; n/a without a test."""
    q, q_without = table[column], table[f"{column}_unreferenced"]
    with_it, without = q < ALPHA, q_without < ALPHA
    cells = []
    for found, used in (
        (with_it, (q,)), (without, (q_without,)), (with_it & without, (q, q_without)),
    ):  # fmt: skip
        tested = all(values.notna().any() for values in used)
        cells.append(f"{found.sum()} of {len(table)}" if tested else "n/a")
    return cells[0], cells[1], cells[2]


def _only_with_it(table: pd.DataFrame) -> str:
    q, q_without = table["q_delta"], table["q_delta_unreferenced"]
    if q.isna().all() or q_without.isna().all():
        return f"Which electrodes exceed the low-level features only with it: {NO_TEST}."
    only = table["target"][(q < ALPHA) & ~(q_without < ALPHA)]
    names = f": {', '.join(only[:20])}{' …' if len(only) > 20 else ''}" if len(only) else ""
    return f"{len(only)} electrodes exceed the low-level features only with it{names}."
