"""Networks on data without any link: p < .05 in 5 %, and intervals of Δr that hold 0."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from bids_brainalign.encoding.design import DesignMaker
from bids_brainalign.encoding.recurrent.linear_path import linear_path
from bids_brainalign.encoding.recurrent.seed_fit import fit_seed
from bids_brainalign.encoding.recurrent.side_by_side import one_thread
from bids_brainalign.statistics.block_bootstrap import (
    draw_counts,
    drawn_scores,
    make_blocks,
    percentile_interval,
    widened,
)
from bids_brainalign.statistics.folds import Samples
from bids_brainalign.statistics.tails import p_values
from tests.encoding.recurrent.planted import options
from tests.encoding.test_calibration import GRID, make_problem

N_RUNS, N_TIMES, N_TARGETS = 3, 600, 6
BLOCK_S = 2.0


def null_run(seed, kind, *, with_linear):
    """(p, whether the 95 % interval of Δr holds 0), each (n_targets,)."""
    problem, space, _ = make_problem(
        seed, n_runs=N_RUNS, n_times=N_TIMES, n_targets=N_TARGETS, phi=0.9, dims=8
    )
    run = np.repeat(np.arange(N_RUNS), N_TIMES)
    time = np.tile(np.arange(N_TIMES) * 0.02, N_RUNS)
    samples = Samples(run, run, time, run, time, 0.02)
    opts = replace(options(epochs=4, rows=2048, hidden=8, patience=2), gap_s=0.5)
    maker = DesignMaker(space.read(0), problem.layout, delays=problem.delays, n_components=64)
    ridge, network = [], []
    for k, fold in enumerate(problem.plan.folds):
        design, responses = maker.design(fold.outer.train), problem.fold_responses(k)
        linear = linear_path(design, responses, fold, alphas=GRID, fixed_alpha=1e4)
        fit = fit_seed(
            kind, design.reshape(len(design), len(problem.delays), -1), responses, fold, samples,
            options=opts, seed=seed, position=0.5, linear=linear if with_linear else None,
        )  # fmt: skip
        ridge.append(linear.prediction)
        network.append(fit.prediction)
    held_out = problem.held_out()
    p = p_values(held_out.score(network).r, held_out.null(network))
    tests = [fold.outer.test for fold in problem.plan.folds]
    blocks = make_blocks(
        [time[t] for t in tests], [run[t] for t in tests], block_s=BLOCK_S, interval_s=0.02
    )
    counts = draw_counts(blocks.n_blocks, n_draws=400, rng=np.random.default_rng(seed))
    draws = drawn_scores(held_out.responses, network, blocks, counts) - drawn_scores(
        held_out.responses, ridge, blocks, counts
    )
    value = held_out.score(network).r - held_out.score(ridge).r
    draws = widened(draws, value, scale=held_out.null_scale)
    low, high = percentile_interval(draws, level=0.95)
    return p, (low <= 0) & (high >= 0)


@pytest.mark.slow
@pytest.mark.parametrize("with_linear", [False, True])
def test_null_networks_are_found_at_the_nominal_rate(with_linear):
    with one_thread():
        runs = [null_run(seed, "mlp", with_linear=with_linear) for seed in range(120)]
    p, held = (np.concatenate(part) for part in zip(*runs, strict=True))
    # Not more often than the level, as .999 of runs; less often is no error.
    assert (p < 0.05).sum() <= binom.ppf(0.999, len(p), 0.05), (p < 0.05).mean()
    assert (~held).sum() <= binom.ppf(0.999, len(held), 0.05), held.mean()
