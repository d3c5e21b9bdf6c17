import numpy as np
import pandas as pd

from bids_brainalign.alignment.lanczos import lanczos_matrix
from bids_brainalign.features.lowlevel import (
    Marks,
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


def test_what_phones_are_stands_at_their_onsets():
    phones = pd.DataFrame({"onset": [0.2, 0.21, 0.4, 7.0]})
    members = np.array([[1, 0], [1, 1], [0, 1], [1, 1]], dtype=np.float32)
    parts = ("envelope", "phones")
    sound = np.zeros(RATE, np.float32)
    frames, _, columns = lowlevel_features(
        sound, None, phones, rate_hz=50, n_mels=4, parts=parts,
        marks=Marks(("nasal", "vowel"), members),
    )  # fmt: skip
    assert columns == ("envelope", "phone onset", "nasal", "vowel")
    np.testing.assert_array_equal(frames[10, 1:], [2, 2, 1])  # 0.20 and 0.21 s are one frame
    np.testing.assert_array_equal(frames[20, 1:], [1, 0, 1])
    assert frames[:, 1:].sum() == 7  # what lies after the sound is left out
    # A stimulus without phones has the same columns, all zero.
    silent, _, same = lowlevel_features(
        sound, None, None, rate_hz=50, n_mels=4, parts=parts,
        marks=Marks(("nasal", "vowel"), members[:0]),
    )  # fmt: skip
    assert same == columns
    assert not silent[:, 1:].any()


def test_words_low_passed_to_a_tr_are_their_rate():
    """Onsets through the Lanczos filter: three words a second come out as a constant."""
    onsets = pd.DataFrame({"onset": np.arange(0, 60, 1 / 3)})
    frames, times, _ = lowlevel_features(
        np.zeros(60 * RATE, np.float32), onsets, rate_hz=10, n_mels=4
    )
    clock = np.arange(10.0, 50.0, 2.0)
    rate = (lanczos_matrix(times, clock, cutoff_hz=0.5) @ frames[:, -2]) / 2.0
    # Over a kernel of 2 s, less the ripple of a kernel that is not normalised.
    np.testing.assert_allclose(rate, 3.0, rtol=0.05)
