"""Can held-out segments be told from each other by what was decoded? Scores and their nulls.

A segment's pattern is the course of the embedding within it (steps x dimensions), about the mean
of the training data: with that mean left in, any two patterns look alike (statistics.md §5).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from bids_brainalign.decoding.segments import Segments
from bids_brainalign.statistics.correlation import correlation
from bids_brainalign.statistics.nulls import FoldDraws, FoldNull

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]

SCORES = ("r_mean", "pattern_r", "two_vs_two", "rank", "top1")
_BLOCK_ELEMENTS = 1 << 22


def observed_scores(true: Array32, predicted: Array32, segments: Segments) -> Array64:
    """Scores of one fold.

    Parameters
    ----------
    true, predicted : ndarray of shape (n_steps, n_dims), float32
        Embedding about its training mean, on the steps of ``segments``.
    segments : Segments

    Returns
    -------
    ndarray of shape (5,), in the order of `SCORES`
        Mean over dimensions of r over time; mean cosine of segments with their predictions;
        2-vs-2 accuracy (chance .5); mean normalised rank of the true segment among those that it
        may be confused with (1 = always first, chance .5); share of segments that come first.

    References
    ----------
    2-vs-2: Mitchell et al. 2008, Science 320, 1191: s(i,i) + s(j,j) > s(i,j) + s(j,i).
    """
    r = np.nan_to_num(correlation(true, predicted))
    similarity = _similarity(true, predicted, segments)[:, segments.starts]
    return np.concatenate([[r.mean()], _identified(similarity[None], segments.comparable)[:, 0]])


def null_scores(
    true: Array32, predicted: Array32, segments: Segments, draws: FoldDraws
) -> Array32:
    """Scores of predictions shifted against the truth (or with random phases).

    Parameters
    ----------
    true, predicted, segments
        As for :func:`observed_scores`.
    draws : FoldDraws
        Of as many samples as there are steps. The shift acts on steps, not on whole segments:
        the few orders of the segments would be too few draws.

    Returns
    -------
    ndarray of shape (5, n_draws), float32
    """
    r = FoldNull(true, draws).null(predicted)
    out = np.empty((len(SCORES), draws.n_draws), dtype=np.float32)
    out[0] = np.nan_to_num(r).mean(axis=1)
    at = 0
    for similarity in _drawn(true, predicted, segments, draws):
        block = _identified(similarity, segments.comparable)
        out[1:, at : at + block.shape[1]] = block
        at += block.shape[1]
    return out


def top1_chance(segments: Segments) -> float:
    """Share of segments that come first by chance."""
    return float((1 / (1 + segments.comparable.sum(axis=0))).mean())


def _drawn(
    true: Array32, predicted: Array32, segments: Segments, draws: FoldDraws
) -> Iterator[Array32]:
    """Similarity matrices of blocks of draws: (n_block, n_segments, n_segments)."""
    block = max(1, _BLOCK_ELEMENTS // segments.n_segments**2)
    n_steps = len(predicted)
    if draws.offsets is not None:
        every = _similarity(true, predicted, segments)
        for first in range(0, draws.n_draws, block):
            # FoldNull pairs true[t + offset] with predicted[t]: the same here, so that the
            # draws of all scores are joint.
            offsets = draws.offsets[first : first + block]
            columns = (segments.starts - offsets[:, None]) % n_steps
            yield every[:, columns].transpose(1, 0, 2)
        return
    for first in range(0, draws.n_draws, block):
        yield _phased(true, predicted, segments, draws, slice(first, first + block))


def _phased(
    true: Array32, predicted: Array32, segments: Segments, draws: FoldDraws, block: slice
) -> Array32:
    """Cosines of true segments with those of predictions whose phases were turned.

    The products are linear in the cosines and sines of the phases, so one matrix product gives
    them for all draws; with e the Fourier basis and T_i(f) = Σ_k true(s_i + k) e(f k),

        Σ_k true(s_i + k) · drawn(s_j + k) = 1/n Σ_f w_f Re[e^(iθ_f) e(f s_j) P(f) · T_i(f)].
    """
    if draws.phase_basis is None:
        raise ValueError("a fold without draws has no null")
    n_steps = len(predicted)
    half = n_steps // 2
    spectrum = fft.rfft(predicted.astype(np.float64), axis=0)
    weight = np.full(half + 1, 2.0)
    weight[0] = 1.0
    if n_steps % 2 == 0:
        weight[-1] = 1.0  # Nyquist has no negative twin
    turn = 2j * np.pi / n_steps * np.arange(half + 1)
    windows = segments.starts[:, None] + np.arange(segments.length)
    patterns = true[windows].astype(np.float64)  # (n_segments, length, n_dims)
    course = np.exp(turn[:, None] * np.arange(segments.length))  # (n_frequencies, length)
    q = np.einsum("fd,fk,ikd->fi", spectrum, course, patterns, optimize=True)
    z = (
        (weight / n_steps)[:, None, None]
        * q[:, :, None]
        * np.exp(turn[:, None, None] * segments.starts)
    )
    size = (2 * half, segments.n_segments**2)
    table = np.concatenate([z[1:].real, -z[1:].imag]).reshape(size).astype(np.float32)
    phases = draws.phase_basis[block]
    products = (phases @ table + z[0].real.reshape(-1).astype(np.float32)).reshape(
        len(phases), segments.n_segments, segments.n_segments
    )
    rotation = np.ones((len(phases), half + 1), dtype=np.complex64)
    rotation[:, 1:] = phases[:, :half] + 1j * phases[:, half:]
    power = np.zeros((len(phases), n_steps), dtype=np.float32)
    for column in spectrum.T.astype(np.complex64):
        power += fft.irfft(rotation * column, n_steps, axis=1) ** 2
    norm = (
        np.sqrt(np.einsum("ikd,ikd->i", patterns, patterns))[:, None]
        * np.sqrt(power[:, windows].sum(axis=2))[:, None, :]
    )
    cosine: Array32 = np.divide(
        products, norm, out=np.zeros_like(products), where=norm > 1e-12, casting="same_kind"
    )
    return cosine


def _similarity(true: Array32, predicted: Array32, segments: Segments) -> Array32:
    """Cosine of every true segment with the prediction from every step on, circularly.

    Returns
    -------
    ndarray of shape (n_segments, n_steps), float32
        0 where either side does not vary.
    """
    n_steps = len(true)
    products = np.zeros((segments.n_segments, n_steps), dtype=np.float32)
    true_power = np.zeros(segments.n_segments)
    power = np.einsum("td,td->t", predicted, predicted, dtype=np.float64)
    window_power = np.zeros(n_steps)
    for step in range(segments.length):
        patterns = true[segments.starts + step]
        products += np.roll(patterns @ predicted.T, -step, axis=1)
        true_power += np.einsum("sd,sd->s", patterns, patterns, dtype=np.float64)
        window_power += np.roll(power, -step)
    norm = np.sqrt(true_power)[:, None] * np.sqrt(window_power)
    cosine: Array32 = np.divide(
        products, norm, out=np.zeros_like(products), where=norm > 1e-12, casting="same_kind"
    )
    return cosine


def _identified(similarity: Array32, comparable: NDArray[np.bool_]) -> Array64:
    """Score matrices (n, true segment, decoded segment): (4, n). Ties count one half."""
    n_segments = len(comparable)
    right = np.einsum("nii->ni", similarity)
    i, j = np.nonzero(np.triu(comparable, 1))
    gain = right[:, i] + right[:, j] - similarity[:, i, j] - similarity[:, j, i]
    two_vs_two = (np.sign(gain).mean(axis=1, dtype=np.float64) + 1) / 2
    others = comparable.sum(axis=0)
    beaten = np.sign(right[:, None, :] - similarity)
    won = np.einsum("nij,ij->nj", beaten, comparable.astype(np.float32))
    rank = ((won / others + 1) / 2).mean(axis=1, dtype=np.float64)
    lost = ((beaten <= 0) & comparable).any(axis=1)
    top1 = 1 - lost.sum(axis=1) / n_segments
    return np.stack([right.mean(axis=1, dtype=np.float64), two_vs_two, rank, top1])
