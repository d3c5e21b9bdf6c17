"""Features of the stimuli of one run onto the clock of its response."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.alignment.hrf import FIR, hrf_matrix
from bids_brainalign.alignment.lanczos import lanczos_matrix

_ROUNDING_S = 1e-6
"""A frame stamped with the sample's own time is there, whatever the last digit says."""
_ROWS = 1024
"""Samples interpolated at once: bounds memory, as the sums are float64."""


@dataclass(frozen=True)
class Placement:
    """Where a stimulus lies on the clock of a run."""

    onset_s: float
    """Recording time of stimulus time 0."""
    duration_s: float
    segments: tuple[tuple[float, float], ...]
    """Parts that were played, s on the stimulus clock."""


def stimulus_clock(times_s: NDArray[np.float64], placement: Placement) -> NDArray[np.float64]:
    """Second of the stimulus at every response sample; NaN while it did not play.

    Returns
    -------
    ndarray of shape (n_times,)
    """
    clock = times_s - placement.onset_s
    playing = np.zeros(len(clock), dtype=bool)
    for start, stop in placement.segments:
        playing |= (clock >= start) & (clock <= min(stop, placement.duration_s))
    return np.where(playing, clock, np.nan)


def onto_fast_clock(
    frames: NDArray[np.float32],
    frame_times_s: NDArray[np.float64],
    times_s: NDArray[np.float64],
    placement: Placement,
    *,
    hold: bool = False,
) -> NDArray[np.float32]:
    """Features at the response's samples, linearly interpolated; 0 while nothing played.

    Parameters
    ----------
    frames : ndarray of shape (n_frames, n_dims)
        At (about) the rate of the response.
    frame_times_s : ndarray of shape (n_frames,)
        s on the stimulus clock.
    times_s : ndarray of shape (n_times,)
        s on the recording clock.
    placement : Placement
    hold : bool
        Keep each frame until the next one instead: nothing comes before its time. Where there is
        no frame yet, 0.

    Returns
    -------
    ndarray of shape (n_times, n_dims), float32
    """
    out = np.zeros((len(times_s), frames.shape[1]), dtype=np.float32)
    _add_onto_fast_clock(out, frames, frame_times_s, times_s, placement, hold=hold)
    return out


def _add_onto_fast_clock(
    out: NDArray[np.float32],
    frames: NDArray[np.float32],
    frame_times_s: NDArray[np.float64],
    times_s: NDArray[np.float64],
    placement: Placement,
    *,
    hold: bool,
) -> None:
    clock = stimulus_clock(times_s, placement)
    playing = np.flatnonzero(np.isfinite(clock))
    for start in range(0, len(playing), _ROWS):
        rows = playing[start : start + _ROWS]
        if hold:
            latest = np.searchsorted(frame_times_s, clock[rows] + _ROUNDING_S, side="right") - 1
            out[rows[latest >= 0]] += frames[latest[latest >= 0]]
            continue
        right = np.clip(np.searchsorted(frame_times_s, clock[rows]), 1, len(frame_times_s) - 1)
        left = right - 1
        span = frame_times_s[right] - frame_times_s[left]
        share = np.clip((clock[rows] - frame_times_s[left]) / span, 0.0, 1.0)[:, None]
        between = (1 - share) * frames[left] + share * frames[right]
        out[rows] += between.astype(np.float32)


def held_means(
    frames: NDArray[np.float32], frame_times_s: NDArray[np.float64], *, rate_hz: float
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Means, over equal steps, of frames that are held until the next one.

    Parameters
    ----------
    frames : ndarray of shape (n_frames, n_dims)
    frame_times_s : ndarray of shape (n_frames,)
        Rising, in any steps; the last frame has no duration.
    rate_hz : float
        Steps per second.

    Returns
    -------
    means : ndarray of shape (n_steps, n_dims), float32
    times : ndarray of shape (n_steps,)
        The middles of the steps.
    """
    n_steps = max(1, round(float(frame_times_s[-1] - frame_times_s[0]) * rate_hz))
    edges = frame_times_s[0] + np.arange(n_steps + 1) / rate_hz
    area = np.zeros(frames.shape, dtype=np.float64)  # of the frames before each one
    np.cumsum(frames[:-1] * np.diff(frame_times_s)[:, None], axis=0, out=area[1:])
    at = np.clip(np.searchsorted(frame_times_s, edges, side="right") - 1, 0, len(frames) - 2)
    inside = np.minimum(edges, frame_times_s[-1]) - frame_times_s[at]
    total = area[at] + inside[:, None] * frames[at]
    means = np.diff(total, axis=0) * rate_hz
    return means.astype(np.float32), (edges[:-1] + edges[1:]) / 2


def onto_slow_clock(
    frames: NDArray[np.float32],
    frame_times_s: NDArray[np.float64],
    times_s: NDArray[np.float64],
    placement: Placement,
    *,
    cutoff_hz: float,
    hrf: str = FIR,
) -> NDArray[np.float32]:
    """Lanczos low-pass and resampling of features at the volumes' times.

    Frames outside the parts that were played do not count. Parameters as
    :func:`onto_fast_clock`; ``cutoff_hz`` as :func:`lanczos_matrix`; ``hrf`` as
    :func:`hrf_matrix`, or ``fir``: no response.

    Returns
    -------
    ndarray of shape (n_times, n_dims), float32
    """
    played = np.zeros(len(frame_times_s), dtype=bool)
    for start, stop in placement.segments:
        played |= (frame_times_s >= start) & (frame_times_s <= stop)
    heard_s = frame_times_s[played] + placement.onset_s
    weights = (
        lanczos_matrix(heard_s, times_s, cutoff_hz=cutoff_hz)
        if hrf == FIR
        else hrf_matrix(heard_s, times_s, cutoff_hz=cutoff_hz, hrf=hrf)
    )
    return np.asarray(weights @ frames[played], dtype=np.float32)


def held_age_s(
    frame_times_s: NDArray[np.float64], times_s: NDArray[np.float64], placement: Placement
) -> float:
    """Mean age of held frames in s: a lag measured with them is that much too short.

    Parameters as :func:`onto_fast_clock`; NaN where nothing played.
    """
    clock = stimulus_clock(times_s, placement)
    clock = clock[np.isfinite(clock)]
    latest = np.searchsorted(frame_times_s, clock + _ROUNDING_S, side="right") - 1
    heard = latest >= 0
    return float(np.mean(clock[heard] - frame_times_s[latest[heard]])) if heard.any() else np.nan


def add_onto_response_clock(
    out: NDArray[np.float32],
    frames: NDArray[np.float32],
    frame_times_s: NDArray[np.float64],
    times_s: NDArray[np.float64],
    placement: Placement,
    *,
    slow: bool,
    hold: bool = False,
    hrf: str = FIR,
) -> None:
    """Add features on the clock of a response: low-passed for volumes, else interpolated.

    A run may have hundreds of presentations: all of them share one array.

    Parameters
    ----------
    out : ndarray of shape (n_times, n_dims), float32
        Changed in place.
    slow : bool
        For fMRI, whose features come at a higher rate than its volumes.
    frames, frame_times_s, times_s, placement, hold
        As :func:`onto_fast_clock`; ``hold`` counts where ``slow`` is false.
    hrf : str
        As :func:`onto_slow_clock`; counts where ``slow`` is true.
    """
    if not slow:
        _add_onto_fast_clock(out, frames, frame_times_s, times_s, placement, hold=hold)
        return
    cutoff_hz = 1 / float(np.median(np.diff(times_s)))
    out += onto_slow_clock(frames, frame_times_s, times_s, placement, cutoff_hz=cutoff_hz, hrf=hrf)


def onto_response_clock(
    frames: NDArray[np.float32],
    frame_times_s: NDArray[np.float64],
    times_s: NDArray[np.float64],
    placement: Placement,
    *,
    slow: bool,
    hold: bool = False,
) -> NDArray[np.float32]:
    """Features on the clock of a response; parameters as :func:`add_onto_response_clock`.

    Returns
    -------
    ndarray of shape (n_times, n_dims), float32
    """
    out = np.zeros((len(times_s), frames.shape[1]), dtype=np.float32)
    add_onto_response_clock(out, frames, frame_times_s, times_s, placement, slow=slow, hold=hold)
    return out
