"""Whether the clocks of sound and recording stay together: the lag early and late."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bids_brainalign.alignment.onset_check import onset_check

REACH_S = 0.5
"""Lags between a part and the middle third that are searched, to both sides."""
KERNEL_S = (-0.1, 0.6)
"""Lags of the response to sound: what the middle third teaches."""
SEARCH_S = 1.0
"""Lags that the test of each third searches, to both sides."""
BLOCKS = 8
"""Per third, for the jackknife."""
MIN_THIRD_S = 20.0
"""A shorter third tells nothing."""
FOLLOWERS = 0.25
"""Share of targets taken: those that follow the sound best in the middle third."""
DETERMINED = 0.01
"""p below which the sound is linked to the responses of a third."""
FLAG_S = 0.02
"""Drift that matters: one frame of speech models, the issue's limit."""


@dataclass(frozen=True)
class ThirdLag:
    """Lag of the responses behind the sound in one third of a recording."""

    start_s: float
    stop_s: float
    """On the recording clock."""
    lag_s: float
    se_s: float
    """Standard error, jackknife over blocks of the third."""
    p: float
    """From :func:`~.onset_check.onset_check` on the same targets."""


@dataclass(frozen=True)
class ClockDrift:
    """Lags at the first and the last third, and their difference."""

    first: ThirdLag
    last: ThirdLag
    drift_s: float
    """Last minus first; NaN unless both are determined."""
    low_s: float
    high_s: float
    """95 % interval of the drift."""
    rate_ppm: float
    """Drift over the time between the middles of the thirds, parts per million."""
    n_targets: int
    reason: str
    """Why there is no drift; empty if there is."""

    @property
    def flagged(self) -> bool:
        """Whether the drift is above 20 ms and its interval does not hold 0."""
        return bool(abs(self.drift_s) > FLAG_S and (self.low_s > 0 or self.high_s < 0))


def clock_drift(
    envelope: NDArray[np.floating],
    responses: NDArray[np.floating],
    *,
    times_s: NDArray[np.float64],
    rng: np.random.Generator,
) -> ClockDrift:
    """Compare the lag between sound and responses at the start and at the end of a recording.

    The middle third teaches which targets follow the sound and at which lags (their
    cross-correlation, the kernel); first and last third are matched with that kernel, shifted by
    up to half a second, and the best shift is interpolated between samples by a parabola. Middle
    and ends share no sample, so noise pulls neither end to a lag.

    Parameters
    ----------
    envelope : ndarray of shape (n_times,)
        Sound level at the responses' samples; NaN where nothing played.
    responses : ndarray of shape (n_times, n_targets)
        NaN where censored.
    times_s : ndarray of shape (n_times,)
        Recording clock, evenly spaced.
    rng : Generator

    Returns
    -------
    ClockDrift
    """
    interval = float(np.median(np.diff(times_s)))
    rows = np.flatnonzero(np.isfinite(envelope))
    if not len(rows) or (rows[-1] - rows[0]) * interval < 3 * MIN_THIRD_S:
        return _undetermined(f"the sound lasts less than {3 * MIN_THIRD_S:.0f} s")
    parts = np.array_split(np.arange(rows[0], rows[-1] + 1), 3)
    taught = _cross(envelope[parts[1]], responses[parts[1]], interval)[0]
    lags = _lags(interval)
    inside = (lags * interval >= KERNEL_S[0] - 1e-9) & (lags * interval <= KERNEL_S[1] + 1e-9)
    size = np.abs(taught[inside]).max(axis=0)
    chosen = np.argsort(-size)[: max(1, round(FOLLOWERS * np.count_nonzero(size)))]
    if not size.any():
        return _undetermined("sound or responses do not vary")
    kernel = np.where(inside[:, None], taught, 0.0)[:, chosen]
    peak = _peak(np.sum(kernel**2, axis=1)[inside]) + lags[inside][0]
    thirds = []
    for part in (parts[0], parts[2]):
        sound, data = envelope[part], responses[part][:, chosen]
        shift, error = _matched_shift(sound, data, kernel, interval)
        check = onset_check(sound, data, interval_s=interval, max_lag_s=SEARCH_S, rng=rng)
        ends = float(times_s[part[0]]), float(times_s[part[-1]])
        thirds.append(ThirdLag(*ends, (peak + shift) * interval, error * interval, check.p))
    return _compared(thirds[0], thirds[1], len(chosen))


def _compared(first: ThirdLag, last: ThirdLag, n_targets: int) -> ClockDrift:
    weak = [
        name
        for name, third in (("first", first), ("last", last))
        if not third.p < DETERMINED or not np.isfinite(third.se_s)
    ]
    if weak:
        which = " and the ".join(weak)
        empty = _undetermined(f"no lag links sound and responses in the {which} third")
        return replace(empty, first=first, last=last, n_targets=n_targets)
    drift = last.lag_s - first.lag_s
    variances = np.array([first.se_s**2, last.se_s**2])
    degrees = variances.sum() ** 2 / (np.sum(variances**2) / (BLOCKS - 1))  # Welch's
    half = float(stats.t.ppf(0.975, degrees) * np.sqrt(variances.sum()))
    apart = (last.start_s + last.stop_s - first.start_s - first.stop_s) / 2
    return ClockDrift(
        first, last, drift, drift - half, drift + half, 1e6 * drift / apart, n_targets, ""
    )


def _undetermined(reason: str) -> ClockDrift:
    nan = float("nan")
    nothing = ThirdLag(nan, nan, nan, nan, nan)
    return ClockDrift(nothing, nothing, nan, nan, nan, nan, 0, reason)


def _lags(interval_s: float) -> NDArray[np.int_]:
    """Lags of the kernel and of its shifts together."""
    reach = round(REACH_S / interval_s)
    return np.arange(
        round(KERNEL_S[0] / interval_s) - reach, round(KERNEL_S[1] / interval_s) + reach + 1
    )


def _cross(
    sound: NDArray[np.floating],
    data: NDArray[np.floating],
    interval_s: float,
    *,
    n_blocks: int = 1,
) -> NDArray[np.float64]:
    """Cross-products of sound and standardised responses, per block.

    Returns
    -------
    ndarray of shape (n_blocks, n_lags, n_targets)
        Products reach across the borders of blocks, so that blocks add up to the whole.
    """
    lags = _lags(interval_s)
    x, y = _standard(sound[:, None])[:, 0], _standard(data)
    out = np.zeros((n_blocks, len(lags), y.shape[1]))
    for block, rows in enumerate(np.array_split(np.arange(len(x)), n_blocks)):
        for i, lag in enumerate(lags):
            start, stop = max(rows[0], -lag), min(rows[-1] + 1, len(x) - lag)
            out[block, i] = x[start:stop] @ y[start + lag : stop + lag]
    return out / len(x)


def _standard(data: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean 0, SD 1; missing and constant columns become 0."""
    known = np.isfinite(data)
    count = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, data, 0.0).astype(np.float64)
    centred = np.where(known, centred - centred.sum(axis=0) / count, 0.0)
    sd = np.sqrt((centred**2).sum(axis=0) / count)
    steady = sd <= 1e-9
    return np.where(steady, 0.0, centred / np.where(steady, 1.0, sd))


def _matched_shift(
    sound: NDArray[np.floating],
    data: NDArray[np.floating],
    kernel: NDArray[np.float64],
    interval_s: float,
) -> tuple[float, float]:
    """Shift of the kernel that fits best, and its standard error, in samples."""
    blocks = _cross(sound, data, interval_s, n_blocks=BLOCKS)
    reach = round(REACH_S / interval_s)
    shifts = range(-reach, reach + 1)
    # The kernel is 0 outside its own lags, so rolling it loses nothing.
    fit = np.array(
        [[np.sum(np.roll(kernel, shift, axis=0) * block) for shift in shifts] for block in blocks]
    )
    without = [_peak(fit.sum(axis=0) - own) - reach for own in fit]
    spread = np.sum((np.array(without) - np.mean(without)) ** 2)
    return _peak(fit.sum(axis=0)) - reach, float(np.sqrt((BLOCKS - 1) / BLOCKS * spread))


def _peak(values: NDArray[np.float64]) -> float:
    """Position of the maximum, by the parabola through it and its neighbours."""
    top = int(np.argmax(values))
    if top in (0, len(values) - 1):
        return float(top)
    left, middle, right = values[top - 1 : top + 2]
    bend = left - 2 * middle + right
    return top + (0.5 * float(left - right) / float(bend) if bend < 0 else 0.0)
