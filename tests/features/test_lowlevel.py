import numpy as np
import pandas as pd

from bids_brainalign.features.lowlevel import (
    envelope_and_mel,
    lowlevel_features,
    onset_train,
    reduce_rate,
)

RATE = 16_000


def test_envelope_follows_the_amplitude():
    t = np.arange(3 * RATE) / RATE
    wave = (0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    wave[t > 1.5] *= 0.1
    envelope, _ = envelope_and_mel(wave, n_mels=16)
    # RMS of a sine is amplitude / √2, compressed by the power 0.6.
    np.testing.assert_allclose(envelope[50:120, 0], (0.5 / np.sqrt(2)) ** 0.6, rtol=0.02)
    np.testing.assert_allclose(envelope[180:250, 0], (0.05 / np.sqrt(2)) ** 0.6, rtol=0.02)


def test_step_in_the_sound_stands_at_its_time():
    wave = np.zeros(2 * RATE, dtype=np.float32)
    wave[RATE:] = 0.3 * np.random.default_rng(0).standard_normal(RATE)
    for rate in (50.0, 10.0):
        frames, times, _ = lowlevel_features(wave, None, rate_hz=rate, n_mels=8)
        half = times[np.argmax(frames[:, 0] > 0.5 * frames[-3, 0])]
        assert abs(half - 1.0) <= 0.6 / rate


def test_tones_fall_into_rising_bands():
    t = np.arange(RATE) / RATE
    peaks = []
    for frequency in (200, 600, 1500, 4000):
        _, mel = envelope_and_mel(np.sin(2 * np.pi * frequency * t).astype(np.float32), n_mels=16)
        peaks.append(int(mel[50].argmax()))
    assert peaks == sorted(set(peaks))


def test_digital_silence_is_finite():
    frames, _, _ = lowlevel_features(np.zeros(RATE, np.float32), None, rate_hz=50, n_mels=16)
    assert np.isfinite(frames).all()


def test_words_are_impulses_at_their_onsets():
    train = onset_train(np.array([0.0, 0.101, 0.5, 0.501, 99.0]), n_frames=50, rate_hz=50)
    assert train.sum() == 4
    np.testing.assert_array_equal(np.flatnonzero(train[:, 0]), [0, 5, 25])
    assert train[25, 0] == 2
    words = pd.DataFrame({"onset": [0.2, 0.4]})
    frames, _, columns = lowlevel_features(np.zeros(RATE, np.float32), words, rate_hz=50, n_mels=4)
    assert columns[-2:] == ("word onset", "phone onset")
    assert frames[:, -2].sum() == 2
    assert not frames[:, -1].any()
    phones = pd.DataFrame({"onset": [0.2, 0.25, 0.4]})
    both, _, same = lowlevel_features(
        np.zeros(RATE, np.float32), words, phones, rate_hz=50, n_mels=4
    )
    assert same == columns
    np.testing.assert_array_equal(both[:, :-1], frames[:, :-1])
    np.testing.assert_array_equal(np.flatnonzero(both[:, -1]), [10, 12, 20])


def test_reducing_the_rate_keeps_slow_and_stops_fast_modulation():
    t = np.arange(2000) / 100
    slow, fast = np.sin(2 * np.pi * 1 * t), np.sin(2 * np.pi * 10 * t)
    reduced = reduce_rate(np.stack([slow, fast], axis=1).astype(np.float32), factor=10)
    np.testing.assert_allclose(reduced[5:-5, 0], slow[::10][5:-5], atol=0.05)
    assert np.abs(reduced[5:-5, 1]).max() < 0.01
