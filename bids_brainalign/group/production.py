"""Speech production over participants: scores of embeddings, and how embeddings differ."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.group.layers import row_generator, t_test
from bids_brainalign.statistics.intervals import group_interval
from bids_brainalign.statistics.multiplicity import benjamini_hochberg

MAIN = "pattern_r"
"""Score that embeddings are compared by."""
_KEYS = ["embedding", "mapping", "folds", "score"]
_INTERVAL = {
    "ci_low": "Lower end of the 95 % interval over participants; n/a with fewer than 5",
    "ci_high": "Upper end",
    "interval_kind": "t (5 to 9 participants), bca (bootstrap, from 10 on) or none",
}
SCORE_COLUMNS: dict[str, str] = {
    "embedding": "NAME of the model, or of several side by side",
    "mapping": "ridge, multi-task or elastic-net",
    "folds": "k-fold, or leave-one-word-out",
    "score": "As in the participants' reconstruction.tsv",
    "n_participants": "Participants with a value",
    "n_evidence": "Participants with evidence, by ridge; n/a where none was judged",
    "mean": "Mean over participants; sessions of a participant are averaged first",
    **_INTERVAL,
    "p": "Two-sided t test over participants of the score less the mean over the participant's "
    "own shuffles of the words, in which words that come again in other folds are still known; "
    "n/a with fewer than 5, and where nothing was shuffled",
    "q_fdr": "Benjamini-Hochberg q of p over embeddings",
    "mean_train_mean": "Mean over participants of the same score of the mean over the training "
    "words",
    "mean_null": "Mean over participants of the mean over shuffles of the words",
    "above_null": "Mean over participants of the score less the mean over their shuffles",
    "above_low": "Lower end of its 95 % interval over participants; n/a with fewer than 5",
    "above_high": "Upper end",
}
DIFFERENCE_COLUMNS: dict[str, str] = {
    "embedding_a": "The first embedding",
    "embedding_b": "The second",
    "mapping": SCORE_COLUMNS["mapping"],
    "folds": SCORE_COLUMNS["folds"],
    "score": SCORE_COLUMNS["score"],
    "n_participants": "Participants with both, on the same words",
    "mean": "Mean over participants of the first minus the second, each less the mean over its "
    "shuffles of the words",
    **_INTERVAL,
    "p": "Two-sided paired t test; n/a with fewer than 5 participants",
    "q_fdr": "Benjamini-Hochberg q of p over pairs",
}


def score_table(values: pd.DataFrame) -> pd.DataFrame:
    """Summarise scores over participants.

    Parameters
    ----------
    values : DataFrame
        ``participant, embedding, mapping, folds, score, value, train_mean, null_mean, answer``;
        sessions make several rows.

    Returns
    -------
    DataFrame
        The columns of `SCORE_COLUMNS`.
    """
    rows = []
    for key, part in values.groupby(_KEYS, sort=False):
        people = part.groupby("participant", sort=True)
        means, nulls = people["value"].mean(), people["null_mean"].mean()
        judged = people["answer"].agg(lambda answers: bool((answers == "evidence").all()))
        answered = (part["answer"] != "n/a").any()
        rows.append(
            dict(zip(_KEYS, key, strict=True))
            | _over_participants(means.to_numpy(dtype=np.float64), tuple(map(str, key)))
            | {
                "n_evidence": int(judged.sum()) if answered else pd.NA,
                "mean_train_mean": people["train_mean"].mean().mean(),
                "mean_null": nulls.mean(),
                **_above((means - nulls).dropna().to_numpy(dtype=np.float64), key),
            }
        )
    table = pd.DataFrame(rows, columns=[*SCORE_COLUMNS])
    return _with_q(table, ["mapping", "folds", "score"])


def difference_table(values: pd.DataFrame) -> pd.DataFrame:
    """Compare every two embeddings by their mean-removed pattern correlation above shuffles.

    In continuous speech words come again, and embeddings of more dimensions tell them apart
    better: raw scores would differ without any meaning.

    Parameters and result as of :func:`score_table`, with the columns of `DIFFERENCE_COLUMNS`.
    """
    chosen = values[(values["score"] == MAIN) & values["null_mean"].notna()]
    chosen = chosen.assign(value=chosen["value"] - chosen["null_mean"])
    rows = []
    for (mapping, folds), part in chosen.groupby(["mapping", "folds"], sort=False):
        wide = part.pivot_table(index="participant", columns="embedding", values="value")
        names = [name for name in part["embedding"].unique() if name in wide]
        for first, second in combinations(names, 2):
            difference = (wide[first] - wide[second]).dropna().to_numpy(dtype=np.float64)
            key = (str(first), str(second), str(mapping), str(folds))
            rows.append(
                {
                    "embedding_a": first,
                    "embedding_b": second,
                    "mapping": mapping,
                    "folds": folds,
                    "score": MAIN,
                    "p": t_test(difference),
                }
                | _over_participants(difference, key)
            )
    return _with_q(pd.DataFrame(rows, columns=[*DIFFERENCE_COLUMNS]), ["mapping", "folds"])


def _above(values: NDArray[np.float64], key: tuple[object, ...]) -> dict[str, object]:
    found = _over_participants(values, (*map(str, key), "above shuffles"))
    return {
        "above_null": found["mean"],
        "above_low": found["ci_low"],
        "above_high": found["ci_high"],
        "p": t_test(values),
    }


def _over_participants(values: NDArray[np.float64], key: tuple[str, ...]) -> dict[str, object]:
    interval = group_interval(values, row_generator(key, "production"))
    return {
        "n_participants": interval.n,
        "mean": interval.mean,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "interval_kind": interval.kind,
    }


def _with_q(table: pd.DataFrame, families: list[str]) -> pd.DataFrame:
    table["q_fdr"] = np.nan
    for _, index in table.groupby(families, sort=False).groups.items():
        p = table.loc[index, "p"].to_numpy(dtype=float)
        table.loc[index, "q_fdr"] = benjamini_hochberg(p)
    return table
