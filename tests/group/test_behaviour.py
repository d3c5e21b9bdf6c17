"""Behaviour beside phones: planted relations, scipy's rho, 5 % where there is none."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from bids_brainalign.dataset.behaviour import Behaviour
from bids_brainalign.group.behaviour import behaviour_table

PHONES = list("pbtdkgmnszfv")
NO_PAIRS = pd.DataFrame(columns=["phone_a", "phone_b", "score"])


def people(n, *, seed=0, gain=0.0):
    """Participants whose vowel responses follow their score by ``gain``."""
    rng = np.random.default_rng(seed)
    names = [f"{i:02d}" for i in range(n)]
    score = pd.DataFrame({"skill": rng.standard_normal(n)}, index=names)
    rows = [
        {"participant": p, "target": f"e{e}", "kind": "syllabicity", "phone_class": c,
         "cluster": 1 + e % 2,
         "selectivity": rng.standard_normal() + gain * score.loc[p, "skill"] * (c == "vowel"),
         "selectivity_even": rng.standard_normal()}
        for p in names for e in range(4) for c in ("vowel", "consonant")
    ]  # fmt: skip
    return score, pd.DataFrame(rows)


def pairs(*, seed=0, follows=False):
    """One participant's responses to phones, and how alike the phones are heard."""
    rng = np.random.default_rng(seed)
    profile = rng.standard_normal((len(PHONES), 10))
    rows = [
        {"participant": "01", "target": f"e{e}", "kind": "phone", "phone_class": phone,
         "cluster": np.nan, "selectivity": profile[i, e], "selectivity_even": np.nan}
        for i, phone in enumerate(PHONES) for e in range(10)
    ]  # fmt: skip
    # Distances hang together through the phones, also where they don't follow the profiles.
    heard = profile if follows else rng.standard_normal((len(PHONES), 3))
    table = [
        {"phone_a": a, "phone_b": b,
         "score": -np.linalg.norm(heard[i] - heard[j])}
        for i, a in enumerate(PHONES) for j, b in enumerate(PHONES) if a < b
    ]  # fmt: skip
    return pd.DataFrame(table), pd.DataFrame(rows)


def test_scores_over_participants():
    score, phones = people(8, gain=5.0)
    table = behaviour_table(Behaviour(score, NO_PAIRS), phones, np.random.default_rng(0))
    row = table[(table["measure"] == "selectivity") & (table["phone_class"] == "vowel")].iloc[0]
    mean = phones[phones["phone_class"] == "vowel"].groupby("participant")["selectivity"].mean()
    assert row["rho"] == pytest.approx(spearmanr(mean, score["skill"]).statistic)
    assert row["p"] < 0.05
    assert row["n"] == 8
    assert set(table["measure"]) == {"selectivity", "best cluster"}


def test_the_best_cluster_is_that_of_minutes_that_did_not_choose_it():
    score, phones = people(8, gain=5.0)
    table = behaviour_table(Behaviour(score, NO_PAIRS), phones, np.random.default_rng(0))
    vowels = phones[phones["phone_class"] == "vowel"]
    even = vowels.groupby(["participant", "cluster"])["selectivity_even"].mean()
    best = even.groupby("participant").max()
    found = table[(table["measure"] == "best cluster") & (table["phone_class"] == "vowel")].iloc[0]
    assert found["rho"] == pytest.approx(spearmanr(best, score["skill"]).statistic)


def test_few_participants_get_no_p():
    score, phones = people(4, gain=5.0)
    table = behaviour_table(Behaviour(score, NO_PAIRS), phones, np.random.default_rng(0))
    assert table["p"].isna().all()
    assert table["rho"].notna().all()
    assert (table["n"] == 4).all()


def test_pairs_of_phones():
    table, phones = pairs(follows=True)
    found = behaviour_table(Behaviour(pd.DataFrame(), table), phones, np.random.default_rng(0))
    (row,) = found.to_dict("records")
    assert row["rho"] == pytest.approx(-1)  # alike in hearing, near in the brain
    assert row["p"] < 0.001
    assert (row["n"], row["n_phones"]) == (66, 12)


def test_nulls_keep_five_percent(monkeypatch):
    monkeypatch.setattr("bids_brainalign.group.behaviour.N_PERMUTATIONS", 199)
    by_people, by_pairs = [], []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        score, phones = people(9, seed=seed)
        found = behaviour_table(Behaviour(score, NO_PAIRS), phones, rng)
        by_people.append(float(found["p"].iloc[0]))
        table, phones = pairs(seed=seed)
        by_pairs.append(
            float(behaviour_table(Behaviour(pd.DataFrame(), table), phones, rng)["p"].iloc[0])
        )
    for p in (by_people, by_pairs):
        assert sum(np.array(p) < 0.05) <= 11  # binomial 97.5 % of 120 runs
