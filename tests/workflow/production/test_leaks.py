"""Channels that hear the voice, by either way of looking, and what is said of them."""

from __future__ import annotations

import numpy as np

from bids_brainalign.production.contamination import Contamination
from bids_brainalign.production.lags import Lag
from bids_brainalign.production.waveform_leaks import WaveformLeaks
from bids_brainalign.workflow.production.leaks import Leaks, sentence

N = 127


def leaks(spectral_p: float, waveform_p: float, *, share: float = 0.08) -> Leaks:
    """One channel with these p, all others without a leak; five minutes of recording."""
    spread = np.linspace(0.05, 1, N)
    spectral, waveform = spread.copy(), spread[::-1].copy()
    spectral[3], waveform[3] = spectral_p, waveform_p
    lag = Lag(0.01, 0.0, 0.02, 0.5, 10_000, 0.5, at_edge=False)
    flat = np.zeros(N)
    spectra = Contamination(
        np.arange(70.0, 170, 10), np.zeros((N, 10, 10)), flat, flat, spectral, spectral, flat,
        spectral, lag, share,
    )  # fmt: skip
    found = Lag(-0.08, -0.084, -0.076, waveform_p, 0, 0.5, at_edge=False)
    own = WaveformLeaks(flat, flat, waveform, waveform, found if waveform_p < 1e-4 else None)
    return Leaks(spectra, own)


NAMES = [f"A{row}" for row in range(N)]


def test_a_leak_of_the_waveform_is_flagged_among_many_channels() -> None:
    found = leaks(0.5, 1e-9)
    assert np.flatnonzero(found.flagged).tolist() == [3]
    assert found.leak is not None
    assert found.leak.lag_s == -0.08
    assert "is in 1 of 127 channels (q < .05): A3." in sentence("run", NAMES, found)


def test_one_channel_in_many_is_flagged_by_spectra_at_their_least_p_alone() -> None:
    found = leaks(1 / 10_001, 0.5)
    assert np.flatnonzero(found.flagged).tolist() == [3]
    assert found.leak is not None
    assert found.leak.lag_s == 0.01
    found = leaks(0.002, 0.5)  # one of 127 channels is as high by chance
    assert not found.flagged.any()
    assert found.leak is None
    assert "in any of 127 channels" in sentence("run", NAMES, found)


def test_a_sound_without_low_frequencies_is_told() -> None:
    assert "Only 0.02% of the sound's power" in sentence("run", NAMES, leaks(0.5, 0.5, share=2e-4))
