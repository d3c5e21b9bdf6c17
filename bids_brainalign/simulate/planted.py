"""Responses with a planted answer: from layer features to unit-variance signals (pure arrays)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

Signals = list[NDArray[np.float64]]


def project(
    features: Sequence[NDArray[np.floating]], n_targets: int, *, rng: np.random.Generator
) -> Signals:
    """Project the features of all stimuli to targets with the same random Gaussian weights.

    Parameters
    ----------
    features : sequence of ndarray, each (n_frames, n_dims)
        One per stimulus; standardised together, so that every stimulus has the same linear map.
    n_targets : int
        Number of weight vectors drawn.
    rng : Generator
        Draws the weights.

    Returns
    -------
    list of ndarray, each (n_frames, n_targets)
        Mean 0 in every stimulus, SD 1 over all of them together.
    """
    scaled = standardise_together(features)
    weights = rng.standard_normal((scaled[0].shape[1], n_targets))
    return unit_variance([frames @ weights for frames in scaled])


def unit_variance(
    signals: Sequence[NDArray[np.floating]], *, without: Sequence[NDArray[np.floating]] = ()
) -> Signals:
    """Centre each run's signals and scale all runs together.

    Voices differ in their mean features; a run's mean can't be told from its baseline, and left in
    it would take most of the variance that ``signal_share`` promises.

    Parameters
    ----------
    signals : sequence of ndarray, each (n_times, n_targets)
    without : sequence of ndarray, each (n_times, n_columns), optional
        Per run: what an analysis will regress out (drift), and so must not carry the signal.

    Returns
    -------
    list of ndarray
        Columns without variance are 0.
    """
    centred: Signals = []
    for index, signal in enumerate(signals):
        constant = np.ones((len(signal), 1))
        columns = np.hstack([constant, without[index]]) if without else constant
        basis = np.linalg.qr(columns)[0]
        centred.append(np.asarray(signal - basis @ (basis.T @ signal), dtype=np.float64))
    spread = np.concatenate(centred).std(axis=0)
    spread[spread < 1e-12] = np.inf
    return [signal / spread for signal in centred]


def standardise_together(arrays: Sequence[NDArray[np.floating]]) -> Signals:
    """Give every column mean 0 and SD 1 over all arrays together; constant columns become 0."""
    joined = np.concatenate(arrays).astype(np.float64)
    mean, spread = joined.mean(axis=0), joined.std(axis=0)
    spread[spread < 1e-12] = np.inf
    return [(array - mean) / spread for array in arrays]


def apply_lag(
    signal: NDArray[np.float64], *, lag_s: float, rate_hz: float, width_s: float = 0.02
) -> NDArray[np.float64]:
    """Delay a signal by a short Gaussian bump around ``lag_s``.

    Parameters
    ----------
    signal : ndarray of shape (n_frames, n_targets)
    lag_s : float
        Centre of the bump, s; need not fall on a frame.
    rate_hz : float
        Frames per second.
    width_s : float
        SD of the bump.

    Returns
    -------
    ndarray of shape (n_frames + n_pad, n_targets)
        Begins with the stimulus and lasts as long as the bump after its end.
    """
    n_kernel = int(np.ceil((lag_s + 4 * width_s) * rate_hz)) + 1
    kernel = np.exp(-0.5 * ((np.arange(n_kernel) / rate_hz - lag_s) / width_s) ** 2)
    return np.asarray(fftconvolve(signal, (kernel / kernel.sum())[:, None], axes=0))


def apply_hrf(signal: NDArray[np.float64], *, rate_hz: float) -> NDArray[np.float64]:
    """Convolve with the canonical response (Glover 1999, as in nilearn) over 32 s.

    Returns
    -------
    ndarray of shape (n_frames + 32·rate_hz − 1, n_targets)
    """
    from nilearn.glm.first_level import glover_hrf

    kernel = np.asarray(glover_hrf(1 / rate_hz, oversampling=1, time_length=32.0))
    return np.asarray(fftconvolve(signal, kernel[:, None], axes=0))


def apply_late_bump(
    signal: NDArray[np.float64], *, rate_hz: float, lag_s: float, width_s: float
) -> NDArray[np.float64]:
    """Convolve with a Gaussian around one lag: a response that comes when we say, not at 5 s.

    Parameters
    ----------
    signal : ndarray of shape (n_frames, n_targets)
    rate_hz : float
    lag_s : float
        Centre of the Gaussian; at least 3 widths, as nothing answers before the sound.
    width_s : float
        Its SD.

    Returns
    -------
    ndarray of shape (n_frames + (lag_s + 4·width_s)·rate_hz, n_targets)
    """
    times = np.arange(round((lag_s + 4 * width_s) * rate_hz) + 1) / rate_hz
    kernel = np.exp(-0.5 * ((times - lag_s) / width_s) ** 2)
    return np.asarray(fftconvolve(signal, (kernel / kernel.sum())[:, None], axes=0))


def phase_randomise(
    signal: NDArray[np.float64], *, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw a signal with the same spectrum and no memory of the stimulus (for all-null twins).

    Parameters
    ----------
    signal : ndarray of shape (n_frames, n_targets)
        Every column gets phases of its own.
    """
    spectrum = np.fft.rfft(signal, axis=0)
    turned = np.abs(spectrum) * np.exp(2j * np.pi * rng.random(spectrum.shape))
    turned[0] = spectrum[0]
    return np.fft.irfft(turned, n=len(signal), axis=0)


def mix(
    signal: NDArray[np.float64],
    noise: NDArray[np.float64],
    *,
    signal_share: NDArray[np.float64] | float,
) -> NDArray[np.float64]:
    """Add unit-variance signal and noise so that the signal has this share of the variance.

    Returns
    -------
    ndarray of the same shape
        Its correlation with ``signal`` is sqrt(signal_share): the ceiling of one presentation.
    """
    share = np.asarray(signal_share, dtype=np.float64)
    return np.sqrt(share) * signal + np.sqrt(1 - share) * noise
