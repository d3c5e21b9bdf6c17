"""Speech production over participants: scores of each embedding, and embeddings against others."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.group.layers import row_generator, t_test
from bids_brainalign.production.scores import CHANCE, STATISTICS
from bids_brainalign.statistics.intervals import MIN_FOR_INTERVAL, group_interval
from bids_brainalign.statistics.multiplicity import benjamini_hochberg

KEYS = ["mapping", "folds", "score"]
INPUT = ["participant", "embedding", *KEYS, "value", "train_mean", "answer"]
CORRECTED = dict(zip(STATISTICS, CHANCE, strict=True))
"""Scores that are at chance for a predictor that ignores the word. Only these are tested: the
published ones are high without any information, and rise as a model shrinks."""
EVIDENCE, UNDECIDED = "evidence", "undecided"
_SHARED = {
    "mapping": "Ridge or elastic net",
    "folds": "k-fold or leave-one-word-out",
    "score": "pattern_r, skill, two_vs_two, rank, channel_r; or a published one, which is not "
    "tested",
}
SCORE_COLUMNS: dict[str, str] = {
    "embedding": "Embedding of the words",
    **_SHARED,
    "n_participants": "Participants with a value",
    "mean": "Mean over participants",
    "ci_low": "Lower end of the 95 % interval of the mean; n/a with fewer than 5 participants",
    "ci_high": "Upper end",
    "interval_kind": "t (5 to 9 participants), bca (bootstrap, from 10 on) or none",
    "within_low": "Lower end of the 95 % interval without the differences between participants "
    "(Morey), for comparing embeddings in a figure; participants who have all embeddings of this "
    "mapping, folds and score, n/a with fewer than 5",
    "within_high": "Upper end",
    "train_mean": "Mean over the same participants of the score of a predictor that ignores the "
    "word",
    "p": "One-sided one-sample t test of a mean above chance over participants; n/a with fewer "
    "than 5, and for published scores",
    "q_fdr": "Benjamini-Hochberg q of p over embeddings",
    "n_evidence": "Participants of whom the report says that there is evidence",
    "n_undecided": "Participants of whom it says that this is undecided",
    "n_answers": "Participants with an answer",
}
DIFFERENCE_COLUMNS: dict[str, str] = {
    "embedding": "Embedding of the words",
    "reference": "The embedding it is held against, on the same words of the same participants",
    **_SHARED,
    "n_participants": "Participants with both",
    "difference": "Mean over participants of embedding minus reference",
    "ci_low": "Lower end of its 95 % interval; n/a with fewer than 5 participants",
    "ci_high": "Upper end",
    "interval_kind": SCORE_COLUMNS["interval_kind"],
    "p": "Two-sided paired t test; n/a with fewer than 5 participants, and for published scores: "
    "a difference in shrinkage is one in those",
    "q_fdr": "Benjamini-Hochberg q of p over pairs of embeddings",
    "n_higher": "Participants in whom embedding is above reference",
}


def participant_scores(tables: pd.DataFrame) -> pd.DataFrame:
    """One value per participant, embedding, mapping, folds and score.

    Several rows of one, such as sessions, are averaged; their answer counts where all agree, and
    is undecided where they don't.

    Parameters
    ----------
    tables : DataFrame
        With ``participant, embedding, mapping, folds, score, value, train_mean, answer``.

    Returns
    -------
    DataFrame
        The same columns, in the order of embeddings as given.

    Raises
    ------
    BrainAlignError
        If a column is missing.
    """
    missing = [name for name in INPUT if name not in tables]
    if missing:
        raise BrainAlignError(f"Scores of speech production lack the columns {missing}.")
    rows = tables[INPUT].copy()
    for name in ("value", "train_mean"):
        rows[name] = pd.to_numeric(rows[name], errors="coerce")
    whom = ["embedding", *KEYS, "participant"]
    groups = rows.groupby(whom, sort=False)
    means = groups[["value", "train_mean"]].mean()
    means["answer"] = groups["answer"].agg(_agreed)
    found = means.reset_index()
    return found[found["value"].notna()].reset_index(drop=True)[INPUT]


def score_table(tables: pd.DataFrame) -> pd.DataFrame:
    """Summarise each embedding over participants: the columns of `SCORE_COLUMNS`.

    Parameters
    ----------
    tables : DataFrame
        As for :func:`participant_scores`.
    """
    rows = []
    for key, part in _families(participant_scores(tables)):
        within = within_intervals(_matrix(part))
        for embedding, own in part.groupby("embedding", sort=False):
            low, high = within.get(str(embedding), (float("nan"), float("nan")))
            rows.append(
                {"embedding": embedding, **key}
                | _summary(own, (str(embedding), *key.values()))
                | {"within_low": low, "within_high": high}
            )
    return _with_q(pd.DataFrame(rows, columns=[*SCORE_COLUMNS]))


def difference_table(tables: pd.DataFrame) -> pd.DataFrame:
    """Compare every pair of embeddings: the columns of `DIFFERENCE_COLUMNS`.

    Parameters
    ----------
    tables : DataFrame
        As for :func:`participant_scores`.
    """
    rows = []
    for key, part in _families(participant_scores(tables)):
        matrix = _matrix(part)
        for reference, embedding in combinations(matrix.columns, 2):
            difference = (matrix[embedding] - matrix[reference]).dropna().to_numpy()
            if not len(difference):
                continue
            names = {"embedding": embedding, "reference": reference}
            told = (str(embedding), str(reference), *key.values())
            interval = group_interval(difference, row_generator(told, "difference"))
            rows.append(
                names
                | key
                | {
                    "n_participants": interval.n,
                    "difference": interval.mean,
                    "ci_low": interval.low,
                    "ci_high": interval.high,
                    "interval_kind": interval.kind,
                    "p": t_test(difference) if key["score"] in CORRECTED else float("nan"),
                    "n_higher": int((difference > 0).sum()),
                }
            )
    return _with_q(pd.DataFrame(rows, columns=[*DIFFERENCE_COLUMNS]))


def within_intervals(
    matrix: pd.DataFrame, *, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Intervals of means that paired comparisons can be read from.

    Parameters
    ----------
    matrix : DataFrame
        Participants × embeddings; participants who lack one are left out.
    level : float
        Coverage.

    Returns
    -------
    dict of str to (float, float)
        Embedding → low and high; empty with fewer than 5 participants or 2 embeddings.

    References
    ----------
    Morey 2008, Tutorials in Quantitative Methods for Psychology 4(2).
    """
    y = matrix.dropna().to_numpy(dtype=np.float64)
    n, n_embeddings = y.shape
    if n < MIN_FOR_INTERVAL or n_embeddings < 2:
        return {}
    normed = y - y.mean(axis=1, keepdims=True) + y.mean()
    variance = normed.var(axis=0, ddof=1) * n_embeddings / (n_embeddings - 1)
    half = stats.t.ppf((1 + level) / 2, n - 1) * np.sqrt(variance / n)
    ends = zip(y.mean(axis=0) - half, y.mean(axis=0) + half, strict=True)
    return {
        str(name): (float(low), float(high))
        for name, (low, high) in zip(matrix.columns, ends, strict=True)
    }


def _families(values: pd.DataFrame) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """Embeddings that are comparable: of one mapping, kind of folds, and score."""
    for key, part in values.groupby(KEYS, sort=False):
        yield dict(zip(KEYS, map(str, key), strict=True)), part


def _matrix(part: pd.DataFrame) -> pd.DataFrame:
    """Values of participants × embeddings, both in the order given."""
    wide = part.pivot(index="participant", columns="embedding", values="value")
    return wide[list(dict.fromkeys(part["embedding"]))]


def _summary(own: pd.DataFrame, key: tuple[str, ...]) -> dict[str, object]:
    values = own["value"].to_numpy(dtype=np.float64)
    interval = group_interval(values, row_generator(key, "mean"))
    answers = own["answer"].dropna()
    return {
        "n_participants": interval.n,
        "mean": interval.mean,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "interval_kind": interval.kind,
        "train_mean": own["train_mean"].mean(),
        "p": _above(values, CORRECTED.get(key[-1])),
        "n_evidence": int((answers == EVIDENCE).sum()),
        "n_undecided": int((answers == UNDECIDED).sum()),
        "n_answers": len(answers),
    }


def _above(values: NDArray[np.float64], chance: float | None) -> float:
    """One-sided p of a mean above chance; NaN where that is not tested."""
    if chance is None or len(values) < MIN_FOR_INTERVAL or np.ptp(values) == 0:
        return float("nan")
    return float(stats.ttest_1samp(values, chance, alternative="greater").pvalue)


def _agreed(answers: pd.Series[str]) -> str | None:
    known = answers.dropna().unique()
    if not len(known):
        return None
    return str(known[0]) if len(known) == 1 else UNDECIDED


def _with_q(table: pd.DataFrame) -> pd.DataFrame:
    """Add q over the rows of each mapping, folds and score."""
    for _, index in table.groupby(KEYS, sort=False).groups.items():
        p = table.loc[index, "p"].to_numpy(dtype=float)
        table.loc[index, "q_fdr"] = benjamini_hochberg(p)
    return table
