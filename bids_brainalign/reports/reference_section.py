"""Part of a participant's page: what the common average reference does to the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bids_brainalign.outputs.reading import read_sidecar, read_table
from bids_brainalign.reports.section import Cells, Section

if TYPE_CHECKING:
    from bids_brainalign.reports.blocks import Block
    from bids_brainalign.reports.rendering import Album

ALPHA = 0.05
NAMES = {"car": "common average", "car-device": "common average per device"}
ROWS = (("r", "q_fdr"), ("Δr over low-level features", "q_delta"))


def reference_section(block: Block, album: Album) -> Section | None:
    """Show how many electrodes are significant with and without the reference."""
    from bids_brainalign.reports.figures.reference_scatter import reference_scatter

    path = block.main.file.path.with_name(f"{block.main.stem}_references.tsv")
    table = read_table(path, text=("target",))
    if table is None:
        return None
    reference = str(read_sidecar(path.with_suffix(".json")).get("Reference", "car"))
    name = NAMES.get(reference, reference)
    rows = []
    for label, column in ROWS:
        with_it, without = table[column] < ALPHA, table[f"{column}_unreferenced"] < ALPHA
        numbers = (with_it.sum(), without.sum(), (with_it & without).sum())
        rows.append((label, *(f"{n} of {len(table)}" for n in numbers)))
    only = table["target"][(table["q_delta"] < ALPHA) & ~(table["q_delta_unreferenced"] < ALPHA)]
    sentences = [
        f"The {name} puts a share of every electrode's signal into the others: with N electrodes "
        "about 1/N of each. The whole analysis was therefore run again on the responses as "
        "recorded.",
        f"{len(only)} electrodes exceed the low-level features only with it"
        + (f": {', '.join(only[:20])}{' …' if len(only) > 20 else ''}." if len(only) else "."),
    ]
    picture = album.add(
        f"{block.name}_references",
        reference_scatter(table, alpha=ALPHA),
        alt=f"r of every electrode with {name} against r as recorded",
        caption=f"r of the selected layer with {name} and as recorded, one point per electrode. "
        "Colours: where the model adds to the low-level features.",
    )
    columns = ("Significant (q < .05)", f"with {name}", "as recorded", "both")
    return Section(
        "With and without the reference",
        tuple(sentences),
        (picture,),
        (Cells(columns, tuple(rows)),),
    )
