"""Behaviour beside responses to phones: over participants, or over pairs of phones."""

from __future__ import annotations

from itertools import permutations
from math import factorial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from bids_brainalign.dataset.behaviour import PAIR, Behaviour
from bids_brainalign.statistics.intervals import MIN_FOR_INTERVAL
from bids_brainalign.statistics.multiplicity import benjamini_hochberg

BEHAVIOUR_COLUMNS: dict[str, str] = {
    "score": "Column of the table of --behaviour",
    "participant": "all: over participants; else the participant whose phones are compared",
    "measure": "selectivity: mean over the participant's electrodes; best cluster: in even "
    "minutes, that of the cluster of electrodes that prefers the category most then; distance of "
    "phones: Euclidean, between the responses of all electrodes to the two phones",
    "phone_class": "Category, or n/a for pairs of phones",
    "rho": "Spearman's rank correlation",
    "n": "Participants, or pairs of phones",
    "n_phones": "Phones in these pairs",
    "p": "Two-sided, by permutation of participants or of phones (Mantel); n/a with fewer than 5 "
    "of them",
    "q_fdr": "Benjamini-Hochberg q of p over the rows of one score and measure",
    "n_null": "Permutations; all where there are fewer than 10,000",
}
N_PERMUTATIONS = 9999
Array64 = NDArray[np.float64]


def behaviour_table(
    behaviour: Behaviour, phones: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Correlate what ``--behaviour`` gives with the participants' tables.

    Parameters
    ----------
    behaviour : Behaviour
    phones : DataFrame
        Rows of ``phonemes.tsv`` with ``participant``.
    rng : Generator

    Returns
    -------
    DataFrame
        The columns of `BEHAVIOUR_COLUMNS`.
    """
    rows = [
        *_over_people(behaviour.people, phones, rng),
        *_over_pairs(behaviour.pairs, phones, rng),
    ]
    table = pd.DataFrame(rows, columns=[*BEHAVIOUR_COLUMNS])
    for _, index in table.groupby(["score", "measure"]).groups.items():
        table.loc[index, "q_fdr"] = benjamini_hochberg(table.loc[index, "p"].to_numpy(dtype=float))
    return table


def _over_people(
    scores: pd.DataFrame, phones: pd.DataFrame, rng: np.random.Generator
) -> list[dict[str, object]]:
    classes = phones[~phones["kind"].isin(["phone", "any"])]
    by_cluster = classes.groupby(["participant", "phone_class", "cluster"])[
        "selectivity_even"
    ].mean()
    measures = {
        "selectivity": classes.groupby(["participant", "phone_class"])["selectivity"].mean(),
        "best cluster": by_cluster.groupby(level=[0, 1]).max(),
    }
    rows: list[dict[str, object]] = []
    for score in scores.columns:
        for measure, values in measures.items():
            for name in dict.fromkeys(classes["phone_class"]):
                mine = values[values.index.get_level_values("phone_class") == name]
                both = pd.concat(
                    [mine.droplevel("phone_class"), scores[score]], axis=1, join="inner"
                ).dropna()
                rho, p, n_null = _permuted(both.iloc[:, 0], both.iloc[:, 1], rng)
                rows.append(
                    {"score": score, "participant": "all", "measure": measure, "phone_class": name,
                     "rho": rho, "n": len(both), "n_phones": pd.NA, "p": p, "n_null": n_null}
                )  # fmt: skip
    return rows


def _over_pairs(
    pairs: pd.DataFrame, phones: pd.DataFrame, rng: np.random.Generator
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for participant, part in phones[phones["kind"] == "phone"].groupby("participant"):
        if pairs.empty:
            break
        profile = part.pivot_table(index="phone_class", columns="target", values="selectivity")
        names = [str(name) for name in profile.dropna(axis=1).index]
        known = pairs[pairs[[*PAIR[:2]]].isin(names).all(axis=1)]
        rho, p, n_null = _mantel(profile.dropna(axis=1).to_numpy(dtype=float), names, known, rng)
        used = len(set(known["phone_a"]) | set(known["phone_b"]))
        rows.append(
            {"score": "score", "participant": str(participant), "measure": "distance of phones",
             "phone_class": "n/a", "rho": rho, "n": len(known), "n_phones": used, "p": p,
             "n_null": n_null}
        )  # fmt: skip
    return rows


def _permuted(
    x: pd.Series[float], y: pd.Series[float], rng: np.random.Generator
) -> tuple[float, float, int]:
    """Spearman's rho, its p over orders of participants, and the number of orders."""
    first, second = (_standard_ranks(np.asarray(v, dtype=np.float64)) for v in (x, y))
    n = len(first)
    if n < 3 or not first.any() or not second.any():
        return float("nan"), float("nan"), 0
    rho = float(first @ second)
    if n < MIN_FOR_INTERVAL:
        return rho, float("nan"), 0
    orders = _orders(n, rng)
    return rho, _p(rho, second[orders] @ first, complete=len(orders) == factorial(n)), len(orders)


def _mantel(
    profiles: Array64, names: list[str], pairs: pd.DataFrame, rng: np.random.Generator
) -> tuple[float, float, int]:
    """Rank correlation of score and distance over pairs; p by permuting phones (Mantel 1967)."""
    used = sorted(set(pairs["phone_a"]) | set(pairs["phone_b"]))
    if len(used) < 3:
        return float("nan"), float("nan"), 0
    rows = profiles[[names.index(name) for name in used]]
    apart = rows[:, None] - rows[None, :]
    distance = np.asarray(np.linalg.norm(apart, axis=-1), dtype=np.float64)
    where = {name: index for index, name in enumerate(used)}
    a = pairs["phone_a"].map(where).to_numpy(dtype=int)
    b = pairs["phone_b"].map(where).to_numpy(dtype=int)
    score = _standard_ranks(pairs["score"].to_numpy(dtype=float))

    def rho_of(order: NDArray[np.int64]) -> float:
        return float(_standard_ranks(distance[order[a], order[b]]) @ score)

    rho = rho_of(np.arange(len(used)))
    if not score.any():
        return float("nan"), float("nan"), 0
    if len(used) < MIN_FOR_INTERVAL:
        return rho, float("nan"), 0
    orders = _orders(len(used), rng)
    drawn = np.array([rho_of(order) for order in orders])
    return rho, _p(rho, drawn, complete=len(orders) == factorial(len(used))), len(orders)


def _standard_ranks(values: Array64) -> Array64:
    """Ranks of mean 0 and length 1; all 0 where they are the same."""
    ranks = rankdata(values) - (len(values) + 1) / 2
    length = np.linalg.norm(ranks)
    return np.asarray(ranks / length if length > 0 else ranks)


def _orders(n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    if n < 10 and factorial(n) <= N_PERMUTATIONS:
        return np.array(list(permutations(range(n))), dtype=np.int64)
    return np.stack([rng.permutation(n) for _ in range(N_PERMUTATIONS)])


def _p(rho: float, drawn: Array64, *, complete: bool) -> float:
    """Two-sided; where all orders are there, the measured one is among them."""
    above = int((np.abs(drawn) >= abs(rho) - 1e-12).sum())
    return above / len(drawn) if complete else (1 + above) / (1 + len(drawn))
