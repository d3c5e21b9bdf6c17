"""High-gamma amplitude of intracranial recordings, or that of another band."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.responses import published_bands, spectral_bands
from bids_brainalign.responses.line_noise import line_harmonics

METHODS = ("filterbank", "podcast2025", "dutch2022", "multitaper", "morlet")

BANDS_HZ = {
    "filterbank": spectral_bands.BAND_HZ,
    "multitaper": spectral_bands.BAND_HZ,
    "morlet": spectral_bands.BAND_HZ,
    "podcast2025": published_bands.PODCAST2025_BAND_HZ,
    "dutch2022": published_bands.DUTCH2022_BAND_HZ,
}
"""Of each method; other bands by option."""


@dataclass(frozen=True)
class Amplitude:
    """Amplitude of a band over time."""

    data: NDArray[np.float64]
    """(n_channels, n_frames)."""
    rate_hz: float
    first_s: float
    """Time of the first frame on the recording clock."""

    @property
    def last_s(self) -> float:
        """Time of the last frame."""
        return float(self.first_s + (self.data.shape[1] - 1) / self.rate_hz)


def band_of(method: str, band_hz: tuple[float, ...]) -> tuple[float, float]:
    """Band in Hz: the one given, else the method's own.

    Raises
    ------
    BrainAlignError
        64: unknown method.
    """
    if method not in METHODS:
        raise BrainAlignError(
            f"There is no high-gamma method '{method}'.",
            fix=f"--high-gamma {' or '.join(METHODS)}",
            exit_code=ExitCode.USAGE,
        )
    return (band_hz[0], band_hz[1]) if band_hz else BANDS_HZ[method]


def high_gamma_amplitude(
    data: NDArray[np.floating],
    sfreq_hz: float,
    *,
    method: str,
    line_hz: float | None,
    band_hz: tuple[float, ...] = (),
) -> Amplitude:
    """Amplitude by the method of that name.

    Parameters
    ----------
    data : ndarray of shape (n_channels, n_times)
    sfreq_hz : float
    method : str
        One of `METHODS`; see the functions of that name.
    line_hz : float or None
    band_hz : tuple of two floats, or empty
        Empty: the method's own band.

    Raises
    ------
    BrainAlignError
        64: unknown method. 65: the recording is too slow for the band, or too short.
    """
    band = band_of(method, band_hz)
    _require_rate(sfreq_hz, band[1], method)
    if method == "dutch2022":
        times = published_bands.dutch2022_times(data.shape[-1], sfreq_hz)
        if len(times) < 2:
            raise BrainAlignError("The recording is shorter than two windows of 50 ms.")
        frames = published_bands.dutch2022(data, sfreq_hz, line_hz=line_hz, band_hz=band)
        # Starts are rounded down to samples: every frame lies within one of this even clock.
        rate_hz = (len(times) - 1) / (times[-1] - times[0])
        return Amplitude(frames, float(rate_hz), float(times[0]))
    by_name = {
        "filterbank": spectral_bands.filterbank,
        "multitaper": spectral_bands.multitaper,
        "morlet": spectral_bands.morlet,
        "podcast2025": published_bands.podcast2025,
    }
    values = by_name[method](data, sfreq_hz, line_hz=line_hz, band_hz=band)
    return Amplitude(values, sfreq_hz, 0.0)


def notch_frequencies(
    method: str, sfreq_hz: float, line_hz: float | None, *, band_hz: tuple[float, ...] = ()
) -> tuple[float, ...]:
    """Harmonics of the line frequency that a method removes, in Hz.

    Examples
    --------
    >>> notch_frequencies("podcast2025", 512.0, 60.0)
    (60.0, 120.0, 180.0)
    >>> notch_frequencies("filterbank", 512.0, 50.0)
    (100.0, 150.0)
    """
    low, high = band_of(method, band_hz)
    if method == "podcast2025":
        low = 0.0
    elif method == "dutch2022":
        low, high = published_bands.dutch2022_reach((low, high))
    else:
        low, high = spectral_bands.reach(method, (low, high))
    return line_harmonics(line_hz, sfreq_hz, low_hz=low, high_hz=high)


def support_s(method: str, sfreq_hz: float, *, band_hz: tuple[float, ...] = ()) -> float:
    """Half length of a method's filters and windows, to −40 dB of their peak, in s.

    The notch is left out: its impulse response is under −40 dB of the peak by construction
    (2 Hz of more than 200 Hz).
    """
    band = band_of(method, band_hz)
    if method not in ("podcast2025", "dutch2022"):
        return spectral_bands.half_length_s(method, band)
    # Long enough for the slowest band: a filter rings for some of its bandwidth's inverse.
    half = round(sfreq_hz * max(1.0, 8.0 / (band[1] - band[0])))
    impulse = np.zeros((1, 2 * half + 1))
    impulse[0, half] = 1.0
    envelope = published_bands.podcast2025(impulse, sfreq_hz, line_hz=None, band_hz=band)[0]
    heard = np.flatnonzero(envelope > 0.01 * envelope.max())
    window_s = published_bands.DUTCH2022_WINDOW_S if method == "dutch2022" else 0.0
    return float(np.abs(heard - half).max() / sfreq_hz + window_s / 2)


def _require_rate(sfreq_hz: float, upper_hz: float, method: str) -> None:
    if sfreq_hz / 2 > upper_hz:
        return
    lowest = BANDS_HZ["filterbank"][1]
    slower = upper_hz > lowest and sfreq_hz / 2 > lowest
    raise BrainAlignError(
        f"The recording is sampled at {sfreq_hz:g} Hz: {method} reaches {upper_hz:g} Hz and needs "
        f"more than {2 * upper_hz:g} Hz",
        fix="--high-gamma filterbank (70–150 Hz)"
        if slower
        else "use the recording at its original sampling rate, or leave it out.",
    )
