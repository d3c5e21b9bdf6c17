"""High-gamma amplitude of intracranial recordings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError, ExitCode

METHODS = ("filterbank", "podcast2025")

FILTERBANK_BAND_HZ = (70.0, 150.0)
"""Range of centre frequencies: naplib ``filter_hilbert``, "highgamma"; eight bands, the
high gamma of the Chang lab."""

PODCAST2025_BAND_HZ = (70.0, 200.0)
"""ds005574 tutorial ``02-preprocessing``, cell 22."""

NOTCH_WIDTH_HZ = 2.0
"""ds005574 tutorial ``02-preprocessing``, cell 20: ``notch_widths=2``."""

DEAD_SHARE = 1e-3
"""Amplitudes under this share of the channel's median (a disconnected or clipped stretch) are
raised to it before the logarithm: −60 dB never occurs in a living channel, −inf would ruin it."""

BAND_EDGE_SDS = 4.0
"""A Gaussian band passes under 0.04 % this many SDs from its centre: line noise beyond needs no
notch, and a Nyquist frequency beyond cuts nothing off."""


def high_gamma_amplitude(
    data: NDArray[np.floating], sfreq_hz: float, *, method: str, line_hz: float | None
) -> NDArray[np.float64]:
    """High-gamma amplitude by the method of that name; see the functions of this module.

    Raises
    ------
    BrainAlignError
        64: unknown method. 65: the recording is too slow for the band.
    """
    if method == "filterbank":
        return filterbank(data, sfreq_hz, line_hz=line_hz)
    if method == "podcast2025":
        return podcast2025(data, sfreq_hz, line_hz=line_hz)
    raise BrainAlignError(
        f"There is no high-gamma method '{method}'.",
        fix=f"--high-gamma {' or '.join(METHODS)}",
        exit_code=ExitCode.USAGE,
    )


def filterbank_bands() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gaussian bands of the high-gamma filter bank.

    Returns
    -------
    centres : ndarray of shape (n_bands,)
        Hz: 72.0, 79.5, 87.8, 96.9, 107.0, 118.1, 130.4, 144.0.
    sds : ndarray of shape (n_bands,)
        Standard deviation of each band in Hz.

    References
    ----------
    Edwards et al. 2009, J. Neurophysiol. 102:377, as implemented in naplib
    ``filter_hilbert.py``: centres from 0.018 Hz, one SD apart up to 4 Hz, then every 1/7 octave;
    log10(sigma_f) = log10(0.39) + 0.5 log10(centre); SD = sigma_f · √2.
    """
    centres = [0.018]
    while centres[-1] < FILTERBANK_BAND_HZ[1]:
        last = centres[-1]
        centres.append(last + 0.39 * last**0.5 if last < 4 else last * 2 ** (1 / 7))
    within = np.array([c for c in centres if FILTERBANK_BAND_HZ[0] <= c <= FILTERBANK_BAND_HZ[1]])
    return within, 0.39 * np.sqrt(within) * np.sqrt(2)


def filterbank(
    data: NDArray[np.floating], sfreq_hz: float, *, line_hz: float | None
) -> NDArray[np.float64]:
    """Log of the mean analytic amplitude over Gaussian bands within 70–150 Hz.

    Parameters
    ----------
    data : ndarray of shape (n_channels, n_times)
    sfreq_hz : float
    line_hz : float or None
        Line frequency, notched at its harmonics within reach of the bands; None: no notch.

    Returns
    -------
    ndarray of shape (n_channels, n_times)
        Natural logarithm of the amplitude in the unit of `data`.
    """
    from scipy import fft

    centres, sds = filterbank_bands()
    _require_rate(sfreq_hz, FILTERBANK_BAND_HZ[1], "filterbank")
    notched = _notch(data, sfreq_hz, notch_frequencies("filterbank", sfreq_hz, line_hz))
    n_times = data.shape[-1]
    pad = min(int(np.ceil(2 * support_s("filterbank", sfreq_hz) * sfreq_hz)), n_times - 1)
    n_fft = fft.next_fast_len(n_times + 2 * pad)
    frequencies = fft.fftfreq(n_fft, 1 / sfreq_hz)
    # Positive frequencies only, doubled: the inverse transform is the analytic signal.
    positive = np.where(frequencies > 0, 2.0, 0.0)
    gains = [
        positive * np.exp(-0.5 * ((frequencies - centre) / sd) ** 2)
        for centre, sd in zip(centres, sds, strict=True)
    ]
    result = np.empty(notched.shape)
    # One channel at a time: memory is bounded by one complex copy of one channel.
    for amplitude, channel in zip(result, notched, strict=True):
        spectrum = fft.fft(np.pad(channel, pad, mode="reflect"), n_fft)
        total = np.zeros(n_times)
        for gain in gains:
            total += np.abs(fft.ifft(spectrum * gain)[pad : pad + n_times])
        total /= len(gains)
        amplitude[:] = np.log(np.maximum(total, max(DEAD_SHARE * np.median(total), 1e-300)))
    return result


def podcast2025(
    data: NDArray[np.floating], sfreq_hz: float, *, line_hz: float | None
) -> NDArray[np.float64]:
    """Hilbert amplitude of 70–200 Hz, as the ds005574 tutorial makes it; no logarithm.

    Parameters
    ----------
    data : ndarray of shape (n_channels, n_times)
    sfreq_hz : float
    line_hz : float or None
        Line frequency, notched (width 2 Hz) at its harmonics up to 200 Hz; None: no notch.

    Returns
    -------
    ndarray of shape (n_channels, n_times)
        In the unit of `data`.

    References
    ----------
    hassonlab/podcast-ecog-tutorials, ``02-preprocessing.ipynb``, cells 20–23: notch 60, 120,
    180 Hz; Butterworth of order 4, two passes; ``apply_hilbert(envelope=True)``.
    """
    from mne.filter import filter_data
    from scipy import fft, signal

    _require_rate(sfreq_hz, PODCAST2025_BAND_HZ[1], "podcast2025")
    notched = _notch(data, sfreq_hz, notch_frequencies("podcast2025", sfreq_hz, line_hz))
    filtered = filter_data(
        notched,
        sfreq_hz,
        *PODCAST2025_BAND_HZ,
        method="iir",
        iir_params={"order": 4, "ftype": "butter"},
        verbose="error",
    )
    n_times = data.shape[-1]
    for channel in filtered:
        analytic = signal.hilbert(channel, N=fft.next_fast_len(n_times))
        channel[:] = np.abs(analytic[:n_times])
    return np.asarray(filtered, dtype=np.float64)


def notch_frequencies(method: str, sfreq_hz: float, line_hz: float | None) -> tuple[float, ...]:
    """Harmonics of the line frequency that a method removes, in Hz.

    Examples
    --------
    >>> notch_frequencies("podcast2025", 512.0, 60.0)
    (60.0, 120.0, 180.0)
    >>> notch_frequencies("filterbank", 512.0, 50.0)
    (100.0, 150.0)
    """
    if line_hz is None:
        return ()
    low, high = 0.0, PODCAST2025_BAND_HZ[1]
    if method == "filterbank":
        centres, sds = filterbank_bands()
        low = centres[0] - BAND_EDGE_SDS * sds[0]
        high = centres[-1] + BAND_EDGE_SDS * sds[-1]
    # A notch needs room on both sides; above Nyquist there is nothing to remove.
    high = min(high, sfreq_hz / 2 - NOTCH_WIDTH_HZ)
    harmonics = line_hz * np.arange(1, int(high // line_hz) + 1)
    return tuple(float(f) for f in harmonics if f >= low)


def support_s(method: str, sfreq_hz: float) -> float:
    """Half length of a method's band-pass filter, to −40 dB of its peak, in s.

    The notch is left out: its impulse response is under −40 dB of the peak by construction
    (2 Hz of more than 200 Hz).
    """
    if method == "filterbank":
        # A Gaussian in frequency is one in time, with SD 1 / (2π · SD in Hz).
        return float(np.sqrt(2 * np.log(100)) / (2 * np.pi * filterbank_bands()[1].min()))
    half = round(sfreq_hz)
    impulse = np.zeros((1, 2 * half + 1))
    impulse[0, half] = 1.0
    envelope = podcast2025(impulse, sfreq_hz, line_hz=None)[0]
    heard = np.flatnonzero(envelope > 0.01 * envelope.max())
    return float(np.abs(heard - half).max() / sfreq_hz)


def _notch(
    data: NDArray[np.floating], sfreq_hz: float, frequencies: tuple[float, ...]
) -> NDArray[np.float64]:
    doubles = np.array(data, dtype=np.float64)
    if not frequencies:
        return doubles
    from mne.filter import notch_filter

    return np.asarray(
        notch_filter(
            doubles,
            sfreq_hz,
            np.array(frequencies),
            notch_widths=NOTCH_WIDTH_HZ,
            verbose="error",
        ),
        dtype=np.float64,
    )


def _require_rate(sfreq_hz: float, upper_hz: float, method: str) -> None:
    if sfreq_hz / 2 > upper_hz:
        return
    needs = f"{method} reaches {upper_hz:g} Hz and needs more than {2 * upper_hz:g} Hz"
    slower = method == "podcast2025" and sfreq_hz / 2 > FILTERBANK_BAND_HZ[1]
    raise BrainAlignError(
        f"The recording is sampled at {sfreq_hz:g} Hz: {needs}.",
        fix="--high-gamma filterbank (70–150 Hz)"
        if slower
        else "use the recording at its original sampling rate, or leave it out.",
    )
