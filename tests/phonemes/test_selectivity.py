"""Rank sums against scipy, PSI against the published recipe, the shift null on correlated data."""

import numpy as np
import pytest
from scipy.stats import kruskal, mannwhitneyu, norm

from bids_brainalign.phonemes.selectivity import (
    Tokens,
    pairwise_rank_sums,
    phone_selectivity_index,
    rank_sums,
    shifted_rank_sums,
    split_half_reliability,
)

N_PHONES = 8


def make(n=900, n_targets=3, *, seed=0, ar=0.0, tuned=0.0):
    """Tokens of a Markov sequence; target 0 prefers phone 2."""
    rng = np.random.default_rng(seed)
    stay = rng.random(n) < 0.6
    phone = np.where(stay, 1, rng.integers(0, N_PHONES, n)).cumsum() % N_PHONES
    noise = rng.standard_normal((n, n_targets))
    for t in range(1, n):
        noise[t] += ar * noise[t - 1]
    noise[phone == 2, 0] += tuned
    names = tuple("abcdefgh")
    block = np.arange(n) // 100
    return Tokens(noise, phone.astype(np.int64), names, np.arange(n) // (n // 2), block)


def test_rank_sums_are_those_of_scipy():
    tokens = make(tuned=0.5)
    members = np.zeros((1, N_PHONES), dtype=bool)
    members[0, [2, 5]] = True
    found = rank_sums(tokens, members)
    x = tokens.responses[:, 0]
    for phones, z in (([2], found.z[2, 0]), ([2, 5], found.category_z[0, 0])):
        mine = np.isin(tokens.phone, phones)
        p = mannwhitneyu(
            x[mine], x[~mine], alternative="greater", method="asymptotic", use_continuity=False
        ).pvalue
        assert norm.sf(z) == pytest.approx(p, rel=1e-9)
    groups = [x[tokens.phone == k] for k in range(N_PHONES)]
    assert found.omnibus[0] == pytest.approx(kruskal(*groups).statistic)


def test_psi_counts_the_phones_that_one_exceeds():
    tokens = make(tuned=1.0)
    psi = phone_selectivity_index(tokens)
    x = tokens.responses[:, 0]
    for k in (2, 5):
        wins = [
            mannwhitneyu(
                x[tokens.phone == k], x[tokens.phone == j], alternative="greater",
                method="asymptotic", use_continuity=False,
            ).pvalue < 0.01
            for j in range(N_PHONES) if j != k
        ]  # fmt: skip
        assert psi[k, 0] == sum(wins)
    assert psi[2, 0] == N_PHONES - 1


def test_pairwise_sums_correct_for_ties():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 5, 40), rng.integers(1, 6, 60)
    counts = np.stack([np.bincount(a, minlength=6), np.bincount(b, minlength=6)]).astype(float)
    p = mannwhitneyu(b, a, alternative="greater", method="asymptotic", use_continuity=False).pvalue
    assert norm.sf(pairwise_rank_sums(counts)[1, 0]) == pytest.approx(p)


def test_shifts_are_shifts_of_the_labels():
    tokens = make(n=200)
    null = shifted_rank_sums(
        tokens, np.eye(N_PHONES, dtype=bool), n_draws=5, rng=np.random.default_rng(0)
    )
    halves = [tokens.take(tokens.run == r) for r in (0, 1)]
    ranks = np.argsort(np.argsort(tokens.responses[:, 0])) + 1 - 100.5
    sums = [
        [ranks[tokens.run == r][np.roll(half.phone, s) == 3].sum() for s in range(100)]
        for r, half in enumerate(halves)
    ]
    every = np.add.outer(sums[0], sums[1]).ravel()
    n = (tokens.phone == 3).sum()
    scale = np.sqrt(n * (200 - n) * 201 / 12)
    for z in null.z[:, 3, 0]:
        assert np.abs(every / scale - z).min() < 1e-9


def test_shift_null_keeps_five_percent_where_neighbouring_tokens_are_alike():
    hits = []
    for seed in range(150):
        tokens = make(n=600, n_targets=4, seed=seed, ar=0.9)
        members = np.zeros((0, N_PHONES), dtype=bool)
        observed = rank_sums(tokens, members).omnibus
        rng = np.random.default_rng(seed)
        null = shifted_rank_sums(tokens, members, n_draws=199, rng=rng).omnibus
        hits.append(((1 + (null >= observed).sum(axis=0)) / 200 < 0.05).mean())
    assert 0.02 <= np.mean(hits) <= 0.085  # 600 electrodes, not all independent


def test_reliability_is_high_where_tuned_only():
    tokens = make(n=3000, tuned=1.5)
    reliability = split_half_reliability(tokens, np.zeros((0, N_PHONES), dtype=bool))
    assert reliability[0] > 0.9
    assert np.abs(reliability[1:]).max() < 0.9
