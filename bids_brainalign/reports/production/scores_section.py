"""Scores of rebuilt responses: published ones beside the train mean, corrected ones with p."""

from __future__ import annotations

import numpy as np

from bids_brainalign.reports.figures.production_scores import (
    MOST_EMBEDDINGS,
    Pair,
    ScoreMark,
    score_marks,
)
from bids_brainalign.reports.production.findings import findings_of
from bids_brainalign.reports.production.results import (
    BASELINE,
    MAPPINGS,
    PUBLISHED,
    Production,
    Rebuilt,
    Score,
)
from bids_brainalign.reports.production.twin import HIDDEN, WHY_HIDDEN, published, twin_cells
from bids_brainalign.reports.production.wording import first_of
from bids_brainalign.reports.rendering import Album, Picture
from bids_brainalign.reports.section import Cells, Section
from bids_brainalign.reports.summary import number, probability

TITLE = "Scores"
CORRECTED = {
    "pattern_r": "Pattern r",
    "skill": "Skill",
    "two_vs_two": "2-vs-2",
    "rank": "Rank",
    "channel_r": "Channel r",
}
CHANNEL_TEXT = ("name", "type", "units", "hemisphere", "region")
MOST_NAMES = 24
ABOUT = (
    "PCC and R² are the published scores: how alike the rebuilt and the measured pattern over "
    "channels are, the channels' own means included. As channels differ in their means far "
    "more than words do, a predictor that ignores the word scores high, too: beside each "
    "stands the score of the mean over the training words (train mean). Only what goes beyond it "
    "can be about words.",
    "The other scores are at chance for whatever ignores the word. Pattern r: correlation over "
    "channels once the training mean is taken away (chance 0). Skill: share of the error of the "
    "train mean that is avoided, median over channels (0). 2-vs-2: share of pairs of words that "
    "are told apart (.5). Rank: share of other words whose response is less like the prediction "
    "(.5). Channel r: correlation over words within channels (0).",
)


def scores_section(production: Production, album: Album) -> Section:
    """One table and figure of all embeddings and mappings."""
    cells = scores_table(production)
    hidden = any(HIDDEN in row for row in cells.rows)
    return Section(
        TITLE,
        (*ABOUT, *_still(production), *((WHY_HIDDEN,) if hidden else ())),
        _picture(production, album),
        (cells, *nulls_table(production)),
    )


def _still(production: Production) -> tuple[str, ...]:
    """Name channels that were left out because they don't vary."""
    one = production.main()[0]
    table = production.table(one, "channelscores", text=CHANNEL_TEXT)
    if table is None or not {"name", "response_sd"} <= set(table.columns):
        return ()
    names = list(map(str, table.loc[~(table["response_sd"] > 0), "name"]))
    if not names:
        return ()
    shown = ", ".join(names[:MOST_NAMES]) + (" …" if len(names) > MOST_NAMES else "")
    left = "does not vary and is" if len(names) == 1 else "do not vary and are"
    return (f"{len(names)} of {len(table)} channels {left} left out: {shown}.",)


def scores_table(production: Production) -> Cells:
    """Rows: embedding, mapping and folds; a published score never without its twin."""
    rows = []
    for one in production.rebuilt:
        for folds in one.folds():
            scores = one.rows(folds=folds)
            if scores.empty:
                continue
            across = [twin_cells(published(scores, name)) for name in PUBLISHED]
            mine = (with_p(one.score(name, folds=folds)) for name in CORRECTED)
            rows.append((one.embedding, one.how(folds), *across[0], *across[1], *mine))
    return Cells(
        (
            "Embedding",
            "Mapping and folds",
            "PCC",
            "train mean",
            "R²",
            "train mean",
            *CORRECTED.values(),
        ),
        tuple(rows),
        caption="Below the corrected scores: p, the share of shuffles of the words, each fitted "
        "anew, that score as high; k-fold only. Channel r is n/a where single words are left out: "
        "it then tends to −1 without any information.",
    )


def nulls_table(production: Production) -> tuple[Cells, ...]:
    """Pattern r against every null, and where the word could not be known."""
    rows = []
    for one in production.rebuilt:
        found = one.score("pattern_r")
        if np.isfinite(found.value):
            ps = map(probability, (found.p_shuffled, found.p_random, found.p_shifted))
            before = with_p(one.score("pattern_r", window=BASELINE))
            null = f"{number(found.null_mean)}\n{number(found.n_draws, 0)} draws"
            rows.append((one.embedding, one.how(), number(found.value), null, *ps, before))
    if not rows:
        return ()
    caption = (
        "Pattern r, k-fold, against what knows nothing of the words: shuffles of the words (mean "
        "and p), random vectors of the same size, and shifted trials, which keep slow drifts. "
        "Before the cue the word was not known: pattern r there, with p, has "
        "to be at chance. n/a: not run; only ridge has all nulls."
    )
    columns = ("Embedding", "Mapping", "Pattern r", "Shuffles", "p shuffled words",
               "p random vectors", "p shifted trials", "Before the cue")  # fmt: skip
    return (Cells(columns, tuple(rows), caption=caption),)


def with_p(score: Score) -> str:
    """Cell of a score, with its p on a second line where it has one."""
    said = number(score.value)
    return f"{said}\np {probability(score.p_shuffled)}" if np.isfinite(score.p_shuffled) else said


def _picture(production: Production, album: Album) -> tuple[Picture, ...]:
    answers = {finding.embedding: finding.answer for finding in findings_of(production)}
    marks = [
        ScoreMark(
            one.embedding,
            MAPPINGS.get(one.mapping, one.mapping),
            (_published_pair(one), _pair(one, "pattern_r"), _pair(one, "two_vs_two")),
            found=answers[one.embedding] == "Evidence",
        )
        for one in production.rebuilt
    ]
    if not any(np.isfinite(pair.value) for mark in marks for pair in mark.pairs):
        return ()
    titles = ("PCC (published)", "pattern r (corrected)", "2-vs-2 (corrected)")
    picture = album.add(
        f"{production.name}_scores",
        score_marks(marks, titles, answers),
        alt="Published and corrected scores of every embedding beside what ignores the word.",
        caption="k-fold. Diamonds are what comes without information on the word: the mean over "
        "the training words (left), the mean over shuffled words (middle and right). A mark "
        "on its diamond is a score that can be had without any information, however high it is. "
        "Filled: embeddings with evidence by all rules of the verdict."
        f"{first_of(len(answers), MOST_EMBEDDINGS, 'embeddings')}",
    )
    return (picture,)


def _published_pair(one: Rebuilt) -> Pair:
    pair = published(one.rows(), "pcc")
    return Pair(*pair) if pair else Pair(float("nan"), float("nan"))


def _pair(one: Rebuilt, name: str) -> Pair:
    score = one.score(name)
    return Pair(score.value, score.null_mean)
