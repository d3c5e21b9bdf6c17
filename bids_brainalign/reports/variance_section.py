"""The page's section on variance: what model and low-level features explain alone and together."""

from __future__ import annotations

from bids_brainalign.outputs.reading import read_table
from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.figures.variance_parts import variance_parts
from bids_brainalign.reports.rendering import Album
from bids_brainalign.reports.section import Section

_TEXT = ("target", "region", "hemisphere", "model")


def variance_section(block: Block, album: Album) -> Section | None:
    """Show unique and shared variance; None without the table."""
    main = block.main
    table = read_table(main.file.path.with_name(f"{main.stem}_variance.tsv"), text=_TEXT)
    if table is None:
        return None
    n = len(table)
    model = int((table["q_unique_model"] < 0.05).sum())
    low = int((table["q_unique_lowlevel"] < 0.05).sum())
    sentence = (
        f"{main.model} explains variance that low-level features don't in {model} of {n} targets, "
        f"low-level features explain variance that {main.model} doesn't in {low} (q < .05)."
    )
    picture = album.add(
        f"{block.name}_variance",
        variance_parts(table),
        alt="Unique and shared parts of explained variance, a point per target.",
        caption="Squared held-out r of low-level features and model together, in its parts. Bars: "
        "means over all targets. Blue points: q < .05. Parts may be negative: on new data two "
        "sets of features can predict worse than one.",
    )
    return Section("Unique and shared variance", (sentence,), (picture,))
