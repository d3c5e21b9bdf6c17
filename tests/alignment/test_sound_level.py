import numpy as np
import pytest

from bids_brainalign.alignment.sound_level import BAND_HZ, FRAME_S, HOP_S, sound_level


@pytest.mark.parametrize("rate", [1024.0, 11_025.0, 16_000.0, 48_000.0])
def test_the_power_of_a_tone_is_half_its_squared_amplitude(rate):
    times = np.arange(round(3 * rate)) / rate
    level = sound_level([0.2 * np.sin(2 * np.pi * 250 * times)], rate)
    np.testing.assert_allclose(level.power, 0.02, rtol=0.05)
    # What lies outside of the band is not heard, but for the leakage of short frames.
    hum = sound_level([0.2 * np.sin(2 * np.pi * 10 * times)], rate)
    assert hum.power[:-10].max() < 0.02 / 20


def test_noise_within_the_band():
    rate = 48_000.0
    noise = np.random.default_rng(0).standard_normal(round(4 * rate))
    level = sound_level([noise], rate)
    share = (BAND_HZ[1] - BAND_HZ[0]) / (rate / 2)
    assert level.power.mean() == pytest.approx(share, rel=0.03)
    assert level.bandwidth_hz == pytest.approx(BAND_HZ[1] - BAND_HZ[0], rel=0.02)


@pytest.mark.parametrize("rate", [1024.0, 16_000.0, 44_100.0])
def test_frames_stand_where_the_sound_is_and_never_drift(rate):
    sound = np.zeros(round(600 * rate), dtype=np.float32)
    at = 590.0
    middle, half = round(at * rate), round(0.05 * rate)
    burst = np.sin(2 * np.pi * 300 * np.arange(-half, half + 1) / rate)
    sound[middle - half : middle + half + 1] = burst
    level = sound_level([sound], rate, start_s=3.0)
    centre = (level.times_s * level.power).sum() / level.power.sum()
    assert centre == pytest.approx(at + 3.0, abs=0.0006)
    assert np.diff(level.times_s).mean() == pytest.approx(HOP_S)


@pytest.mark.parametrize("size", [7, 1000, 99_999])
def test_pieces_change_nothing(size):
    rate = 1000.0 if size == 7 else 44_100.0
    sound = np.random.default_rng(1).standard_normal(round(2.3 * rate)).astype(np.float32)
    whole = sound_level([sound], rate)
    parts = sound_level([sound[i : i + size] for i in range(0, len(sound), size)], rate)
    np.testing.assert_allclose(parts.power, whole.power, rtol=1e-6)
    assert len(whole.power) == int((len(sound) / rate - FRAME_S) / HOP_S + 1e-6) + 1


def test_no_frame_in_less_than_one():
    assert len(sound_level([np.ones(100)], 48_000.0).power) == 0
    assert len(sound_level([], 48_000.0).power) == 0
