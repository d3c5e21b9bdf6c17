"""Layer curves over participants: targets are averaged within each participant first."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from bids_brainalign.anatomy.labelling import NO_REGION
from bids_brainalign.statistics.intervals import MIN_FOR_INTERVAL, group_interval
from bids_brainalign.statistics.multiplicity import benjamini_hochberg

LAYER_COLUMNS: dict[str, str] = {
    "modality": "ieeg, eeg or fmri; never averaged together",
    "model": "Feature space as in the participants' scores tables",
    "layer": "0 = input of the first block … L; selected = nested choice; n/a for low-level "
    "features",
    "encoder": "Encoding model",
    "region": "all targets (for fMRI the whole mask), a hemisphere (L, R), or a region (for fMRI "
    "of both hemispheres, and with -L or -R of one)",
    "n_participants": "Participants with a value",
    "r_mean": "Mean over participants of the mean r over their targets",
    "ci_low": "Lower end of the 95 % interval of r_mean; n/a with fewer than 5 participants",
    "ci_high": "Upper end of the interval",
    "p": "Two-sided one-sample t test of r_mean against 0 over participants; n/a with fewer than "
    "5 participants",
    "q_fdr": "Benjamini-Hochberg q of p over all layers and regions of this model",
    "interval_kind": "t (5 to 9 participants), bca (bootstrap, from 10 on) or none",
    "delta_r_mean": "Mean over participants of the mean gain over the low-level features",
    "delta_ci_low": "Lower end of its 95 % interval",
    "delta_ci_high": "Upper end of its interval",
    "p_delta": "Two-sided one-sample t test of delta_r_mean against 0 over participants",
    "q_delta": "Benjamini-Hochberg q of p_delta over all layers and regions of this model",
    "n_significant": "On selected rows (n/a rows for low-level features): participants with at "
    "least one target at q < .05, in q_delta where the model was compared with the low-level "
    "features, else in q_fdr",
    "n_preferred": "On layer rows: participants whose mean curve peaks at this layer",
}

KEYS = ["modality", "model", "encoder", "region"]
VALUES = ["r", "delta_r_lowlevel"]
ALPHA = 0.05


def layer_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Summarise scores over participants.

    Parameters
    ----------
    scores : DataFrame
        Rows of the participants' scores tables with ``participant`` and, if there is more than
        one, ``modality``.

    Returns
    -------
    DataFrame
        The columns of `LAYER_COLUMNS`, one row per modality, model, encoder, region and layer.
    """
    values = participant_values(scores)
    rows = [
        dict(zip([*KEYS, "layer"], key, strict=True)) | _summary(part, tuple(map(str, key)))
        for key, part in values.groupby([*KEYS, "layer"], sort=False)
    ]
    table = pd.DataFrame(rows, columns=[*LAYER_COLUMNS])
    for _, index in table.groupby(["modality", "model", "encoder"], sort=False).groups.items():
        for p, q in (("p", "q_fdr"), ("p_delta", "q_delta")):
            table.loc[index, q] = benjamini_hochberg(table.loc[index, p].to_numpy(dtype=float))
    return table


def participant_values(scores: pd.DataFrame) -> pd.DataFrame:
    """One value per participant, model, region and layer: the mean over targets.

    Several sessions of a participant are averaged after their targets, so that a session with
    many electrodes does not outweigh one with few.

    Parameters
    ----------
    scores : DataFrame
        As for `layer_table`; a column ``session`` is used if there is one.

    Returns
    -------
    DataFrame
        ``modality, model, encoder, region, layer, participant, r, delta_r_lowlevel, found``;
        ``found``: 1 if any target is significant, 0 if none, NaN without a test; ``peak``: layer
        is where this participant's curve of this region peaks.
    """
    rows = scores[scores["fold"].astype(str) == "all"].copy()
    for column, default in (("modality", "n/a"), ("session", "n/a")):
        rows[column] = rows[column].fillna(default) if column in rows else default
    for column in ("layer", "region", "hemisphere"):
        rows[column] = rows[column].astype(object).fillna("n/a").astype(str)
    for column in (*VALUES, "q_fdr", "q_delta"):
        raw = rows[column] if column in rows else pd.Series(np.nan, index=rows.index)
        rows[column] = pd.to_numeric(raw, errors="coerce")
    rows["found"] = _found(rows)
    parts = by_region(rows)
    keys = [*KEYS, "layer", "participant"]
    if parts.empty:
        return pd.DataFrame(columns=[*keys, *VALUES, "found", "peak"])
    nested = parts.groupby([*keys, "session"], sort=False)
    sessions = nested.agg({**dict.fromkeys(VALUES, "mean"), "found": "max"}).reset_index()
    means = sessions.groupby(keys, sort=False)
    table = means.agg({**dict.fromkeys(VALUES, "mean"), "found": "max"}).reset_index()
    table["peak"] = _peaks(table)
    return _ordered(table)


def _found(rows: pd.DataFrame) -> pd.Series[float]:
    """1 and 0 where a target was tested on its answer row, NaN elsewhere."""
    q = rows["q_delta"].where(rows["q_delta"].notna(), rows["q_fdr"])
    compared = rows.groupby(["modality", "model"])["q_delta"].transform("count") > 0
    # A target without a delta in a model that was compared is untested, not tested otherwise.
    q = q.where(~compared, rows["q_delta"])
    answer = rows["layer"].isin(["selected", "n/a"])
    return (q < ALPHA).astype(float).where(q.notna() & answer)


def by_region(rows: pd.DataFrame) -> pd.DataFrame:
    """Copy rows into every region they count for.

    The rows of fMRI are already means (whole mask, hemispheres, parcels): ``all`` is the whole
    mask, not the mean of a whole and its parts.
    """
    parcel = (rows["target_type"] == "parcel") & (rows["target"] == "whole")
    has_whole = parcel.groupby(rows["modality"]).transform("any")
    everything = rows[parcel | ~has_whole].assign(region="all")
    parts = rows[~(parcel & has_whole)]
    sides = parts[parts["hemisphere"].isin(["L", "R"])]
    aggregate = has_whole & ~rows["target"].isin(["left", "right"])
    # Where hemispheres have a row of their own, parcels of that side must not be averaged in.
    sides = sides[~aggregate.reindex(sides.index)]
    named = parts[~parts["region"].isin(NO_REGION)]
    # A region of interest has a row for both sides and one for each: three regions here.
    one_side = (named["target_type"] == "parcel") & named["hemisphere"].isin(["L", "R"])
    sided = named["region"] + "-" + named["hemisphere"].astype(str)
    named = named.assign(region=named["region"].where(~one_side, sided))
    return pd.concat(
        [everything, sides.assign(region=sides["hemisphere"]), named], ignore_index=True
    )


def _peaks(table: pd.DataFrame) -> pd.Series[bool]:
    numbered = table[table["layer"].str.fullmatch(r"\d+") & table["r"].notna()]
    peak = pd.Series(data=False, index=table.index)
    if not numbered.empty:
        peak[numbered.groupby([*KEYS, "participant"], sort=False)["r"].idxmax()] = True
    return peak


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Sort: all, hemispheres, regions; layers by number, then the answer row."""
    rank = table["region"].map({"all": 0, "L": 1, "R": 2}).fillna(3)
    number = pd.to_numeric(table["layer"], errors="coerce").fillna(np.inf)
    keys = table.assign(_rank=rank, _number=number)
    by = ["modality", "model", "encoder", "_rank", "region", "_number", "participant"]
    return (
        keys.sort_values(by, kind="stable")
        .drop(columns=["_rank", "_number"])
        .reset_index(drop=True)
    )


def _summary(part: pd.DataFrame, key: tuple[str, ...]) -> dict[str, object]:
    r = part["r"].to_numpy(dtype=np.float64)
    delta = part["delta_r_lowlevel"].to_numpy(dtype=np.float64)
    interval = group_interval(r, row_generator(key, "r"))
    gain = group_interval(delta, row_generator(key, "delta"))
    found = part["found"].dropna()
    is_layer = key[-1].isdigit()
    return {
        "n_participants": interval.n,
        "r_mean": interval.mean,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "p": t_test(r),
        "interval_kind": interval.kind,
        "delta_r_mean": gain.mean,
        "delta_ci_low": gain.low,
        "delta_ci_high": gain.high,
        "p_delta": t_test(delta),
        "n_significant": int(found.sum()) if len(found) else pd.NA,
        "n_preferred": int(part["peak"].sum()) if is_layer else pd.NA,
    }


def t_test(x: NDArray[np.float64]) -> float:
    """Two-sided p of a mean over participants against 0; NaN with fewer than 5."""
    known = x[~np.isnan(x)]
    if len(known) < MIN_FOR_INTERVAL or np.ptp(known) == 0:
        return float("nan")
    return float(stats.ttest_1samp(known, 0.0).pvalue)


def row_generator(key: tuple[str, ...], what: str) -> np.random.Generator:
    """Seed by the row's own name: the order of rows changes no interval."""
    digest = hashlib.sha256("\t".join([*map(str, key), what]).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))
