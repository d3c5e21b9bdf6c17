"""Predicted encoder states in windows that the decoder can read, and errors of what they say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from bids_brainalign.decoding.layerwise import DecodingProblem
from bids_brainalign.encoding.nested import fit_fold
from bids_brainalign.statistics.folds import Fold

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]
SMOOTH_FRAMES = 5.0


def windows_within(
    covered: NDArray[np.bool_], *, window: int, least: int, bridge: int
) -> tuple[slice, ...]:
    """Cut what was recorded of a stimulus into windows, each beginning where a stretch begins.

    Whisper's decoder needs the beginning of a window: of windows that lacked their first seconds
    it wrote down nothing, or a later sentence (Whisper base, speech of people and of espeak-ng).

    Parameters
    ----------
    covered : ndarray of bool, shape (n_frames,)
        Frames of the stimulus that there are predictions for.
    window : int
        Frames of the encoder's window.
    least : int
        Shorter windows are left out.
    bridge : int
        Longer gaps (censored samples) end a stretch.

    Returns
    -------
    tuple of slice
        Frames of the stimulus.
    """
    rows = np.flatnonzero(covered)
    if not len(rows):
        return ()
    found = []
    for stretch in np.split(rows, np.flatnonzero(np.diff(rows) > bridge) + 1):
        stop = int(stretch[-1]) + 1
        for start in range(int(stretch[0]), stop, window):
            if min(start + window, stop) - start >= least:
                found.append(slice(start, min(start + window, stop)))
    return tuple(found)


def place_means(states: Array32, place: NDArray[np.int64], n_places: int) -> Array32:
    """Mean state at every place of the encoder's window.

    A Whisper encoder leaves the place within its window in its states (half of their variance in
    Whisper base), and the decoder reads text in the order of these places. No electrode knows the
    place, so it is taken out before states are predicted, and put back after.

    Parameters
    ----------
    states : ndarray of shape (n_samples, n_dims), float32
        Of training data.
    place : ndarray of int, shape (n_samples,)
        Frame within the window.
    n_places : int

    Returns
    -------
    ndarray of shape (n_places, n_dims), float32
        Smoothed over neighbours (Gaussian, 0.1 s): each place was seen in few windows. Weighted
        by how often a place was seen; the nearest seen where none was.
    """
    total = np.zeros((n_places, states.shape[1]))
    np.add.at(total, place, states)
    count = np.bincount(place, minlength=n_places).astype(np.float64)
    weight = gaussian_filter1d(count, SMOOTH_FRAMES, mode="nearest")
    mean = gaussian_filter1d(total, SMOOTH_FRAMES, axis=0, mode="nearest")
    seen = np.flatnonzero(weight > 1e-6)
    after = np.clip(np.searchsorted(seen, np.arange(n_places)), 1, max(1, len(seen) - 1))
    after = np.minimum(after, len(seen) - 1)
    before = np.maximum(after - 1, 0)
    at = np.arange(n_places)
    nearest = np.where(at - seen[before] <= seen[after] - at, seen[before], seen[after])
    return np.asarray(mean[nearest] / weight[nearest, None], dtype=np.float32)


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
    frames: Array32,
    covered: NDArray[np.bool_],
    part: slice,
    *,
    means: Array32,
    silence: Array32,
) -> Array32:
    """States of one window from the predicted deviations of a stimulus' frames.

    Parameters
    ----------
    frames : ndarray of shape (n_frames, n_dims)
        Deviations from the mean of their place.
    covered : ndarray of bool, shape (n_frames,)
        Others count as 0.
    part : slice
        Frames of the stimulus that the window holds.
    means : ndarray of shape (window, n_dims)
        Of :func:`place_means`.
    silence : ndarray of shape (window, n_dims)
        States for a window of silence, for what lies after the part.

    Returns
    -------
    ndarray of shape (window, n_dims), float32
    """
    n = part.stop - part.start
    states = silence.astype(np.float32)
    states[:n] = means[:n] + np.where(covered[part, None], frames[part], 0)
    return states


def decoded_states(
    states: Array32, place: NDArray[np.int64], n_places: int, problem: DecodingProblem, fold: Fold
) -> tuple[Array32, Array32]:
    """Decode states by ridge, in their own units and without the mean of their place.

    Parameters
    ----------
    states : ndarray of shape (n_samples, n_dims), float32
        At the used samples of the problem.
    place : ndarray of int, shape (n_samples,)
        Their frame within the encoder's window.
    n_places : int
    problem : DecodingProblem
    fold : Fold

    Returns
    -------
    predicted : ndarray of shape (n_test, n_dims), float32
        Deviations from the mean of their place.
    means : ndarray of shape (n_places, n_dims), float32
        Of the training data.

    Notes
    -----
    Every dimension is a target of its own: ridge doesn't mind the units of its targets, and after
    PCA to the 64 dimensions that tell segments apart the decoder writes nothing that was said
    (Whisper base on real speech), so neither standardisation nor PCA has to be undone.
    """
    train = fold.outer.train
    means = place_means(states[train], place[train], n_places)
    fit = fit_fold(
        [problem.inputs(train)],
        states - means[place],
        fold,
        alphas=problem.alphas,
        fixed_alpha=problem.fixed_alpha,
        lags=problem.structure,
    )
    return fit.prediction, means


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
