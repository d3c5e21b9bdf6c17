"""Phones at the group level: sessions are no participants, left is not right."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy.stats import binom, norm

from bids_brainalign.group.phonemes import coherence_group_table, combined, phoneme_group_table
from bids_brainalign.reports.group_phonemes import region_responses


def order(*tested):
    """Rows of ``coherence.tsv``: participant and p."""
    rows = [
        {"statistic": "neighbour similarity", "participant": person, "value": p, "null_mean": 0.0,
         "p": p, "n_null": 999}
        for person, p in tested
    ]  # fmt: skip
    return coherence_group_table(pd.DataFrame(rows)).iloc[0]


def test_sessions_of_one_participant_are_one_participant():
    row = order(("01", 0.04), ("01", 0.04))
    assert row["n_participants"] == 1
    assert np.isnan(row["p_combined"])


def test_sessions_make_one_p_before_participants_are_combined():
    row = order(("01", 0.04), ("01", 0.04), ("02", 0.1))
    assert row["n_participants"] == 2
    assert row["p_combined"] == pytest.approx(combined([0.04, 0.1]))
    assert row["value_mean"] == pytest.approx(0.07)


def test_mean_z_of_dependent_sessions_keeps_five_percent():
    rng = np.random.default_rng(0)
    for r in (0.0, 0.5, 1.0):
        shared, own = rng.standard_normal((200, 2, 1)), rng.standard_normal((200, 2, 3))
        z = np.sqrt(r) * shared + np.sqrt(1 - r) * own
        p = norm.sf(z)
        hits = [
            order(*[(f"{s}", p[run, s, k]) for s in range(2) for k in range(3)])["p_combined"]
            < 0.05
            for run in range(200)
        ]
        assert sum(hits) <= binom.ppf(0.975, 200, 0.05)


def electrodes(*placed):
    """Rows of ``phonemes.tsv``: hemisphere, region and selectivity of electrodes."""
    return pd.DataFrame(
        [
            {"participant": "01", "target": f"e{k}", "hemisphere": side, "region": region,
             "kind": "manner", "phone_class": "nasal", "selectivity": value, "q_fdr": 0.5}
            for k, (side, region, value) in enumerate(placed)
        ]
    )  # fmt: skip


def test_regions_are_kept_apart_by_side():
    table = phoneme_group_table(
        electrodes(
            ("L", "STG", 1.0), ("R", "STG", 3.0), ("R", "MTG", 5.0), ("L", "unknown", 7.0),
            ("n/a", "n/a", 9.0),
        )
    )  # fmt: skip
    found = table.set_index(["region", "hemisphere"])["selectivity_mean"].to_dict()
    assert found == {
        ("all", "all"): 5.0, ("all", "L"): 4.0, ("all", "R"): 4.0, ("STG", "L"): 1.0,
        ("STG", "R"): 3.0, ("STG", "all"): 2.0, ("MTG", "R"): 5.0,
    }  # fmt: skip
    figure = region_responses(table)
    assert isinstance(figure, Figure)
    ticks = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert "STG, left (1 in 1)" in ticks
    assert "all electrodes (5 in 1)" in ticks


def test_an_electrode_of_two_sessions_counts_once():
    one = electrodes(("L", "STG", 1.0), ("L", "STG", 3.0), ("L", "STG", np.nan))
    two = electrodes(("L", "STG", 5.0))
    other = electrodes(("L", "STG", 7.0)).assign(participant="02")
    table = phoneme_group_table(pd.concat([one, two, other], ignore_index=True))
    row = table.set_index(["region", "hemisphere"]).loc[("STG", "L")]
    # e0 of two participants and e1 of the first; e2 was never heard.
    assert row["n_electrodes"] == 3
    assert row["n_participants"] == 2
    assert row["selectivity_mean"] == pytest.approx((3.0 + 7.0) / 2)
