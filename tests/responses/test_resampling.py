import numpy as np
import pytest
from scipy import signal

from bids_brainalign.responses.resampling import clock_grid, low_pass, support_s, to_clock

RATE = 50.0


def tone(hertz, sfreq, seconds=20.0, phase=0.3):
    times = np.arange(int(seconds * sfreq)) / sfreq
    return np.sin(2 * np.pi * hertz * times + phase)[np.newaxis]


def grid(sfreq, seconds=20.0, phase_s=0.0137):
    return clock_grid((int(seconds * sfreq) - 1) / sfreq, rate_hz=RATE, phase_s=phase_s)


@pytest.mark.parametrize("sfreq", [512.0, 2048.0, 400.0])
@pytest.mark.parametrize("hertz", [0.5, 5.0, 18.0])
def test_slow_tones_keep_amplitude_and_phase(sfreq, hertz):
    times = grid(sfreq)
    ours = to_clock(tone(hertz, sfreq), sfreq, times_s=times)
    truth = np.sin(2 * np.pi * hertz * times + 0.3)
    inside = slice(50, -50)
    np.testing.assert_allclose(ours[inside, 0], truth[inside], atol=0.01)
    assert ours.dtype == np.float32
    assert ours.shape == (len(times), 1)


@pytest.mark.parametrize("sfreq", [512.0, 2048.0, 400.0])
@pytest.mark.parametrize("hertz", [25.5, 40.0, 49.0, 120.0])
def test_what_would_alias_is_40_db_down(sfreq, hertz):
    ours = to_clock(tone(hertz, sfreq), sfreq, times_s=grid(sfreq))
    assert np.abs(ours[50:-50]).max() < 0.01


def test_zero_delay():
    """A symmetric bump stays where it is."""
    sfreq = 512.0
    native = np.arange(int(4 * sfreq)) / sfreq
    bump = np.exp(-0.5 * ((native - 2.0) / 0.05) ** 2)[np.newaxis]
    times = clock_grid(3.9, rate_hz=RATE, phase_s=0.0)
    ours = to_clock(bump, sfreq, times_s=times)[:, 0].astype(float)
    assert np.sum(ours * times) / np.sum(ours) == pytest.approx(2.0, abs=1e-4)


def test_filter_against_scipy():
    taps = low_pass(512.0, RATE)
    hertz, gain = signal.freqz(taps, worN=8192, fs=512.0)
    decibel = 20 * np.log10(np.abs(gain) + 1e-12)
    assert len(taps) % 2 == 1
    np.testing.assert_array_equal(taps, taps[::-1])
    assert decibel[hertz >= 25.0].max() <= -40
    assert np.abs(decibel[hertz <= 20.0]).max() < 0.05
    assert decibel[np.argmin(np.abs(hertz - 22.5))] == pytest.approx(-6, abs=0.3)


def test_support_is_where_the_taps_fall_under_one_percent():
    taps = np.abs(low_pass(512.0, RATE))
    half = support_s(512.0, RATE) * 512
    offsets = np.abs(np.arange(len(taps)) - len(taps) // 2)
    assert taps[offsets > half + 0.5].max() < 0.01 * taps.max()
    assert taps[offsets <= half][0] >= 0.01 * taps.max()
    assert support_s(2048.0, RATE) == pytest.approx(support_s(512.0, RATE), rel=0.05)


def test_slow_recording_is_interpolated_with_curves():
    """At 120 Hz a straight line errs by several percent at 15 Hz; a spline does not."""
    sfreq = 120.0
    times = grid(sfreq)
    ours = to_clock(tone(15.0, sfreq), sfreq, times_s=times)[50:-50, 0]
    np.testing.assert_allclose(ours, np.sin(2 * np.pi * 15 * times + 0.3)[50:-50], atol=0.02)


def test_recording_as_slow_as_the_clock_is_not_filtered():
    times = grid(40.0)
    ours = to_clock(tone(2.0, 40.0), 40.0, times_s=times)[50:-50, 0]
    np.testing.assert_allclose(ours, np.sin(2 * np.pi * 2 * times + 0.3)[50:-50], atol=0.01)
    assert support_s(40.0, RATE) == 0


@pytest.mark.parametrize("phase_s", [0.0, 0.003, 7.7])
def test_grid_covers_the_recording(phase_s):
    times = clock_grid(10.0, rate_hz=RATE, phase_s=phase_s)
    assert times[0] >= 0
    assert times[0] < 0.02 + 1e-9
    assert times[-1] <= 10.0
    assert times[-1] > 10.0 - 0.02 - 1e-9
    np.testing.assert_allclose(np.diff(times), 0.02, atol=1e-9)
    steps = (times - phase_s) * RATE
    np.testing.assert_allclose(steps, steps.round(), atol=1e-6)


def test_clock_must_lie_in_the_recording():
    with pytest.raises(ValueError, match="outside the recording"):
        to_clock(tone(1, 512.0, seconds=1.0), 512.0, times_s=np.arange(0, 2, 0.02))
