"""Phone selectivity by region and side: electrodes are averaged within participants first."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from bids_brainalign.anatomy.labelling import NO_REGION
from bids_brainalign.statistics.intervals import MIN_FOR_INTERVAL, group_interval
from bids_brainalign.statistics.multiplicity import benjamini_hochberg

GROUP_PHONEME_COLUMNS: dict[str, str] = {
    "region": "all electrodes, or a region; electrodes beyond the limit of the atlas (unknown) "
    "are in none",
    "hemisphere": "L, R, n/a where the side is not known, or all",
    "kind": "phone, or the kind of category",
    "phone_class": "Phone (IPA) or category",
    "n_electrodes": "Electrodes of all participants, chosen by nothing but their place; one of "
    "several sessions counts once",
    "n_participants": "Participants with electrodes there that heard it often enough",
    "selectivity_mean": "Mean over participants of the mean over their electrodes: response to it "
    "less that to all other phones, in standard deviations of the run",
    "ci_low": "Lower end of the 95 % interval; n/a with fewer than 5 participants",
    "ci_high": "Upper end of the interval",
    "interval_kind": "t (5 to 9 participants), bca (bootstrap, from 10 on) or none",
    "p": "Two-sided one-sample t test against 0 over participants; n/a with fewer than 5",
    "q_fdr": "Benjamini-Hochberg q of p over all rows of phones, or of categories",
    "n_significant": "Participants with at least one electrode there at q < .05",
}
GROUP_COHERENCE_COLUMNS: dict[str, str] = {
    "statistic": "As in the participants' tables",
    "n_participants": "Participants with a p",
    "value_mean": "Mean over participants of the mean over their sessions",
    "null_mean": "The same of the mean over surrogates",
    "p_combined": "Stouffer's combination of the participants' p (of several sessions or tasks, "
    "the p of their mean z, as if one test were repeated): whether these participants, taken "
    "together, show it; no statement on a population. n/a with fewer than 2",
    "n_null": "Surrogates of each participant (the fewest)",
}
ALPHA = 0.05
SIDES = ("L", "R")


def phoneme_group_table(tables: pd.DataFrame) -> pd.DataFrame:
    """Summarise the participants' tables.

    Parameters
    ----------
    tables : DataFrame
        Rows of ``phonemes.tsv`` with ``participant``.

    Returns
    -------
    DataFrame
        The columns of `GROUP_PHONEME_COLUMNS`.
    """
    rows = tables[tables["kind"] != "any"]
    keys = ["region", "hemisphere", "kind", "phone_class"]
    every = _by_place(rows)
    found = [
        dict(zip(keys, map(str, key), strict=True)) | _summary(part, tuple(map(str, key)))
        for key, part in every.groupby(keys, sort=False)
    ]
    table = pd.DataFrame(found, columns=[*GROUP_PHONEME_COLUMNS])
    for _, index in table.groupby(table["kind"] == "phone").groups.items():
        table.loc[index, "q_fdr"] = benjamini_hochberg(table.loc[index, "p"].to_numpy(dtype=float))
    return table


def coherence_group_table(tables: pd.DataFrame) -> pd.DataFrame:
    """Combine the participants' tests of anatomical order.

    Parameters
    ----------
    tables : DataFrame
        Rows of ``coherence.tsv`` of all participants, with ``participant``. Tables of one
        participant are not independent: they make one p first.
    """
    rows = []
    for statistic, part in tables.groupby("statistic", sort=False):
        tested = part[part["p"].notna()]
        people = tested.groupby("participant", sort=True)
        means = people[["value", "null_mean"]].mean()
        rows.append(
            {
                "statistic": statistic,
                "n_participants": len(means),
                "value_mean": means["value"].mean(),
                "null_mean": means["null_mean"].mean(),
                "p_combined": combined([_within(own) for _, own in people["p"]]),
                "n_null": int(tested["n_null"].min()) if len(tested) else pd.NA,
            }
        )
    return pd.DataFrame(rows, columns=[*GROUP_COHERENCE_COLUMNS])


def combined(p: NDArray[np.float64] | Sequence[float]) -> float:
    """Stouffer's combination of independent one-sided p; NaN with fewer than two."""
    z = _z(p)
    return float(stats.norm.sf(z.sum() / np.sqrt(len(z)))) if len(z) > 1 else float("nan")


def _within(p: pd.Series[float]) -> float:
    """One p of dependent tests of a participant: of their mean z, whose variance is at most 1."""
    return float(stats.norm.sf(_z(p.tolist()).mean()))


def _z(p: NDArray[np.float64] | Sequence[float]) -> NDArray[np.float64]:
    """Turn p of surrogates, at least 1/(1 + n_null) and maybe 1, into z: kept off both ends."""
    clipped = np.clip(np.asarray(p, dtype=np.float64), 1e-12, 1 - 1e-3)
    return np.asarray(stats.norm.isf(clipped))


def _by_place(rows: pd.DataFrame) -> pd.DataFrame:
    """Repeat rows for every place they count in: all, their side, their region on that side.

    Regions with electrodes on several sides have rows of all of them together, too.
    """
    sides = rows[rows["hemisphere"].isin(SIDES)]
    named = rows[~rows["region"].isin(NO_REGION)]
    n_sides = named.groupby("region")["hemisphere"].transform("nunique")
    whole = {"region": "all", "hemisphere": "all"}
    return pd.concat(
        [
            rows.assign(**whole),
            sides.assign(region="all"),
            named,
            named[n_sides > 1].assign(hemisphere="all"),
        ],
        ignore_index=True,
    )


def _summary(part: pd.DataFrame, key: tuple[str, ...]) -> dict[str, object]:
    people = part.groupby("participant", sort=True)
    values = people["selectivity"].mean().dropna().to_numpy(dtype=np.float64)
    seed = hashlib.sha256("\t".join(key).encode()).digest()
    interval = group_interval(values, np.random.default_rng(int.from_bytes(seed[:8], "little")))
    enough = len(values) >= MIN_FOR_INTERVAL and np.ptp(values) > 0
    significant = people["q_fdr"].min() < ALPHA
    heard = part.loc[part["selectivity"].notna(), ["participant", "target"]]
    return {
        "n_electrodes": len(heard.drop_duplicates()),
        "n_participants": len(values),
        "selectivity_mean": interval.mean,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "interval_kind": interval.kind,
        "p": float(stats.ttest_1samp(values, 0.0).pvalue) if enough else float("nan"),
        "n_significant": int(significant.sum()),
    }
