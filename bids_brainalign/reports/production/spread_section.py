"""How the published scores spread over words, beside the spread of the train mean."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bids_brainalign.reports.figures.production_bins import MOST_PANELS, share_of_words
from bids_brainalign.reports.production.results import K_FOLD, Production, Rebuilt
from bids_brainalign.reports.production.twin import HIDDEN, WHY_HIDDEN, with_twin
from bids_brainalign.reports.production.wording import first_of
from bids_brainalign.reports.rendering import Album, Picture
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.summary import number

TITLE = "Spread over words"
TEXT = ("embedding", "layer", "mapping", "folds")
EMPTY = "0 | 0 %"
WORD_TEXT = (*TEXT, "recording", "word")
ABOUT = (
    "The share of words whose R² across channels is high is published as a score, too. The mean "
    "over the training words, which ignores the word, can have high shares, too; it stands beside."
)


def spread_section(production: Production, album: Album) -> Section | None:
    """Show words per bin of R² and the SD over words; None without such tables."""
    bins, words = _read(production, "r2bins", TEXT), _read(production, "wordscores", WORD_TEXT)
    if not bins and not words:
        return None
    tables = (*_shares(bins), *_spreads(words))
    hidden = any(HIDDEN in row for cells in tables for row in cells.rows)
    sentences = (ABOUT, WHY_HIDDEN) if hidden else (ABOUT,)
    return Section(TITLE, sentences, _picture(production, bins, album), tables)


def _read(
    production: Production, suffix: str, text: tuple[str, ...]
) -> list[tuple[Rebuilt, pd.DataFrame]]:
    found = ((one, production.table(one, suffix, text=text)) for one in production.rebuilt)
    return [(one, table) for one, table in found if table is not None]


def _bin_name(low: float, high: float) -> str:
    """Name a bin by its edges.

    Examples
    --------
    >>> _bin_name(float("nan"), 0.0), _bin_name(0.1, 0.2), _bin_name(0.9, 1.0)
    ('< 0', '.1–.2', '.9–1')
    """
    if np.isnan(low):
        return f"< {high:g}"
    return "–".join(f"{edge:g}".replace("0.", ".") for edge in (low, high))


def _shares_of(table: pd.DataFrame, folds: str) -> tuple[list[str], pd.DataFrame]:
    rows = table[table["folds"] == folds].sort_values("r2_to")
    names = [
        _bin_name(low, high) for low, high in zip(rows["r2_from"], rows["r2_to"], strict=True)
    ]
    return names, with_twin(rows, "share", "share_train_mean").reindex(rows.index)


def _shares(bins: list[tuple[Rebuilt, pd.DataFrame]]) -> tuple[Cells, ...]:
    rows, columns = [], None
    for one, table in bins:
        for folds in dict.fromkeys(table["folds"]):
            names, shares = _shares_of(table, folds)
            if columns is not None and names != columns:
                continue
            columns = names
            beside = map(_share, shares["value"], shares["train_mean"])
            rows.append((one.embedding, one.how(folds), *beside))
    if columns is None:
        return ()
    used = [place for place in range(len(columns))
            if any(row[place + 2] != EMPTY for row in rows)]  # fmt: skip
    cells = tuple((*row[:2], *(row[place + 2] for place in used)) for row in rows)
    return (
        Cells(
            ("R² of words", "Mapping and folds", *(columns[place] for place in used)),
            cells,
            folded=f"Share of words per bin of R², all mappings and folds ({len(rows)} rows)",
            caption="Embedding | mean over training words, in percent of the words. Bins without "
            "any word are left out.",
        ),
    )


def _share(value: float, twin: float) -> str:
    if not np.isfinite(twin) or not np.isfinite(value):
        return HIDDEN
    return f"{100 * value:.0f} | {100 * twin:.0f} %"


def _spreads(words: list[tuple[Rebuilt, pd.DataFrame]]) -> tuple[Cells, ...]:
    rows = []
    for one, table in words:
        for folds, part in table.groupby("folds", sort=False):
            across = [_sd_beside(part, name) for name in ("pcc", "r2")]
            shrunk = number(float((part["sd_predicted"] / part["sd_observed"]).median()), 2)
            mine = (_sd(part, "pattern_r"), _sd(part, "rank"), shrunk)
            rows.append((one.embedding, one.how(str(folds)), *across[0], *across[1], *mine))
    if not rows:
        return ()
    columns = ("SD over words", "Mapping and folds", "PCC", "train mean", "R²", "train mean",
               "Pattern r", "Rank", "Size of predictions")  # fmt: skip
    caption = (
        "How much the scores differ from word to word. Size of predictions: their SD over "
        "channels, about the train mean, as a share of that of the responses (median over words); "
        "near 0 the mapping has shrunk to the train mean."
    )
    folded = f"How much scores differ from word to word ({len(rows)} rows)"
    return (Cells(columns, tuple(rows), caption=caption, folded=folded),)


def _sd_beside(part: pd.DataFrame, name: str) -> tuple[str, str]:
    both = with_twin(part, name, f"{name}_train_mean")
    if len(both) < 2:
        return HIDDEN, "n/a"
    return number(float(both["value"].std())), number(float(both["train_mean"].std()))


def _sd(part: pd.DataFrame, name: str) -> str:
    return number(float(pd.to_numeric(part[name], errors="coerce").std()))


def _picture(
    production: Production, bins: list[tuple[Rebuilt, pd.DataFrame]], album: Album
) -> tuple[Picture, ...]:
    main = {id(one) for one in production.main()}
    shown, labels = {}, []
    for one, table in bins:
        names, shares = _shares_of(table, K_FOLD)
        if id(one) in main and len(shares) and np.isfinite(shares).all(axis=None):
            shown[one.called], labels = shares, names
    if not shown:
        return ()
    picture = album.add(
        f"{production.name}_r2bins",
        share_of_words(shown, labels),
        alt="Share of words per bin of R² across channels, embedding and train mean.",
        caption="Bars: share of words whose R² across channels falls into each bin, k-fold. "
        "Outline: the same for the mean over the training words. Where bars fill the outline, the "
        "embedding adds nothing to this score."
        f"{first_of(len(shown), MOST_PANELS, 'embeddings')}",
    )
    return (picture,)
