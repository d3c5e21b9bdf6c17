"""The whole estimator on data without any link: is p < .05 in 5 % of targets?

Independent shifts of each fold's predictions ignore that folds train each other; uncorrected they
give 12 % here, whatever the number of folds.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter
from scipy.stats import binom

from bids_brainalign.encoding.design import RunLayout
from bids_brainalign.encoding.layerwise import (
    FeatureSpace,
    Problem,
    encode_jointly,
    encode_layers,
    keep_designs,
)
from bids_brainalign.statistics.folds import GapRule, Samples, plan_folds
from bids_brainalign.statistics.nulls import draw_folds
from bids_brainalign.statistics.tails import p_values

GRID = tuple(10.0 ** (1 + 0.5 * i) for i in range(15))


def make_problem(seed, *, n_runs, n_times, n_targets, phi, planted=None, n_layers=1, dims=20,
                 sentence=None, smooth=2):  # fmt: skip
    rng = np.random.default_rng(seed)
    layers = [
        [
            gaussian_filter1d(rng.standard_normal((n_times, dims)), smooth, axis=0).astype(
                np.float32
            )
            for _ in range(n_runs)
        ]
        for _ in range(n_layers)
    ]
    low = [rng.standard_normal((n_times, 3)).astype(np.float32) for _ in range(n_runs)]
    weights = rng.standard_normal((dims, n_targets))
    responses = []
    for run in range(n_runs):
        noise = lfilter([1], [1, -phi], rng.standard_normal((n_times, n_targets)), axis=0)
        if planted is not None:
            x = layers[planted][run]
            signal = np.roll((x / x.std(0)) @ weights / np.sqrt(dims), 3, axis=0)
            noise = noise / noise.std() + signal
        responses.append(noise.astype(np.float32))
    time = np.tile(np.arange(n_times) * 0.02, n_runs)
    run = np.repeat(np.arange(n_runs), n_times)
    group = run if sentence is None else np.arange(n_runs * n_times) // sentence
    samples = Samples(run, group, time, group, time, 0.02)
    plan = plan_folds(samples, [str(g) for g in np.unique(group)], gap=GapRule(2.0, 0.0))
    every = tuple(np.ones(n_times, bool) for _ in range(n_runs))
    decorrelation = np.log(0.1) / np.log(phi)
    draws = draw_folds(
        [len(f.outer.test) for f in plan.folds],
        decorrelation,
        n_draws=1000,
        min_offset=20 + int(decorrelation),
        rng=rng,
    )
    layout = RunLayout(every, every, plan.whole_runs)
    problem = Problem(responses, layout, plan, (0, 3, 6), GRID, 1e4, (0.5, 0.9), draws)
    space = FeatureSpace("m", tuple(str(i) for i in range(n_layers)), lambda i: layers[i], 64)
    return problem, space, FeatureSpace("lowlevel", ("n/a",), lambda _: low)


@pytest.mark.parametrize(("n_runs", "n_times"), [(4, 900), (3, 600), (1, 3600)])
@pytest.mark.parametrize("phi", [0.3, 0.9])
def test_null_targets_are_found_at_the_nominal_rate(n_runs, n_times, phi):
    p = []
    for seed in range(5):
        problem, space, _ = make_problem(
            seed, n_runs=n_runs, n_times=n_times, n_targets=150, phi=phi
        )
        fit = encode_layers(space, problem, problem.held_out())
        p.append(fit.layer_p[0])
    p = np.concatenate(p)
    # Targets share features, so their p are not quite independent: a .999 interval.
    for level in (0.05, 0.01):
        low, high = binom.interval(0.999, len(p), level)
        assert low <= (p < level).sum() <= high, (level, (p < level).mean())


@pytest.mark.parametrize("sentence", [75, 1000], ids=["80 sentences", "6 stories"])
def test_stimuli_that_follow_each_other_in_one_run_keep_the_rate(sentence):
    """Sentences held out at random, without a gap, gave p < .05 in 10 % of these targets."""
    p = []
    for seed in range(5):
        problem, space, _ = make_problem(
            seed, n_runs=1, n_times=6000, n_targets=150, phi=0.95, sentence=sentence, smooth=10
        )
        assert not problem.plan.whole_runs
        p.append(encode_layers(space, problem, problem.held_out()).layer_p[0])
    p = np.concatenate(p)
    low, high = binom.interval(0.999, len(p), 0.05)
    assert low <= (p < 0.05).sum() <= high, (p < 0.05).mean()


def test_planted_layer_is_chosen_and_adds_to_the_baseline():
    problem, space, low = make_problem(
        7, n_runs=4, n_times=1500, n_targets=20, phi=0.9, planted=1, n_layers=3
    )
    held_out = problem.held_out()
    fit = encode_layers(space, problem, held_out)
    assert (fit.chosen == 1).all()
    assert fit.layer_scores[1].r.min() > 0.3
    assert (p_values(fit.r_max, fit.null_max) < 0.001).all()
    base = encode_layers(low, problem, held_out)
    joint = held_out.score(encode_jointly(space, low, fit.chosen, problem, held_out))
    assert (joint.r - base.selected.r).min() > 0.3


def test_blocks_of_targets_on_kept_designs_without_layer_nulls_are_the_whole():
    problem, space, _ = make_problem(
        8, n_runs=4, n_times=900, n_targets=12, phi=0.6, planted=1, n_layers=3
    )
    whole = encode_layers(space, problem, problem.held_out())
    designs = keep_designs(space, replace(problem, responses=()))
    closed = replace(space, read=None)  # nothing is read again
    for columns in (slice(0, 5), slice(5, 12)):
        block = replace(problem, responses=[y[:, columns] for y in problem.responses], _cache={})
        part = encode_layers(closed, block, block.held_out(), designs=designs, layer_nulls=False)
        for mine, every in zip(part.layer_scores, whole.layer_scores, strict=True):
            np.testing.assert_allclose(mine.r_fold, every.r_fold[:, columns], atol=1e-6)
        np.testing.assert_array_equal(part.chosen, whole.chosen[:, columns])
        np.testing.assert_allclose(part.selected.r, whole.selected.r[columns], atol=1e-6)
        null = whole.null_selected[:, columns]
        np.testing.assert_allclose(part.null_selected, null, atol=1e-5)
        assert part.null_max is None
        assert np.isnan(part.layer_p).all()


def test_selected_is_not_better_than_chance_without_a_link():
    """Choosing among layers on inner folds must not lift held-out scores of null data."""
    problem, space, _ = make_problem(3, n_runs=4, n_times=900, n_targets=300, phi=0.9, n_layers=4)
    fit = encode_layers(space, problem, problem.held_out())
    standard_error = fit.selected.r.std() / np.sqrt(300)
    assert abs(fit.selected.r.mean()) < 6 * standard_error
    p = p_values(fit.r_max, fit.null_max)
    low, high = binom.interval(0.999, len(p), 0.05)
    assert low <= (p < 0.05).sum() <= high
