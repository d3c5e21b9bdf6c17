"""Spectra about a smooth curve: against scipy and least squares, and what must not be in them."""

import numpy as np
import pytest
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.fine_spectra import make_bins, neural_detail, sound_detail
from tests.production.voices import VOLTAGE_HZ, story


def bins_of(n_times, sfreq_hz=1000.0, usable=None, **options):
    known = np.ones(n_times, dtype=bool) if usable is None else usable
    return make_bins(known, sfreq_hz, **({"band_hz": (70.0, 170.0), "line_hz": 50.0} | options))


def test_power_equals_that_of_scipy():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(5000)
    bins = bins_of(5000, line_hz=None)
    found, whole = bins.powers(x)
    scipys = ShortTimeFFT(hann(200, sym=False), hop=10, fs=1000.0)
    every = np.abs(scipys.stft(x, k_offset=0)) ** 2
    places = (scipys.t(5000) * 1000).round().astype(int) - 100  # first sample of each window
    expected = every[:, [int(np.flatnonzero(places == a)[0]) for a in bins.starts]]
    used = (scipys.f >= 70) & (scipys.f <= 170)
    np.testing.assert_allclose(bins.frequencies_hz, scipys.f[used])
    np.testing.assert_allclose(found, expected[used].T, atol=1e-8)
    np.testing.assert_allclose(whole, expected[1:].sum(axis=0), rtol=1e-8)
    assert bins.starts[-1] + 200 <= 5000 < bins.starts[-1] + 210


def test_windows_do_not_drift_where_a_hop_is_no_whole_number_of_samples():
    bins = bins_of(1024 * 30, 1024.0)
    np.testing.assert_array_equal(bins.starts, np.floor(np.arange(len(bins.starts)) * 10.24))


def test_bins_near_the_line_are_left_out_and_windows_with_a_gap_are_not_known():
    usable = np.ones(5000, dtype=bool)
    usable[2000] = False
    bins = bins_of(5000, usable=usable)
    np.testing.assert_allclose(bins.frequencies_hz, [70, 75, 80, 85, 90, 110, 115, 120, 125, 130,
                                                     135, 140, 160, 165, 170])  # fmt: skip
    holds = (bins.starts <= 2000) & (bins.starts + 200 > 2000)
    np.testing.assert_array_equal(bins.known, ~holds)
    assert 95 not in bins_of(5000, line_hz=47.5).frequencies_hz.round()


def test_broadband_changes_leave_no_trace_whatever_their_slope():
    """Log power times any smooth gain: constant, line or parabola over frequency."""
    rng = np.random.default_rng(0)
    bins = bins_of(20_000)
    power = rng.chisquare(2, (len(bins.starts), len(bins.frequencies_hz)))
    f = (bins.frequencies_hz - 120) / 50
    gain = rng.standard_normal((len(power), 3)) @ np.stack([np.ones_like(f), f, f**2])
    plain, changed = neural_detail(power, bins), neural_detail(power * np.exp(gain), bins)
    # Equal but for the floor, which keeps logarithms finite and follows the median.
    assert np.corrcoef(plain.ravel(), changed.ravel())[0, 1] > 0.99
    np.testing.assert_allclose(plain.mean(axis=0), 0, atol=1e-12)
    fitted = np.polynomial.polynomial.polyfit(f, plain.T, 2)
    np.testing.assert_allclose(fitted, 0, atol=1e-10)
    assert (plain**2).sum() == pytest.approx(len(plain))


def test_a_channel_that_is_silent_or_unknown_has_no_detail():
    bins = bins_of(5000)
    shape = (len(bins.starts), len(bins.frequencies_hz))
    assert not neural_detail(np.zeros(shape), bins).any()
    assert not neural_detail(np.full(shape, np.nan), bins).any()


def test_the_sounds_detail_has_nothing_of_its_loudness_within_four_fifths_of_a_second():
    sound = story("harbour", 60)
    bins = bins_of(len(sound), float(VOLTAGE_HZ))
    power, whole = bins.powers(sound)
    detail = sound_detail(power, whole, bins)
    for loud in (np.sqrt(whole), np.sqrt(power.mean(axis=1))):
        for lag in (-80, -25, 0, 40, 80):
            moved = np.roll(loud, lag)
            r = [np.corrcoef(moved, column)[0, 1] for column in detail.T]
            assert np.abs(r).max() < 1e-6
    raw = np.corrcoef(np.sqrt(whole), np.sqrt(power).T)[0, 1:]
    assert raw.max() > 0.5  # before, bins did follow it


def test_what_does_not_fit_a_band_is_refused():
    with pytest.raises(BrainAlignError, match="300 samples per second hold no sound of 170 Hz"):
        bins_of(5000, 300.0)
    with pytest.raises(BrainAlignError, match="3 bins between 90 and 115 Hz"):
        bins_of(5000, band_hz=(90.0, 115.0), line_hz=100.0)
