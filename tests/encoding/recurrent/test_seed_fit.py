"""Networks against ridge where the truth is known: nothing to gain, or something."""

import numpy as np
import pytest

from bids_brainalign.encoding.recurrent.linear_path import linear_path
from bids_brainalign.encoding.recurrent.seed_fit import fit_seed
from bids_brainalign.statistics.block_bootstrap import (
    draw_counts,
    drawn_scores,
    make_blocks,
    percentile_interval,
)
from bids_brainalign.statistics.correlation import correlation
from tests.encoding.recurrent.planted import make_case, options

ALPHAS = tuple(10.0 ** (1 + i) for i in range(6))


def difference(case, kind, *, opts, seeds=3, with_linear=True):
    """Mean Δr (network − ridge) over targets, and its draws over blocks of 30 s."""
    design = case.windows.reshape(len(case.windows), -1)
    linear = linear_path(design, case.responses, case.fold, alphas=ALPHAS, fixed_alpha=1e3)
    test = case.fold.outer.test
    held = [case.responses[test]]
    blocks = make_blocks(
        [case.samples.time_s[test]], [case.samples.run[test]], block_s=30, interval_s=0.02
    )
    counts = draw_counts(blocks.n_blocks, n_draws=1000, rng=np.random.default_rng(0))
    values, draws = [], []
    for seed in range(seeds):
        fit = fit_seed(
            kind, case.windows, case.responses, case.fold, case.samples, options=opts, seed=seed,
            position=(seed + 0.5) / seeds, linear=linear if with_linear else None,
        )  # fmt: skip
        values.append(correlation(held[0], fit.prediction).mean())
        draws.append(drawn_scores(held, [fit.prediction], blocks, counts).mean(axis=1))
    base = correlation(held[0], linear.prediction).mean()
    base_draws = drawn_scores(held, [linear.prediction], blocks, counts).mean(axis=1)
    return np.mean(values) - base, np.mean(draws, axis=0) - base_draws


@pytest.mark.parametrize("kind", ["mlp", "attention"])
def test_where_all_is_linear_nothing_is_gained_or_lost(kind):
    case = make_case("linear", n=18_000, n_test=9_000)
    _, draws = difference(case, kind, opts=options(epochs=4, rows=4096), seeds=2)
    low, high = percentile_interval(draws, level=0.9)
    assert -0.02 < low <= high < 0.02


def test_a_gated_response_is_gained_by_a_network():
    case = make_case("gated", n=22_000, n_test=9_000, n_targets=3)
    value, draws = difference(case, "mlp", opts=options(epochs=10), seeds=2)
    low, _ = percentile_interval(draws, level=0.95)
    assert value > 0.02
    assert low > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gru", "lstm", "recurrent"])
def test_recurrent_networks_neither_gain_nor_lose_where_all_is_linear(kind):
    case = make_case("linear", n=30_000, n_test=9_000)
    _, draws = difference(case, kind, opts=options(epochs=8))
    low, high = percentile_interval(draws, level=0.9)
    assert -0.02 < low <= high < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gru", "lstm", "recurrent"])
def test_recurrent_networks_gain_where_history_gates(kind):
    case = make_case("gated", n=36_000, n_test=9_000, n_targets=3)
    _, draws = difference(case, kind, opts=options(epochs=20, hidden=32))
    low, _ = percentile_interval(draws, level=0.95)
    assert low > 0


def test_the_same_seed_gives_the_same_network_and_leaves_torchs_stream_alone():
    import torch

    case = make_case("linear", n=4_000, n_test=1_000, n_targets=2, share=0.9)
    arguments = (case.windows, case.responses, case.fold, case.samples)
    opts = options(epochs=4, rows=2048, hidden=8)
    before = torch.random.get_rng_state()
    first, again, other = (
        fit_seed(
            "attention", *arguments, options=opts, seed=seed, position=0.5, linear=None
        ).prediction
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_test_rows_change_nothing_that_is_learnt():
    """Responses of the test part are replaced: the prediction stays."""
    case = make_case("gated", n=4_000, n_test=1_000, n_targets=2)
    other = case.responses.copy()
    other[case.fold.outer.test] = 100.0
    design = case.windows.reshape(len(case.windows), -1)
    opts = options(epochs=2, rows=1024, hidden=8)
    found = []
    for responses in (case.responses, other):
        linear = linear_path(design, responses, case.fold, alphas=ALPHAS, fixed_alpha=1e3)
        found.append(
            fit_seed(
                "mlp", case.windows, responses, case.fold, case.samples, options=opts, seed=0,
                position=0.5, linear=linear,
            ).prediction
        )  # fmt: skip
    assert np.allclose(*found, atol=1e-5)
