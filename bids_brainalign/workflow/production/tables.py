"""Tables of rebuilt responses. No score across channels stands without that of the train mean."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.inputs import usable_channels
from bids_brainalign.production.mapping import Predictions
from bids_brainalign.production.nulls import Null
from bids_brainalign.production.scores import (
    CHANCE,
    STATISTICS,
    AcrossChannels,
    Corrected,
    across_channels,
    corrected,
)
from bids_brainalign.workflow.production.material import Material
from bids_brainalign.workflow.production.rebuilding import BASELINE, Rebuilt

Array64 = NDArray[np.float64]
Column = str | Mapping[str, object]

RESPONSE = "after the onset"
P_COLUMNS = {
    "shuffled words": "p_shuffled",
    "random embeddings": "p_random",
    "shifted trials": "p_shifted",
}
WHICH: dict[str, Column] = {
    "embedding": "NAME of the model, or of several side by side",
    "layer": "layer of the model; n/a where it has only one",
    "mapping": "ridge, multi-task (elastic net over all channels) or elastic-net (one each)",
    "folds": "k-fold, or leave-one-word-out as published",
}
SCORES: dict[str, Column] = {
    **WHICH,
    "window": f"{RESPONSE}: the responses to words; {BASELINE}: responses that can't know the "
    "word; realigned: after the onset, shifted by the lag between sound and responses",
    "score": {
        "Description": "Score, mean over words or channels",
        "Levels": {
            "pcc": "correlation across channels (as published; high without any information)",
            "r2": "1 − SSE/SST across channels (as published; high without any information)",
            "pattern_r": "correlation across channels about the training mean, in training SDs",
            "skill": "median over channels of 1 − SSE/SSE of the training mean",
            "two_vs_two": "share of pairs of words that are told apart",
            "rank": "share of other words whose response is less like the prediction",
            "channel_r": "correlation over the words of a fold, mean over channels; n/a where "
            "folds hold out single words, for which it tends to -1 without information",
        },
    },
    "value": "Score of the mapping",
    "train_mean": "The same score of the mean over the training words, which ignores the word",
    "sd_over_words": "SD of the score over words; n/a for scores of channels and pairs",
    "p_shuffled": "p against shuffled words, each draw fitted anew, penalties included",
    "p_random": "p against random embeddings of equal size",
    "p_shifted": "p against circularly shifted trials, which keep slow drifts",
    "null_mean": "Mean of the score over shuffled words",
    "n_draws": "Shuffles of the words",
    "n_words": "Words",
    "n_channels": "Channels that vary",
}
WORDS: dict[str, Column] = {
    **WHICH,
    "recording": "Recording",
    "word": "Word",
    "onset": {"Description": "Second of the recording that the window counts from", "Units": "s"},
    "pcc": "Correlation across channels",
    "pcc_train_mean": "… of the mean over the training words",
    "r2": "1 − SSE/SST across channels",
    "r2_train_mean": "… of the mean over the training words",
    "pattern_r": "Correlation across channels about the training mean, in training SDs",
    "rank": "Share of other words whose response is less like the prediction (chance .5)",
    "sd_observed": "SD across channels of the response, about the training mean, in training SDs",
    "sd_predicted": "… and of its prediction: how far it is shrunk",
}
CHANNELS: dict[str, Column] = {
    "name": "Channel",
    "type": "As in channels.tsv",
    "hemisphere": "L, R or n/a",
    "region": "Region of the atlas, or as the dataset says",
    **WHICH,
    "skill": "1 − SSE/SSE of the mean over the training words",
    "channel_r": "Correlation over the words of a fold, mean over folds; n/a for single words",
    "penalty": "Penalty as chosen, mean of its logarithm over folds",
    "l1_ratio": "Share of the L1 penalty, mean over folds; 0 for ridge",
    "non_zero": "Weights that are not 0, mean over folds",
    "response_mean": "Mean over words, in the units of the amplitude",
    "response_sd": "SD over words",
}
BINS: dict[str, Column] = {
    **WHICH,
    "r2_from": "Lower edge of the bin of R² across channels; n/a: none",
    "r2_to": "Upper edge",
    "share": "Share of words",
    "share_train_mean": "Share of words for the mean over the training words",
}
TWINS: dict[str, Column] = {
    **WHICH,
    "predictor": "What is plain about words, mapped by ridge on the same folds",
    **{name: f"{name} of the plain predictor" for name in STATISTICS},
    "gain": "Mean squared error of the plain predictor less that of the embedding, in training "
    "variances",
    "p_gain": "p of a gain as large by flipping signs of words; one-sided",
}
PENALTIES: dict[str, Column] = {
    **WHICH,
    "alpha": "Penalty, on standardised embeddings and responses (scikit-learn's scale)",
    "l1_ratio": "Share of the L1 penalty",
    "non_zero": "Weights that are not 0 per channel, mean over channels and folds",
    "pcc": "Correlation across channels",
    "pcc_train_mean": "… of the mean over the training words",
    "r2": "1 − SSE/SST across channels",
    "r2_train_mean": "… of the mean over the training words",
    **{name: f"{name}, as in the table of scores" for name in STATISTICS},
}


def score_table(
    about: Mapping[str, str], rebuilt: Rebuilt, material: Material, *, window: str
) -> pd.DataFrame:
    """One row per kind of folds, window and score."""
    rows: list[dict[str, object]] = []
    for over, predictions in rebuilt.predictions.items():
        nulls = rebuilt.nulls if over == "k-fold" else ()
        y = material.response
        rows += _published(about, over, window, y, predictions)
        rows += _corrected(about, over, window, y, predictions, nulls)
    if rebuilt.baseline is not None:
        rows += _baseline(about, rebuilt.baseline, material)
    return pd.DataFrame(rows)[list(SCORES)]


def word_table(about: Mapping[str, str], rebuilt: Rebuilt, material: Material) -> pd.DataFrame:
    """One row per kind of folds and word."""
    parts = []
    for over, predictions in rebuilt.predictions.items():
        scores = corrected(material.response, predictions)
        published = _across(material.response, predictions)
        table = material.words[["recording", "word", "onset"]].copy()
        table = table.assign(**about, folds=over)
        for name in ("pcc", "pcc_train_mean", "r2", "r2_train_mean"):
            table[name] = np.nan
        if published is not None:
            table[["pcc", "pcc_train_mean", "r2", "r2_train_mean"]] = pd.DataFrame(
                published.table()
            ).to_numpy()
        parts.append(
            table.assign(
                pattern_r=scores.pattern_r,
                rank=scores.rank,
                sd_observed=scores.sd_observed,
                sd_predicted=scores.sd_predicted,
            )
        )
    return pd.concat(parts, ignore_index=True)[list(WORDS)]


def channel_table(about: Mapping[str, str], rebuilt: Rebuilt, material: Material) -> pd.DataFrame:
    """One row per channel, from k-fold."""
    predictions = rebuilt.predictions["k-fold"]
    scores = corrected(material.response, predictions)
    r = scores.channel_r
    used = usable_channels(material.response)
    mean, sd = np.full(len(used), np.nan), np.full(len(used), np.nan)
    mean[used] = material.response[:, used].mean(axis=0)
    sd[used] = material.response[:, used].std(axis=0, ddof=1)
    with np.errstate(divide="ignore"):
        penalty = np.exp(np.log(predictions.penalty).mean(axis=0))
    targets = material.targets
    table = pd.DataFrame(
        {
            "name": targets["name"],
            "type": targets["type"],
            "hemisphere": targets["hemisphere"],
            "region": targets["region"],
            "skill": scores.skill,
            "channel_r": np.nan if r is None else r,
            "penalty": penalty,
            "l1_ratio": predictions.ratio.mean(axis=0),
            "non_zero": predictions.non_zero.mean(axis=0),
            "response_mean": mean,
            "response_sd": sd,
        }
    )
    return table.assign(**about, folds="k-fold")[list(CHANNELS)]


def bin_table(about: Mapping[str, str], rebuilt: Rebuilt, material: Material) -> pd.DataFrame:
    """One row per kind of folds and bin of R²."""
    rows = []
    for over, predictions in rebuilt.predictions.items():
        published = _across(material.response, predictions)
        for row in published.bins() if published is not None else ():
            rows.append({**about, "folds": over, **row})
    return pd.DataFrame(rows, columns=list(BINS))


def twin_table(about: Mapping[str, str], rebuilt: Rebuilt) -> pd.DataFrame:
    """One row per plain predictor."""
    rows = [
        {
            **about,
            "folds": "k-fold",
            "predictor": one.name,
            **dict(zip(STATISTICS, one.statistics, strict=True)),
            "gain": one.gain,
            "p_gain": one.p_gain,
        }
        for one in rebuilt.twins
    ]
    return pd.DataFrame(rows, columns=list(TWINS))


def penalty_table(about: Mapping[str, str], rebuilt: Rebuilt) -> pd.DataFrame:
    """One row per fixed penalty."""
    rows = [
        {
            **about,
            "folds": "k-fold",
            "alpha": one.alpha,
            "l1_ratio": one.ratio,
            "non_zero": float(np.nanmean(one.non_zero)),
            "pcc": float(one.across.pcc[0].mean()),
            "pcc_train_mean": float(one.across.pcc[1].mean()),
            "r2": float(one.across.r2[0].mean()),
            "r2_train_mean": float(one.across.r2[1].mean()),
            **dict(zip(STATISTICS, one.statistics, strict=True)),
        }
        for one in rebuilt.grid
    ]
    return pd.DataFrame(rows, columns=list(PENALTIES))


def _across(y: Array64, predictions: Predictions) -> AcrossChannels | None:
    """Score as published; None with too few channels to correlate across."""
    try:
        return across_channels(y, predictions)
    except BrainAlignError:
        return None


def _published(
    about: Mapping[str, str], over: str, window: str, y: Array64, predictions: Predictions
) -> list[dict[str, object]]:
    found = _across(y, predictions)
    rows: list[dict[str, object]] = []
    for name in ("pcc", "r2"):
        values = np.full((2, len(y)), np.nan) if found is None else getattr(found, name)
        row = _row(about, over, window, name, y)
        mine = values[0]
        rows.append(
            {
                **row,
                "value": float(mine.mean()),
                "train_mean": float(values[1].mean()),
                "sd_over_words": float(mine.std(ddof=1)),
            }
        )
    return rows


def _corrected(
    about: Mapping[str, str],
    over: str,
    window: str,
    y: Array64,
    predictions: Predictions,
    nulls: tuple[Null, ...],
) -> list[dict[str, object]]:
    scores: Corrected = corrected(y, predictions)
    spread = scores.sd_over_words()
    rows = []
    for place, (name, value) in enumerate(zip(STATISTICS, scores.summary(), strict=True)):
        row = _row(about, over, window, name, y)
        row |= {"value": float(value), "sd_over_words": spread.get(name, np.nan)}
        # The train mean is at chance in these; over single words its r is -1 and means nothing.
        row["train_mean"] = CHANCE[place] if np.isfinite(value) else np.nan
        rows.append({**row, **_p_of(nulls, place)})
    return rows


def _baseline(about: Mapping[str, str], null: Null, material: Material) -> list[dict[str, object]]:
    rows = []
    for place, name in enumerate(STATISTICS):
        row = _row(about, "k-fold", BASELINE, name, material.baseline)
        row |= {"value": float(null.observed[place]), "train_mean": CHANCE[place]}
        row |= {
            "p_shuffled": float(null.p[place]),
            "null_mean": float(null.draws[:, place].mean()),
            "n_draws": len(null.draws),
        }
        rows.append(row)
    return rows


def _p_of(nulls: tuple[Null, ...], place: int) -> dict[str, object]:
    found: dict[str, object] = {P_COLUMNS[null.name]: float(null.p[place]) for null in nulls}
    if nulls:
        found |= {
            "null_mean": float(nulls[0].draws[:, place].mean()),
            "n_draws": len(nulls[0].draws),
        }
    return found


def _row(
    about: Mapping[str, str], over: str, window: str, score: str, y: Array64
) -> dict[str, object]:
    empty = dict.fromkeys(
        ("value", "train_mean", "sd_over_words", *P_COLUMNS.values(), "null_mean"), np.nan
    )
    return {
        **about,
        "folds": over,
        "window": window,
        "score": score,
        **empty,
        "n_draws": 0,
        "n_words": len(y),
        "n_channels": int(usable_channels(y).sum()),
    }
