"""Tables of tuned models over participants, against numpy and scipy."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bids_brainalign.group.tuning import (
    GAIN_COLUMNS,
    TRANSFER_COLUMNS,
    gain_table,
    names_of_targets,
    participant_gains,
    transfer_cells,
    transfer_table,
    tuned_by_scored,
)

REASON = "its model was trained on story5, which is scored here"


def electrodes(participant, deltas, *, model="m:tuned", reference="m", sides="LLRR", q=0.5,
               session=None):  # fmt: skip
    """Rows of one participant's tuning.tsv: an electrode per value."""
    return pd.DataFrame(
        {
            "target": [f"E{k}" for k in range(len(deltas))], "target_type": "ECOG",
            "hemisphere": list(sides), "region": ["STG", "n/a", "STG", "MTG"][: len(deltas)],
            "model": model, "reference": reference, "r": 0.3 + np.asarray(deltas),
            "r_reference": 0.3, "delta_r": deltas, "q_fdr": q,
            "participant": participant, "modality": "ieeg", "session": session,
        }
    )  # fmt: skip


def parcels(participant, deltas, *, model="m:tuned"):
    """The same of fMRI: whole, left, right and one region on both sides."""
    names = ["whole", "left", "right", "AG", "AG-L"]
    return pd.DataFrame(
        {
            "target": names, "target_type": "parcel",
            "hemisphere": ["n/a", "L", "R", "n/a", "L"], "region": ["n/a"] * 3 + ["AG", "AG"],
            "model": model, "reference": "m", "r": 0.2, "r_reference": 0.2 - np.asarray(deltas),
            "delta_r": deltas, "q_fdr": np.nan, "participant": participant,
            "modality": "fmri", "session": None,
        }
    )  # fmt: skip


@pytest.fixture
def people():
    rng = np.random.default_rng(0)
    return {f"{k:02d}": rng.normal(0.03, 0.02, 4) for k in range(1, 7)}


def test_gains_are_means_of_each_participants_means(people):
    found = gain_table(
        pd.concat([electrodes(p, d, q=0.01 if p < "04" else 0.4) for p, d in people.items()])
    )
    assert list(found) == list(GAIN_COLUMNS)
    row = found[found["region"] == "all"].iloc[0]
    means = np.array([d.mean() for d in people.values()])
    assert row["n_participants"] == 6
    assert row["n_better"] == 3
    np.testing.assert_allclose(row["delta_r"], means.mean())
    np.testing.assert_allclose(row["r"], 0.3 + means.mean())
    half = stats.t.ppf(0.975, 5) * means.std(ddof=1) / np.sqrt(6)
    np.testing.assert_allclose(
        [row["ci_low"], row["ci_high"]], [means.mean() - half, means.mean() + half]
    )
    np.testing.assert_allclose(row["p"], stats.ttest_1samp(means, 0).pvalue)
    assert row["interval_kind"] == "t"
    stg = found[found["region"] == "STG"].iloc[0]
    np.testing.assert_allclose(
        stg["delta_r"], np.mean([d[[0, 2]].mean() for d in people.values()])
    )
    assert list(found["region"]) == ["all", "L", "R", "STG", "MTG"]
    np.testing.assert_allclose(
        found["q_fdr"].astype(float), stats.false_discovery_control(found["p"].astype(float))
    )


def test_no_gain_is_found_where_there_is_none():
    """Of 60 groups of eight participants without a gain about one in twenty has p < .05."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(60):
        tables = [electrodes(f"{k}", rng.normal(0, 0.05, 4)) for k in range(8)]
        table = gain_table(pd.concat(tables))
        hits += int(table[table["region"] == "all"]["p"].iloc[0] < 0.05)
    assert hits <= stats.binom.ppf(0.999, 60, 0.05)


def test_the_whole_mask_is_not_averaged_with_its_parts(people):
    tables = pd.concat([parcels(p, [d[0], d[1], d[2], d[3], -1.0]) for p, d in people.items()])
    found = gain_table(tables).set_index("region")
    np.testing.assert_allclose(
        found.loc["all", "delta_r"], np.mean([d[0] for d in people.values()])
    )
    np.testing.assert_allclose(
        found.loc["AG", "delta_r"], np.mean([d[3] for d in people.values()])
    )
    assert found.loc["AG-L", "delta_r"] == -1
    assert found.loc["all", "n_better"] is pd.NA


def test_few_participants_get_no_interval_and_sessions_count_once():
    tables = pd.concat(
        [
            electrodes("01", [0.1] * 4, session="1"), electrodes("01", [0.3] * 4, session="2"),
            electrodes("02", [0.0] * 4),
        ]
    )  # fmt: skip
    row = gain_table(tables).iloc[0]
    np.testing.assert_allclose(row["delta_r"], np.mean([0.2, 0.0]))
    assert np.isnan([row["ci_low"], row["p"]]).all()
    assert row["interval_kind"] == "none"


def transfer_tables(matrix, *, refused=()):
    """Participants' transfer.tsv, from a matrix of Δr (tuned on × scored on)."""
    labels, tables = [f"{k:02d}" for k in range(1, len(matrix) + 1)], []
    for column, scored in enumerate(labels):
        own = matrix[column][column]
        for row, tuned in enumerate(labels):
            delta, reason = matrix[row][column], None
            if (tuned, scored) in refused:
                delta, reason = np.nan, REASON
            for reference, value in (("m", delta), ("m:tuned", delta - own)):
                if reference == "m:tuned" and tuned == scored:
                    continue
                part = electrodes(scored, [value] * 4, reference=reference)
                part["r"], part["r_reference"] = 0.3 + delta, 0.3 + delta - value
                tables.append(part.assign(tuned_on=tuned, reason=reason))
    return pd.concat(tables)


def test_transfer_has_all_cells_and_means_on_and_off_the_diagonal():
    matrix = np.random.default_rng(2).normal(0.02, 0.03, (6, 6))
    np.fill_diagonal(matrix, 0.08)
    found = transfer_table(transfer_tables(matrix))
    assert list(found) == list(TRANSFER_COLUMNS)
    every = found[found["region"] == "all"]
    cells = every[every["kind"] == "cell"].pivot(
        index="tuned_on", columns="scored_on", values="delta_r"
    )
    np.testing.assert_allclose(cells.to_numpy(dtype=float), matrix)
    own = every[every["kind"] == "cell"].pivot(
        index="tuned_on", columns="scored_on", values="delta_own"
    )
    off = ~np.eye(6, dtype=bool)
    np.testing.assert_allclose(own.to_numpy(dtype=float)[off], (matrix - 0.08)[off])
    means = every[every["kind"] != "cell"].set_index("kind")
    theirs = np.array([matrix[off[:, k], k].mean() for k in range(6)])
    np.testing.assert_allclose(means.loc["own", "delta_r"], 0.08)
    np.testing.assert_allclose(means.loc["others", "delta_r"], theirs.mean())
    np.testing.assert_allclose(means.loc["own_minus_others", "delta_r"], (0.08 - theirs).mean())
    np.testing.assert_allclose(
        means.loc["own_minus_others", "p"], stats.ttest_1samp(0.08 - theirs, 0).pvalue
    )
    assert means.loc["others", "n_participants"] == 6


def test_refused_cells_have_their_reason_and_count_for_nothing():
    matrix = np.full((3, 3), 0.05)
    matrix[0, 1] = 9.0
    tables = transfer_tables(matrix, refused={("01", "02")})
    cells = transfer_cells(tables)
    cell = cells[(cells["tuned_on"] == "01") & (cells["scored_on"] == "02")]
    assert set(cell["reason"]) == {REASON}
    assert cell["delta_r"].isna().all()
    assert cells["reason"].notna().sum() == len(cell)
    table = transfer_table(tables)
    others = table[(table["kind"] == "others") & (table["region"] == "all")]
    np.testing.assert_allclose(others["delta_r"], 0.05)


def test_gains_by_targets_tuned_on_and_regions_scored(people):
    names = names_of_targets(
        ["m", "m:tuned", "m:tuned:targets=STG", "m:tuned:targets=not:STG", "m:tuned:cnn=thawed",
         "m:tuned:cnn=thawed:targets=STG", "m:permuted"], "whole",
    )  # fmt: skip
    assert names == {
        "m:tuned": "whole",
        "m:tuned:targets=STG": "STG",
        "m:tuned:targets=not:STG": "not:STG",
    }
    tables = pd.concat(
        [
            electrodes(p, d * factor, model=model)
            for p, d in people.items()
            for factor, model in ((1, "m:tuned"), (2, "m:tuned:targets=STG"), (9, "m:together"))
        ]
    )
    matrix = tuned_by_scored(participant_gains(tables), names)
    assert list(matrix.index) == ["whole", "STG"]
    d = np.stack(list(people.values()))
    np.testing.assert_allclose(matrix.loc["STG", "STG"], 2 * d[:, [0, 2]].mean())
    np.testing.assert_allclose(matrix.loc["whole", "L"], d[:, :2].mean())
