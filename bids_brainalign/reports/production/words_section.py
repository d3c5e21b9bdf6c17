"""Which words were spoken, when, and which of them take part."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bids_brainalign.outputs.reading import read_table
from bids_brainalign.reports.figures.production_sound import latency_histogram
from bids_brainalign.reports.production.findings import number_of_words
from bids_brainalign.reports.production.results import LABEL, Production
from bids_brainalign.reports.rendering import Album, Picture
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.summary import number

TITLE = "Words and onsets"
TEXT = ("recording", "word", "role", "content_group", "reason", "used")
MOST_EXAMPLES = 12
LEAST_LATENCIES = 5
"""Fewer are not drawn."""


def read_words(production: Production) -> pd.DataFrame | None:
    """Read the table of words, with ``used`` as truth values."""
    table = read_table(production.shared("words"), text=TEXT)
    if table is None or not {"word", "used"} <= set(table.columns):
        return None
    return table.assign(used=table["used"].str.casefold() == "true")


def words_section(production: Production, album: Album) -> Section:
    """Say where words come from and which were left out."""
    table = read_words(production)
    if table is None:
        return Section(TITLE, (f"There is no table of words (desc-{LABEL}_words.tsv).",))
    sentences = [
        _counts(table),
        *production.said("words", "Rule"),
        *production.said("words", "Onset"),
        *_scored(production, table),
    ]
    latency, duration = _numbers(table, "latency"), _numbers(table, "duration")
    if len(latency):
        sentences.append(
            f"Latency from the cue to the word in the sound: median "
            f"{number(np.median(latency), 2)} s, {_span(latency)} for 9 of 10 words."
        )
    if len(duration):
        sentences.append(f"A word lasts {number(np.median(duration), 2)} s (median).")
    sentences += production.said("words", "Notes")
    tables = (*_left_out(table), *_recordings(table))
    return Section(TITLE, tuple(sentences), _latencies(production, latency, album), tables)


def _counts(table: pd.DataFrame) -> str:
    used = table[table["used"]]
    recordings = table["recording"].nunique() if "recording" in table else 1
    different = used["word"].str.casefold().nunique()
    out = len(table) - len(used)
    left = "none was left out" if out == 0 else f"{out} were left out, for the reasons below"
    return (
        f"{len(table)} words in {recordings} recording{'' if recordings == 1 else 's'}; "
        f"{len(used)} of them ({different} different) can be used, {left}."
    )


def _scored(production: Production, table: pd.DataFrame) -> list[str]:
    """Say how many words the scores are of, where these are fewer."""
    counts = {number_of_words(one) for one in production.rebuilt} - {0}
    usable = int(table["used"].sum())
    if not counts or min(counts) >= usable:
        return []
    return [
        f"Scores are of {' or '.join(map(str, sorted(counts)))} of these {usable} words. "
        "The others have no response, as their windows reach beyond the recording or into bad "
        "stretches, or lack a vector in some embedding: these were left out for all, so that all "
        "embeddings are scored on the same words."
    ]


def _numbers(table: pd.DataFrame, column: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if column not in table:
        return np.array([], dtype=np.float64)
    values = pd.to_numeric(table.loc[table["used"], column], errors="coerce")
    found: np.ndarray[tuple[int], np.dtype[np.float64]] = values.dropna().to_numpy(dtype=float)
    return found


def _span(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    low, high = np.quantile(values, [0.05, 0.95])
    return f"{number(low, 2)} to {number(high, 2)} s"


def _latencies(
    production: Production, latency: np.ndarray[tuple[int], np.dtype[np.float64]], album: Album
) -> tuple[Picture, ...]:
    if len(latency) < LEAST_LATENCIES:
        return ()
    picture = album.add(
        f"{production.name}_latency",
        latency_histogram(latency),
        alt="Histogram of the times from the cue to the spoken word.",
        caption="How long after its cue each word begins in the sound, for the words that can be "
        "used.",
    )
    return (picture,)


def _left_out(table: pd.DataFrame) -> tuple[Cells, ...]:
    out = table[~table["used"]]
    if out.empty:
        return ()
    reasons = out["reason"].fillna("no reason is recorded") if "reason" in out else None
    groups = out.groupby(reasons, sort=False) if reasons is not None else [("", out)]
    rows = []
    for reason, part in groups:
        names = list(dict.fromkeys(part["word"].fillna("n/a").astype(str)))
        more = f" and {len(names) - MOST_EXAMPLES} more" if len(names) > MOST_EXAMPLES else ""
        rows.append((str(reason), str(len(part)), ", ".join(names[:MOST_EXAMPLES]) + more))
    return (Cells(("Left out because", "Words", "Which"), tuple(rows)),)


def _recordings(table: pd.DataFrame) -> tuple[Cells, ...]:
    """Count per recording and role, where there are several."""
    keys = [name for name in ("recording", "role") if name in table and table[name].nunique() > 1]
    if not keys:
        return ()
    rows = []
    for key, part in table.fillna({name: "n/a" for name in keys}).groupby(keys, sort=False):
        rows.append((", ".join(map(str, key)), str(len(part)), str(int(part["used"].sum()))))
    return (Cells((" and ".join(keys).capitalize(), "Words", "Used"), tuple(rows)),)
