"""A session of reading words aloud: when each is shown and spoken, and the sound of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import oaconvolve, resample_poly

from bids_brainalign.simulate.noise import line_noise, pink_noise
from bids_brainalign.simulate.production_truth import PlantedWord
from bids_brainalign.simulate.speech import SAMPLE_RATE_HZ
from bids_brainalign.simulate.word_list import SpokenWord

AUDIO_RATE_HZ = 48_000
SHOWN_S, FIXATION_S, LEAD_S = 2.0, 1.0, 2.0
"""As in Verwoert et al. 2022: a word for 2 s, then a fixation cross for 1 s."""
LATENCY_S = (0.4, 0.9)
"""From cue to the first sound."""
LOUDNESS_SD_DB = 2.0
PEAK = 0.5
"""Of the loudest word in the recorded sound, whose full scale is 1."""
ROOM_DB, HUM_DB = -45.0, -60.0
"""Noise of the room and hum, relative to the voice."""
ENVELOPE_SD_S = 0.02


@dataclass(frozen=True)
class Session:
    """Words in the order in which they were shown, and the voice."""

    trials: tuple[PlantedWord, ...]
    voice: NDArray[np.float32]
    """(n_samples,), 48 kHz, without noise; the loudest sample is `PEAK`."""
    duration_s: int

    def envelope(self, rate_hz: float) -> NDArray[np.float64]:
        """Level of the voice at another rate, smoothed (Gaussian, SD 20 ms): (n_times,), 0 to 1.

        Its square root is taken, as loudness grows more slowly than amplitude.
        """
        n_times = round(self.duration_s * rate_hz)
        edges = np.round(np.arange(n_times + 1) * AUDIO_RATE_HZ / rate_hz).astype(int)
        sums = np.concatenate([[0.0], np.cumsum(np.square(self.voice, dtype=np.float64))])
        power = np.diff(sums[np.minimum(edges, len(self.voice))]) / np.diff(edges)
        half = int(np.ceil(4 * ENVELOPE_SD_S * rate_hz))
        kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / rate_hz / ENVELOPE_SD_S) ** 2)
        smooth = oaconvolve(np.maximum(power, 0), kernel / kernel.sum(), mode="same")
        level = np.sqrt(np.sqrt(np.maximum(smooth, 0)))
        return np.asarray(level / level.max())


def hold_session(
    words: tuple[str, ...],
    spoken: Mapping[str, SpokenWord],
    *,
    n_repeats: int,
    rng: np.random.Generator,
) -> Session:
    """Show words in random order and speak each.

    Parameters
    ----------
    words : tuple of str
    spoken : mapping of str to SpokenWord
    n_repeats : int
        Times each word is shown.
    rng : Generator
        Order, latencies and loudness.
    """
    order = rng.permutation(np.tile(np.arange(len(words)), n_repeats))
    trial_s = SHOWN_S + FIXATION_S
    duration_s = int(2 * LEAD_S + len(order) * trial_s)
    voice = np.zeros(duration_s * AUDIO_RATE_HZ, dtype=np.float32)
    factor = AUDIO_RATE_HZ // SAMPLE_RATE_HZ
    trials = []
    for trial, index in enumerate(order):
        said = spoken[words[index]]
        cue_s = LEAD_S + trial * trial_s
        wave = resample_poly(said.wave, factor, 1) * 10 ** (rng.normal(0, LOUDNESS_SD_DB) / 20)
        first = round((cue_s + rng.uniform(*LATENCY_S)) * AUDIO_RATE_HZ)
        voice[first : first + len(wave)] += wave
        onset_s, offset_s = (round(i / AUDIO_RATE_HZ, 6) for i in (first, first + len(wave)))
        trials.append(PlantedWord(said.word, cue_s, onset_s, offset_s, said.n_phones))
    voice *= PEAK / np.abs(voice).max()
    return Session(tuple(trials), voice, duration_s)


def recorded_sound(
    session: Session, *, lag_s: float, rng: np.random.Generator
) -> NDArray[np.int16]:
    """Record the voice in a room, late by ``lag_s``: (n_samples,), 48 kHz."""
    level = float(np.sqrt(np.mean(np.square(session.voice[session.voice != 0]))))
    n_samples = len(session.voice)
    # Some seconds of room noise, over and over: 48 kHz for an hour would be a large spectrum.
    n_noise = min(n_samples, 20 * AUDIO_RATE_HZ)
    room = pink_noise(n_noise, 1, rng=rng, rate_hz=AUDIO_RATE_HZ, floor_hz=30.0)
    room *= level * 10 ** (ROOM_DB / 20)
    hum = line_noise(n_noise, 1, rng=rng, rate_hz=AUDIO_RATE_HZ, line_hz=50.0)
    room += level * 10 ** (HUM_DB / 20) * hum
    sound = np.resize(room[:, 0].astype(np.float32), n_samples)
    shift = round(lag_s * AUDIO_RATE_HZ)
    if shift >= 0:
        sound[shift:] += session.voice[: n_samples - shift]
    else:
        sound[:shift] += session.voice[-shift:]
    return np.clip(np.round(sound * 32767), -32767, 32767).astype(np.int16)
