"""Tuned models over participants: gains per region, and what transfers from one to another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.variants import TUNED
from bids_brainalign.group.layers import ALPHA, by_region, row_generator, t_test
from bids_brainalign.statistics.intervals import group_interval
from bids_brainalign.statistics.multiplicity import benjamini_hochberg

KEYS = ["modality", "model", "reference", "region"]
VALUES = ["r", "r_reference", "delta_r"]
_INTERVAL = {
    "ci_low": "Lower end of the 95 % interval of delta_r over participants; n/a with fewer than 5",
    "ci_high": "Upper end",
    "p": "Two-sided one-sample t test of delta_r against 0 over participants; n/a with fewer than "
    "5 participants",
    "q_fdr": "Benjamini-Hochberg q of p over regions",
    "interval_kind": "t (5 to 9 participants), bca (bootstrap, from 10 on) or none",
}
GAIN_COLUMNS: dict[str, str] = {
    "modality": "ieeg, eeg or fmri; never averaged together",
    "model": "The tuned model, of every participant their own (NAME:together: one for all)",
    "reference": "What it is held against, as in the participants' tuning.tsv",
    "region": "all targets (for fMRI the whole mask), a hemisphere (L, R), or a region (for fMRI "
    "of both hemispheres, and with -L or -R of one)",
    "n_participants": "Participants with a value",
    "r": "Mean over participants of the mean r over their targets, on their test stories",
    "r_reference": "The same of the reference",
    "delta_r": "Mean over participants of r minus r_reference",
    **_INTERVAL,
    "n_better": "Participants with at least one target at q < .05",
}
CELL, OWN, OTHERS, DIFFERENCE = "cell", "own", "others", "own_minus_others"
TRANSFER_COLUMNS: dict[str, str] = {
    "modality": "ieeg, eeg or fmri; never averaged together",
    "model": "The tuned models",
    "region": GAIN_COLUMNS["region"],
    "kind": "cell: one model scored on one participant; own: mean over participants scored with "
    "their own model (the diagonal); others: mean over participants of their mean over the models "
    "of others (off the diagonal); own_minus_others: mean of the difference",
    "tuned_on": "Participant on whom the model was tuned; n/a for means",
    "scored_on": "Participant on whose test stories it was scored; n/a for means",
    "n_participants": "Participants who were scored",
    "r": "Of ridge from the model's features, on the test stories of scored_on",
    "r_original": "The same of the original",
    "delta_r": "r minus r_original; of own_minus_others the difference of two of these",
    "delta_own": "r minus r of the model that was tuned on scored_on; n/a on the diagonal",
    **_INTERVAL,
    "reason": "Why a cell has no scores",
}


def participant_gains(tables: pd.DataFrame) -> pd.DataFrame:
    """One value per participant, model, reference and region: the mean over targets.

    Sessions of a participant are averaged after their targets.

    Parameters
    ----------
    tables : DataFrame
        Rows of the participants' ``tuning.tsv`` with ``participant``, ``modality``, ``session``.

    Returns
    -------
    DataFrame
        ``modality, model, reference, region, participant, r, r_reference, delta_r, found``;
        ``found``: 1 if any target is better at q < .05, 0 if none, NaN without a test.
    """
    return _values(tables, KEYS)


def gain_table(tables: pd.DataFrame) -> pd.DataFrame:
    """Summarise gains over participants: the columns of `GAIN_COLUMNS`."""
    rows = []
    for key, part in participant_gains(tables).groupby(KEYS, sort=False):
        found = part["found"].dropna()
        rows.append(
            dict(zip(KEYS, key, strict=True))
            | {"r": part["r"].mean(), "r_reference": part["r_reference"].mean()}
            | _over_participants(part["delta_r"].to_numpy(dtype=np.float64), tuple(key))
            | {"n_better": int(found.sum()) if len(found) else pd.NA}
        )
    table = pd.DataFrame(rows, columns=[*GAIN_COLUMNS])
    return _with_q(table, ["modality", "model", "reference"])


def transfer_cells(tables: pd.DataFrame) -> pd.DataFrame:
    """One row per model, region, participant tuned on and participant scored on.

    Parameters
    ----------
    tables : DataFrame
        Rows of the participants' ``transfer.tsv`` with ``participant``, ``modality``,
        ``session``.

    Returns
    -------
    DataFrame
        ``modality, model, region, tuned_on, scored_on, r, r_original, delta_r, delta_own,
        reason``.
    """
    keys = ["modality", "model", "region", "tuned_on", "participant"]
    against_own = tables["reference"] == tables["model"]
    cells = _values(tables[~against_own], [*keys[:-1]])
    own = _values(tables[against_own], [*keys[:-1]])[[*keys, "delta_r"]]
    cells = cells.merge(own.rename(columns={"delta_r": "delta_own"}), on=keys, how="left")
    reasons = tables[["model", "tuned_on", "participant", "reason"]].dropna(subset="reason")
    reasons = reasons.drop_duplicates(["model", "tuned_on", "participant"])
    cells = cells.merge(reasons, on=["model", "tuned_on", "participant"], how="left")
    cells.loc[cells["r"].notna(), "reason"] = None
    cells = cells.rename(columns={"participant": "scored_on", "r_reference": "r_original"})
    return cells[["modality", "model", "region", "tuned_on", "scored_on", "r", "r_original",
                  "delta_r", "delta_own", "reason"]]  # fmt: skip


def transfer_table(tables: pd.DataFrame) -> pd.DataFrame:
    """List all cells, and means on and off the diagonal: the columns of `TRANSFER_COLUMNS`."""
    cells = transfer_cells(tables)
    known = [cells.assign(kind=CELL, n_participants=1, interval_kind="none")]
    for key, part in cells.groupby(["modality", "model", "region"], sort=False):
        told = dict(zip(("modality", "model", "region"), key, strict=True))
        rows = [told | row for row in _means(part, tuple(map(str, key)))]
        known.append(pd.DataFrame(rows))
    table = pd.concat([part for part in known if len(part)], ignore_index=True)
    return _with_q(table.reindex(columns=[*TRANSFER_COLUMNS]), ["modality", "model", "kind"])


def _means(cells: pd.DataFrame, key: tuple[str, ...]) -> list[dict[str, object]]:
    diagonal = cells["tuned_on"] == cells["scored_on"]
    columns = ["r", "r_original", "delta_r", "delta_own"]
    own = cells[diagonal].groupby("scored_on")[columns].mean()
    others = cells[~diagonal & cells["r"].notna()].groupby("scored_on")[columns].mean()
    both = own.index.intersection(others.index)
    difference = own.loc[both, "delta_r"] - others.loc[both, "delta_r"]
    rows: list[dict[str, object]] = []
    for kind, part in ((OWN, own), (OTHERS, others)):
        if len(part):
            found = {name: part[name].mean() for name in columns}
            values = part["delta_r"].to_numpy(dtype=np.float64)
            rows.append({"kind": kind} | found | _over_participants(values, (*key, kind)))
    if len(both):
        values = difference.to_numpy(dtype=np.float64)
        rows.append({"kind": DIFFERENCE} | _over_participants(values, (*key, DIFFERENCE)))
    return rows


def tuned_by_scored(gains: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Gain over the original by the targets that were tuned on, and those that are scored.

    Parameters
    ----------
    gains : DataFrame
        Of :func:`participant_gains`, one modality; of one participant or several.
    names : dict of str to str
        Model → targets that it was tuned on, as in ``[tuning] targets``.

    Returns
    -------
    DataFrame
        A row per tuned-on targets, a column per region: mean over participants of delta_r.
    """
    original = gains["reference"] == gains["model"].str.partition(":")[0]
    rows = gains[original & gains["model"].isin(list(names))]
    found = rows.assign(tuned_on=rows["model"].map(names)).groupby(["tuned_on", "region"])
    matrix = found["delta_r"].mean().unstack()
    regions = list(dict.fromkeys(rows["region"]))
    order = [name for name in dict.fromkeys(names.values()) if name in matrix.index]
    return matrix.reindex(index=order, columns=regions)


def names_of_targets(models: Sequence[str], first: str) -> dict[str, str]:
    """Pick the models that differ in nothing but the targets they were tuned on.

    Parameters
    ----------
    models : sequence of str
    first : str
        Targets of ``NAME:tuned``.

    Examples
    --------
    >>> names_of_targets(["m", "m:tuned", "m:tuned:targets=AG", "m:tuned:cnn=thawed"], "whole")
    {'m:tuned': 'whole', 'm:tuned:targets=AG': 'AG'}
    """
    found = {}
    for model in models:
        _, _, variant = model.partition(":")
        kind, _, changed = variant.partition(":")
        if kind == TUNED and not changed:
            found[model] = first
        elif kind == TUNED and changed.startswith("targets=") and changed.count("=") == 1:
            # What is left out is written not:NAME: a colon of its own.
            found[model] = changed.removeprefix("targets=")
    return found


def _values(tables: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Mean over the targets of a region, then over sessions."""
    rows = tables.reset_index(drop=True)
    text = ["modality", "session", "target", "target_type", "hemisphere", "region"]
    for column in text:
        rows[column] = rows[column].astype(object).fillna("n/a").astype(str)
    for column in (*VALUES, "q_fdr"):
        rows[column] = pd.to_numeric(rows[column], errors="coerce")
    rows["found"] = (rows["q_fdr"] < ALPHA).astype(float).where(rows["q_fdr"].notna())
    parts = by_region(rows)
    how = {**dict.fromkeys(VALUES, "mean"), "found": "max"}
    whom = [*keys, "participant"]
    sessions = parts.groupby([*whom, "session"], sort=False).agg(how).reset_index()
    values = sessions.groupby(whom, sort=False).agg(how).reset_index()
    rank = values["region"].map({"all": 0, "L": 1, "R": 2}).fillna(3)
    order = values.assign(_rank=rank).sort_values("_rank", kind="stable").index
    return values.loc[order].reset_index(drop=True)


def _over_participants(values: NDArray[np.float64], key: tuple[object, ...]) -> dict[str, object]:
    interval = group_interval(values, row_generator(tuple(map(str, key)), "delta_r"))
    return {
        "n_participants": interval.n,
        "delta_r": interval.mean,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "p": t_test(values),
        "interval_kind": interval.kind,
    }


def _with_q(table: pd.DataFrame, families: list[str]) -> pd.DataFrame:
    for _, index in table.groupby(families, sort=False).groups.items():
        p = table.loc[index, "p"].to_numpy(dtype=float)
        table.loc[index, "q_fdr"] = benjamini_hochberg(p)
    return table
