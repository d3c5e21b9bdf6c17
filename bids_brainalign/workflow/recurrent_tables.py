"""Rows of the tables about networks: scores, and differences between encoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.schema import Recurrent
from bids_brainalign.statistics.block_bootstrap import percentile_interval
from bids_brainalign.workflow.inference import corrected
from bids_brainalign.workflow.tables import SCORE_COLUMNS

Array64 = NDArray[np.float64]

EVERY_TARGET = "mean over electrodes"
"""Stands in the column ``target`` for the average; no electrode has a name with spaces."""

COLUMNS: dict[str, str] = {
    **SCORE_COLUMNS,
    "layer_mode": "Layer chosen most often over outer folds; one for all electrodes of a fold",
    "layer_agreement": "Share of outer folds that chose it",
    "r": "Pearson correlation of held-out prediction and response, over folds the sample-weighted "
    "mean on Fisher's z scale; mean over seeds of each seed's score, not of an ensemble",
    "p": "One-sided p of r against circular shifts of the predictions; the layer is nested, so "
    "there is no maximum over layers",
    "delta_r_lowlevel": "n/a: networks are not fitted together with the low-level features; "
    "compare r with r_lowlevel",
    "n_seeds": "Networks trained from different first weights, each with its own validation block",
    "r_seed_sd": "Standard deviation of r over seeds",
    "r_ridge": "r of ridge on the same design: the same layer, lags and folds",
    "delta_r_ridge": "r minus r_ridge",
    "delta_r_ridge_ci_low": "95 % interval of delta_r_ridge: blocks of held-out time drawn with "
    "replacement, percentiles, widened because folds train each other; n/a with fewer than 6 "
    "blocks, and for voxels",
    "delta_r_ridge_ci_high": "Its upper end",
    "p_delta_ridge": "One-sided p of delta_r_ridge against the same circular shifts of both "
    "predictions",
    "q_delta_ridge": "Benjamini-Hochberg q of p_delta_ridge over targets",
}

COMPARISON_COLUMNS: dict[str, str] = {
    "target": f"Electrode, or '{EVERY_TARGET}'",
    "encoder": "Encoding model",
    "reference": "Encoding model that it is compared with, on the same layers, lags and folds",
    "r": "Held-out r of the encoder, mean over seeds",
    "r_reference": "Held-out r of the reference, mean over seeds",
    "delta_r": "r minus r_reference",
    "ci95_low": "95 % interval of delta_r: blocks of held-out time drawn with replacement, "
    "percentiles, widened because folds train each other; n/a with fewer than 6 blocks",
    "ci95_high": "Its upper end",
    "ci90_low": "90 % interval of delta_r",
    "ci90_high": "Its upper end",
    "n_blocks": "Blocks of held-out time",
    "n_seeds": "Seeds that r is the mean over (ridge has none)",
}


@dataclass(frozen=True)
class Selected:
    """A network at the layer that each fold chose; arrays over targets."""

    layers: NDArray[np.object_]
    """(n_folds,) names."""
    r: Array64
    r2: Array64
    r_fold: Array64
    """(n_folds, n_targets)."""
    r_ridge: Array64
    r_ridge_fold: Array64
    seed_sd: Array64
    low: Array64
    high: Array64
    p: Array64
    q: Array64
    p_max: Array64
    p_delta: Array64
    """Of r minus r_ridge."""


@dataclass(frozen=True)
class OneLayer:
    """A network at the same layer in every fold."""

    name: str
    r: Array64
    r2: Array64
    r_ridge: Array64
    p: Array64


def score_rows(selected: Selected, per_layer: Sequence[OneLayer]) -> list[dict[str, object]]:
    """Values of each group of rows, before the columns that all rows share."""
    rows: list[dict[str, object]] = [
        {
            "layer": one.name,
            "fold": "all",
            "r": one.r,
            "r2": one.r2,
            "p": one.p,
            "r_ridge": one.r_ridge,
            "delta_r_ridge": one.r - one.r_ridge,
        }
        for one in per_layer
    ]
    names, counts = np.unique(selected.layers.astype(str), return_counts=True)
    rows.append(
        {
            "layer": "selected",
            "layer_mode": str(names[counts.argmax()]),
            "layer_agreement": counts.max() / len(selected.layers),
            "fold": "all",
            "r": selected.r,
            "r2": selected.r2,
            "r_ridge": selected.r_ridge,
            "r_seed_sd": selected.seed_sd,
            "delta_r_ridge": selected.r - selected.r_ridge,
            "delta_r_ridge_ci_low": selected.low,
            "delta_r_ridge_ci_high": selected.high,
            "p": selected.p,
            "q_fdr": selected.q,
            "p_max": selected.p_max,
            "p_delta_ridge": selected.p_delta,
            "q_delta_ridge": corrected(selected.p_delta),
        }
    )
    rows += [
        {
            "layer": "selected",
            "layer_mode": str(selected.layers[k]),
            "fold": str(k + 1),
            "r": selected.r_fold[k],
            "r_ridge": selected.r_ridge_fold[k],
            "delta_r_ridge": selected.r_fold[k] - selected.r_ridge_fold[k],
        }
        for k in range(len(selected.layers))
    ]
    return rows


def score_table(
    rows: Sequence[dict[str, object]],
    targets: pd.DataFrame,
    *,
    model: str,
    encoder: str,
    n_null: int,
    n_seeds: int,
    fold_sizes: Sequence[int],
    r_lowlevel: Array64,
    context_s: tuple[float, float],
) -> pd.DataFrame:
    """Put the shared columns beside the values of :func:`score_rows`.

    Parameters
    ----------
    rows : sequence of dict
    targets : DataFrame
        ``name, type, hemisphere, region``.
    model, encoder : str
    n_null, n_seeds : int
    fold_sizes : sequence of int
        Held-out samples per fold.
    r_lowlevel : ndarray of shape (n_targets,)
        Over all folds.
    context_s : tuple of float
        Audio before and after a frame that the features may have heard.
    """
    base = {
        "target": targets["name"].to_numpy(dtype=object),
        "target_type": targets["type"].to_numpy(dtype=object),
        "hemisphere": targets["hemisphere"].to_numpy(dtype=object),
        "region": targets["region"].to_numpy(dtype=object),
        "model": model,
        "encoder": encoder,
        "n_null": n_null or np.nan,
        "n_seeds": n_seeds,
        "context_past_s": context_s[0],
        "context_future_s": context_s[1],
    }
    sizes = {"all": sum(fold_sizes)} | {str(k + 1): n for k, n in enumerate(fold_sizes)}
    table = pd.concat(
        [pd.DataFrame(base | {"n_samples": sizes[str(row["fold"])]} | row) for row in rows],
        ignore_index=True,
    )
    over_folds = (table["fold"] == "all").to_numpy()
    table["r_lowlevel"] = np.where(over_folds, np.tile(r_lowlevel, len(rows)), np.nan)
    for column in COLUMNS:
        if column not in table:
            table[column] = np.nan
    return table[list(COLUMNS)]


def contrasts(encoders: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs that are worth a row: everything with ridge, the full networks with their ablations.

    Examples
    --------
    >>> contrasts(["gru", "mlp"])
    [('gru', 'ridge'), ('mlp', 'ridge'), ('gru', 'mlp')]
    """
    full = [name for name in encoders if name in ("gru", "lstm")]
    ablations = [name for name in encoders if name not in full]
    return [(name, "ridge") for name in encoders] + [(f, a) for f in full for a in ablations]


def comparison_rows(
    encoder: str,
    reference: str,
    *,
    r: Array64,
    r_reference: Array64,
    draws: Array64 | None,
    targets: Sequence[str],
) -> pd.DataFrame:
    """One row per electrode and one for their mean.

    Parameters
    ----------
    encoder, reference : str
    r, r_reference : ndarray of shape (n_targets,)
    draws : ndarray of shape (n_draws, n_targets), optional
        Drawn differences.
    targets : sequence of str
    """
    table = pd.DataFrame(
        {
            "target": [EVERY_TARGET, *targets],
            "encoder": encoder,
            "reference": reference,
            "r": [np.nanmean(r), *r],
            "r_reference": [np.nanmean(r_reference), *r_reference],
            "delta_r": [np.nanmean(r - r_reference), *(r - r_reference)],
        }
    )
    every = None
    if draws is not None:
        every = np.concatenate([np.nanmean(draws, axis=1, keepdims=True), draws], axis=1)
    for level in (95, 90):
        low = high = np.full(len(table), np.nan)
        if every is not None:
            low, high = percentile_interval(every, level=level / 100)
        table[f"ci{level}_low"], table[f"ci{level}_high"] = low, high
    return table


KINDS: dict[str, str] = {
    "gru": "a bidirectional GRU with temporal attention",
    "lstm": "a bidirectional LSTM with temporal attention",
    "attention": "temporal attention without recurrence",
    "recurrent": "a bidirectional GRU without attention",
    "mlp": "a two-layer perceptron with as many parameters as the GRU with attention",
}
"""What each encoder is."""


def training_sentence(settings: Recurrent) -> str:
    """Say how all networks of a run were trained."""
    form = (
        "added to the ridge and trained on what the ridge leaves of rows it was not fitted on"
        if settings.linear_path
        else "trained on the responses themselves"
    )
    return (
        f"Networks ({settings.hidden} units, {settings.seeds} seeds each) are {form}; they read "
        "the same principal components at the same lags as the ridge. Training stops early on a "
        f"contiguous {settings.validation_share:.0%} of the training rows with a gap around it. "
        "Features of both directions in time hear the future within this window: lags are no "
        "proof of cause."
    )
