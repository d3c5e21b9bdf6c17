"""Predicted encoder states in the encoder's own windows, and errors of what they say.

A Whisper encoder leaves the place within its window in its states, and the decoder reads text in
the order of these places. States therefore stay where they were in the window that they came
from: states put elsewhere made the decoder repeat or skip sentences (tested on real speech).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.decoding.layerwise import DecodingProblem
from bids_brainalign.encoding.layerwise import FeatureSpace
from bids_brainalign.encoding.nested import fit_fold
from bids_brainalign.features.windows import window_starts
from bids_brainalign.statistics.folds import Fold

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """Frames of a stimulus whose states come (mostly) from one window of the encoder."""

    first: int
    """Frame of the stimulus at which the window begins."""
    start: int
    stop: int
    """First frame of the part, and the one after its last."""


def window_parts(n_frames: int, *, window: int, hop: int, margin: int) -> tuple[Part, ...]:
    """Cut a stimulus where its frames pass from one window of the encoder to the next.

    Parameters
    ----------
    n_frames : int
        Of the stimulus.
    window, hop, margin : int
        As the features were made, in frames; windows cross-fade between their margins.

    Returns
    -------
    tuple of Part
        They tile the stimulus; the cuts lie in the middle of the cross-fades.
    """
    starts = window_starts(n_frames, window=window, hop=hop).tolist()
    # One window rises from its margin on, the one before it has gone at its own margin.
    cuts = [(after + margin + before + window - margin) // 2 for before, after in pairwise(starts)]
    edges = [0, *cuts, n_frames]
    return tuple(Part(f, a, b) for f, (a, b) in zip(starts, pairwise(edges), strict=True))


def onto_frames(
    values: Array32, at_s: Array64, *, interval_s: float, frame_s: float, n_frames: int
) -> tuple[Array32, NDArray[np.bool_]]:
    """Interpolate samples onto the frames of the encoder.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_dims), float32
    at_s : ndarray of shape (n_samples,)
        Rising seconds on the clock of the stimulus.
    interval_s : float
        Between samples; frames within a longer gap are not covered.
    frame_s : float
    n_frames : int

    Returns
    -------
    frames : ndarray of shape (n_frames, n_dims), float32
        0 where not covered.
    covered : ndarray of bool, shape (n_frames,)
    """
    times = np.arange(n_frames) * frame_s
    frames = np.zeros((n_frames, values.shape[1]), dtype=np.float32)
    if not len(at_s):
        return frames, np.zeros(n_frames, dtype=bool)
    right = np.clip(np.searchsorted(at_s, times), 1, max(1, len(at_s) - 1))
    right = np.minimum(right, len(at_s) - 1)
    left = np.maximum(right - 1, 0)
    span = at_s[right] - at_s[left]
    nearest = np.minimum(np.abs(times - at_s[left]), np.abs(times - at_s[right]))
    inside = (times >= at_s[left]) & (times <= at_s[right]) & (span <= 1.5 * interval_s)
    covered = inside | (nearest <= 0.5 * interval_s + 1e-9)
    share = np.clip((times - at_s[left]) / np.where(span > 0, span, 1.0), 0.0, 1.0)
    wide = span > 1.5 * interval_s
    share[wide] = share[wide].round()  # beside a gap: the nearer sample alone
    weight = share[covered, None].astype(np.float32)
    frames[covered] = (1 - weight) * values[left[covered]] + weight * values[right[covered]]
    return frames, covered


def in_window(
    frames: Array32, covered: NDArray[np.bool_], part: Part, silence: Array32
) -> Array32:
    """Put the covered frames of a part at their places in its window; silence elsewhere.

    Parameters
    ----------
    frames : ndarray of shape (n_frames, n_dims)
        Of the stimulus.
    covered : ndarray of bool, shape (n_frames,)
    part : Part
    silence : ndarray of shape (window, n_dims)
        States for a window of silence.

    Returns
    -------
    ndarray of shape (window, n_dims), float32
    """
    states = silence.copy()
    rows = part.start + np.flatnonzero(covered[part.start : part.stop])
    states[rows - part.first] = frames[rows]
    return states


def decoded_states(
    space: FeatureSpace, problem: DecodingProblem, fold: Fold, *, layer: int = -1
) -> tuple[Array32, Array32, Array32]:
    """Decode the states of one layer by ridge, in their own units.

    Parameters
    ----------
    space : FeatureSpace
    problem : DecodingProblem
    fold : Fold
    layer : int

    Returns
    -------
    predicted, true : ndarray of shape (n_test, n_dims), float32
    mean : ndarray of shape (n_dims,), float32
        Of the training data.

    Notes
    -----
    Every dimension is a target of its own: ridge doesn't mind the units of its targets, and after
    PCA to the 64 dimensions that tell segments apart the decoder writes nothing that was said
    (Whisper base on real speech), so neither standardisation nor PCA has to be undone.
    """
    index = range(len(space.layers))[layer]
    runs = space.read(index)
    states = np.concatenate([x[u] for x, u in zip(runs, problem.heard.used, strict=True)])
    mean = states[fold.outer.train].mean(axis=0, dtype=np.float64).astype(np.float32)
    fit = fit_fold(
        [problem.inputs(fold.outer.train)],
        states - mean,
        fold,
        alphas=problem.alphas,
        fixed_alpha=problem.fixed_alpha,
    )
    return fit.prediction + mean, states[fold.outer.test], mean


def word_errors(said: Sequence[str], written: Sequence[str]) -> int:
    """Words to substitute, leave out and insert: the Levenshtein distance over words.

    Examples
    --------
    >>> word_errors("the cat sat".split(), "a cat sat down".split())
    2
    """
    row = np.arange(len(written) + 1)
    for i, word in enumerate(said, 1):
        different = np.array([word != other for other in written], dtype=np.int64)
        best = np.concatenate([[i], np.minimum(row[1:] + 1, row[:-1] + different)])
        # Insertions run along the row: best[j] = min over k <= j of best[k] + (j - k).
        along = np.arange(len(best))
        row = np.minimum.accumulate(best - along) + along
    return int(row[-1])
