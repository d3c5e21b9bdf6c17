"""The test that a layer curve is not flat: 5 % where nothing is, less where all layers tell alike.

Range of r over layers against the range under the same circular shifts. Measured with 900 targets
(AR 0.5, 4 runs of 600): 4.8 % without any signal, 1.4, 0.3 and 0 % where five layers hold the same
signal with a share of .05, .2 and .5 of the variance, 100 % with one planted layer.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.stats import binom

from bids_brainalign.encoding.layerwise import FeatureSpace, encode_layers
from bids_brainalign.statistics.layer_curves import curve_range, halves_agree
from bids_brainalign.statistics.tails import p_values
from tests.encoding.test_calibration import make_problem

N_LAYERS, N_TIMES, N_RUNS = 4, 400, 4


def flat_problem(seed, *, share):
    """Every layer holds the same signal, turned another way, beside dimensions of its own."""
    problem, space, _ = make_problem(
        seed, n_runs=N_RUNS, n_times=N_TIMES, n_targets=100, phi=0.5, n_layers=N_LAYERS
    )
    rng = np.random.default_rng(100 + seed)

    def smooth():
        return gaussian_filter1d(rng.standard_normal((N_TIMES, 10)), 2, axis=0)

    shared = [smooth() for _ in range(N_RUNS)]
    turns = [np.linalg.qr(rng.standard_normal((20, 20)))[0] for _ in range(N_LAYERS)]
    layers = [
        [(np.hstack([s, smooth()]) @ turn).astype(np.float32) for s in shared] for turn in turns
    ]
    weights = rng.standard_normal((10, 100))
    responses = []
    for s, noise in zip(shared, problem.responses, strict=True):
        signal = np.roll(s @ weights, 3, axis=0)
        mixed = np.sqrt(share) * signal / signal.std(0) + np.sqrt(1 - share) * noise / noise.std(0)
        responses.append(mixed.astype(np.float32))
    return replace(problem, responses=responses, _cache={}), FeatureSpace(
        "m", space.layers, lambda i: layers[i], 64
    )


def judged(problem, space):
    held_out = problem.held_out()
    fit = encode_layers(space, problem, held_out)
    r = np.stack([s.r for s in fit.layer_scores])
    halves = np.stack([s.halves for s in fit.layer_scores], axis=1)
    return p_values(curve_range(r), fit.null_range), halves_agree(halves), r.mean()


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_flat_curves_are_called_so(share):
    parts = [judged(*flat_problem(seed, share=share)) for seed in range(3)]
    p = np.concatenate([part[0] for part in parts])
    low, high = binom.interval(0.999, len(p), 0.05) / np.float64(len(p))
    assert (p < 0.05).mean() < high
    if not share:
        assert (p < 0.05).mean() > low
    else:
        assert parts[0][2] > 0.25  # flat, but well predicted


def test_a_planted_layer_is_no_flat_curve():
    problem, space, _ = make_problem(
        0, n_runs=N_RUNS, n_times=N_TIMES, n_targets=50, phi=0.5, n_layers=N_LAYERS, planted=2
    )
    p, agree, _ = judged(problem, space)
    assert (p < 0.05).mean() > 0.95
    assert agree.mean() > 0.95
