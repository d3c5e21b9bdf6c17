"""Small decoding problems: smooth embeddings, autocorrelated responses, with or without a link."""

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from bids_brainalign.decoding.layerwise import DecodingProblem
from bids_brainalign.decoding.segments import cut_segments
from bids_brainalign.encoding.design import RunLayout
from bids_brainalign.encoding.layerwise import FeatureSpace
from bids_brainalign.statistics.folds import GapRule, Samples, plan_folds
from bids_brainalign.statistics.nulls import draw_folds

INTERVAL_S = 0.02
STEP_S = 0.1
GRID = tuple(10.0 ** (1 + i) for i in range(7))
LAGS = (0, 5, 10, 15, 20)


def make(
    seed,
    *,
    n_runs=4,
    n_times=3000,
    n_electrodes=12,
    dims=10,
    n_layers=1,
    phi=0.9,
    planted=None,
    noise=1.0,
    smooth=4.0,
    n_draws=500,
    segment_s=2.0,
    apart_s=2.0,
    constant=0,
):
    """``planted`` is the layer whose linear mix, 0.2 s later, is in the responses."""
    rng = np.random.default_rng(seed)
    layers = [
        [
            gaussian_filter1d(rng.standard_normal((n_times, dims)), smooth, axis=0).astype("f4")
            for _ in range(n_runs)
        ]
        for _ in range(n_layers)
    ]
    weights = rng.standard_normal((dims, n_electrodes)) / np.sqrt(dims)
    responses = []
    for run in range(n_runs):
        values = lfilter([1], [1, -phi], rng.standard_normal((n_times, n_electrodes)), axis=0)
        values *= noise / values.std()
        if planted is not None:
            x = layers[planted][run]
            values += np.roll((x / x.std(0)) @ weights, 10, axis=0)
        values[:, :constant] = 3.0
        responses.append(values.astype("f4"))
    time = np.tile(np.arange(n_times) * INTERVAL_S, n_runs)
    run = np.repeat(np.arange(n_runs), n_times)
    samples = Samples(run, run, time, run, time, INTERVAL_S)
    plan = plan_folds(samples, [str(i) for i in range(n_runs)], gap=GapRule(2.0, 0.0))
    every = tuple(np.ones(n_times, bool) for _ in range(n_runs))
    layout = RunLayout(every, every, plan.whole_runs)
    segments = tuple(
        cut_segments(
            run[f.outer.test], time[f.outer.test], interval_s=INTERVAL_S, segment_s=segment_s,
            step_s=STEP_S, apart_s=apart_s, most=100,
        )
        for f in plan.folds
    )  # fmt: skip
    memory = (np.log(0.1) / np.log(phi) + max(LAGS)) * INTERVAL_S / STEP_S
    draws = draw_folds(
        [len(s.steps) for s in segments], memory, n_draws=n_draws, min_offset=10 + round(memory),
        rng=rng,
    )  # fmt: skip
    problem = DecodingProblem(
        responses, layout, layout, plan, LAGS, 64, None, GRID, 1e3, segments, draws
    )
    return problem, FeatureSpace("m", tuple(map(str, range(n_layers))), lambda i: layers[i], 64)
