"""Sound in the voltages, by its waveform: what leaks keeps the phase that it had.

Speech-locked high gamma has amplitudes that follow the voice, but no phase of it. So the waveform
of the sound, in the band of high gamma, is correlated with that of each channel at all lags; a
leak is a peak that stands out from all lags that are too long for one. This finds leaks that are
far too small for spectra (:mod:`~.contamination`), and their lag to a cycle of the voice. Neurons
that fire with the pitch, cycle by cycle, would look the same but for a lag of 10 ms or more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, stats

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.lags import Lag, drawn_counts, interval, stretches
from bids_brainalign.statistics.multiplicity import benjamini_hochberg

Array64 = NDArray[np.float64]

BAND_HZ = (70.0, 170.0)
LINE_REACH_HZ = 1.5
"""Frequencies as near to a harmonic of the line are taken out of both sides."""
LOCAL_S = 0.25
"""A channel is brought to one size over this, so that stretches in which voice and high gamma are
both large count no more than others: their chance correlations would be larger at short lags."""
SMOOTH_S = 0.008
"""A cycle of the band: squared correlations are averaged over it for the lag."""
ALPHA = 0.05
_FLOOR = 1e-3


@dataclass(frozen=True)
class WaveformLeaks:
    """How much of each channel's waveform is the sound's."""

    r: Array64
    """(n_channels,) correlation of the waveforms furthest from 0 among the lags searched."""
    lag_s: Array64
    """(n_channels,) its lag; positive where the channel comes after the sound."""
    p: Array64
    """(n_channels,) of an |r| as high at any of these lags; NaN for channels that don't vary."""
    q: Array64
    """(n_channels,) Benjamini-Hochberg over channels."""
    leak: Lag | None
    """Lag of what leaks into the channels with q of at most .05, together; None without any."""

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """(n_channels,) whether q is at most .05."""
        return np.asarray(np.nan_to_num(self.q, nan=1.0) <= ALPHA)


def waveform_leaks(
    sound: NDArray[np.floating],
    channels: Iterable[NDArray[np.floating]],
    usable: NDArray[np.bool_],
    *,
    sfreq_hz: float,
    rng: np.random.Generator,
    band_hz: tuple[float, float] = BAND_HZ,
    line_hz: float | None = 50.0,
    max_lag_s: float = 0.5,
    n_resamples: int = 500,
) -> WaveformLeaks:
    """Look for the waveform of the sound in each channel.

    Parameters
    ----------
    sound : ndarray of shape (n_times,)
        At the samples of the voltages.
    channels : iterable of ndarray of shape (n_times,)
        Raw voltages, one channel at a time.
    usable : ndarray of shape (n_times,), bool
    sfreq_hz : float
    rng : Generator
        Of the bootstrap.
    band_hz : tuple of float
    line_hz : float, optional
        Of the mains.
    max_lag_s : float
        Lags searched, to both sides.
    n_resamples : int
        Bootstrap draws over stretches of the recording, for the interval of the lag.

    Returns
    -------
    WaveformLeaks
        p by Bonferroni over the lags searched, from a normal distribution with the SD of the
        correlations at all other lags: a sum over so many samples has no other, and shifts alone
        could give no p small enough for many channels.

    Raises
    ------
    BrainAlignError
        If the sound does not vary in the band, or the recording is too short.
    """
    known = np.asarray(usable, dtype=np.bool_)
    reach = max(1, round(max_lag_s * sfreq_hz))
    parts = stretches(known, sfreq_hz)
    if len(known) < 20 * reach:
        raise BrainAlignError(
            f"{len(known) / sfreq_hz:.0f} s are too short to tell a leak from other lags.",
            fix="Use a longer recording, or search shorter lags.",
        )
    kept = _kept(len(known), sfreq_hz, band_hz, line_hz)
    voice = _in_band(np.asarray(sound, dtype=np.float64), known, kept)
    if not np.linalg.norm(voice) > 0:
        raise BrainAlignError(
            "The sound does not vary where it would be looked for.",
            fix="Check the audio of this recording.",
        )
    spectrum = fft.rfft(voice / np.linalg.norm(voice)).conj()
    lags = np.arange(-reach, reach + 1)
    found: list[tuple[float, float, float]] = []
    waves: list[Array64] = []
    for channel in channels:
        wave = _levelled(_in_band(np.asarray(channel, dtype=np.float64), known, kept), sfreq_hz)
        wave[~known] = 0.0
        size = float(np.linalg.norm(wave))
        if not size > 0:
            found.append((np.nan, np.nan, np.nan))
            continue
        every = fft.irfft(spectrum * fft.rfft(wave / size), len(wave))
        found.append(_peak(every, lags, sfreq_hz))
        if found[-1][2] <= ALPHA:
            waves.append(wave / size)
        del wave
    r, lag_s, p = np.array(found, dtype=np.float64).reshape(-1, 3).T
    q = benjamini_hochberg(p)
    sure = np.nan_to_num(q[np.nan_to_num(p, nan=1.0) <= ALPHA], nan=1.0) <= ALPHA
    leaking = [wave for wave, one in zip(waves, sure, strict=True) if one]
    leak = None
    if leaking:
        least = float(np.nanmin(p) * np.isfinite(p).sum())
        leak = _lag(voice, leaking, parts, reach, sfreq_hz, min(1.0, least), n_resamples, rng)
    return WaveformLeaks(r, lag_s, p, q, leak)


def _kept(
    n_times: int, sfreq_hz: float, band_hz: tuple[float, float], line_hz: float | None
) -> NDArray[np.bool_]:
    """Frequencies in use: (n_times // 2 + 1,)."""
    low, high = band_hz
    if sfreq_hz < 2 * high:
        raise BrainAlignError(
            f"{sfreq_hz:g} samples per second hold no sound of {high:g} Hz.",
            fix=f"Give sound and voltages at {2 * high:g} Hz at least, or a lower band.",
        )
    frequencies = fft.rfftfreq(n_times, 1 / sfreq_hz)
    kept = (frequencies >= low) & (frequencies <= high)
    if line_hz:
        distance = np.abs((frequencies + line_hz / 2) % line_hz - line_hz / 2)
        kept &= distance > LINE_REACH_HZ
    return np.asarray(kept)


def _in_band(samples: Array64, known: NDArray[np.bool_], kept: NDArray[np.bool_]) -> Array64:
    """Waveform of the frequencies in use; 0 where samples don't count."""
    clean = np.where(known, samples, 0.0)
    clean[known] -= clean[known].mean()
    wave = fft.irfft(np.where(kept, fft.rfft(clean), 0.0), len(clean))
    return np.where(known, wave, 0.0)


def _levelled(wave: Array64, sfreq_hz: float) -> Array64:
    """Divide by the size of the surroundings."""
    width = max(1, round(LOCAL_S * sfreq_hz))
    power = np.maximum(ndimage.uniform_filter1d(wave**2, width, mode="nearest"), 0.0)
    floor = _FLOOR * np.median(power[power > 0]) if (power > 0).any() else 0.0
    return np.asarray(wave / np.sqrt(np.maximum(power, floor if floor > 0 else 1.0)))


def _peak(every: Array64, lags: NDArray[np.int64], sfreq_hz: float) -> tuple[float, float, float]:
    """R furthest from 0 among the lags searched, its lag in s, and its p."""
    near = every[lags]
    reach = len(lags) // 2
    far = every[2 * reach : len(every) - 2 * reach]
    top = int(np.abs(near).argmax())
    z = abs(float(near[top])) / float(np.sqrt(np.mean(far**2)))
    p = min(1.0, len(lags) * 2.0 * float(stats.norm.sf(z)))
    return float(near[top]), float(lags[top]) / sfreq_hz, p


def _lag(
    voice: Array64,
    waves: list[Array64],
    parts: list[NDArray[np.int64]],
    reach: int,
    sfreq_hz: float,
    p: float,
    n_resamples: int,
    rng: np.random.Generator,
) -> Lag:
    """Lag at which the squared correlations of all these channels are highest, together."""
    counts = drawn_counts(len(parts), n_draws=n_resamples, rng=rng)
    counts = np.concatenate([np.ones((1, len(parts))), counts])
    width = max(1, round(SMOOTH_S * sfreq_hz))
    height = np.zeros((len(counts), 2 * reach + 1))
    for wave in waves:
        products = np.stack([_products(voice, wave, rows, reach) for rows in parts])
        height += ndimage.uniform_filter1d((counts @ products) ** 2, width, axis=1)
    places = (height.argmax(axis=1) - reach) / sfreq_hz
    low, high = interval(places[1:])
    half = 0.5 * width / sfreq_hz
    top = int(height[0].argmax())
    return Lag(
        lag_s=float(places[0]),
        low_s=min(low, float(places[0]) - half),
        high_s=max(high, float(places[0]) + half),
        p=p,
        n_draws=0,
        max_lag_s=reach / sfreq_hz,
        at_edge=top in (0, 2 * reach),
    )


def _products(voice: Array64, wave: Array64, rows: NDArray[np.int64], reach: int) -> Array64:
    """Sum products of one stretch of a channel with earlier to later sound: (n_lags,)."""
    first, stop = int(rows[0]), int(rows[-1]) + 1
    own = wave[first:stop]
    padded = np.take(voice, np.arange(first - reach, stop + reach), mode="wrap")
    n = fft.next_fast_len(len(padded) + len(own), real=True)
    cross = fft.irfft(fft.rfft(padded, n) * fft.rfft(own, n).conj(), n)[: 2 * reach + 1]
    return np.asarray(cross[::-1])
