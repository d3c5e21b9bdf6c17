"""The page's section on noise ceilings: how well a perfect model could predict."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bids_brainalign.outputs.reading import read_sidecar
from bids_brainalign.reports.blocks import Block
from bids_brainalign.reports.figures.ceilings import ceiling_histogram, ceiling_points
from bids_brainalign.reports.rendering import Album
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.summary import number, probability

TITLE = "Noise ceiling"
_TEXT = ("target", "target_type", "hemisphere", "region", "ceiling_kind")
_MOST_ROWS = 12


def ceiling_section(block: Block, album: Album) -> Section | None:
    """Show ceilings and scores divided by them; None where no held-out stimulus was repeated."""
    main = block.main
    stem = f"{main.file.prefix}_desc-repeats"
    path = main.file.path.with_name(f"{stem}_ceilings.tsv")
    table = block.table_of_recordings(path, text=_TEXT)
    counts = block.table_of_recordings(path.with_name(f"{stem}_histogram.tsv"))
    if table is None or counts is None:
        return None
    voxels = main.file.modality == "fmri"
    picture = album.add(
        f"{stem}_ceilings",
        ceiling_histogram(counts) if voxels else ceiling_points(table),
        alt="Noise ceilings of all voxels." if voxels else "Noise ceiling of every electrode.",
        caption=_caption(voxels=voxels),
    )
    sentences = (*_sentences(table, counts, voxels=voxels), *_selection(read_sidecar(
        path.with_suffix(".json"))))  # fmt: skip
    return Section(TITLE, sentences, (picture,), (_cells(table, main.scores, main.model),))


def _caption(*, voxels: bool) -> str:
    shared = "Blue: presentations agree more than when moved against each other (q < .05)."
    if voxels:
        return f"{shared} Line: what is expected if no voxel responded alike twice."
    return f"{shared} Lines: 95 % intervals (jackknife over blocks of time)."


def _sentences(table: pd.DataFrame, counts: pd.DataFrame, *, voxels: bool) -> tuple[str, ...]:
    first = table.iloc[0]
    kind = str(first["ceiling_kind"])
    n_repeats = int(first["n_repeats"])
    what = (
        "single presentations are scored, so the ceiling is that of one"
        if kind == "single"
        else f"the mean of {n_repeats} presentations is scored, so the ceiling is that of the mean"
    )
    found, every = int(counts["n_significant"].sum()), int(counts["n_targets"].sum())
    units = "voxels" if voxels else "electrodes"
    told = (
        f"{found} of {every} {units} respond alike to all presentations (q < .05)."
        if table["p"].notna().any()
        else "No test: the held-out data are shorter than 10 decorrelation times."
    )
    return (
        f"The held-out stimulus was presented {n_repeats} times ({int(first['n_samples'])} "
        f"samples); {what}.",
        told,
    )


def _selection(sidecar: dict[str, object]) -> tuple[str, ...]:
    said = sidecar.get("CeilingSelection")
    if not isinstance(said, dict):
        return ()
    sentence = f"{said['Description']} Threshold: {said['threshold']}."
    if said.get("circular"):
        sentence += " Don't read these scores as held out."
    return (sentence,)


def _cells(table: pd.DataFrame, scores: pd.DataFrame, model: str) -> Cells:
    """Parcels, or the electrodes with the highest ceilings."""
    answers = scores[(scores["fold"] == "all") & scores["layer"].isin(["selected", "n/a"])]
    answers = answers.set_index("target")
    normalised = pd.to_numeric(answers["r_normalised"], errors="coerce")
    if len(table) > _MOST_ROWS and not (table["target_type"] == "parcel").all():
        table = table.sort_values("r_ceiling", ascending=False, kind="stable").head(_MOST_ROWS)
    rows = []
    for _, row in table.head(_MOST_ROWS).iterrows():
        target, size = str(row["target"]), int(row["n_voxels"])
        known = target in answers.index
        rows.append(
            (
                target,
                _interval(row),
                probability(float(row["q_fdr"])),
                f"{int(row['n_significant'])} of {size}",
                number(float(answers["r"][target])) if known else "n/a",
                number(float(normalised[target])) if known else "n/a",
            )
        )
    columns = ("Target", "Ceiling (95 %)", "q", "With a ceiling", f"r of {model}", "r / ceiling")
    caption = (
        "r / ceiling is not clipped; for groups of voxels it is mean r / mean ceiling. It is n/a "
        "where presentations don't agree significantly."
    )
    return Cells(columns, tuple(rows), caption)


def _interval(row: pd.Series[float]) -> str:
    value, low, high = (float(row[name]) for name in ("r_ceiling", "ci_low", "ci_high"))
    if not np.isfinite(value):
        return "n/a"
    if not np.isfinite(low):
        return number(value)
    return f"{number(value)} ({number(low)} to {number(high)})"
