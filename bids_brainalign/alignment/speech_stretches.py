"""When somebody speaks in a stimulus and when nobody does, from words or from the sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.features.lowlevel import ENVELOPE_POWER

MIN_SILENCE_S = 0.5
"""A shorter gap between words belongs to the speech: closures and pauses within a phrase are
shorter (Heldner & Edlund 2010, J. Phonetics 38:555, find pauses of .2 to 1 s between phrases)."""
MIN_SPEECH_S = 0.05
"""A shorter burst of sound in silence is a click or a breath; asked of sound, not of words."""
HEARD_S = 0.1
"""More sound than this between timed words may be an untimed one; less is the edge of a word."""
QUIET_DB = -25.0
"""Sound this far below the loud level of the stimulus counts as silence."""
LOUD_PERCENTILE = 95.0
"""The loud level: a share of the frames that pauses and single peaks don't move."""

Spans = NDArray[np.float64]
"""(n, 2): start and stop in s on the stimulus clock, in order, apart from each other."""


@dataclass(frozen=True)
class Stretches:
    """Speech and silence of one stimulus; what is neither (a short pause) belongs to speech."""

    speech: Spans
    silence: Spans
    source: str
    """``words``, ``words and sound`` or ``sound``."""

    @property
    def onsets_s(self) -> NDArray[np.float64]:
        """Starts of speech that follow silence."""
        starts: NDArray[np.float64] = self.speech[:, 0]
        return starts[np.isin(starts, self.silence[:, 1])]


def speech_stretches(
    words: pd.DataFrame | None,
    envelope: NDArray[np.floating],
    *,
    rate_hz: float,
    duration_s: float,
    words_complete: bool = True,
) -> Stretches:
    """Find the stretches of speech and of silence.

    Parameters
    ----------
    words : DataFrame, optional
        ``onset`` and ``duration`` in s. Without them, or if they are empty, the sound decides.
    envelope : ndarray of shape (n_frames,)
        The first low-level feature: amplitude to the power 0.6.
    rate_hz : float
        Its frames per second.
    duration_s : float
        Of the stimulus.
    words_complete : bool
        Some words have no time if not: then a gap between words must also be quiet.

    Returns
    -------
    Stretches
    """
    loud = _loud(envelope, rate_hz=rate_hz)
    if words is None or not len(words):
        speech = _joined(loud)
        return Stretches(speech, _gaps(speech, duration_s), "sound")
    starts = words["onset"].to_numpy(dtype=np.float64)
    spans = np.stack([starts, starts + words["duration"].to_numpy(dtype=np.float64)], axis=1)
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    speech = _joined(spans)
    silence = _gaps(speech, duration_s)
    if words_complete:
        return Stretches(speech, silence, "words")
    common = np.minimum(loud[:, 1], silence[:, 1:]) - np.maximum(loud[:, 0], silence[:, :1])
    heard_s = np.maximum(common, 0.0).sum(axis=1)  # (n_silence,)
    return Stretches(speech, silence[heard_s < HEARD_S], "words and sound")


def within(clock_s: NDArray[np.float64], spans: Spans) -> NDArray[np.bool_]:
    """Whether each time lies in one of the spans; NaN lies in none."""
    inside = np.zeros(len(clock_s), dtype=bool)
    for start, stop in spans:
        inside |= (clock_s >= start) & (clock_s < stop)
    return inside


def _loud(envelope: NDArray[np.floating], *, rate_hz: float) -> Spans:
    """Spans of sound above the threshold."""
    amplitude = np.maximum(np.asarray(envelope, dtype=np.float64), 0.0) ** (1 / ENVELOPE_POWER)
    level = float(np.percentile(amplitude, LOUD_PERCENTILE)) if len(amplitude) else 0.0
    above = np.concatenate([[False], amplitude > level * 10 ** (QUIET_DB / 20), [False]])
    edges = np.flatnonzero(np.diff(above.astype(np.int8))).reshape(-1, 2)
    spans = np.asarray(
        (edges - 0.5) / rate_hz, dtype=np.float64
    )  # a frame stands for half a frame to each side
    return spans[spans[:, 1] - spans[:, 0] >= MIN_SPEECH_S]


def _joined(spans: Spans) -> Spans:
    """Spans in order of onset, joined across gaps that are too short for silence."""
    joined: list[list[float]] = []
    for start, stop in spans:
        if joined and start - joined[-1][1] < MIN_SILENCE_S:
            joined[-1][1] = max(joined[-1][1], stop)
        else:
            joined.append([start, stop])
    return np.array(joined, dtype=np.float64).reshape(-1, 2)


def _gaps(speech: Spans, duration_s: float) -> Spans:
    starts = np.concatenate([[0.0], speech[:, 1]])
    stops = np.concatenate([speech[:, 0], [duration_s]])
    long = stops - starts >= MIN_SILENCE_S
    return np.stack([starts[long], stops[long]], axis=1)
