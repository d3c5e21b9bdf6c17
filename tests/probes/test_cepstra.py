"""MFCCs against the formulas of the HTK Book, written out."""

import numpy as np
import pytest

from bids_brainalign.features.lowlevel import mel_filters
from bids_brainalign.probes.cepstra import log_mel, mfcc

RATE = 16_000


def test_mfcc_is_the_cosine_transform_of_the_htk_book():
    """Section 5.6: c_i = sqrt(2/N) Σ m_j cos(π i (j − .5) / N); c_0 is sqrt(1/N) Σ m_j here."""
    logs = np.random.default_rng(0).standard_normal((5, 40)).astype(np.float32)
    n, j = 40, np.arange(1, 41)
    expected = np.array(
        [[np.sqrt(2 / n) * np.sum(m * np.cos(np.pi * i * (j - 0.5) / n)) for i in range(n)]
         for m in logs.astype(np.float64)]
    )  # fmt: skip
    expected[:, 0] /= np.sqrt(2)
    assert mfcc(logs) == pytest.approx(expected, abs=1e-5)


def test_log_mel_is_the_log_of_filtered_power():
    """One frame by hand: Hann window, power spectrum, triangles, logarithm."""
    rng = np.random.default_rng(1)
    wave = rng.standard_normal(RATE).astype(np.float32)
    found = log_mel(wave)
    assert found.shape == (100, 40)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    power = [
        np.abs(np.fft.rfft(wave[160 * k - 200 : 160 * k + 200] * window, 512)) ** 2
        for k in (30, 60)
    ]
    logs = np.log(np.array(power) @ mel_filters(40, n_fft=512))
    assert found[30] - found[60] == pytest.approx(logs[0] - logs[1], abs=1e-3)


def test_a_tone_is_loudest_in_its_band():
    t = np.arange(RATE) / RATE
    low, high = (
        int(log_mel(np.sin(2 * np.pi * f * t).astype(np.float32))[50].argmax())
        for f in (300.0, 3000.0)
    )
    centres = mel_filters(40, n_fft=512).argmax(axis=0) * RATE / 512
    assert abs(centres[low] - 300) < 60
    assert abs(centres[high] - 3000) < 200


def test_silence_is_finite():
    assert np.isfinite(mfcc(log_mel(np.zeros(RATE, dtype=np.float32)))).all()
