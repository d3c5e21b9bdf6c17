"""What is plain about a word, held against its embedding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bids_brainalign.reports.production.results import Production, Rebuilt
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.summary import number, probability

TITLE = "Plain predictors"
TEXT = ("embedding", "layer", "mapping", "folds", "predictor")
SCORES = {"pattern_r": "Pattern r", "skill": "Skill", "two_vs_two": "2-vs-2", "rank": "Rank"}
ABOUT = (
    "When a word was spoken, how long and how loud it was, and how many letters it has, predict "
    "responses, too. An embedding counts as evidence only where it predicts better than each of "
    "them (gain above 0, p at most .05)."
)


def plain_section(production: Production) -> Section | None:
    """Show the plain predictors of every embedding; None where there are none."""
    rows = []
    for one in production.main():
        table = production.table(one, "plainpredictors", text=TEXT)
        if table is None:
            continue
        rows.append(_own(one))
        rows += [_plain(one, row) for row in table.to_dict("records")]
    if not rows:
        return None
    columns = ("Predictor", *SCORES.values(), "Gain of the embedding", "p")
    caption = (
        "k-fold, ridge. Gain: mean squared error of the plain predictor less that of the "
        "embedding, in variances of the responses; p by flipping signs of words."
    )
    return Section(TITLE, (ABOUT,), (), (Cells(columns, tuple(rows), caption=caption),))


def _own(one: Rebuilt) -> tuple[str, ...]:
    rows = one.rows()
    values = rows["value"].reindex(list(SCORES)).to_numpy(dtype=float)
    return (one.embedding, *(number(float(value)) for value in values), "", "")


def _plain(one: Rebuilt, row: Mapping[Any, Any]) -> tuple[str, ...]:
    return (
        f"{one.embedding} against {row['predictor']}",
        *(number(float(row[name])) for name in SCORES),
        number(float(row["gain"])),
        probability(float(row["p_gain"])),
    )
