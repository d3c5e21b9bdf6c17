"""Words spoken one by one at known times, in noise."""

from functools import cache

import numpy as np

from bids_brainalign.simulate.speech import SAMPLE_RATE_HZ, synthesise

WORDS = (
    "trumpet ladder feather oven purple vineyard forest attic violin tiny measured clumsy hammer "
    "beach teacher uncle lifted map station hilltop captain island stranger pencil sold saddle "
    "library coin silver book rope bitter letter lamp river frozen compass narrow window theatre"
).split()
AUDIBLE = 0.01
"""Share of a word's peak at which its clean waveform begins and ends: −40 dB."""
EVERY_S, FIRST_S = 2.5, 1.0


@cache
def clean_words() -> tuple[np.ndarray, ...]:
    """Waveform of every word at 16 kHz, from its first to its last audible sample."""
    said = synthesise(" ".join(f"{word.capitalize()}." for word in WORDS), speed=140)
    assert said.words["word"].tolist() == list(WORDS)
    waves = []
    for onset, duration in zip(said.words["onset"], said.words["duration"], strict=True):
        first, stop = (round(t * SAMPLE_RATE_HZ) for t in (onset, onset + duration))
        wave = said.wave[first:stop]
        heard = np.flatnonzero(np.abs(wave) > AUDIBLE * np.abs(wave).max())
        waves.append(wave[heard[0] : heard[-1] + 1])
    return tuple(waves)


def spoken(*, snr_db=60.0, seed=0, pink=False):
    """Sound (16 kHz), cues, true onsets and offsets; levels differ by 3 dB (SD) between words."""
    rng = np.random.default_rng(seed)
    waves = clean_words()
    cues = FIRST_S + EVERY_S * np.arange(len(waves))
    sound = np.zeros(round((cues[-1] + EVERY_S) * SAMPLE_RATE_HZ))
    onsets, offsets = [], []
    for cue, wave in zip(cues, waves, strict=True):
        first = round((cue + rng.uniform(0.4, 0.9)) * SAMPLE_RATE_HZ)
        sound[first : first + len(wave)] += wave * 10 ** (rng.normal(0, 3) / 20)
        onsets.append(first / SAMPLE_RATE_HZ)
        offsets.append((first + len(wave)) / SAMPLE_RATE_HZ)
    level = np.sqrt(np.mean(sound[sound != 0] ** 2))
    noise = rng.standard_normal(len(sound))
    if pink:
        frequencies = np.fft.rfftfreq(len(noise), 1 / SAMPLE_RATE_HZ)
        shaped = np.fft.rfft(noise) / np.sqrt(np.maximum(frequencies, 30.0))
        noise = np.fft.irfft(shaped, n=len(noise))
    sound += noise / noise.std() * level * 10 ** (-snr_db / 20)
    return sound.astype(np.float32), cues, np.array(onsets), np.array(offsets)
