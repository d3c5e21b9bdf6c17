"""Tables of speech production over participants, against scipy and worked values."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.group.production import (
    DIFFERENCE_COLUMNS,
    SCORE_COLUMNS,
    difference_table,
    participant_scores,
    score_table,
    within_intervals,
)


def scores_of(
    embedding, values, *, score="pattern_r", mapping="ridge", answers=None, session=None
):
    """Rows of one embedding: a participant per value."""
    n = len(values)
    return pd.DataFrame(
        {
            "participant": [f"{k:02d}" for k in range(1, n + 1)], "embedding": embedding,
            "mapping": mapping, "folds": "k-fold", "score": score, "value": values,
            "train_mean": 0.9 if score == "pcc" else 0.0,
            "answer": answers or ["evidence"] * n, "session": session,
        }
    )  # fmt: skip


def drawn(n, seed=0):
    """Values of three embeddings that share what differs between participants."""
    rng = np.random.default_rng(seed)
    person = rng.normal(0.2, 0.15, n)
    names = ("fasttext", "gpt2", "wav2vec2")
    return {
        name: person + shift + rng.normal(0, 0.02, n)
        for name, shift in zip(names, (0.0, 0.05, -0.02), strict=True)
    }


def table_of(values, **options):
    return pd.concat([scores_of(name, v, **options) for name, v in values.items()])


@pytest.mark.parametrize(("n", "kind"), [(3, "none"), (7, "t"), (14, "bca")])
def test_means_and_intervals_are_those_that_the_number_of_participants_allows(n, kind):
    values = drawn(n)
    found = score_table(table_of(values))
    assert list(found) == list(SCORE_COLUMNS)
    assert list(found["embedding"]) == list(values)
    row = found.iloc[1]
    own = values["gpt2"]
    assert (row["n_participants"], row["interval_kind"]) == (n, kind)
    assert row["mean"] == pytest.approx(own.mean())
    if n < 5:
        assert np.isnan(found[["ci_low", "p", "q_fdr", "within_low"]].to_numpy(dtype=float)).all()
        return
    half = stats.t.ppf(0.975, n - 1) * own.std(ddof=1) / np.sqrt(n)
    tolerance = 1e-12 if kind == "t" else 0.03
    np.testing.assert_allclose(
        row[["ci_low", "ci_high"]].astype(float),
        np.array([-half, half]) + own.mean(),
        atol=tolerance,
    )
    p = [stats.ttest_1samp(v, 0, alternative="greater").pvalue for v in values.values()]
    np.testing.assert_allclose(found["p"].astype(float), p)
    np.testing.assert_allclose(found["q_fdr"].astype(float), stats.false_discovery_control(p))


def test_chance_is_that_of_the_score_and_published_ones_are_not_tested():
    rng = np.random.default_rng(1)
    pairs, below, published = rng.normal(0.6, 0.1, 8), rng.normal(0.45, 0.01, 8), np.full(8, 0.94)
    found = score_table(
        pd.concat(
            [
                scores_of("gpt2", pairs, score="two_vs_two"),
                scores_of("noise", below, score="two_vs_two"),
                scores_of("gpt2", published + rng.normal(0, 0.001, 8), score="pcc"),
            ]
        )
    )
    expected = stats.ttest_1samp(pairs, 0.5, alternative="greater").pvalue
    assert found["p"].iloc[0] == pytest.approx(expected)
    assert found["p"].iloc[1] > 0.95  # below chance is no evidence
    assert np.isnan(found["p"].iloc[2])
    assert found["train_mean"].iloc[2] == pytest.approx(0.9)


def test_participants_with_evidence_are_counted_out_of_those_with_an_answer():
    answers = ["evidence", "no evidence", "undecided", "evidence", None, "evidence"]
    row = score_table(scores_of("gpt2", drawn(6)["gpt2"], answers=answers)).iloc[0]
    assert (row["n_evidence"], row["n_undecided"], row["n_answers"]) == (3, 1, 5)


def test_mappings_folds_and_scores_are_families_of_their_own():
    values = drawn(6)
    both = pd.concat([table_of(values), table_of(values, mapping="elastic net")])
    found = score_table(both)
    alone = score_table(table_of(values))
    assert len(found) == 6
    for _, part in found.groupby("mapping"):
        np.testing.assert_allclose(part["q_fdr"].astype(float), alone["q_fdr"].astype(float))
    assert len(difference_table(both)) == 6


def test_differences_are_paired():
    values = drawn(7)
    values["wav2vec2"][2] = np.nan
    found = difference_table(table_of(values))
    assert list(found) == list(DIFFERENCE_COLUMNS)
    pairs = [("gpt2", "fasttext"), ("wav2vec2", "fasttext"), ("wav2vec2", "gpt2")]
    assert list(zip(found["embedding"], found["reference"], strict=True)) == pairs
    p = []
    for (embedding, reference), (_, row) in zip(pairs, found.iterrows(), strict=True):
        known = ~np.isnan(values[embedding])
        a, b = values[embedding][known], values[reference][known]
        p.append(stats.ttest_rel(a, b).pvalue)
        assert row["n_participants"] == known.sum()
        assert row["difference"] == pytest.approx((a - b).mean())
        assert row["n_higher"] == (a > b).sum()
        half = stats.t.ppf(0.975, known.sum() - 1) * stats.sem(a - b)
        np.testing.assert_allclose(
            row[["ci_low", "ci_high"]].astype(float), np.array([-half, half]) + (a - b).mean()
        )
    np.testing.assert_allclose(found["p"].astype(float), p)
    np.testing.assert_allclose(found["q_fdr"].astype(float), stats.false_discovery_control(p))


def test_a_difference_in_shrinkage_is_not_tested():
    found = difference_table(table_of(drawn(7), score="pcc"))
    assert found["p"].isna().all()
    assert found["ci_low"].notna().all()


def test_four_participants_get_no_p_of_a_difference():
    found = difference_table(table_of(drawn(4)))
    assert found[["p", "ci_low"]].isna().all(axis=None)
    assert found["difference"].notna().all()


def test_intervals_within_participants_are_morey_s():
    """Of three embeddings by hand; with two, their width is √2⁻¹ that of the paired difference."""
    values = drawn(8, seed=3)
    frame = pd.DataFrame(values)
    y = frame.to_numpy()
    about = y - y.mean(axis=1)[:, None] + y.mean()
    error = np.sqrt(3 / 2) * about.std(axis=0, ddof=1) / np.sqrt(8)
    found = within_intervals(frame)
    for k, name in enumerate(values):
        half = stats.t.ppf(0.975, 7) * error[k]
        np.testing.assert_allclose(found[name], y[:, k].mean() + np.array([-half, half]))
    a, b = values["fasttext"], values["gpt2"]
    two = within_intervals(pd.DataFrame({"a": a, "b": b}))
    paired = stats.t.ppf(0.975, 7) * stats.sem(b - a)
    assert two["a"][1] - two["a"][0] == pytest.approx(2 * paired / np.sqrt(2))
    rows = score_table(table_of(values)).set_index("embedding")
    assert rows.loc["gpt2", "within_low"] == pytest.approx(found["gpt2"][0])
    wide = rows["ci_high"] - rows["ci_low"]
    assert (rows["within_high"] - rows["within_low"] < wide / 2).all()
    assert within_intervals(frame.iloc[:4]) == {}
    assert within_intervals(frame[["gpt2"]]) == {}


def test_sessions_count_once_and_must_agree_on_an_answer():
    first = scores_of("gpt2", [0.1, 0.2], answers=["evidence", "evidence"], session="1")
    second = scores_of("gpt2", [0.3, 0.4], answers=["evidence", "no evidence"], session="2")
    found = participant_scores(pd.concat([first, second]))
    np.testing.assert_allclose(found["value"], [0.2, 0.3])
    assert list(found["answer"]) == ["evidence", "undecided"]


def test_no_effect_gives_small_p_in_one_of_twenty_groups():
    rng = np.random.default_rng(1)
    hits = np.zeros(2)
    for _ in range(100):
        table = pd.concat(
            [scores_of(name, rng.normal(0, 0.05, 8)) for name in ("fasttext", "gpt2")]
        )
        hits += [
            score_table(table)["p"].iloc[0] <= 0.05,
            difference_table(table)["p"].iloc[0] <= 0.05,
        ]
    assert (hits <= stats.binom.ppf(0.999, 100, 0.05)).all()


def test_missing_columns_are_named_and_no_rows_are_no_table():
    with pytest.raises(BrainAlignError, match="answer"):
        score_table(pd.DataFrame(columns=["participant"]))
    nothing = scores_of("gpt2", [np.nan, np.nan])
    assert list(score_table(nothing)) == list(SCORE_COLUMNS)
    assert len(score_table(nothing)) == 0
    assert len(difference_table(nothing)) == 0
