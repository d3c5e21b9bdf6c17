"""Geometry of embeddings and responses, and scores by region."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bids_brainalign.outputs.reading import read_sidecar, read_table
from bids_brainalign.reports.figures.production_regions import MOST_PANELS, score_by_channels
from bids_brainalign.reports.production.results import OfEmbedding, Production, told
from bids_brainalign.reports.production.wording import first_of, p_text
from bids_brainalign.reports.rendering import Album
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.summary import number, probability

GEOMETRY_TITLE = "Geometry of embeddings and responses"
REGIONS_TITLE = "Regions"
MOST_ROWS, MOST_OPEN = 64, 12
"""Longer tables end there, or open by a click."""
ALPHA = 0.05
NOWHERE = "no region"
NO_REGIONS = (
    "No channel has a region, so there are no scores by region. Give --atlas, which finds regions "
    "by the coordinates of electrodes.tsv, or add a column region to that table."
)
REGION_TEXT = ("mapping", "region")


def geometry_section(production: Production) -> Section | None:
    """Show CKA of every embedding with the responses; None without such a table."""
    path = production.shared("geometry")
    table = read_table(path, text=("embedding", "layer"))
    if table is None:
        return None
    sidecar = read_sidecar(path.with_suffix(".json"))
    rows = tuple(
        (
            str(row["embedding"]),
            number(float(row["cka"])),
            probability(float(row["p"])),
            number(float(row["pattern_r"])),
        )
        for row in table.to_dict("records")
    )
    about = (
        "Whether words that are alike in the embedding have responses that are alike: linear CKA, "
        "debiased, so that 0 is what unrelated vectors have. No mapping is fitted.",
    )
    relation = _relation(
        sidecar, "Embeddings whose geometry is more like that of the responses",
        "the likeness of geometries and the score", "embeddings",
    )  # fmt: skip
    caption = "p against shuffled words and shifted trials. Pattern r: by ridge, k-fold."
    cells = Cells(("Embedding", "CKA", "p", "Pattern r"), rows, caption=caption)
    sentences = (*about, *relation, *told(sidecar, "Sentences"))
    return Section(GEOMETRY_TITLE, sentences, (), (cells,))


def regions_section(production: Production, album: Album) -> Section | None:
    """Show the score of every region against its channels; None without such tables."""
    found = production.per_embedding("regions", text=REGION_TEXT)
    if not found:
        return None
    if not any(len(one.table) for one in found) and not any(map(_of_regions, found)):
        return Section(REGIONS_TITLE, (NO_REGIONS,))
    sentences = [
        "Regions differ in how many channels they have; a score over more channels is steadier "
        "and often higher. A region with a high score here is not thereby the place of words."
    ]
    sentences += _said_of_all(found)
    shown = [one for one in found if len(one.table)]
    if not shown:
        return Section(REGIONS_TITLE, tuple(sentences))
    picture = album.add(
        f"{production.name}_regions",
        score_by_channels({one.embedding: one.table.fillna({"region": NOWHERE}) for one in shown}),
        alt="Pattern r of each region against its number of channels.",
        caption="A point per region: pattern r over its channels (ridge, k-fold) against how many "
        "channels it has. No p: these are for looking, not for claims about regions."
        f"{first_of(len(shown), MOST_PANELS, 'embeddings')}",
    )
    return Section(REGIONS_TITLE, tuple(sentences), (picture,), (_region_cells(shown),))


def _said_of_all(found: list[OfEmbedding]) -> list[str]:
    """Name the embeddings of each sentence; what holds for all is said once."""
    by_text: dict[str, list[str]] = {}
    for one in found:
        for text in _of_regions(one):
            by_text.setdefault(text, []).append(one.embedding)
    return [
        text if len(names) == len(found) > 1 else f"{', '.join(names)}: {text}"
        for text, names in by_text.items()
    ]


def _of_regions(one: OfEmbedding) -> tuple[str, ...]:
    relation = _relation(
        one.sidecar, "regions with more channels", "number of channels and score", "regions"
    )
    return (*relation, *told(one.sidecar, "Sentences"))


def _relation(
    sidecar: Mapping[str, object], subject: str, between: str, units: str
) -> tuple[str, ...]:
    """Sentence of a rank correlation over few units; none where there is none."""
    found = sidecar.get("Relation")
    if not isinstance(found, dict):
        return ()
    r, p, n = (float(found.get(key, np.nan)) for key in ("r", "p", "n"))
    if not np.isfinite(r):
        return ()
    numbers = f"rank correlation {number(r, 2)} over {n:.0f} {units}, {p_text(p)}"
    if p <= ALPHA:
        return (f"{subject} score {'higher' if r > 0 else 'lower'} ({numbers}).",)
    return (f"No evidence that {between} go together ({numbers}).",)


def _region_cells(found: list[OfEmbedding]) -> Cells:
    rows = [
        (
            f"{one.embedding}, {row['region']}",
            f"{float(row['n_channels']):.0f}",
            *(number(float(row[name])) for name in ("pattern_r", "skill", "two_vs_two", "rank")),
        )
        for one in found
        for row in one.table.fillna({"region": NOWHERE}).to_dict("records")
    ]
    return Cells(
        ("Region", "Channels", "Pattern r", "Skill", "2-vs-2", "Rank"),
        tuple(rows[:MOST_ROWS]),
        caption=first_of(len(rows), MOST_ROWS, "rows").strip(),
        folded=f"Scores by region ({len(rows)} rows)" if len(rows) > MOST_OPEN else "",
    )
