"""Training speech: synthetic voices read random texts; the recording is spoilt at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.signal import resample_poly

from bids_brainalign.simulate.speech import SAMPLE_RATE_HZ, synthesise
from bids_brainalign.simulate.stories import write_text
from scripts.embedded import flite
from scripts.embedded.phones import FRAME_S, frame_classes

WINDOW_S = 30.0
N_SAMPLES = round(WINDOW_S * SAMPLE_RATE_HZ)
FRAME_SAMPLES = round(FRAME_S * SAMPLE_RATE_HZ)
N_FRAMES = round(WINDOW_S / FRAME_S)
WINDOWS_PER_READING = 4

ACCENTS = {
    "en-us": 0.6,
    "en": 0.13,
    "en-gb-x-rp": 0.13,
    "en-gb-x-gbclan": 0.05,
    "en-gb-x-gbcwmd": 0.04,
    "en-029": 0.05,
}
"""Mostly American: the voices differ more between the variants below than between accents."""
VARIANTS = {
    "train": (
        "m1 m2 m4 m5 m6 m8 f1 f5 klatt klatt2 klatt3 klatt4 klatt5 klatt6 Alex Alicia Andrea Andy "
        "Annie Denis Diogo Gene Henrique Jacky Lee Marco Mario Mike adam anika antonio aunty "
        "benjamin boris caleb david ed edward grandma grandpa gustave ian iven john linda max "
        "michel miguel norbert pablo paul pedro quincy rob sandro shelby travis victor zac "
        "whisper whisperf"
    ).split(),
    "validation": "Michael belinda robert steph".split(),
    "test": "f2 f3 f4 m3 m7".split(),
}
"""espeak-ng's voice variants. Those of the test are never heard in training."""
FLITE_VOICES = {"slt": 170, "rms": 95, "awb": 120}
"""flite's voices and their mean pitch, Hz; in validation too (with other words), for there are no
more with true phone times. They come from recordings of people: a model that hears espeak-ng alone
learns the ways of its formant synthesis, and little that holds for people."""
FUNCTION_WORDS = (
    "the a of and to in that it was he she his her with for as had you not be is at on by him I "
    "which have from this they were but all one so there been their we said when who will more if "
    "no them would what up then my me could do about very into some than can our now your"
).split()
FUNCTION_SHARE = 0.45
STORY_SHARE = {"train": 0.3, "validation": 0.0, "test": 0.0}
"""Readings of ``write_text``'s stories; the others are random words. Validation and test have
only words that training never has (and function words)."""
STORY_SEED = 1_000_000
"""Far from the seeds that users give: no story of theirs is in the training."""
SHORT_SHARE = 0.15
"""Windows that hold less than 30 s of speech and then digital silence, as ends of stimuli do."""


@dataclass(frozen=True)
class Clips:
    """Windows of 30 s as the model hears them."""

    mel: NDArray[np.float16]
    """(n_clips, 80, 3000), WhisperFeatureExtractor's."""
    labels: NDArray[np.uint8]
    """(n_clips, 1500)."""
    n_frames: NDArray[np.int64]
    """(n_clips,): frames before the padding."""
    voices: tuple[str, ...]


def read_words(path: Path) -> dict[str, list[str]]:
    """Split a pronouncing dictionary's or word list's words into training and held-out ones.

    Parameters
    ----------
    path : Path
        A word at the start of each line (cmudict.dict, or one word a line).
    """
    lines = path.read_text(encoding="utf-8", errors="ignore").splitlines()
    words = sorted({line.split()[0].lower() for line in lines if line.split()})
    words = [w for w in words if w.isascii() and w.isalpha() and 2 < len(w) < 12]
    order = np.random.default_rng(0).permutation(len(words))
    n_held = len(words) // 10
    held = [words[i] for i in order[:n_held]]
    return {
        "train": [words[i] for i in order[n_held:]],
        "validation": held[: n_held // 2],
        "test": held[n_held // 2 :],
    }


def random_sentences(words: Sequence[str], rng: np.random.Generator, *, n_words: int) -> str:
    """Random words with function words between them, in sentences with commas."""
    sentences, count = [], 0
    while count < n_words:
        length = int(rng.integers(5, 16))
        pick = [
            str(rng.choice(FUNCTION_WORDS))
            if rng.random() < FUNCTION_SHARE
            else words[rng.integers(len(words))]
            for _ in range(length)
        ]
        if length > 9 and rng.random() < 0.5:
            pick[length // 2] += ","
        sentences.append(" ".join(pick).capitalize() + str(rng.choice([".", ".", "?"])))
        count += length
    return " ".join(sentences)


def spoil(wave: NDArray[np.floating[Any]], rng: np.random.Generator) -> NDArray[np.float32]:
    """Another microphone, another room, some noise, another level.

    espeak-ng's voices are clean and alike; a model trained on them alone hears little in people.
    """
    n_fft = 2 ** int(np.ceil(np.log2(len(wave) + SAMPLE_RATE_HZ)))
    spectrum = np.fft.rfft(wave, n_fft)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(n_fft, 1 / SAMPLE_RATE_HZ), 50.0) / 1000.0)
    knots = np.linspace(octaves[0], octaves[-1], 10)
    curve_db = np.interp(octaves, knots, rng.normal(0, 4.0, 10)) + rng.normal(0, 2.5) * octaves
    if rng.random() < 0.3:  # telephone, compressed audio
        curve_db -= 60 * np.clip(octaves - np.log2(rng.uniform(3.4, 7.0)), 0, 1)
    spectrum = spectrum * 10 ** (curve_db / 20)
    if rng.random() < 0.7:
        room = _room(rng)
        spectrum = spectrum * np.fft.rfft(room, n_fft)
    heard = np.fft.irfft(spectrum, n_fft)[: len(wave)]
    level = heard.std() + 1e-9
    noise = np.fft.irfft(
        np.fft.rfft(rng.standard_normal(len(wave))) * _colour(len(wave), rng), len(wave)
    )
    heard = heard + noise / noise.std() * level * 10 ** (-rng.uniform(8, 45) / 20)
    peak = np.abs(heard).max() + 1e-9
    return (heard / peak * 10 ** (-rng.uniform(0, 24) / 20)).astype(np.float32)


def _room(rng: np.random.Generator) -> NDArray[np.float64]:
    decay_s = rng.uniform(0.08, 0.5)
    times = np.arange(round(decay_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tail = rng.standard_normal(len(times)) * 10 ** (-3 * times / decay_s)
    tail *= 10 ** (-rng.uniform(0, 15) / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return np.asarray(tail)


def _colour(n_samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    frequencies = np.fft.rfftfreq(n_samples, 1 / SAMPLE_RATE_HZ)
    return np.asarray(np.maximum(frequencies, 50.0) ** -rng.uniform(0, 1.2))


def stretch(
    wave: NDArray[np.float32], phones: pd.DataFrame, *, percent: int
) -> tuple[NDArray[np.float64], pd.DataFrame]:
    """Play faster or slower: pitch and formants move, as between shorter and longer throats."""
    played = resample_poly(wave.astype(np.float64), 100, percent)
    times = phones.assign(
        onset=phones["onset"] * 100 / percent, duration=phones["duration"] * 100 / percent
    )
    return played, times


def reading(split: str, index: int, *, engine: str, words: Sequence[str], seed: int) -> Clips:
    """One voice reads one text for about two minutes; cut into windows of 30 s."""
    from transformers import WhisperFeatureExtractor

    key = [seed, sorted(VARIANTS).index(split), index]
    rng = np.random.default_rng(key if engine == "espeak" else [*key, 1])
    read = read_espeak if engine == "espeak" else read_flite
    voice, spoken, phones = read(split, index, rng, words=words, seed=seed)
    wave, phones = stretch(spoken, phones, percent=int(rng.integers(86, 117)))
    labels = frame_classes(phones, n_frames=len(wave) // FRAME_SAMPLES)
    extractor: Any = WhisperFeatureExtractor(feature_size=80)
    if len(wave) < WINDOWS_PER_READING * N_SAMPLES:
        raise ValueError(f"reading {index} of {split} is too short")
    mels, targets, lengths = [], [], []
    for window in range(WINDOWS_PER_READING):
        n_frames = N_FRAMES
        if rng.random() < SHORT_SHARE:
            n_frames = int(rng.integers(N_FRAMES // 10, N_FRAMES))
        first = window * N_FRAMES
        heard = spoil(wave[first * FRAME_SAMPLES : (first + n_frames) * FRAME_SAMPLES], rng)
        mel = extractor(heard, sampling_rate=SAMPLE_RATE_HZ, return_tensors="np").input_features
        mels.append(mel[0].astype(np.float16))
        target = np.zeros(N_FRAMES, dtype=np.uint8)
        target[:n_frames] = labels[first : first + n_frames]
        targets.append(target)
        lengths.append(n_frames)
    return Clips(np.stack(mels), np.stack(targets), np.array(lengths), (voice,) * len(mels))


def read_espeak(
    split: str, index: int, rng: np.random.Generator, *, words: Sequence[str], seed: int
) -> tuple[str, NDArray[np.float32], pd.DataFrame]:
    """Choose an espeak-ng voice, speed, pitch and text, and speak: voice, wave, phones."""
    accent = str(rng.choice(list(ACCENTS), p=np.array(list(ACCENTS.values()))))
    voice = f"{accent}+{rng.choice(VARIANTS[split])}"
    speed, pitch = int(rng.integers(120, 221)), int(rng.integers(30, 71))
    n_words = round(WINDOWS_PER_READING * WINDOW_S * speed / 60 * 1.3) + 20
    text = _text(split, index, rng, words=words, seed=seed, n_words=n_words)
    spoken = synthesise(text, voice=voice, speed=speed, pitch=pitch)
    return voice, spoken.wave, spoken.phones


def read_flite(
    split: str, index: int, rng: np.random.Generator, *, words: Sequence[str], seed: int
) -> tuple[str, NDArray[np.float32], pd.DataFrame]:
    """Choose a flite voice, speed, pitch and text, and speak: voice, wave, phones."""
    voice = str(rng.choice(list(FLITE_VOICES)))
    slowness = float(rng.uniform(0.75, 1.3))
    pitch_hz = round(FLITE_VOICES[voice] * rng.uniform(0.85, 1.2))
    n_words = round(WINDOWS_PER_READING * WINDOW_S * 4 / slowness)
    text = _text(split, index, rng, words=words, seed=seed, n_words=n_words)
    return voice, *flite.speak(text, voice=voice, slowness=slowness, pitch_hz=pitch_hz)


def _text(
    split: str,
    index: int,
    rng: np.random.Generator,
    *,
    words: Sequence[str],
    seed: int,
    n_words: int,
) -> str:
    if rng.random() < STORY_SHARE[split]:
        return write_text(index, n_words=n_words, seed=STORY_SEED + seed)
    return random_sentences(words, rng, n_words=n_words)


def make_clips(
    split: str,
    n_readings: int,
    *,
    engine: str,
    words: Sequence[str],
    seed: int,
    n_jobs: int = 2,
) -> Clips:
    """Make readings in parallel, each from its own number: the same whatever ``n_jobs``."""
    made = Parallel(n_jobs=n_jobs)(
        delayed(reading)(split, index, engine=engine, words=words, seed=seed)
        for index in range(n_readings)
    )
    return join(made)


def join(made: Sequence[Clips]) -> Clips:
    """Put clips one after the other."""
    return Clips(
        np.concatenate([clips.mel for clips in made]),
        np.concatenate([clips.labels for clips in made]),
        np.concatenate([clips.n_frames for clips in made]),
        tuple(voice for clips in made for voice in clips.voices),
    )
