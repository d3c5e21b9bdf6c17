"""Sound in the voltages: microphonic cables, amplifiers and electrodes that hear the voice.

After Roussel et al. 2020 (J Neural Eng 17:056028): sound and voltages are correlated over time for
every pair of frequency bins; what leaks has the frequency that it had, and raises the diagonal.
Three things raise it without a leak, and are dealt with: speech-locked high gamma changes all bins
together (each frame counts only about a smooth curve over frequency), it follows the loudness
(taken out of the sound), and mains hum is in both (its harmonics are left out).

In five minutes of speech, leaks are found in half of the channels at 18 to 25 dB below a channel's
own power between 70 and 170 Hz, and in nine of ten at 15 to 23 dB, the least in low voices
(simulated). Two things still pass for a leak: a neural response that follows the pitch cycle by
cycle, of which only the lag is a cortex's, and hum in the sound that is about as loud as the voice
and swings several times a second.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.fine_spectra import (
    HOP_S,
    Bins,
    make_bins,
    neural_detail,
    sound_detail,
)
from bids_brainalign.production.lags import (
    Lag,
    draw_shifts,
    drawn_counts,
    interval,
    peaks,
    per_pair,
    share_reached,
    stretches,
)
from bids_brainalign.statistics.multiplicity import benjamini_hochberg

Array64 = NDArray[np.float64]

HIGH_GAMMA_HZ = (70.0, 170.0)
ALPHA = 0.05


@dataclass(frozen=True)
class Contamination:
    """What of the sound's fine spectrum is found in each channel."""

    frequencies_hz: Array64
    """(n_bins,) bins of the band, without those near harmonics of the line."""
    matrix: Array64
    """(n_channels, n_bins, n_bins) correlation over time at lag 0 of each bin of the sound with
    each bin of the channel, both without what is broadband."""
    r: Array64
    """(n_channels,) correlation of both fine spectra over bins and frames, that is the mean of
    the diagonal weighted by how much bins vary, at the lag at which it is highest."""
    lag_s: Array64
    """(n_channels,) that lag; positive where the channel comes after the sound."""
    p: Array64
    """(n_channels,) of an r as high at any lag searched, by circular shifts; NaN for channels that
    don't vary."""
    q: Array64
    """(n_channels,) Benjamini-Hochberg over channels."""
    r_zero: Array64
    """(n_channels,) r at lag 0."""
    p_zero: Array64
    """(n_channels,) its p: of lag 0 alone, as published."""
    leak: Lag
    """Lag of what leaks, which is that of the clocks: of the flagged channels together, or of all
    channels where none is flagged. Its p asks whether anything leaks anywhere."""
    sound_share: float
    """Share of the sound's power that lies in the bins: next to none of a sound that was recorded
    through a high-pass, and then little can be found."""

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """(n_channels,) whether q is at most .05."""
        return np.asarray(np.nan_to_num(self.q, nan=1.0) <= ALPHA)

    @property
    def diagonal(self) -> Array64:
        """(n_channels, n_bins) of the matrices."""
        return np.asarray(np.diagonal(self.matrix, axis1=1, axis2=2))

    @property
    def contrast(self) -> Array64:
        """(n_channels,) mean of the diagonal less the mean off it."""
        n = self.matrix.shape[1]
        on, every = self.diagonal.sum(axis=1), self.matrix.sum(axis=(1, 2))
        return np.asarray(on / n - (every - on) / (n * n - n))


def contamination(
    sound: NDArray[np.floating],
    channels: Iterable[NDArray[np.floating]],
    usable: NDArray[np.bool_],
    *,
    sfreq_hz: float,
    rng: np.random.Generator,
    band_hz: tuple[float, float] = HIGH_GAMMA_HZ,
    line_hz: float | None = 50.0,
    max_lag_s: float = 0.5,
    n_draws: int = 10_000,
    n_resamples: int = 1000,
) -> Contamination:
    """Look for the sound in the voltages of each channel.

    Parameters
    ----------
    sound : ndarray of shape (n_times,)
        Spoken or played back, at the samples of the voltages
        (:func:`~bids_brainalign.responses.resampling.to_clock`).
    channels : iterable of ndarray of shape (n_times,)
        Raw voltages, one channel at a time.
    usable : ndarray of shape (n_times,), bool
        Samples that count.
    sfreq_hz : float
        Of both.
    rng : Generator
    band_hz : tuple of float
        Frequencies looked at; for the lag alone, more of the voice is better.
    line_hz : float, optional
        Of the mains.
    max_lag_s : float
        Lags searched, to both sides.
    n_draws : int
        Draws of circular shifts of the sound for p, the same for all channels.
    n_resamples : int
        Bootstrap draws for the interval of the lag.

    Returns
    -------
    Contamination

    Raises
    ------
    BrainAlignError
        If the sound does not vary in the band, or the recording is too short.
    """
    known = np.asarray(usable, dtype=np.bool_)
    bins = make_bins(known, sfreq_hz, band_hz=band_hz, line_hz=line_hz)
    search = _Search(np.asarray(sound), bins, max(1, round(max_lag_s / HOP_S)), n_draws, rng)
    found, total = [], search.nothing
    for channel in channels:
        one, products = search.channel(np.asarray(channel))
        found.append(one)
        total = total + products
    if not found:
        raise BrainAlignError("There is no channel to look for the sound in.")
    p = np.array([one.p for one in found])
    if not np.isfinite(p).any():
        raise BrainAlignError("No channel varies: there is nothing to look for the sound in.")
    q = benjamini_hochberg(p)
    leaking = np.nan_to_num(q, nan=1.0) <= ALPHA
    near = np.stack([one.near for one in found])[leaking if leaking.any() else slice(None)]
    one_of_them = float(np.nanmin(p)) * int(np.isfinite(p).sum())
    either = min(1.0, 2 * min(one_of_them, search.p(total)[0]))
    return Contamination(
        frequencies_hz=bins.frequencies_hz,
        matrix=np.stack([one.matrix for one in found]),
        r=np.array([one.r for one in found]),
        lag_s=np.array([one.lag_s for one in found]),
        p=p,
        q=q,
        r_zero=np.array([one.r_zero for one in found]),
        p_zero=np.array([one.p_zero for one in found]),
        leak=search.lag(near.sum(axis=0), either, n_resamples, rng),
        sound_share=search.sound_share,
    )


@dataclass(frozen=True)
class _Channel:
    r: float
    lag_s: float
    p: float
    r_zero: float
    p_zero: float
    matrix: Array64
    near: Array64
    """(n_stretches, n_lags) products of the fine spectra."""


class _Search:
    """The sound, ready for any number of channels."""

    def __init__(
        self,
        sound: NDArray[np.floating],
        bins: Bins,
        reach: int,
        n_draws: int,
        rng: np.random.Generator,
    ) -> None:
        self._bins, self._reach = bins, reach
        self._parts = stretches(bins.known, 1 / HOP_S)
        self._shifts = draw_shifts(bins.known, reach, n_draws=n_draws, rng=rng)
        power, whole = bins.powers(sound)
        if not np.isfinite(power[bins.known]).all() or not np.ptp(power[bins.known]) > 0:
            raise BrainAlignError(
                "The sound does not vary, or is not known, where it would be looked for.",
                fix="Check the audio of this recording.",
            )
        self.sound_share = float(power[bins.known].sum() / whole[bins.known].sum())
        self._sound = sound_detail(power, whole, bins)
        self._spectrum = fft.rfft(self._shifts.blocks(self._sound), axis=1).conj()
        self._factors = self._shifts.factors()
        self._pairs = per_pair(bins.known)[np.arange(-reach, reach + 1)]
        self.nothing = np.zeros(self._factors.shape)

    def channel(self, voltages: NDArray[np.floating]) -> tuple[_Channel, Array64]:
        """Find what a channel has of the sound, and its products by block, (n_blocks, length)."""
        detail = neural_detail(self._bins.powers(voltages)[0], self._bins)
        near = self._products(detail)
        matrix = _correlations(self._sound, detail)
        if not detail.any():
            nan = float("nan")
            none = _Channel(nan, nan, nan, nan, nan, np.full_like(matrix, nan), near)
            return none, self.nothing
        spectrum = fft.rfft(self._shifts.blocks(detail), axis=1)
        cross = np.einsum("bkf,bkf->bk", self._spectrum, spectrum)
        products = fft.irfft(cross, self._shifts.length, axis=1) * self._factors
        p, p_zero = self.p(products)
        r = near.sum(axis=0) * self._pairs
        place = float(peaks(r) - self._reach) * HOP_S
        top, at_zero = float(r.max()), float(r[self._reach])
        return _Channel(top, place, p, at_zero, p_zero, matrix, near), products

    def p(self, products: Array64) -> tuple[float, float]:
        """P of the highest of all lags, and of lag 0 alone."""
        observed, drawn = self._shifts.observed(products), self._shifts.drawn(products)
        zero = share_reached(observed[self._reach], drawn[:, self._reach])
        return float(share_reached(observed.max(), drawn.max(axis=1))), float(zero)

    def lag(self, near: Array64, p: float, n_resamples: int, rng: np.random.Generator) -> Lag:
        """Lag at which products (n_stretches, n_lags) peak."""
        profile = near.sum(axis=0)
        counts = drawn_counts(len(near), n_draws=n_resamples, rng=rng)
        low, high = interval((peaks(counts @ near) - self._reach) * HOP_S)
        return Lag(
            lag_s=float(peaks(profile) - self._reach) * HOP_S,
            low_s=low,
            high_s=high,
            p=p,
            n_draws=len(self._shifts.offsets),
            max_lag_s=self._reach * HOP_S,
            at_edge=bool(np.argmax(profile) in (0, 2 * self._reach)),
        )

    def _products(self, detail: Array64) -> Array64:
        """Products with earlier to later sound, by stretch: (n_stretches, n_lags)."""
        reach, n = self._reach, len(detail)
        around = np.concatenate([self._sound[-reach:], self._sound, self._sound[:reach]])
        firsts = np.array([rows[0] for rows in self._parts])
        firsts[0] = 0
        out = np.empty((len(firsts), 2 * reach + 1))
        for place, lag in enumerate(range(-reach, reach + 1)):
            lagged = around[reach - lag : reach - lag + n]
            out[:, place] = np.add.reduceat(np.einsum("tf,tf->t", lagged, detail), firsts)
        return out


def _correlations(sound: Array64, channel: Array64) -> Array64:
    """Correlations over frames of all pairs of bins; both have mean 0: (n_bins, n_bins)."""
    a, b = np.linalg.norm(sound, axis=0), np.linalg.norm(channel, axis=0)
    size = a[:, None] * b
    return np.asarray((sound.T @ channel) / np.where(size > 0, size, np.inf))
