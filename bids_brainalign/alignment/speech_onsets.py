"""When each cued word was spoken, and how loud, from the level of the sound (pure arrays)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from bids_brainalign.alignment.sound_level import FRAME_S, HOP_S, SoundLevel

SMOOTH_S = 0.02
"""Speech is looked for in the mean power over this."""
QUIET_PERCENT = 5.0
"""Percentile of the level that lies within the noise, as at least this share of the time is
silent even in a running story."""
RANGE_DB = 60.0
"""Noise further below the loud level (95th percentile) counts as this far: digital silence."""
MARGIN_DB, MARGIN_SD = 4.0, 4.0
"""A sound begins this far above the noise: in dB, or in SDs of the level of Gaussian noise of that
bandwidth, where these are more (slow sounds)."""
BELOW_DB = 35.0
"""… and no further below the peak of its word: quieter sound is breath, or the room. The weakest
fricatives have 28 dB less power than the strongest vowels (Fletcher 1953)."""
CORE_DB, CORE_S = 5.0, 0.05
"""Speech rises this far above the threshold of sound, for this long in all: clicks don't."""
VOICE_DB = 20.0
"""… and as near as this to the peak of its word: breaths don't, syllables do."""
BLIP_S = 0.02
"""Sounds shorter than this are clicks, and are no part of a word."""
CLOSURE_S, GAP_S = 0.1, 0.2
"""Silence within a word: between an initial fricative and its vowel, and between syllables or
before a release."""

SILENT = "no speech was found between its cue and the next"
RUNNING = "speech was already running at its cue"
UNRECORDED = "no sound was recorded then"


@dataclass(frozen=True)
class SpeechTimes:
    """Speech of each word; NaN where none was found."""

    onset_s: NDArray[np.float64]
    """(n_words,) on the clock of the sound's level."""
    offset_s: NDArray[np.float64]
    """(n_words,)"""
    loudness_db: NDArray[np.float64]
    """(n_words,) mean power from onset to offset, less the noise's, in dB of full scale."""
    reasons: tuple[str, ...]
    """Why there is none; empty where there is."""
    noise_db: float
    """Level of the noise."""


def speech_times(
    level: SoundLevel, cues_s: NDArray[np.float64], *, until_s: NDArray[np.float64] | None = None
) -> SpeechTimes:
    """Find the speech between each cue and the next.

    The noise's level is that of the quietest twentieth of the whole recording. In each window,
    sound is what lies 4 dB (for slow sounds 4 SDs of noise) above the noise and at most 35 dB
    below the window's peak (reached for 50 ms in all), in power smoothed over 20 ms. Speech also
    rises, for 50 ms, 5 dB above that threshold and to at most 20 dB below the peak; the stretch of
    speech with most energy is the word's core. Other stretches belong to the word across silences
    of up to 200 ms; before the core, those that are no speech by themselves (fricatives, but also
    breaths) only up to 100 ms. Its ends are then read from single frames of 12 ms and moved
    inwards by a quarter of a frame, half the width of the Hann window: so onsets are neither early
    nor late. Sound that runs on from before the cue is not taken.

    Parameters
    ----------
    level : SoundLevel
        Of the whole recording.
    cues_s : ndarray of shape (n_words,)
        In order.
    until_s : ndarray of shape (n_words,), optional
        Where each word's window ends; by default at the next cue, and the last window is as long
        as the median one.

    Returns
    -------
    SpeechTimes
    """
    cues_s = np.asarray(cues_s, dtype=np.float64)
    ends_s = _ends(cues_s, level) if until_s is None else np.asarray(until_s, dtype=np.float64)
    times = level.times_s
    onset_s, offset_s, loudness_db = np.full((3, len(cues_s)), np.nan)
    reasons = [UNRECORDED] * len(cues_s)
    if not len(times):
        return SpeechTimes(onset_s, offset_s, loudness_db, tuple(reasons), float("nan"))
    db, smooth = _db(level.power), _smoothed(level.power)
    noise_db, margin_db = _noise(smooth, level.bandwidth_hz)
    for word, (cue_s, end_s) in enumerate(zip(cues_s, ends_s, strict=True)):
        first, stop = np.searchsorted(times, [cue_s, end_s]).tolist()
        if cue_s < times[0] - FRAME_S or stop - first < CORE_S / HOP_S:
            continue
        thresholds = _thresholds(smooth[first:stop], noise_db + margin_db)
        span, reasons[word] = _find(smooth, first, stop, thresholds)
        if span is None:
            continue
        begin, end = _edges(db, *span, thresholds[0], first, stop)
        onset_s[word] = times[begin] + FRAME_S / 4
        offset_s[word] = max(times[end - 1] - FRAME_S / 4, onset_s[word])
        mean = float(level.power[begin:end].mean()) - 10 ** (noise_db / 10)
        loudness_db[word] = _db(np.array([mean]))[0]
    return SpeechTimes(onset_s, offset_s, loudness_db, tuple(reasons), noise_db)


def _ends(cues_s: NDArray[np.float64], level: SoundLevel) -> NDArray[np.float64]:
    """Next cue; after the last one, the median interval."""
    if len(cues_s) < 2:
        return np.full(len(cues_s), level.start_s + HOP_S * len(level.power))
    return np.append(cues_s[1:], cues_s[-1] + float(np.median(np.diff(cues_s))))


def _db(power: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(10 * np.log10(np.maximum(power, 1e-20)))


def _smoothed(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over 20 ms around each frame, in dB."""
    half = round(SMOOTH_S / HOP_S / 2)
    sums = np.concatenate([[0.0], np.cumsum(power)])
    frames = np.arange(len(power))
    low, high = np.maximum(frames - half, 0), np.minimum(frames + half + 1, len(power))
    return _db((sums[high] - sums[low]) / (high - low))


def _noise(smooth: NDArray[np.float64], bandwidth_hz: float) -> tuple[float, float]:
    """Level of the noise in dB, and how far above it a sound begins.

    The power of Gaussian noise in a band over a while has 2 · bandwidth · while degrees of
    freedom. Its SD is taken from these, not from the recording, whose quiet parts may be speech.
    """
    freedom = max(2 * bandwidth_hz * (SMOOTH_S + FRAME_S / 2), 1.0)
    sd = 10 / np.log(10) * np.sqrt(2 / freedom)
    quiet, loud = np.percentile(smooth, [QUIET_PERCENT, 95.0])
    noise = float(quiet) - float(norm.ppf(QUIET_PERCENT / 100)) * sd
    return max(noise, float(loud) - RANGE_DB), max(MARGIN_DB, MARGIN_SD * sd)


def _thresholds(smooth: NDArray[np.float64], above_noise_db: float) -> tuple[float, float]:
    """Levels from which on a window holds sound, and speech; a click doesn't move its peak."""
    n_core = min(round(CORE_S / HOP_S), len(smooth))
    peak = float(np.partition(smooth, len(smooth) - n_core)[len(smooth) - n_core])
    sound = max(above_noise_db, peak - BELOW_DB)
    return sound, max(sound + CORE_DB, peak - VOICE_DB)


def _find(
    smooth: NDArray[np.float64], first: int, stop: int, thresholds: tuple[float, float]
) -> tuple[tuple[int, int] | None, str]:
    """First frame of the word and one past its last, or why there is none."""
    sounds = _stretches(smooth[first:stop] > thresholds[0]) + first
    before = smooth[max(first - 2, 0) : first]
    running = bool(len(sounds) and sounds[0, 0] == first and (before > thresholds[0]).any())
    sounds = sounds[_n_joined(sounds) if running else 0 :]
    sounds = sounds[(sounds[:, 1] - sounds[:, 0]) * HOP_S >= BLIP_S]
    spoken = np.array(
        [(smooth[a:b] > thresholds[1]).sum() * HOP_S >= CORE_S for a, b in sounds], dtype=bool
    )
    if not spoken.any():
        return None, RUNNING if running else SILENT
    energy = [float((10 ** (smooth[a:b] / 10)).sum()) for a, b in sounds]
    low = high = int(np.argmax(np.where(spoken, energy, -1.0)))
    gaps_s = (sounds[1:, 0] - sounds[:-1, 1]) * HOP_S
    while low > 0 and gaps_s[low - 1] <= (GAP_S if spoken[low - 1] else CLOSURE_S):
        low -= 1
    while high < len(gaps_s) and gaps_s[high] <= GAP_S:
        high += 1
    return (int(sounds[low, 0]), int(sounds[high, 1])), ""


def _stretches(above: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Start and stop of every stretch of True: (n, 2)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], above.astype(np.int8), [0]])))
    return edges.reshape(-1, 2).astype(np.int64)


def _n_joined(sounds: NDArray[np.int64]) -> int:
    """How many stretches at the beginning belong together."""
    gaps = (sounds[1:, 0] - sounds[:-1, 1]) * HOP_S > GAP_S
    return int(np.argmax(gaps)) + 1 if gaps.any() else len(sounds)


def _edges(
    db: NDArray[np.float64], begin: int, end: int, threshold: float, first: int, stop: int
) -> tuple[int, int]:
    """First and one past the last single frame above the threshold, near those of the smooth."""
    near = round(SMOOTH_S / HOP_S)
    low, high = max(begin - near // 2, first), min(end + near // 2, stop)
    above = np.flatnonzero(db[low:high] > threshold)
    begins = above[above <= begin + near - low]
    ends = above[above >= end - near - low]
    return (
        int(begins[0]) + low if len(begins) else begin,
        int(ends[-1]) + low + 1 if len(ends) else end,
    )
