"""Responses while somebody speaks against responses while nobody does.

Samples of a response are not independent and a t-test over them finds differences everywhere.
Here the labels (speech, silence) are shifted circularly against the response, each run by an
offset of its own: both keep their own autocorrelation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from bids_brainalign.statistics.multiplicity import benjamini_hochberg
from bids_brainalign.statistics.nulls import draw_offsets, fold_kind
from bids_brainalign.statistics.tails import p_values

MIN_SILENCE_SAMPLES = 50
"""Silent samples that a run must have to count …"""
MIN_STRETCHES = 5
"""… and stretches of them: one long pause is one observation."""

Array64 = NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """One recording: its responses and the labels of its samples."""

    data: NDArray[np.floating]
    """(n_times, n_targets)."""
    speech: NDArray[np.bool_]
    silence: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    """(n_times,): samples that are not valid hold no response."""


@dataclass(frozen=True)
class Contrast:
    """Difference of each target between speech and silence."""

    d: Array64
    """(n_targets,): mean in speech minus mean in silence, over their pooled SD."""
    p: Array64
    """Two-sided; NaN without a null."""
    q: Array64
    n_speech: int
    n_silence: int
    n_draws: int
    reason: str
    """Why there is no difference or no p value; empty if there are both."""


def silence_contrast(
    runs: Sequence[Run],
    *,
    decorrelation_samples: float,
    n_draws: int,
    rng: np.random.Generator,
) -> Contrast:
    """Compare responses to speech with responses to silence.

    The difference is taken within each run, in SD of the run's labelled samples (pooled within
    the two labels), and averaged over runs by the precision that their sample counts give,
    n₁n₂/(n₁+n₂): a run whose mean is higher changes nothing.

    Parameters
    ----------
    runs : sequence of Run
        The same targets in each.
    decorrelation_samples : float
        Decorrelation time of the responses. Runs shorter than 50 of them carry no null
        (:func:`~.nulls.fold_kind`) and are left out of difference and test.
    n_draws : int
        Shifts.
    rng : Generator

    Returns
    -------
    Contrast
    """
    n_targets = runs[0].data.shape[1]
    steps = max(decorrelation_samples, 1.0)
    trimmed = [_trimmed(run) for run in runs]
    enough = [run for run in trimmed if _has_silence(run)]
    if not enough:
        seconds = f"{MIN_SILENCE_SAMPLES} silent samples in {MIN_STRETCHES} stretches"
        return _nothing(n_targets, trimmed, f"too little silence: no recording has {seconds}")
    usable = [run for run in enough if fold_kind(int(run.valid.sum()), steps) == "shift"]
    kept = usable or enough
    offsets = None
    if usable:
        lengths = [len(run.valid) for run in usable]
        least = max(1, min(round(steps), min(lengths) // 4))
        offsets = draw_offsets(lengths, n_draws=n_draws, min_offset=least, rng=rng)
    total, weight = np.zeros(n_targets), np.zeros(n_targets)
    null = None if offsets is None else np.zeros((len(offsets), n_targets))
    null_weight = np.zeros((0 if offsets is None else len(offsets), n_targets))
    for k, run in enumerate(kept):
        every, precision = _at_every_shift(run)
        total += precision[0] * every[0]
        weight += precision[0]
        if offsets is not None and null is not None:
            null += (precision * every)[offsets[:, k]]
            null_weight += precision[offsets[:, k]]
    with np.errstate(invalid="ignore", divide="ignore"):
        d = total / weight
        drawn = None if null is None else np.nan_to_num(null / null_weight)
    p = np.full(n_targets, np.nan)
    varied = np.isfinite(d)
    if drawn is not None and varied.any():
        p[varied] = p_values(np.abs(d[varied]), np.abs(drawn[:, varied]))
    reason = "" if usable else "no recording lasts 50 decorrelation times of the responses"
    return Contrast(
        d=d,
        p=p,
        q=benjamini_hochberg(p),
        n_speech=sum(int((r.speech & r.valid).sum()) for r in kept),
        n_silence=sum(int((r.silence & r.valid).sum()) for r in kept),
        n_draws=0 if offsets is None else len(offsets),
        reason=reason,
    )


def _trimmed(run: Run) -> Run:
    """From the first to the last valid sample: the track that labels are shifted along."""
    rows = np.flatnonzero(run.valid)
    if not len(rows):
        return run
    span = slice(int(rows[0]), int(rows[-1]) + 1)
    return Run(run.data[span], run.speech[span], run.silence[span], run.valid[span])


def _has_silence(run: Run) -> bool:
    silent, spoken = run.silence & run.valid, run.speech & run.valid
    stretch = np.cumsum(np.diff(run.silence.astype(np.int8), prepend=0) > 0)
    n_stretches = len(np.unique(stretch[silent]))
    enough = silent.sum() >= MIN_SILENCE_SAMPLES and n_stretches >= MIN_STRETCHES
    return bool(enough and spoken.any())


def _nothing(n_targets: int, runs: Sequence[Run], reason: str) -> Contrast:
    nan = np.full(n_targets, np.nan)
    n_speech = sum(int((r.speech & r.valid).sum()) for r in runs)
    n_silence = sum(int((r.silence & r.valid).sum()) for r in runs)
    return Contrast(nan, nan, nan, n_speech, n_silence, 0, reason)


def _at_every_shift(run: Run) -> tuple[Array64, Array64]:
    """Difference in SD and its precision for labels shifted by 0, 1, … samples.

    Returns
    -------
    difference, precision : array (n_times, n_targets)
        Precision 0 and difference 0 where a shift leaves a label without valid samples, or where
        a target does not vary.
    """
    n = len(run.valid)
    y = np.where(run.valid[:, None], run.data, 0.0).astype(np.float64)
    y = np.where(run.valid[:, None], y - y.sum(axis=0) / run.valid.sum(), 0.0)
    steady = np.ptp(y, axis=0) <= 1e-9 * np.abs(run.data[run.valid]).max(axis=0)
    spectrum, valid, power = (fft.rfft(x, axis=0) for x in (y, run.valid * 1.0, y**2))

    def correlated(label: NDArray[np.bool_], other: NDArray[np.complex128]) -> Array64:
        shape = (-1, *([1] * (other.ndim - 1)))
        labels = np.conj(fft.rfft(label * 1.0)).reshape(shape)
        return np.asarray(fft.irfft(labels * other, n, axis=0))

    counts, means, squares = [], [], []
    for label in (run.speech, run.silence):
        count = np.round(correlated(label, valid))
        counts.append(count)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = correlated(label, spectrum) / count[:, None]
        means.append(mean)
        squares.append(correlated(label, power) - count[:, None] * mean**2)
    both = np.minimum(counts[0], counts[1]) >= 2
    degrees = (counts[0] + counts[1] - 2)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        sd = np.sqrt(np.maximum(squares[0] + squares[1], 0.0) / degrees)
        difference = (means[0] - means[1]) / sd
        precision = (counts[0] * counts[1] / (counts[0] + counts[1]))[:, None]
    good = both[:, None] & ~steady & np.isfinite(difference)
    return np.where(good, difference, 0.0), np.where(good, precision, 0.0)
