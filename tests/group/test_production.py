"""Scores of embeddings over participants."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bids_brainalign.group.production import difference_table, score_table


def values(n, *, shift=0.0, seed=0):
    """Two embeddings, two scores; the first is better by `shift`."""
    rng, nulls = np.random.default_rng(seed), np.random.default_rng(1000 + seed)
    rows = []
    for number in range(n):
        base = 0.05 * rng.standard_normal()
        for name, gain in (("a", shift), ("b", 0.0)):
            r = base + gain + 0.01 * rng.standard_normal()
            answer = "evidence" if r > 0.1 else "no evidence"
            common = {"participant": f"{number:02d}", "embedding": name, "mapping": "ridge",
                      "folds": "k-fold", "answer": answer}  # fmt: skip
            none = 0.02 * nulls.standard_normal()
            rows.append({**common, "score": "pattern_r", "value": r, "train_mean": 0.0,
                         "null_mean": none})  # fmt: skip
            rows.append({**common, "score": "pcc", "value": 0.95, "train_mean": 0.94,
                         "null_mean": np.nan})  # fmt: skip
    return pd.DataFrame(rows)


def of(table, **wanted):
    for column, value in wanted.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


@pytest.mark.parametrize(("n", "kind"), [(4, "none"), (5, "t"), (9, "t"), (10, "bca")])
def test_intervals_by_number_of_participants(n, kind):
    row = of(score_table(values(n)), embedding="a", score="pattern_r")
    assert row["interval_kind"] == kind
    assert row["n_participants"] == n
    assert np.isnan(row["p"]) == (n < 5)


def test_scores_that_keep_the_means_are_told_beside_the_mean_and_not_tested():
    row = of(score_table(values(12)), embedding="a", score="pcc")
    assert row["mean"] == pytest.approx(0.95)
    assert row["mean_train_mean"] == pytest.approx(0.94)
    assert np.isnan(row["p"])


def test_participants_with_evidence_are_counted():
    data = values(8, shift=0.3)
    table = score_table(data)
    assert of(table, embedding="a", score="pattern_r")["n_evidence"] == 8
    none = score_table(data.assign(answer="n/a"))
    assert pd.isna(of(none, embedding="a", score="pattern_r")["n_evidence"])


def test_a_participant_has_evidence_where_every_session_has():
    first = values(6, shift=0.3)
    second = first.assign(answer="no evidence")
    second = second[second["participant"] == "03"]
    both = pd.concat([first, second], ignore_index=True)
    assert of(score_table(both), embedding="a", score="pattern_r")["n_evidence"] == 5


def test_q_is_over_the_embeddings_of_one_mapping_and_its_folds():
    """What is tried by several mappings is one question each: they do not dilute each other."""
    ridge = values(8, shift=0.02)
    nets = [values(8, seed=seed).assign(mapping=f"net{seed}") for seed in range(1, 9)]
    table = score_table(pd.concat([ridge, *nets], ignore_index=True))
    mine = table[(table["mapping"] == "ridge") & (table["score"] == "pattern_r")]
    expected = stats.false_discovery_control(mine["p"])
    np.testing.assert_allclose(mine["q_fdr"], expected)


def test_means_and_p_are_scipys():
    data = values(7, shift=0.1)
    row = of(score_table(data), embedding="a", score="pattern_r")
    rows = data[(data["embedding"] == "a") & (data["score"] == "pattern_r")]
    mine, null = rows["value"], rows["null_mean"]
    low, high = stats.ttest_1samp(mine, 0.0).confidence_interval(0.95)
    assert row["mean"] == pytest.approx(mine.mean())
    assert row["p"] == pytest.approx(stats.ttest_rel(mine, null).pvalue)
    assert row["mean_null"] == pytest.approx(null.mean())
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high))


def test_what_any_vectors_of_the_words_reach_is_no_effect():
    """Words of continuous speech come again: shuffles score above 0, too."""
    data = values(10)
    known = data["score"] == "pattern_r"
    data.loc[known, ["value", "null_mean"]] += 0.2
    row = of(score_table(data), embedding="a", score="pattern_r")
    assert row["mean"] > 0.15
    assert row["p"] > 0.05
    assert row["above_low"] < 0 < row["above_high"]
    assert row["above_null"] == pytest.approx(row["mean"] - row["mean_null"])


def test_an_embedding_whose_shuffles_score_higher_is_not_better():
    """More dimensions tell words that come again apart better."""
    data = values(8)
    known = (data["score"] == "pattern_r") & (data["embedding"] == "a")
    data.loc[known, ["value", "null_mean"]] += 0.2
    row = difference_table(data).iloc[0]
    assert abs(row["mean"]) < 0.05
    assert row["p"] > 0.05
    assert difference_table(data.assign(null_mean=np.nan)).empty


def test_embeddings_are_compared_within_participants():
    data = values(8, shift=0.05)
    row = difference_table(data).iloc[0]
    data["above"] = data["value"] - data["null_mean"]
    wide = data[data["score"] == "pattern_r"].pivot(
        index="participant", columns="embedding", values="above"
    )
    assert (row["embedding_a"], row["embedding_b"]) == ("a", "b")
    assert row["p"] == pytest.approx(stats.ttest_rel(wide["a"], wide["b"]).pvalue)
    assert row["p"] < 0.01
    # between participants, the difference would drown
    assert stats.ttest_ind(wide["a"], wide["b"]).pvalue > 0.01


def test_sessions_of_a_participant_count_once():
    data = values(6)
    twice = pd.concat([data, data.assign(value=data["value"] + 0.1)], ignore_index=True)
    row = of(score_table(twice), embedding="a", score="pattern_r")
    one = of(score_table(data), embedding="a", score="pattern_r")
    assert row["n_participants"] == 6
    assert row["mean"] == pytest.approx(one["mean"] + 0.05)


def test_nobody():
    empty = values(3).iloc[:0]
    assert score_table(empty).empty
    assert difference_table(empty).empty
