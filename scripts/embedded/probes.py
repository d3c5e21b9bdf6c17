"""Linear probes: how well phones can be read off features, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scripts.embedded.phones import CLASSES, NO_CLASS, SILENCE
from scripts.embedded.speech import Clips

PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2)
MAX_ITERATIONS = 40
TRAIN_STEP = 3
"""Probes learn from every third frame: neighbours are nearly the same."""
MIN_RUN = 2
"""Frames: shorter runs of the same guess are no phone."""

Frames = list[NDArray[np.float32]]
"""Per clip (n_frames, n_dims)."""


def layer_frames(encoder: Any, clips: Clips) -> list[Frames]:
    """Hidden states of every layer of a Whisper encoder, without the padding.

    Returns
    -------
    list of length L + 1
    """
    per_clip = []
    for mel, n_frames in zip(clips.mel, clips.n_frames, strict=True):
        with torch.inference_mode():
            out = encoder(
                torch.from_numpy(mel[None].astype(np.float32)), output_hidden_states=True
            )
        per_clip.append([state[0, :n_frames].float().numpy() for state in out.hidden_states])
    return [list(layer) for layer in zip(*per_clip, strict=True)]


def mel_frames(clips: Clips, *, context: int) -> Frames:
    """The model's own input around every frame: ``context`` steps of 10 ms on both sides."""
    frames = []
    for mel, n_frames in zip(clips.mel, clips.n_frames, strict=True):
        padded = np.pad(mel.astype(np.float32), ((0, 0), (context, context)), mode="edge")
        centres = 2 * np.arange(n_frames)
        around = [padded[:, centres + shift] for shift in range(2 * context + 1)]
        frames.append(np.concatenate(around).T)
    return frames


def targets(clips: Clips) -> list[NDArray[np.int64]]:
    """Classes of the frames before the padding, per clip."""
    return [
        labels[:n_frames].astype(np.int64)
        for labels, n_frames in zip(clips.labels, clips.n_frames, strict=True)
    ]


@dataclass(frozen=True)
class Probe:
    """Multinomial logistic regression on standardised features."""

    weights: NDArray[np.float32]
    """(n_dims, n_classes)."""
    bias: NDArray[np.float32]
    centre: NDArray[np.float32]
    scale: NDArray[np.float32]
    penalty: float

    def guess(self, frames: Frames) -> list[NDArray[np.int64]]:
        """Most likely class of every frame, per clip."""
        return [
            np.argmax((x - self.centre) / self.scale @ self.weights + self.bias, axis=1)
            for x in frames
        ]


def fit_probes(
    frames: Frames, classes: Sequence[NDArray[np.int64]], *, penalties: Sequence[float] = PENALTIES
) -> list[Probe]:
    """Fit one probe per penalty (on the squared weights; the loss is a mean over frames)."""
    x = np.concatenate([frame[::TRAIN_STEP] for frame in frames])
    y = np.concatenate([wanted[::TRAIN_STEP] for wanted in classes])
    x, y = x[y != NO_CLASS], y[y != NO_CLASS]
    centre, scale = x.mean(0), x.std(0) + 1e-6
    inputs, wanted = torch.from_numpy((x - centre) / scale), torch.from_numpy(y)
    weights = torch.zeros(x.shape[1], len(CLASSES), requires_grad=True)
    bias = torch.zeros(len(CLASSES), requires_grad=True)
    probes = []
    for penalty in sorted(penalties, reverse=True):  # each starts where the stronger one ended
        _minimise(weights, bias, inputs, wanted, penalty)
        fitted = weights.detach().numpy().copy(), bias.detach().numpy().copy()
        probes.append(Probe(*fitted, centre, scale, penalty))
    return probes


def _minimise(
    weights: torch.Tensor,
    bias: torch.Tensor,
    inputs: torch.Tensor,
    wanted: torch.Tensor,
    penalty: float,
) -> None:
    optimiser = torch.optim.LBFGS(
        [weights, bias], max_iter=MAX_ITERATIONS, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        logits = inputs @ weights + bias
        loss = torch.nn.functional.cross_entropy(logits, wanted) + penalty * weights.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)


def accuracies(
    guesses: Sequence[NDArray[np.int64]], classes: Sequence[NDArray[np.int64]]
) -> NDArray[np.float64]:
    """Right and all frames in which a phone sounds; shape (n_clips, 2)."""
    counts = []
    for guess, wanted in zip(guesses, classes, strict=True):
        speech = (wanted != SILENCE) & (wanted != NO_CLASS)
        counts.append(((guess == wanted)[speech].sum(), speech.sum()))
    return np.array(counts, dtype=np.float64)


def share_right(probe: Probe, frames: Frames, classes: Sequence[NDArray[np.int64]]) -> float:
    """Share of the frames with a phone that a probe names right."""
    right, total = accuracies(probe.guess(frames), classes).sum(0)
    return float(right / total)


def spoken(guess: NDArray[np.int64]) -> list[int]:
    """Collapse frames to the sequence of phones: runs of two frames or more, no silence."""
    edges = np.flatnonzero(np.diff(guess, prepend=-1))
    lengths = np.diff(np.append(edges, len(guess)))
    runs = [int(guess[e]) for e, n in zip(edges, lengths, strict=True) if n >= MIN_RUN]
    heard = [run for i, run in enumerate(runs) if i == 0 or run != runs[i - 1]]
    return [run for run in heard if run != SILENCE]


def edits(heard: Sequence[int], said: Sequence[int]) -> int:
    """Levenshtein distance: substitutions, insertions and deletions."""
    row = np.arange(len(said) + 1)
    for i, one in enumerate(heard, start=1):
        before, row = row, np.empty_like(row)
        row[0] = i
        for j, other in enumerate(said, start=1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + int(one != other))
    return int(row[-1])
