"""When each phone sounds in human recordings of a known text.

espeak-ng speaks the text with several voices; dynamic time warping of MFCCs carries each voice's
phone times to the recording, and the median over voices is taken.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.spatial.distance import cdist

from bids_brainalign.features.audio import SAMPLE_RATE_HZ, load_audio
from bids_brainalign.simulate.speech import synthesise
from scripts.embedded.phones import frame_classes
from scripts.embedded.speech import FRAME_SAMPLES, N_FRAMES, N_SAMPLES, Clips

GUIDES = tuple(
    (f"en-us+{variant}", speed)
    for variant in ("m3", "f2", "m7", "f4", "f3")
    for speed in (150, 180)
)
"""Voices and words per minute; held out of the training, as everything of the test."""
MFCC_STEP_S = 0.01
N_MFCC = 13
REGRESSION = np.array([-2.0, -1.0, 0.0, 1.0, 2.0]) / 10


@dataclass(frozen=True)
class HumanSpeech:
    """Recordings with the phones that were said."""

    clips: Clips
    """Windows of 30 s."""
    spans: tuple[tuple[int, int, int], ...]
    """Per recording: its window, and its first and last frame there."""
    phones: tuple[pd.DataFrame, ...]
    spread_s: float
    """Median over phones of the guides' mean absolute deviation from their median onset."""

    def cut(self, frames: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
        """Turn frames per window into frames per recording."""
        return [frames[window][first:stop] for window, first, stop in self.spans]


def read_librivox(
    folder: Path, *, guides: Sequence[tuple[str, int]] = GUIDES, joined: bool = True
) -> HumanSpeech:
    """Read WAV files (at most 30 s) and ``transcription``: ``<s> words </s> (file stem)``.

    ``joined`` plays as many after one another as fit into a window, as a story goes on; else each
    stands alone in its window, before digital silence.
    """
    waves, tables, spreads = [], [], []
    for line in (folder / "transcription").read_text().splitlines():
        said = re.fullmatch(r"<s> (.*) </s> \((.*)\)\s*", line)
        if said is None:
            continue
        wave = load_audio(folder / f"{said[2]}.wav")
        waves.append(wave[: len(wave) // FRAME_SAMPLES * FRAME_SAMPLES])
        phones, spread = phone_times(wave, said[1], guides=guides)
        tables.append(phones)
        spreads.append(spread)
    groups: list[list[int]] = []
    for index, wave in enumerate(waves):
        together = sum(len(waves[i]) for i in groups[-1]) if groups else 0
        if groups and joined and together + len(wave) <= N_SAMPLES:
            groups[-1].append(index)
        else:
            groups.append([index])
    clips, spans = _windows(waves, tables, groups)
    spread_s = float(np.median(np.concatenate(spreads)))
    return HumanSpeech(clips, spans, tuple(tables), spread_s)


def _windows(
    waves: Sequence[NDArray[np.float32]],
    tables: Sequence[pd.DataFrame],
    groups: Sequence[Sequence[int]],
) -> tuple[Clips, tuple[tuple[int, int, int], ...]]:
    from transformers import WhisperFeatureExtractor

    extractor: Any = WhisperFeatureExtractor(feature_size=80)
    mels, labels, lengths, spans = [], [], [], []
    for window, group in enumerate(groups):
        target = np.zeros(N_FRAMES, dtype=np.uint8)
        first = 0
        for index in group:
            n_frames = len(waves[index]) // FRAME_SAMPLES
            target[first : first + n_frames] = frame_classes(tables[index], n_frames=n_frames)
            spans.append((window, first, first + n_frames))
            first += n_frames
        heard = np.concatenate([waves[index] for index in group])
        mel = extractor(heard, sampling_rate=SAMPLE_RATE_HZ, return_tensors="np").input_features
        mels.append(mel[0].astype(np.float16))
        labels.append(target)
        lengths.append(first)
    voices = ("people",) * len(mels)
    return Clips(np.stack(mels), np.stack(labels), np.array(lengths), voices), tuple(spans)


def phone_times(
    wave: NDArray[np.float32], text: str, *, guides: Sequence[tuple[str, int]] = GUIDES
) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """Find the phones of a text in a recording of it.

    Returns
    -------
    phones : DataFrame
        ``onset``, ``duration`` (s), ``phone``.
    spread : ndarray of shape (n_phones,)
        Mean absolute deviation of the guides' onsets from their median, s.
    """
    target = mfcc(wave)
    edges, names = [], None
    for voice, speed in guides:
        guide = synthesise(text, voice=voice, speed=speed)
        said = list(guide.phones["phone"])
        names = said if names is None else names
        if said != names:  # another speed may merge two words
            continue
        onsets = guide.phones["onset"].to_numpy(dtype=np.float64)
        ends = onsets + guide.phones["duration"].to_numpy(dtype=np.float64)
        rows, columns = warp(cdist(mfcc(guide.wave), target))
        place = np.array([np.median(columns[rows == row]) for row in range(rows[-1] + 1)])
        times = np.arange(len(place)) * MFCC_STEP_S
        edges.append(np.interp([onsets, ends], times, place * MFCC_STEP_S))
    middle = np.median(edges, axis=0)
    spread = np.abs(np.array(edges)[:, 0] - middle[0]).mean(axis=0)
    table = pd.DataFrame({"onset": middle[0], "duration": middle[1] - middle[0], "phone": names})
    return table[table["duration"] > 0].reset_index(drop=True), spread


def mfcc(wave: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cepstra with their slopes every 10 ms, each normalised over the clip."""
    from bids_brainalign.features.lowlevel import envelope_and_mel

    decibel = envelope_and_mel(wave, n_mels=40)[1].astype(np.float64)
    cepstra = dct(np.maximum(decibel, decibel.max() - 60), norm="ortho", axis=1)[:, :N_MFCC]
    padded = np.pad(cepstra, ((2, 2), (0, 0)), mode="edge")
    slopes = np.stack([np.convolve(c, REGRESSION[::-1], mode="valid") for c in padded.T], axis=1)
    both = np.hstack([cepstra, slopes])
    scaled: NDArray[np.float64] = (both - both.mean(0)) / (both.std(0) + 1e-9)
    return scaled


def warp(cost: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cheapest monotone path through a cost matrix, corner to corner.

    Diagonal steps count twice, so that neither clip gains by being passed faster (Sakoe & Chiba
    1978, IEEE TASSP 26:43, symmetric form).

    Returns
    -------
    rows, columns : ndarrays of int, shape (n_steps,)
    """
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0.0
    for diagonal in range(n + m - 1):
        i = np.arange(max(0, diagonal - m + 1), min(n, diagonal + 1))
        j = diagonal - i
        here = cost[i, j]
        total[i + 1, j + 1] = np.minimum(
            total[i, j] + 2 * here, np.minimum(total[i, j + 1], total[i + 1, j]) + here
        )
    i, j = n - 1, m - 1
    path = [(i, j)]
    while i or j:
        steps = (
            total[i, j] + 2 * cost[i, j],
            total[i, j + 1] + cost[i, j],
            total[i + 1, j] + cost[i, j],
        )
        best = int(np.argmin(steps))
        i, j = (i - 1, j - 1) if best == 0 else (i - 1, j) if best == 1 else (i, j - 1)
        path.append((i, j))
    rows, columns = np.array(path[::-1], dtype=np.int64).T
    return rows, columns
