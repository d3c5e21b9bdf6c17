"""The series of planted and noise datasets: its parts, its committed table, and a short run."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter
from scipy.stats import ttest_1samp

from scripts.tuning_series import ALLOWED, other_phases, run_series, summarise

DOCS = Path(__file__).parents[2] / "docs"
N_DATASETS = 20


def autocorrelation(values, lag):
    """Circular, as a Fourier transform sees it."""
    return np.mean(values * np.roll(values, lag, axis=0), axis=0) / np.mean(values**2, axis=0)


def test_noise_responses_have_the_same_autocorrelation_and_nothing_in_common():
    white = np.random.default_rng(0).standard_normal((4000, 6))
    slow = lfilter([1.0], [1.0, -0.9], white, axis=0)
    slow -= slow.mean(axis=0)
    other = other_phases(slow, np.random.default_rng(1))
    for lag in (0, 1, 5, 20):
        expected = autocorrelation(slow, lag)
        np.testing.assert_allclose(autocorrelation(other, lag), expected, atol=2e-3)
    np.testing.assert_allclose(other.std(axis=0), slow.std(axis=0), rtol=1e-3)
    r = np.corrcoef(slow.T, other.T)[:6, 6:]
    assert np.abs(r).max() < 0.3
    assert np.abs(np.corrcoef(other.T)[np.triu_indices(6, 1)]).max() < 0.3


def test_bounds_are_those_of_students_t():
    rng = np.random.default_rng(0)
    runs = pd.DataFrame(
        {
            "kind": ["planted"] * 20 + ["noise"] * 8, "epoch": [3] * 25 + [0] * 3,
            "r_original": 0.5, "r_chosen": 0.5, "delta_r": rng.normal(0.01, 0.02, 28),
        }
    )  # fmt: skip
    table = summarise(runs).set_index("kind")
    for kind, part in runs.groupby("kind"):
        test = ttest_1samp(part["delta_r"], 0, alternative="greater")
        expected = test.confidence_interval(0.95).low
        assert table.loc[kind, "lower_bound"] == pytest.approx(expected)
    assert table["n_epoch_0"].to_dict() == {"planted": 0, "noise": 3}


def test_the_committed_table_holds_what_is_claimed():
    runs = pd.read_csv(DOCS / "tuning_series_datasets.tsv", sep="\t")
    table = pd.read_csv(DOCS / "tuning_series.tsv", sep="\t")
    pd.testing.assert_frame_equal(summarise(runs), table, check_exact=False, atol=2e-5)
    table = table.set_index("kind")
    assert (table["n_datasets"] == N_DATASETS).all()
    assert set(table.index) == {"planted", "noise", "permuted"}
    assert (table["lower_bound"] > ALLOWED).all()
    assert table.loc["planted", "lower_bound"] > 0


@pytest.mark.slow
def test_a_short_series():
    runs = run_series(range(3))
    table = summarise(runs).set_index("kind")
    assert (table["n_datasets"] == 3).all()
    # Of 20 datasets: planted .007 with an SD of .006, noise .000 with .002.
    assert table.loc["planted", "lower_bound"] > 0
    assert abs(table.loc["noise", "delta_r"]) < 0.01
    assert table.loc["permuted", "delta_r"] > ALLOWED
    by_kind = runs.pivot_table(index="seed", columns="kind", values="delta_r")
    assert (by_kind["planted"] > by_kind["permuted"]).all()
