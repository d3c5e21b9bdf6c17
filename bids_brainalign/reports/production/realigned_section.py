"""Scores before and after onsets were shifted by the lag between sound and responses."""

from __future__ import annotations

import numpy as np

from bids_brainalign.reports.production.results import REALIGNED, RESPONSE, Production, Rebuilt
from bids_brainalign.reports.production.scores_section import with_p
from bids_brainalign.reports.production.twin import HIDDEN, WHY_HIDDEN, published, twin_cells
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.summary import number

TITLE = "Realigned"


def realigned_section(production: Production) -> Section | None:
    """Show both fits beside each other; None where nothing was realigned."""
    rows: list[tuple[str, ...]] = []
    for one in production.realigned:
        rows += [
            _row(f"{before.embedding}, as recorded", before, RESPONSE)
            for before in production.of_mapping(one.mapping)
            if before.embedding == one.embedding
        ]
        rows.append(_row(f"{one.embedding}, shifted", one, REALIGNED))
    if not rows:
        return None
    shifts = sorted(
        {round(1000 * s) for r in production.realigned if (s := _shift(r)) is not None}
    )
    by = f" by {' or '.join(f'{ms} ms' for ms in shifts)}".replace("-", "−") if shifts else ""
    sentences = [
        f"Onsets were shifted{by}, the lag between sound and responses, and ridge was fitted anew "
        "with its shuffles; elastic nets, time courses and regions were not. Both fits are shown; "
        "the verdicts are of the recordings as they are.",
    ]
    if any(HIDDEN in row for row in rows):
        sentences.append(WHY_HIDDEN)
    columns = ("Onsets", "PCC", "train mean", "Pattern r", "2-vs-2", "Rank", "Words")
    caption = "Ridge, k-fold; p against shuffled words below the corrected scores."
    return Section(TITLE, tuple(sentences), (), (Cells(columns, tuple(rows), caption=caption),))


def _shift(one: Rebuilt) -> float | None:
    value = one.sidecar.get("ShiftSeconds")
    return float(value) if isinstance(value, (int, float)) else None


def _row(name: str, one: Rebuilt, window: str) -> tuple[str, ...]:
    scores = one.rows(window=window)
    mine = (with_p(one.score(key, window=window)) for key in ("pattern_r", "two_vs_two", "rank"))
    words = float(scores["n_words"].max()) if len(scores) else np.nan
    return (name, *twin_cells(published(scores, "pcc")), *mine, number(words, 0))
