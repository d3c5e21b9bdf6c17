"""Spectrograms without what is broadband: how each frame differs from a smooth spectrum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from bids_brainalign.errors import BrainAlignError

Array64 = NDArray[np.float64]

WINDOW_S = 0.2
"""Bins of 5 Hz: voices are told from each other, and from themselves a moment later, by less."""
HOP_S = 0.01
LINE_REACH_HZ = 7.5
"""Bins as near to a harmonic of the line frequency are left out: the main lobe of the window."""
DEGREE = 2
"""Of the polynomial over frequency that is taken out of every frame. Speech-locked high gamma
raises all bins, and not all alike: with the mean alone taken out, a gain that falls with frequency
raised the statistic by up to 2.7 SD of its null, with a parabola by 0.2 (simulated)."""
LEAST_BINS = 6
_LOUDNESS_LAGS_S = np.arange(-0.8, 0.801, 0.05)
_FLOOR = 1e-3
"""Of the median: a silent sample, or a gap filled with zeros, has no logarithm."""
_FRAMES = 4096


@dataclass(frozen=True)
class Bins:
    """Frames and frequency bins of one recording, shared by the sound and all channels."""

    starts: NDArray[np.int64]
    """(n_frames,) first sample of each window."""
    n_window: int
    sfreq_hz: float
    used: NDArray[np.bool_]
    """(n_window // 2 + 1,) bins of the band that are away from the line."""
    known: NDArray[np.bool_]
    """(n_frames,) windows without unusable samples."""

    @property
    def frequencies_hz(self) -> Array64:
        """(n_bins,) centres of the bins in use."""
        return np.asarray(np.fft.rfftfreq(self.n_window, 1 / self.sfreq_hz)[self.used])

    def powers(self, samples: NDArray[np.floating]) -> tuple[Array64, Array64]:
        """Power in the bins in use (n_frames, n_bins), and of the whole spectrum (n_frames,)."""
        windows = np.lib.stride_tricks.sliding_window_view(samples, self.n_window)
        taper = signal.windows.hann(self.n_window, sym=False)
        found = np.empty((len(self.starts), int(self.used.sum())))
        whole = np.empty(len(self.starts))
        for first in range(0, len(self.starts), _FRAMES):
            rows = slice(first, first + _FRAMES)
            power = np.abs(fft.rfft(windows[self.starts[rows]] * taper, axis=1)) ** 2
            found[rows], whole[rows] = power[:, self.used], power[:, 1:].sum(axis=1)
        return found, whole


def make_bins(
    usable: NDArray[np.bool_],
    sfreq_hz: float,
    *,
    band_hz: tuple[float, float],
    line_hz: float | None,
) -> Bins:
    """Plan windows of 200 ms every 10 ms, and the bins of a band that are away from the line.

    Raises
    ------
    BrainAlignError
        If the rate is too low for the band, or too few bins are left.
    """
    low, high = band_hz
    if sfreq_hz < 2 * high:
        raise BrainAlignError(
            f"{sfreq_hz:g} samples per second hold no sound of {high:g} Hz.",
            fix=f"Give sound and voltages at {2 * high:g} Hz at least, or a lower band.",
        )
    n_window, hop = round(WINDOW_S * sfreq_hz), HOP_S * sfreq_hz
    n_frames = max(0, int((len(usable) - n_window) / hop) + 1)
    starts = np.floor(np.arange(n_frames) * hop).astype(np.int64)
    frequencies = np.fft.rfftfreq(n_window, 1 / sfreq_hz)
    used = (frequencies >= low) & (frequencies <= high)
    if line_hz is not None:
        harmonics = line_hz * np.arange(1, int(sfreq_hz / 2 / line_hz) + 1)
        used &= (np.abs(frequencies[:, None] - harmonics) > LINE_REACH_HZ).all(axis=1)
    if used.sum() < LEAST_BINS:
        raise BrainAlignError(
            f"{used.sum()} bins between {low:g} and {high:g} Hz are left beside the harmonics of "
            f"the line; {LEAST_BINS} are needed.",
            fix="Give a wider band.",
        )
    missing = np.concatenate([[0], np.cumsum(~usable)])
    known = missing[starts + n_window] == missing[starts]
    return Bins(starts, n_window, sfreq_hz, used, known)


def neural_detail(power: Array64, bins: Bins) -> Array64:
    """Log power of a channel about a parabola over its bins, frame by frame.

    A broadband change multiplies all bins: in logarithms it is a constant, or a smooth curve over
    frequency, and is gone whatever it follows, however late.

    Parameters
    ----------
    power : ndarray of shape (n_frames, n_bins)
    bins : Bins

    Returns
    -------
    ndarray of shape (n_frames, n_bins)
        About its mean, with a sum of squares over bins and frames of the number of usable frames;
        0 in other frames, and throughout for a channel that doesn't vary.
    """
    floor = _FLOOR * np.median(power[bins.known], axis=0)
    if not (np.isfinite(floor).all() and (floor > 0).all()):
        return np.zeros_like(power)
    return _scaled(_about_smooth(np.log(np.maximum(power, floor)), bins), bins)


def sound_detail(power: Array64, whole: Array64, bins: Bins) -> Array64:
    """Amplitude of the sound about a parabola over its bins, and apart from its loudness.

    Amplitude, because what leaks faintly shows in loud moments only. Each bin is then regressed
    on the loudness, of the whole sound and of the band, at lags up to .8 s to both sides: activity
    in a narrow band that follows loudness cannot pass for a leak.

    Parameters
    ----------
    power : ndarray of shape (n_frames, n_bins)
    whole : ndarray of shape (n_frames,)
        Power of the whole spectrum.
    bins : Bins

    Returns
    -------
    ndarray of shape (n_frames, n_bins)
        As of :func:`neural_detail`.
    """
    detail = _about_smooth(np.sqrt(power), bins)
    loudness = _loudness(power.mean(axis=1), whole, bins.known)
    shifts = np.round(_LOUDNESS_LAGS_S / HOP_S).astype(int)
    columns = np.concatenate([np.roll(loudness, k, axis=0) for k in shifts], axis=1)[bins.known]
    detail[bins.known] -= columns @ np.linalg.lstsq(columns, detail[bins.known])[0]
    return _scaled(detail, bins)


def _loudness(band: Array64, whole: Array64, known: NDArray[np.bool_]) -> Array64:
    """Amplitude and logarithm of both powers, mean 0 and SD 1: (n_frames, 4)."""
    columns = []
    for power in (band, whole):
        quiet = max(float(np.quantile(power[known], 0.1)), _FLOOR * float(power[known].mean()))
        columns += [np.sqrt(power), np.log(power + quiet)]
    x = np.stack(columns, axis=1)
    x = np.where(known[:, None], x - x[known].mean(axis=0), 0.0)
    return np.asarray(x / x[known].std(axis=0))


def _about_smooth(values: Array64, bins: Bins) -> Array64:
    """Frames less their best polynomial over frequency, bins less their means."""
    f = bins.frequencies_hz
    place = 2 * (f - f[0]) / (f[-1] - f[0]) - 1
    basis, _ = np.linalg.qr(np.polynomial.legendre.legvander(place, DEGREE))
    rest = values - (values @ basis) @ basis.T
    return np.where(bins.known[:, None], rest - rest[bins.known].mean(axis=0), 0.0)


def _scaled(detail: Array64, bins: Bins) -> Array64:
    size = np.sqrt((detail**2).sum() / bins.known.sum())
    return np.asarray(detail / size) if size > 0 else detail
