import numpy as np
import pandas as pd
import pytest
from mne.filter import filter_data

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.responses.high_gamma import (
    high_gamma_amplitude,
    notch_frequencies,
    support_s,
)
from bids_brainalign.responses.published_bands import dutch2022, dutch2022_times, podcast2025
from bids_brainalign.responses.referencing import Rereferenced, derivations
from bids_brainalign.responses.spectral_bands import filterbank, filterbank_bands
from tests.oracles.dutch2022 import dutch_high_gamma
from tests.oracles.podcast2025 import podcast_high_gamma

SFREQ = 512.0


@pytest.fixture(scope="module")
def signals():
    """Pink-ish noise with line noise, in V."""
    rng = np.random.default_rng(1)
    times = np.arange(int(20 * SFREQ)) / SFREQ
    noise = np.cumsum(rng.standard_normal((4, len(times))), axis=1) * 1e-6
    return noise + 2e-5 * np.sin(2 * np.pi * 60 * times) + 1e-5 * rng.standard_normal(noise.shape)


def test_podcast2025_is_the_tutorial(signals):
    table = pd.DataFrame({"name": list("abcd"), "type": "ECOG", "device": "n/a"})
    averaged = Rereferenced(signals).read(derivations("car", table)[0])
    ours = podcast2025(averaged, SFREQ, line_hz=60.0)
    np.testing.assert_allclose(ours, podcast_high_gamma(signals, SFREQ), rtol=1e-10)


@pytest.mark.parametrize(("sfreq", "n_times"), [(1024.0, 9001), (2048.0, 20000), (512.0, 5119)])
def test_dutch2022_is_the_published_script(sfreq, n_times):
    rng = np.random.default_rng(7)
    data = np.cumsum(rng.standard_normal((3, n_times)), axis=1) * 1e-6
    expected = dutch_high_gamma(data.T, sfreq).T
    ours = dutch2022(data, sfreq, line_hz=50.0)
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, rtol=1e-10)
    times = dutch2022_times(n_times, sfreq)
    assert len(times) == int(np.floor((n_times - 0.05 * sfreq) / (0.01 * sfreq)))
    # Frames never drift: each within a sample of 10 ms after the one before.
    assert np.abs(times - times[0] - 0.01 * np.arange(len(times))).max() < 1 / sfreq


def test_dutch2022_frames_are_centred_on_their_windows():
    """A swell of the amplitude peaks in the frame at its time."""
    sfreq, peak_s = 1024.0, 2.0
    times = np.arange(int(4 * sfreq)) / sfreq
    burst = np.exp(-0.5 * ((times - peak_s) / 0.1) ** 2) * np.sin(2 * np.pi * 120 * times)
    found = high_gamma_amplitude(burst[np.newaxis], sfreq, method="dutch2022", line_hz=None)
    centre = np.average(found.first_s + np.arange(found.data.shape[1]) / found.rate_hz,
                        weights=found.data[0])  # fmt: skip
    assert centre == pytest.approx(peak_s, abs=0.001)


@pytest.mark.parametrize("method", ["multitaper", "morlet", "filterbank"])
@pytest.mark.parametrize("band", [(), (15.0, 30.0)])
def test_tracks_the_amplitude_of_its_band_alone(method, band):
    rng = np.random.default_rng(8)
    times = np.arange(int(12 * SFREQ)) / SFREQ
    low, high = band or (70.0, 150.0)
    swell = np.sin(2 * np.pi * 0.5 * times)
    noise = filter_data(rng.standard_normal((2, len(times))), SFREQ, low, high, verbose="error")
    outside = 3 * np.sin(2 * np.pi * 5 * times) * np.sin(2 * np.pi * 0.3 * times)
    data = noise * np.exp(0.8 * swell) + outside
    found = high_gamma_amplitude(data, SFREQ, method=method, line_hz=None, band_hz=band).data
    smooth = filter_data(found, SFREQ, None, 2.0, verbose="error")[:, 512:-512]
    for channel in smooth:
        assert np.corrcoef(channel, swell[512:-512])[0, 1] > 0.8
    # It is the logarithm of an amplitude: its slope on the log of the planted one is 1.
    slope = np.polyfit(0.8 * swell[512:-512], smooth.mean(axis=0), 1)[0]
    assert slope == pytest.approx(1.0, abs=0.2)


def test_bands_are_those_of_the_chang_lab():
    centres, sds = filterbank_bands()
    # Moses et al. 2016 print 73.0 for the first; the recursion of naplib gives 72.0.
    np.testing.assert_allclose(
        centres, [72.0, 79.5, 87.8, 96.9, 107.0, 118.1, 130.4, 144.0], atol=0.06
    )
    np.testing.assert_allclose(
        sds, 10 ** (np.log10(0.39) + 0.5 * np.log10(centres)) * np.sqrt(2), rtol=1e-12
    )


def test_filterbank_is_a_convolution_with_gaussian_wavelets(signals):
    """Slow and direct: a Gaussian in frequency is a Gabor wavelet in time."""
    offsets = np.arange(-SFREQ, SFREQ + 1) / SFREQ
    amplitudes = []
    for centre, sd in zip(*filterbank_bands(), strict=True):
        gabor = (
            2
            * sd
            * np.sqrt(2 * np.pi)
            / SFREQ
            * np.exp(-2 * (np.pi * sd * offsets) ** 2 + 2j * np.pi * centre * offsets)
        )
        amplitudes.append(
            [np.abs(np.convolve(channel, gabor, mode="same")) for channel in signals]
        )
    direct = np.log(np.mean(amplitudes, axis=0))
    ours = filterbank(signals, SFREQ, line_hz=None)
    inside = slice(int(SFREQ), -int(SFREQ))
    np.testing.assert_allclose(ours[:, inside], direct[:, inside], atol=1e-6)


def test_tone_has_its_amplitude_in_its_band():
    times = np.arange(int(8 * SFREQ)) / SFREQ
    centres, sds = filterbank_bands()
    tone = 3.0 * np.cos(2 * np.pi * centres[3] * times)[np.newaxis]
    expected = np.log(3.0 * np.mean(np.exp(-0.5 * ((centres[3] - centres) / sds) ** 2)))
    np.testing.assert_allclose(
        filterbank(tone, SFREQ, line_hz=None)[:, 512:-512], expected, atol=1e-3
    )


def test_edges_show_no_transient():
    rng = np.random.default_rng(2)
    log_amplitude = filterbank(rng.standard_normal((200, 1024)), SFREQ, line_hz=None)
    profile = log_amplitude.mean(axis=0)
    assert np.abs(profile[:5].mean() - profile[200:-200].mean()) < 0.25
    assert np.abs(profile[-5:].mean() - profile[200:-200].mean()) < 0.25


@pytest.mark.parametrize(
    "method", ["filterbank", "podcast2025", "dutch2022", "multitaper", "morlet"]
)
@pytest.mark.parametrize("line_hz", [50.0, 60.0])
def test_line_noise_is_removed(method, line_hz):
    rng = np.random.default_rng(3)
    times = np.arange(int(20 * SFREQ)) / SFREQ
    clean = rng.standard_normal((1, len(times)))
    hum = sum(30 * np.sin(2 * np.pi * k * line_hz * times) for k in (1, 2, 3))
    inside = slice(2048, -2048)

    def median(data, line):
        amplitude = high_gamma_amplitude(data, SFREQ, method=method, line_hz=line).data
        amplitude = amplitude[:, 400:-400] if method == "dutch2022" else amplitude[:, inside]
        return np.median(
            amplitude if method in ("podcast2025", "dutch2022") else np.exp(amplitude)
        )

    truth = median(clean, None)
    assert median(clean + hum, line_hz) == pytest.approx(truth, rel=0.1)
    assert median(clean + hum, None) > 2 * truth


def test_notches():
    assert notch_frequencies("podcast2025", 512, 60.0) == (60, 120, 180)
    assert notch_frequencies("podcast2025", 512, 50.0) == (50, 100, 150, 200)
    assert notch_frequencies("podcast2025", 402, 50.0) == (50, 100, 150)
    assert notch_frequencies("filterbank", 2048, 60.0) == (60, 120)
    assert notch_frequencies("filterbank", 512, None) == ()
    assert notch_frequencies("dutch2022", 1024, 50.0) == (100, 150)
    assert notch_frequencies("dutch2022", 1024, 60.0) == (60, 120, 180)
    assert notch_frequencies("podcast2025", 512, 60.0, band_hz=(30.0, 55.0)) == ()
    assert notch_frequencies("morlet", 512, 60.0, band_hz=(30.0, 55.0)) == (60,)


def test_dead_stretch_stays_finite():
    rng = np.random.default_rng(4)
    data = rng.standard_normal((2, 4096))
    data[0, 1000:3000] = 0.0
    data[1] = 0.0
    assert np.isfinite(filterbank(data, SFREQ, line_hz=None)).all()


@pytest.mark.parametrize("method", ["filterbank", "podcast2025"])
def test_support_reaches_minus_40_db(method):
    """Beyond the support a click is heard with less than 1 % of its peak, before it with more."""
    click = np.zeros((1, 4097))
    click[0, 2048] = 1.0
    if method == "filterbank":
        # The floor under dead stretches must not count: the widest band alone, directly.
        sd = filterbank_bands()[1].min()
        envelope = np.exp(-2 * (np.pi * sd * (np.arange(4097) - 2048) / SFREQ) ** 2)
    else:
        envelope = podcast2025(click, SFREQ, line_hz=None)[0]
    half = support_s(method, SFREQ) * SFREQ
    beyond = np.abs(np.arange(4097) - 2048) > half + 1
    assert envelope[beyond].max() < 0.011 * envelope.max()
    assert envelope[np.abs(np.arange(4097) - 2048) < half].min() < 0.05 * envelope.max()
    assert 0.01 < support_s(method, SFREQ) < 0.2


@pytest.mark.parametrize(
    ("method", "sfreq", "fix"),
    [
        ("filterbank", 300.0, "original sampling rate"),
        ("podcast2025", 400.0, "--high-gamma filterbank"),
        ("podcast2025", 256.0, "original sampling rate"),
    ],
)
def test_too_slow_recording(method, sfreq, fix):
    with pytest.raises(BrainAlignError, match=f"sampled at {sfreq:g} Hz") as caught:
        high_gamma_amplitude(np.ones((1, 1000)), sfreq, method=method, line_hz=60.0)
    assert caught.value.exit_code == ExitCode.DATA_ERROR
    assert fix in caught.value.fix


def test_band_between_two_centres_of_the_filter_bank():
    with pytest.raises(BrainAlignError, match="within 73–75 Hz") as caught:
        filterbank_bands((73.0, 75.0))
    assert "--high-gamma morlet" in caught.value.fix


def test_other_bands_need_no_faster_recording():
    found = high_gamma_amplitude(
        np.random.default_rng(9).standard_normal((1, 2000)), 128.0, method="podcast2025",
        line_hz=50.0, band_hz=(4.0, 8.0),
    )  # fmt: skip
    assert found.data.shape == (1, 2000)
    assert support_s("podcast2025", 128.0, band_hz=(4.0, 8.0)) > 0.1


def test_unknown_method():
    with pytest.raises(BrainAlignError, match="no high-gamma method 'wavelet'") as caught:
        high_gamma_amplitude(np.ones((1, 1000)), SFREQ, method="wavelet", line_hz=None)
    assert caught.value.exit_code == ExitCode.USAGE
