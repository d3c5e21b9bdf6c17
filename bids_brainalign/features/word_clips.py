"""What a speech model hears in each spoken word's own sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.features.audio import SAMPLE_RATE_HZ
from bids_brainalign.features.models import SpeechModel
from bids_brainalign.features.transcript import named
from bids_brainalign.features.word_embeddings import WordEmbeddings, spoken_labels

LONGEST_S = 30.0
"""Whisper hears no more at once; no word takes as long."""

Array64 = NDArray[np.float64]
Wave = NDArray[np.float32] | Callable[[], NDArray[np.float32]]


def embed_clips(
    model: SpeechModel,
    wave: Wave,
    onsets_s: Array64,
    offsets_s: Array64,
    *,
    words: Sequence[object] | None = None,
    batch_size: int = 1,
) -> WordEmbeddings:
    """Hear every word by itself, from its onset to its end.

    Parameters
    ----------
    model : SpeechModel
    wave : ndarray of shape (n_samples,), float32, or callable that gives it
        16 kHz, amplitude in [-1, 1], on the clock of the onsets.
    onsets_s, offsets_s : ndarray of shape (n_words,)
        s; NaN for words whose times are not known, or that no sound was recorded of.
    words : sequence of str, optional
        For the notes.
    batch_size : int
        Clips per forward pass.

    Returns
    -------
    WordEmbeddings
        All layers: the mean over the frames of the word. A word shorter than one frame's receptive
        field gets that much of the sound around it, no silence.

    Raises
    ------
    BrainAlignError
        A word is longer than 30 s (65).
    """
    heard = wave() if callable(wave) else wave
    onset, offset = np.asarray(onsets_s, np.float64), np.asarray(offsets_s, np.float64)
    spans = _spans(onset, offset, n_samples=len(heard), shortest=model.shortest_clip)
    written = [""] * len(onset) if words is None else spoken_labels(words)[0]
    labels = [label or f"number {row + 1}" for row, label in enumerate(written)]
    _require_words(spans, labels)
    rows = np.flatnonzero(spans.known)
    clips = [heard[spans.start[row] : spans.stop[row]] for row in rows]
    # One frame of silence tells the widths where no word has a sound.
    found = model.extract_clips(
        clips or [np.zeros(model.shortest_clip, dtype=np.float32)], batch_size=batch_size
    )
    values = [np.zeros((len(labels), layer.shape[1]), dtype=np.float32) for layer in found]
    for value, layer in zip(values, found, strict=True):
        value[rows] = layer[: len(rows)]
    return WordEmbeddings(
        tuple(map(str, range(len(values)))),
        tuple(values),
        spans.known,
        tuple(_notes(spans, onset, offset, labels)),
        "Each word's own sound, from its onset to its end, was heard by itself; a word's vector "
        "is the mean over the frames in it.",
        of_audio=True,
    )


def clip_durations(onsets_s: Array64, offsets_s: Array64) -> Array64:
    """Durations, s, of the words that a speech model hears, one clip each: (n_clips,)."""
    lasting = offsets_s - onsets_s
    return lasting[np.isfinite(lasting) & (lasting >= 0)]


@dataclass(frozen=True)
class _Spans:
    """Samples of each word's clip; no matter what where it is not known."""

    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    known: NDArray[np.bool_]
    widened: NDArray[np.bool_]
    """Shorter than one frame."""
    cut: NDArray[np.bool_]
    """Partly outside the audio."""


def _spans(onset: Array64, offset: Array64, *, n_samples: int, shortest: int) -> _Spans:
    timed = np.isfinite(onset) & np.isfinite(offset) & (offset >= onset)
    ends = np.where(timed, [onset, offset], 0.0) * SAMPLE_RATE_HZ
    start, stop = np.round(ends).astype(np.int64)
    overlaps = (start < n_samples) & ((stop > 0) | (start >= 0))
    inside = timed & overlaps & (n_samples >= shortest)
    cut = inside & ((start < 0) | (stop > n_samples))
    start, stop = np.clip([start, stop], 0, n_samples)
    lacking = np.maximum(shortest - (stop - start), 0)
    start = np.clip(start - lacking // 2, 0, max(n_samples - shortest, 0))
    stop = np.maximum(stop, start + shortest)
    return _Spans(start, stop, inside, inside & (lacking > 0), cut)


def _require_words(spans: _Spans, labels: Sequence[str]) -> None:
    lasts_s = np.where(spans.known, spans.stop - spans.start, 0) / SAMPLE_RATE_HZ
    if (lasts_s > LONGEST_S).any():
        worst = int(lasts_s.argmax())
        raise BrainAlignError(
            f"The word {labels[worst]} lasts {lasts_s[worst]:.1f} s, and no "
            f"word lasts longer than {LONGEST_S:g} s.",
            fix="Give onset and duration of every word in seconds.",
        )


def _notes(spans: _Spans, onset: Array64, offset: Array64, labels: Sequence[str]) -> list[str]:
    untimed = ~(np.isfinite(onset) & np.isfinite(offset))
    reversed_ = ~untimed & (offset < onset)
    outside = ~spans.known & ~untimed & ~reversed_
    return [
        f"{which.sum()} of {len(labels)} words {what}: "
        f"{named([label for label, one in zip(labels, which, strict=True) if one])}."
        for which, what in (
            (untimed, "have no time in the sound and so no vector"),
            (reversed_, "end before they begin and have no vector"),
            (outside, "lie outside the audio and have no vector"),
            (spans.cut, "reach beyond the audio and were heard in part"),
            (
                spans.widened,
                "are shorter than one frame and were heard with the sound around them",
            ),
        )
        if which.any()
    ]
