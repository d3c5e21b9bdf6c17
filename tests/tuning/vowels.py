"""Audio in which a hidden sound can be told from what is around it: vowels of half a second."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from bids_brainalign.tuning.stories import Story

N_VOWELS = 6
SECONDS = 0.6
NOISE = 0.02


def vowel_story(seconds: float, *, seed: int, name: str = "vowels", noise: float = NOISE) -> Story:
    """A voice of 100 Hz through one of six resonances after the other, in random order.

    The period divides the models' stride: frames of one vowel are alike even in a random CNN. With
    much noise it is whispered.
    """
    kinds = np.random.default_rng(0)
    radius = kinds.uniform(0.8, 0.98, N_VOWELS)
    angle = np.linspace(0.05, 0.9, N_VOWELS) * np.pi
    rng = np.random.default_rng([seed, 1])
    parts = []
    for vowel in vowel_names(seconds, seed=seed):
        poles = [1, -2 * radius[vowel] * np.cos(angle[vowel]), radius[vowel] ** 2]
        voice = noise * rng.standard_normal(round(16_000 * SECONDS))
        voice[::160] += 1.0
        part = lfilter([1.0], poles, voice)
        parts.append(part / part.std())
    wave = np.concatenate(parts).astype(np.float32)
    return Story(name, wave, np.arange(3.0), np.zeros((3, 1), np.float32))


def vowel_names(seconds: float, *, seed: int) -> NDArray[np.int64]:
    """Which vowel follows which, (n_vowels,)."""
    return np.random.default_rng([seed, 0]).integers(0, N_VOWELS, round(seconds / SECONDS))
