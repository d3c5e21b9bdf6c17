"""The verdict follows its rules: nothing without information, and no word beyond what was run."""

import numpy as np
import pytest

from bids_brainalign.production.mapping import map_words
from bids_brainalign.production.nulls import (
    Null,
    random_embeddings,
    shifted_trials,
    shuffled_words,
)
from bids_brainalign.production.ridge import Ridge
from bids_brainalign.production.twins import Twin, trial_index, twin
from bids_brainalign.production.verdict import NEEDED, judge
from tests.production.planted import folds_of, planted


def null(name, observed, n_draws=99, level=0.0):
    draws = level + 0.01 * np.random.default_rng(0).standard_normal((n_draws, 5))
    return Null(name, np.full(5, observed), draws)


def all_nulls(observed=0.3, **options):
    return [null(name, observed, **options) for name in NEEDED]


INDEX = Twin("trial index", np.zeros(5), 0.1, 0.001)
QUIET = null("shuffled words", -0.001)


def test_all_rules_hold():
    verdict = judge(all_nulls(), [INDEX], baseline=QUIET)
    assert verdict.answer == "evidence"
    assert "p = 0.01 (99 draws)" in verdict.text
    assert "shuffled words" in verdict.text


@pytest.mark.parametrize(
    ("change", "answer", "said"),
    [
        ({"nulls": all_nulls(0.0)}, "no evidence", "not above 0"),
        ({"nulls": all_nulls(0.3, level=0.3)}, "no evidence", "against"),
        ({"nulls": [*all_nulls()[:2], null(NEEDED[2], 0.3, level=0.4)]}, "no evidence", NEEDED[2]),
        ({"nulls": all_nulls()[:2]}, "undecided", f"{NEEDED[2]} was not run"),
        ({"nulls": all_nulls(n_draws=9)}, "undecided", "too few"),
        ({"nulls": all_nulls(np.nan)}, "undecided", "no p value"),
        ({"twins": []}, "undecided", "trial index"),
        ({"twins": [INDEX, Twin("loudness", np.zeros(5), 0.1, 0.2)]}, "no evidence", "loudness"),
        ({"twins": [Twin("trial index", np.zeros(5), -0.1, 0.9)]}, "no evidence", "trial index"),
        ({"baseline": None}, "undecided", "before the cue"),
        ({"baseline": null("shuffled words", 0.2)}, "no evidence", "leak"),
        ({"baseline": null("shuffled words", 0.2, n_draws=9)}, "undecided", "could show a leak"),
        ({"twins": [Twin("trial index", np.zeros(5), 0.1, 0.2, 0.125)]}, "undecided", "few folds"),
        ({"nulls": all_nulls()[:2], "twins": [Twin("trial index", np.zeros(5), -1, 1)]},
         "no evidence", "was not run"),
    ],
)  # fmt: skip
def test_each_rule_can_fail(change, answer, said):
    given = {"nulls": all_nulls(), "twins": [INDEX], "baseline": QUIET} | change
    verdict = judge(given["nulls"], given["twins"], baseline=given["baseline"])
    assert verdict.answer == answer
    assert said in verdict.text


def judged(share, seed):
    """From data to verdict with every null, twin and a baseline without a signal."""
    x, y = planted(share, seed, n_words=60, n_channels=30, n_dims=20)
    _, before = planted(0.0, 100 + seed, n_words=60, n_channels=30)
    folds, how, rng = folds_of(60), Ridge((10.0, 100.0, 1000.0)), np.random.default_rng(seed)
    tests = (shuffled_words, random_embeddings, shifted_trials)
    nulls = [test(x, y, folds, how, n_draws=39, rng=rng) for test in tests]
    baseline = shuffled_words(x, before, folds, how, n_draws=39, rng=rng)
    found = map_words(x, y, folds, how)
    plain = twin("trial index", trial_index(60), y, found, rng=rng)
    return judge(nulls, [plain], baseline=baseline)


def test_no_evidence_without_a_signal_and_evidence_with_one():
    assert [judged(0.0, seed).answer for seed in (0, 1, 2)] == ["no evidence"] * 3
    assert judged(0.5, 0).answer == "evidence"


@pytest.mark.slow
def test_evidence_is_rare_without_a_signal():
    answers = [judged(0.0, seed).answer for seed in range(60)]
    assert "undecided" not in answers
    assert answers.count("evidence") <= 8  # 99 % of binomials with 60 draws of .05
