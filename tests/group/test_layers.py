"""The group's layer table against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bids_brainalign.group.layers import LAYER_COLUMNS, layer_table


def row(participant: str, target: str, layer: str, r: float, **more: object) -> dict[str, object]:
    base = {
        "participant": participant, "modality": "ieeg", "target": target, "target_type": "ECOG",
        "hemisphere": "L", "region": "n/a", "model": "m", "layer": layer, "encoder": "ridge",
        "fold": "all", "r": r, "delta_r_lowlevel": np.nan, "q_fdr": np.nan, "q_delta": np.nan,
    }  # fmt: skip
    return base | more


def pick(table: pd.DataFrame, **where: str) -> pd.Series:
    for column, value in where.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_targets_are_averaged_within_participants_first():
    # 01 has one electrode at .1; 02 three at .4, .5, .6: nested mean (.1 + .5) / 2, pooled .4.
    rows = [row("01", "A", "0", 0.1)]
    rows += [row("02", name, "0", r) for name, r in (("A", 0.4), ("B", 0.5), ("C", 0.6))]
    rows.append(row("02", "A", "0", 9.0, fold="1"))
    found = pick(layer_table(pd.DataFrame(rows)), region="all", layer="0")
    assert found["r_mean"] == pytest.approx(0.3)
    assert found["n_participants"] == 2


def test_sessions_are_averaged_after_their_targets():
    rows = [row("01", "A", "0", 0.1, session="a")]
    rows += [row("01", name, "0", 0.5, session="b") for name in "ABC"]
    assert pick(layer_table(pd.DataFrame(rows)), region="all")["r_mean"] == pytest.approx(0.3)


def test_few_participants_get_no_interval_and_no_p():
    rows = [row(f"{i:02d}", "A", "0", 0.1 * i) for i in range(1, 5)]
    found = pick(layer_table(pd.DataFrame(rows)), region="all", layer="0")
    assert found["interval_kind"] == "none"
    assert np.isnan([found["ci_low"], found["ci_high"], found["p"], found["q_fdr"]]).all()


def test_five_participants_get_a_t_interval_and_t_test():
    x = np.array([0.05, 0.10, 0.12, 0.20, 0.08])
    rows = [row(f"{i:02d}", "A", "0", v) for i, v in enumerate(x)]
    found = pick(layer_table(pd.DataFrame(rows)), region="all", layer="0")
    # mean .11, s = .0565685…, t(.975, 4) = 2.776445
    half = 2.7764451 * np.sqrt(0.0128 / 4) / np.sqrt(5)
    assert found["r_mean"] == pytest.approx(0.11)
    assert found["ci_low"] == pytest.approx(0.11 - half, abs=1e-7)
    assert found["ci_high"] == pytest.approx(0.11 + half, abs=1e-7)
    t = 0.11 / (np.sqrt(0.0128 / 4) / np.sqrt(5))
    assert found["p"] == pytest.approx(2 * stats.t.sf(t, 4))
    assert found["interval_kind"] == "t"


def test_ten_participants_get_a_bootstrap_that_does_not_depend_on_row_order():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame([row(f"{i:02d}", "A", "0", r) for i, r in enumerate(rng.normal(size=10))])
    first, second = layer_table(frame), layer_table(frame.iloc[::-1])
    assert first.loc[0, "interval_kind"] == "bca"
    pd.testing.assert_frame_equal(first, second)


def test_counts_of_preference_and_significance():
    rows = []
    for participant, curve, q in (
        ("01", (0.1, 0.3, 0.2), 0.01),
        ("02", (0.1, 0.2, 0.15), 0.2),
        ("03", (0.4, 0.2, 0.1), 0.03),
    ):
        rows += [row(participant, "A", str(i), r) for i, r in enumerate(curve)]
        rows.append(row(participant, "A", "selected", 0.2, q_fdr=0.001, q_delta=q))
    table = layer_table(pd.DataFrame(rows))
    assert [pick(table, region="all", layer=k)["n_preferred"] for k in "012"] == [1, 2, 0]
    # q_delta decides where there is one: 01 and 03, although every q_fdr is small.
    answer = pick(table, region="all", layer="selected")
    assert answer["n_significant"] == 2
    assert pd.isna(answer["n_preferred"])
    assert pd.isna(pick(table, region="all", layer="1")["n_significant"])


def test_baseline_counts_by_q_fdr():
    more = {"model": "lowlevel"}
    rows = [row(p, "A", "n/a", 0.1, q_fdr=q, **more) for p, q in (("1", 0.01), ("2", 0.5))]
    answer = pick(layer_table(pd.DataFrame(rows)), region="all")
    assert (answer["layer"], answer["n_significant"]) == ("n/a", 1)


def test_whole_mask_is_not_averaged_with_its_hemispheres():
    rows = []
    for target, side, r in (("whole", "n/a", 0.10), ("left", "L", 0.05), ("right", "R", 0.15)):
        more = {"modality": "fmri", "target_type": "parcel", "hemisphere": side}
        rows.append(row("01", target, "0", r, **more))
    for target, side, r in (("A1", "n/a", 0.30), ("A1-L", "L", 0.20), ("A1-R", "R", 0.40)):
        more = {"modality": "fmri", "target_type": "parcel", "hemisphere": side, "region": "A1"}
        rows.append(row("01", target, "0", r, **more))
    table = layer_table(pd.DataFrame(rows))
    assert {r: pick(table, region=r)["r_mean"] for r in table["region"]} == pytest.approx(
        {"all": 0.10, "L": 0.05, "R": 0.15, "A1": 0.30, "A1-L": 0.20, "A1-R": 0.40}
    )


def test_modalities_stay_apart():
    rows = [
        row("01", "A", "0", 0.1),
        row("02", "whole", "0", 0.3, modality="fmri", target_type="parcel", hemisphere="n/a"),
    ]
    table = layer_table(pd.DataFrame(rows))
    assert pick(table, modality="ieeg", region="all")["r_mean"] == pytest.approx(0.1)
    assert pick(table, modality="fmri", region="all")["r_mean"] == pytest.approx(0.3)


def test_q_is_benjamini_hochberg_over_the_model():
    rng = np.random.default_rng(1)
    rows = [
        row(f"{i:02d}", "A", str(k), 0.05 * k + r)
        for i in range(6)
        for k, r in enumerate(rng.normal(0, 0.05, 4))
    ]
    table = layer_table(pd.DataFrame(rows))
    p = table["p"].to_numpy()
    order = np.argsort(p)
    oracle = np.empty_like(p)
    stepped = p[order] * len(p) / np.arange(1, len(p) + 1)
    oracle[order] = np.minimum.accumulate(stepped[::-1])[::-1]
    np.testing.assert_allclose(table["q_fdr"].astype(float), np.minimum(oracle, 1))


def test_all_missing_and_empty():
    table = layer_table(pd.DataFrame([row("01", "A", "0", np.nan)]))
    assert table.loc[0, "n_participants"] == 0
    assert np.isnan(table.loc[0, "r_mean"])
    empty = layer_table(pd.DataFrame([row("01", "A", "0", 0.1)]).iloc[:0])
    assert list(empty.columns) == list(LAYER_COLUMNS)
    assert empty.empty
