"""What probes of sound predict: log-mel filter bank and mel-frequency cepstral coefficients."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from bids_brainalign.features.lowlevel import envelope_and_mel

FRAME_RATE_HZ = 100.0
N_BANDS = 40
"""Bands, and coefficients (Moussa & Toneva 2025, layers paper: 40 MFCCs)."""
_NEPER_PER_DB = np.log(10) / 10


def log_mel(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """Natural logarithm of the energy in mel bands, against the loudest of the clip.

    Parameters
    ----------
    wave : ndarray of shape (n_samples,), float32
        16 kHz.

    Returns
    -------
    ndarray of shape (n_frames, 40), float32
        Frame i is centred at i / 100 s.
    """
    _, decibel = envelope_and_mel(wave, n_mels=N_BANDS)
    return np.asarray(decibel * _NEPER_PER_DB, dtype=np.float32)


def mfcc(log_energies: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mel-frequency cepstral coefficients 0 … 39 of log energies.

    Parameters
    ----------
    log_energies : ndarray of shape (n_frames, n_bands)

    Returns
    -------
    ndarray of shape (n_frames, n_bands), float32

    References
    ----------
    Young et al., The HTK Book 3.4, section 5.6: c_i = sqrt(2/N) Σ_j m_j cos(π i (j − .5) / N);
    here coefficient 0 is scaled by a further sqrt(1/2), which makes the transform orthonormal and
    changes no correlation.
    """
    return np.asarray(dct(log_energies, type=2, axis=1, norm="ortho"), dtype=np.float32)
