"""When words are told apart, by layer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bids_brainalign.reports.figures.production_course import course_lines, layers_by_time
from bids_brainalign.reports.production.results import OfEmbedding, Production, told
from bids_brainalign.reports.production.wording import first_of, p_text
from bids_brainalign.reports.rendering import Album, Picture
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.summary import number, probability, span

TITLE = "Time course"
ABOUT = (
    "Ridge for the responses of short bins of time instead of their mean. Bins before the onset "
    "tell of planning, or of the cue; bins that are significant long before the cue would tell of "
    "a leak.",
)
LEAST_LAYERS = 3
"""Fewer are drawn as lines."""
MOST_ROWS, MOST_OPEN = 64, 8
"""Longer tables end there, or open by a click."""
ALPHA = 0.05


def course_section(production: Production, album: Album) -> Section | None:
    """Show the time course of every embedding; None where there are none."""
    courses = [
        one
        for one in production.per_embedding("timecourse")
        if {"layer", "time", "pattern_r", "p", "p_all"} <= set(one.table.columns)
    ]
    if not courses:
        return None
    found = [one for one in production.per_embedding("peaks") if len(one.table) or one.sidecar]
    peaks = {one.embedding: one for one in found}
    layered = [one for one in courses if one.table["layer"].nunique() >= LEAST_LAYERS]
    single = [one for one in courses if one not in layered]
    pictures = [_map(one, peaks.get(one.embedding), album) for one in layered]
    if single:
        pictures.append(_lines(production, single, album))
    sentences = [text for one in courses for text in _said(one, peaks.get(one.embedding))]
    tables = _peaks(list(peaks.values()))
    return Section(TITLE, (*ABOUT, *sentences), tuple(pictures), tables)


def _said(course: OfEmbedding, peaks: OfEmbedding | None) -> list[str]:
    sentences = [_significant(course)]
    if peaks is not None:
        slope = peaks.sidecar.get("Slope")
        if isinstance(slope, dict):
            sentences.append(_slope(course.embedding, slope))
        sentences += [
            text if text.startswith(course.embedding) else f"{course.embedding}: {text}"
            for text in told(peaks.sidecar, "Sentences")
        ]
    return sentences


def _significant(course: OfEmbedding) -> str:
    table, layers = course.table, course.table["layer"].fillna("n/a").nunique()
    found = table[table["p_all"] <= ALPHA]
    over = "the bins" if layers == 1 else f"the bins of all {layers} layers"
    if table["p_all"].isna().all():
        return f"{course.embedding}: no test."
    if found.empty:
        return (
            f"{course.embedding}: no bin is above chance (p ≤ .05, corrected for the maximum over "
            f"{over})."
        )
    low, high = number(found["time"].min(), 2), number(found["time"].max(), 2)
    return (
        f"{course.embedding}: {len(found)} of {len(table)} bins are above chance, from {low} to "
        f"{high} s after the onset (p ≤ .05, corrected for the maximum over {over})."
    )


def _slope(name: str, slope: Mapping[str, object]) -> str:
    value, p = _float(slope.get("slope_s_per_layer")), _float(slope.get("p"))
    if not np.isfinite(value):
        return f"{name}: there is no slope of the peaks over layers."
    later = "later" if value > 0 else "earlier"
    trend = (
        f"deeper layers peak {later}"
        if p <= ALPHA
        else "no evidence that peaks move with the layer"
    )
    return (
        f"{name}: {trend}: {number(1000 * value, 1)} ms per layer over {slope.get('n_layers')} "
        f"layers ({p_text(p)})."
    )


def _float(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")


def _map(one: OfEmbedding, peaks: OfEmbedding | None, album: Album) -> Picture:
    return album.add(
        f"{one.stem}_course",
        layers_by_time(one.table, peaks.table if peaks and len(peaks.table) else None),
        alt=f"Pattern r of {one.embedding} by layer and time.",
        caption=f"{one.embedding}: pattern r of every layer and bin of time. Outlined: p ≤ .05, "
        "corrected for the maximum over all layers and bins. White dots: peak of each layer "
        "over all bins, also those before the onset, with its 95 % interval over words; a wide "
        "interval means that there is no clear peak. Dotted: onset of the word.",
    )


def _lines(production: Production, single: list[OfEmbedding], album: Album) -> Picture:
    tables: dict[str, pd.DataFrame] = {}
    for one in single:
        layers = one.table["layer"].fillna("n/a")
        for layer, part in one.table.groupby(layers, sort=False):
            several = layers.nunique() > 1
            tables[f"{one.embedding}, layer {layer}" if several else one.embedding] = part
    return album.add(
        f"{production.name}_course",
        course_lines(tables),
        alt=f"Pattern r over time of {', '.join(tables)}.",
        caption="Pattern r of every bin of time. Dots: p ≤ .05, corrected for the maximum over "
        "bins. Dotted: onset of the word.",
    )


def _peaks(found: list[OfEmbedding]) -> tuple[Cells, ...]:
    rows = [
        (
            one.embedding if pd.isna(row["layer"]) else f"{one.embedding}, layer {row['layer']}",
            number(float(row["peak"]), 2),
            span(float(row["ci_low"]), float(row["ci_high"]), 2),
            number(float(row["pattern_r"])),
            probability(float(row["p"])),
        )
        for one in found
        for row in one.table.to_dict("records")
    ]
    if not rows:
        return ()
    more = first_of(len(rows), MOST_ROWS, "rows")
    return (
        Cells(
            ("Peak of", "Time (s)", "95 % interval (s)", "Pattern r", "p"),
            tuple(rows[:MOST_ROWS]),
            folded=f"Peaks ({len(rows)} rows)" if len(rows) > MOST_OPEN else "",
            caption="Largest pattern r of all bins, also those before the onset; times count from "
            "the onset. Its height is the largest of many and flattered, its p is corrected for "
            f"that.{more}",
        ),
    )
