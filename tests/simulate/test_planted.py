import numpy as np
import pytest
from scipy.signal import hilbert, welch

from bids_brainalign.simulate.noise import ar1_noise, cosine_drift, pink_noise, steady_carrier
from bids_brainalign.simulate.planted import (
    apply_hrf,
    apply_lag,
    mix,
    phase_randomise,
    project,
    unit_variance,
)
from bids_brainalign.simulate.random_streams import stream


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_projection_is_one_linear_map_for_all_stimuli(rng):
    features = [rng.standard_normal((n, 6)) * [1, 5, 1, 1, 1, 100] + 3 for n in (400, 300)]
    signals = project(features, 4, rng=rng)
    centred = [f - f.mean(0) for f in features]
    weights = np.linalg.lstsq(centred[0], signals[0], rcond=None)[0]
    np.testing.assert_allclose(centred[1] @ weights, signals[1], atol=1e-8)
    np.testing.assert_allclose(np.concatenate(signals).std(axis=0), 1)


def test_constant_features_become_no_signal(rng):
    assert not np.any(project([np.ones((50, 3))], 2, rng=rng)[0])


def test_unit_variance_leaves_nothing_of_what_is_regressed_out(rng):
    drift = cosine_drift(200, interval_s=1.5, period_s=128.0)
    assert drift.shape == (200, 4)
    signal = rng.standard_normal((200, 3)) + 5 * drift[:, :1] * 14
    cleaned = unit_variance([signal], without=[drift])[0]
    np.testing.assert_allclose(drift.T @ cleaned, 0, atol=1e-9)
    np.testing.assert_allclose(cleaned.std(axis=0), 1)


@pytest.mark.parametrize("lag_s", [0.0, 0.08, 0.2, 0.255])
def test_lag_moves_an_impulse(lag_s):
    impulse = np.zeros((50, 1))
    impulse[10] = 1.0
    late = apply_lag(impulse, lag_s=lag_s, rate_hz=100.0)
    centre = (np.arange(len(late)) * late[:, 0]).sum() / late.sum() / 100
    # At lag 0 only the causal half of the bump is there: it is 16 ms late.
    assert centre - 0.1 == pytest.approx(lag_s, abs=0.017 if lag_s == 0 else 1e-3)
    assert late.sum() == pytest.approx(1)


def test_haemodynamic_response_peaks_after_five_seconds():
    impulse = np.zeros((10, 1))
    impulse[0] = 1.0
    assert apply_hrf(impulse, rate_hz=10.0)[:, 0].argmax() / 10 == pytest.approx(5, abs=0.3)


def test_signal_share_is_the_squared_ceiling(rng):
    signal, noise = rng.standard_normal((2, 40_000, 3))
    for share in (0.1, 0.5, 0.9):
        mixed = mix(signal, noise, signal_share=share)
        found = [np.corrcoef(mixed[:, i], signal[:, i])[0, 1] for i in range(3)]
        np.testing.assert_allclose(found, np.sqrt(share), atol=0.02)


@pytest.mark.parametrize("n_times", [999, 1000])
def test_phase_randomised_signal_keeps_its_spectrum_and_loses_its_shape(rng, n_times):
    signal = ar1_noise(n_times, 200, rng=rng, phi=0.9)
    twin = phase_randomise(signal, rng=rng)
    ours, theirs = (np.abs(np.fft.rfft(x, axis=0))[: n_times // 2] for x in (signal, twin))
    np.testing.assert_allclose(theirs, ours, rtol=1e-6, atol=1e-8)
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(signal.T, twin.T, strict=True)]
    # About 50 independent samples each: SD 0.1 per column, 0.007 for the mean of 200.
    assert abs(np.mean(r)) < 0.03


def test_carrier_has_a_flat_envelope_in_its_band(rng):
    carrier = steady_carrier(51_200, 2, rng=rng, rate_hz=512.0)
    assert np.abs(carrier).max() <= 1
    frequencies, power = welch(carrier, 512.0, nperseg=1024, axis=0)
    inside = (frequencies > 65) & (frequencies < 155)
    assert power[inside].sum() / power.sum() > 0.8
    envelope = np.abs(hilbert(carrier, axis=0))
    assert envelope.std() / envelope.mean() < 0.15  # Rayleigh noise: 0.52


def test_pink_noise_has_the_exponent_asked_for(rng):
    noise = pink_noise(100_000, 1, rng=rng, rate_hz=512.0, exponent=2.0)[:, 0]
    frequencies, power = welch(noise, 512.0, nperseg=4096)
    use = (frequencies > 2) & (frequencies < 100)
    slope = np.polyfit(np.log(frequencies[use]), np.log(power[use]), 1)[0]
    assert slope == pytest.approx(-2, abs=0.15)
    assert noise.std() == pytest.approx(1)


def test_ar1_noise_has_its_coefficient_and_unit_variance(rng):
    noise = ar1_noise(50_000, 1, rng=rng, phi=0.6)[:, 0]
    assert np.corrcoef(noise[1:], noise[:-1])[0, 1] == pytest.approx(0.6, abs=0.02)
    assert noise.var() == pytest.approx(1, abs=0.05)


def test_streams_depend_on_their_key_alone():
    stream(1, "a").random(5)
    assert stream(1, "a").random() == stream(1, "a").random()
    assert (
        len({stream(1, "a", "b").random(), stream(1, "ab").random(), stream(2, "ab").random()})
        == 3
    )
