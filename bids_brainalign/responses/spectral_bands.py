"""Band amplitudes by time-frequency analysis: Gaussian filter bank, multitaper, Morlet."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.responses.line_noise import line_harmonics, without_line

BAND_HZ = (70.0, 150.0)
"""Range of centre frequencies: naplib ``filter_hilbert``, "highgamma"; eight bands, the high
gamma of the Chang lab."""

DEAD_SHARE = 1e-3
"""Amplitudes under this share of the channel's median (a disconnected or clipped stretch) are
raised to it before the logarithm: −60 dB never occurs in a living channel, −inf would ruin it."""

BAND_EDGE_SDS = 4.0
"""A Gaussian band passes under 0.04 % this many SDs from its centre: line noise beyond needs no
notch, and a Nyquist frequency beyond cuts nothing off."""

MORLET_CYCLES = 7.0
"""A wavelet's SD in frequency is its centre / 7: 10 Hz at 70 Hz, 21 Hz at 150 Hz."""
MORLET_CENTRES = 9
"""Evenly over the band: every 10 Hz of 70–150 Hz, closer than their SDs."""

TAPER_WIDTH = 0.5
"""Bandwidth of the tapers as a share of the band: 40 Hz of 70–150 Hz."""
TIME_BANDWIDTH = 4.0
"""Window times bandwidth: three tapers; the window is 0.1 s for 40 Hz."""


def filterbank_bands(
    band_hz: tuple[float, float] = BAND_HZ,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gaussian bands of the filter bank with centres within a range.

    Returns
    -------
    centres : ndarray of shape (n_bands,)
        Hz; of 70–150 Hz: 72.0, 79.5, 87.8, 96.9, 107.0, 118.1, 130.4, 144.0.
    sds : ndarray of shape (n_bands,)
        Standard deviation of each band in Hz.

    Raises
    ------
    BrainAlignError
        65: no centre lies within the range.

    References
    ----------
    Edwards et al. 2009, J. Neurophysiol. 102:377, as implemented in naplib
    ``filter_hilbert.py``: centres from 0.018 Hz, one SD apart up to 4 Hz, then every 1/7 octave;
    log10(sigma_f) = log10(0.39) + 0.5 log10(centre); SD = sigma_f · √2.
    """
    centres = [0.018]
    while centres[-1] < band_hz[1]:
        last = centres[-1]
        centres.append(last + 0.39 * last**0.5 if last < 4 else last * 2 ** (1 / 7))
    within = np.array([c for c in centres if band_hz[0] <= c <= band_hz[1]])
    if not len(within):
        raise BrainAlignError(
            f"No band of the filter bank has its centre within {band_hz[0]:g}–{band_hz[1]:g} Hz.",
            where=f"its centres there: {centres[-2]:.3g} and {centres[-1]:.3g} Hz",
            fix="widen --band, or use --high-gamma morlet",
        )
    return within, 0.39 * np.sqrt(within) * np.sqrt(2)


def filterbank(
    data: NDArray[np.floating],
    sfreq_hz: float,
    *,
    line_hz: float | None,
    band_hz: tuple[float, float] = BAND_HZ,
) -> NDArray[np.float64]:
    """Log of the mean analytic amplitude over Gaussian bands.

    Parameters
    ----------
    data : ndarray of shape (n_channels, n_times)
    sfreq_hz : float
    line_hz : float or None
        Line frequency, notched at its harmonics within reach of the bands; None: no notch.
    band_hz : (float, float)

    Returns
    -------
    ndarray of shape (n_channels, n_times)
        Natural logarithm of the amplitude in the unit of `data`.
    """
    from scipy import fft

    centres, sds = filterbank_bands(band_hz)
    notched = _notched(data, sfreq_hz, line_hz, reach("filterbank", band_hz))
    n_times = data.shape[-1]
    pad = min(int(np.ceil(2 * half_length_s("filterbank", band_hz) * sfreq_hz)), n_times - 1)
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
        amplitude[:] = _log(total / len(gains))
    return result


def multitaper(
    data: NDArray[np.floating],
    sfreq_hz: float,
    *,
    line_hz: float | None,
    band_hz: tuple[float, float] = BAND_HZ,
) -> NDArray[np.float64]:
    """Log amplitude by Slepian tapers, averaged over three half-overlapping parts of the band.

    Parameters and returns as :func:`filterbank`; each part has its own logarithm, so that the
    lowest, strongest frequencies don't outweigh the others.
    """
    from mne.time_frequency import tfr_array_multitaper

    centres, window_s = _tapers(band_hz)

    def power(channel: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(
            tfr_array_multitaper(
                channel[np.newaxis, np.newaxis],
                sfreq_hz,
                centres,
                n_cycles=centres * window_s,
                time_bandwidth=TIME_BANDWIDTH,
                output="power",
                verbose="error",
            )[0, 0]
        )

    notched = _notched(data, sfreq_hz, line_hz, reach("multitaper", band_hz))
    return _log_power(notched, sfreq_hz, power, half_length_s("multitaper", band_hz))


def morlet(
    data: NDArray[np.floating],
    sfreq_hz: float,
    *,
    line_hz: float | None,
    band_hz: tuple[float, float] = BAND_HZ,
) -> NDArray[np.float64]:
    """Log amplitude by Morlet wavelets of seven cycles, averaged over nine centre frequencies.

    Parameters and returns as :func:`filterbank`; every frequency has its own logarithm.
    """
    from mne.time_frequency import tfr_array_morlet

    centres = np.linspace(*band_hz, MORLET_CENTRES)

    def power(channel: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(
            tfr_array_morlet(
                channel[np.newaxis, np.newaxis],
                sfreq_hz,
                centres,
                n_cycles=MORLET_CYCLES,
                output="power",
                zero_mean=True,
                verbose="error",
            )[0, 0]
        )

    notched = _notched(data, sfreq_hz, line_hz, reach("morlet", band_hz))
    return _log_power(notched, sfreq_hz, power, half_length_s("morlet", band_hz))


def reach(method: str, band_hz: tuple[float, float]) -> tuple[float, float]:
    """Range of frequencies in Hz that a method hears at all."""
    if method == "filterbank":
        centres, sds = filterbank_bands(band_hz)
        low = centres[0] - BAND_EDGE_SDS * sds[0]
        return float(low), float(centres[-1] + BAND_EDGE_SDS * sds[-1])
    if method == "multitaper":
        # The third taper leaks by half of its bandwidth more on both sides.
        width = TAPER_WIDTH * (band_hz[1] - band_hz[0])
        return band_hz[0] - width, band_hz[1] + width
    wide = 1 / MORLET_CYCLES
    return band_hz[0] * (1 - BAND_EDGE_SDS * wide), band_hz[1] * (1 + BAND_EDGE_SDS * wide)


def half_length_s(method: str, band_hz: tuple[float, float]) -> float:
    """Half length of a method's filters to −40 dB of their peak, in s."""
    if method == "multitaper":
        return _tapers(band_hz)[1] / 2
    # A Gaussian in frequency is one in time, with SD 1 / (2π · SD in Hz).
    narrowest = (
        filterbank_bands(band_hz)[1].min()
        if method == "filterbank"
        else band_hz[0] / MORLET_CYCLES
    )
    return float(np.sqrt(2 * np.log(100)) / (2 * np.pi * narrowest))


def _tapers(band_hz: tuple[float, float]) -> tuple[NDArray[np.float64], float]:
    """Centres in Hz and the length of the window in s."""
    width = TAPER_WIDTH * (band_hz[1] - band_hz[0])
    return np.linspace(band_hz[0] + width / 2, band_hz[1] - width / 2, 3), TIME_BANDWIDTH / width


def _notched(
    data: NDArray[np.floating],
    sfreq_hz: float,
    line_hz: float | None,
    heard_hz: tuple[float, float],
) -> NDArray[np.float64]:
    low, high = heard_hz
    return without_line(
        data, sfreq_hz, line_harmonics(line_hz, sfreq_hz, low_hz=low, high_hz=high)
    )


def _log(amplitude: NDArray[np.float64]) -> NDArray[np.float64]:
    floor = max(DEAD_SHARE * float(np.median(amplitude)), 1e-300)
    return np.asarray(np.log(np.maximum(amplitude, floor)))


def _log_power(
    data: NDArray[np.float64],
    sfreq_hz: float,
    power: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    half_s: float,
) -> NDArray[np.float64]:
    """Mean over frequencies of the log amplitude, the ends mirrored."""
    n_times = data.shape[-1]
    pad = min(int(np.ceil(2 * half_s * sfreq_hz)), n_times - 1)
    result = np.empty(data.shape)
    # One channel at a time: memory is bounded by its time-frequency plane.
    for amplitude, channel in zip(result, data, strict=True):
        plane = np.sqrt(power(np.pad(channel, pad, mode="reflect"))[:, pad : pad + n_times])
        amplitude[:] = np.mean([_log(row) for row in plane], axis=0)
    return result
