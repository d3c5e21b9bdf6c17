"""Attention and occlusion where the lag is known."""

import numpy as np
import pytest

from bids_brainalign.encoding.recurrent.architecture import Shape, build
from bids_brainalign.encoding.recurrent.attention import (
    attention_profile,
    attention_weights,
    injected,
    occlusion_profile,
    peak_lag,
)
from bids_brainalign.encoding.recurrent.seed_fit import fit_seed
from bids_brainalign.encoding.recurrent.training import predict
from tests.encoding.recurrent.planted import LAGS_S, autoregressive, make_case, options

FRAME_S = 0.02


def trained(kind, lag, *, opts):
    case = make_case("linear", n=9_000, n_test=2_000)
    rng = np.random.default_rng(lag)
    noise = autoregressive(len(case.windows), 4, 0.8, rng)
    responses = injected(case.windows, noise, lag=lag, rng=rng)
    fit = fit_seed(
        kind, case.windows, responses, case.fold, case.samples, options=opts, seed=0,
        position=0.5, linear=None,
    )  # fmt: skip
    return case, responses, fit


@pytest.mark.parametrize("lag", [4, 13])
def test_attention_without_recurrence_recovers_an_injected_delay(lag):
    case, _, fit = trained("attention", lag, opts=options(epochs=8))
    weights, parts = attention_weights(fit.network, case.windows, rows=case.fold.outer.test)
    found, at_edge = peak_lag(attention_profile(weights, parts), LAGS_S)
    assert np.abs(found - LAGS_S[lag]).max() <= FRAME_S
    assert not at_edge.any()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_occlusion_of_the_full_network_recovers_an_injected_delay(kind):
    case, responses, fit = trained(kind, 9, opts=options(epochs=10))
    profile, _ = occlusion_profile(fit.network, case.windows, responses, rows=case.fold.outer.test)
    found, _ = peak_lag(profile.mean(axis=0, keepdims=True), LAGS_S)
    assert abs(found[0] - LAGS_S[9]) <= FRAME_S


def test_parts_of_the_queries_sum_to_the_prediction():
    network = build("attention", Shape(6, 3, 4, 8, 2, 0.0), seed=0)
    import torch

    torch.nn.init.normal_(network.readout.weight, generator=torch.Generator().manual_seed(1))
    windows = np.random.default_rng(0).standard_normal((50, 6, 3)).astype(np.float32)
    rows = np.arange(50)
    weights, parts = attention_weights(network, windows, rows=rows)
    assert np.allclose(weights.sum(axis=-1), 1, atol=1e-5)
    assert np.allclose(parts.sum(axis=1), predict(network, windows, rows=rows), atol=1e-4)
    assert np.allclose(attention_profile(weights, parts).sum(axis=1), 1)


def test_a_network_without_attention_is_refused():
    network = build("recurrent", Shape(6, 3, 4, 8, 2, 0.0), seed=0)
    windows = np.zeros((5, 6, 3), dtype=np.float32)
    with pytest.raises(ValueError, match="recurrent has no attention"):
        attention_weights(network, windows, rows=np.arange(5))


def test_peaks_are_refined_and_edges_flagged():
    lags = np.arange(5) * 0.04
    profile = np.array([[0, 0, 1.0, 1.0, 0], [3.0, 1, 0, 0, 0]])
    found, at_edge = peak_lag(profile, lags)
    assert found == pytest.approx([0.1, 0.0])
    assert at_edge.tolist() == [False, True]
