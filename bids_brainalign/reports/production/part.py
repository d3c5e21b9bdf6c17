"""The part of a participant's page about speech production."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from bids_brainalign.reports.production.course_section import course_section
from bids_brainalign.reports.production.findings import (
    Finding,
    findings_of,
    number_of_words,
    overall,
    warnings_of,
)
from bids_brainalign.reports.production.penalties_section import penalties_section
from bids_brainalign.reports.production.plain_section import plain_section
from bids_brainalign.reports.production.realigned_section import realigned_section
from bids_brainalign.reports.production.results import Production, read_productions, told
from bids_brainalign.reports.production.scores_section import scores_section
from bids_brainalign.reports.production.sound_section import sound_section
from bids_brainalign.reports.production.spread_section import spread_section
from bids_brainalign.reports.production.structure_section import (
    geometry_section,
    regions_section,
)
from bids_brainalign.reports.production.words_section import read_words, words_section
from bids_brainalign.reports.rendering import Album, relative_url
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.summary import number

NOTHING = (
    "No responses were rebuilt from these words, so there is no result, neither evidence nor its "
    "absence. logs/status.tsv says why."
)
PER_EMBEDDING = ("timecourse", "peaks", "regions")
"""Tables that belong to an embedding, whatever the mapping."""


class ProductionView(TypedDict):
    """One set of recordings, as the template reads it."""

    anchor: str
    title: str
    recordings: str
    overall: str
    findings: list[Finding]
    warnings: list[str]
    facts: list[tuple[str, str]]
    nothing: str
    sections: list[Section]
    methods: list[str]
    files: list[dict[str, str]]


def production_views(output_dir: Path, participant: str, album: Album) -> list[ProductionView]:
    """Everything about speech production on one participant's page.

    Parameters
    ----------
    output_dir : Path
    participant : str
        Label without ``sub-``.
    album : Album
        Takes the figures.
    """
    return [
        _view(output_dir, production, album, anchor=f"p{number_}")
        for number_, production in enumerate(read_productions(output_dir, participant), start=1)
    ]


def _view(
    output_dir: Path, production: Production, album: Album, *, anchor: str
) -> ProductionView:
    findings = findings_of(production)
    sections = _sections(production, album)
    return ProductionView(
        anchor=anchor,
        title=production.title,
        recordings=production.prefix,
        overall=overall(findings),
        findings=findings,
        warnings=[*warnings_of(production, findings), *map(_outdated, production.outdated)],
        facts=_facts(production, findings),
        nothing="" if findings else NOTHING,
        sections=sections,
        methods=list(
            dict.fromkeys(t for r in production.rebuilt for t in told(r.sidecar, "Method"))
        ),
        files=_files(output_dir, production),
    )


def _sections(production: Production, album: Album) -> list[Section]:
    first = [words_section(production, album), sound_section(production, album)]
    if not production.rebuilt:
        return first
    found = [
        scores_section(production, album),
        spread_section(production, album),
        plain_section(production),
        penalties_section(production, album),
        course_section(production, album),
        geometry_section(production),
        regions_section(production, album),
        realigned_section(production),
        notes_section(production),
        embeddings_section(production),
    ]
    return [*first, *(section for section in found if section is not None)]


def notes_section(production: Production) -> Section | None:
    """Say what was assumed or left out in the fits; None where nothing is noted."""
    notes = dict.fromkeys(
        text for one in production.rebuilt for text in told(one.sidecar, "Notes")
    )
    return Section("What was assumed and left out", tuple(notes)) if notes else None


def embeddings_section(production: Production) -> Section:
    """Say what each embedding is."""
    rows = [
        (
            one.embedding,
            str(one.sidecar.get("Layer") or "n/a"),
            str(one.sidecar.get("NumberOfDimensions", "n/a")),
            str(number_of_words(one) or "n/a"),
            " ".join(told(one.sidecar, "EmbeddingDescription")),
        )
        for one in production.main()
    ]
    columns = ("Embedding", "Layer", "Dimensions", "Words", "What it is")
    return Section("Embeddings", tables=(Cells(columns, tuple(rows)),))


def _outdated(name: str) -> str:
    return (
        f"{name} is not shown: it was made with other settings than the scores here. Run again, "
        "or delete the file."
    )


def _facts(production: Production, findings: list[Finding]) -> list[tuple[str, str]]:
    facts = []
    judged = [f for f in findings if f.answer in {"Evidence", "No evidence"}]
    if judged:
        count = sum(f.answer == "Evidence" for f in judged)
        facts.append((f"{count} of {len(findings)}", "embeddings with evidence"))
    table = read_words(production)
    if table is not None:
        facts.append((f"{int(table['used'].sum())} of {len(table)}", "words that can be used"))
    counts = [one.scores["n_channels"].max() for one in production.rebuilt]
    if counts:
        facts.append((number(float(max(counts)), 0), "channels"))
    return facts


def _files(output_dir: Path, production: Production) -> list[dict[str, str]]:
    """Tables and predictions of these recordings, those of the recordings first."""
    names = {one.stem for one in (*production.rebuilt, *production.realigned)}
    beside = [one.stem for kind in PER_EMBEDDING for one in production.per_embedding(kind)]
    paths = [
        path
        for stem in (production.name, *sorted({*names, *beside}))
        for path in sorted(production.folder.glob(f"{stem}_*"))
        if path.suffix in {".tsv", ".h5"}
    ]
    return [
        {
            "url": relative_url(path, output_dir),
            "name": path.name.removeprefix(f"{production.prefix}_"),
        }
        for path in paths
    ]
