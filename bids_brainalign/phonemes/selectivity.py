"""Phone selectivity of electrodes: PSI, rank sums of phones and categories, their shift null."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

Array64 = NDArray[np.float64]
Codes = NDArray[np.int64]

MIN_TOKENS = 30
"""Phones with fewer tokens are not tested (design: statistics.md §9)."""
MIN_SHIFT = 20
"""Labels shift by at least this many tokens, about 2 s of speech: nearer ones still say something
about the phone, by the order of phones in words."""
PSI_ALPHA = 0.01
_PSI_BINS = 4096
"""Distinct ranks kept for pairwise rank sums: exact up to this many tokens."""


@dataclass(frozen=True)
class Tokens:
    """All phones that were heard, with the responses to them."""

    responses: Array64
    """(n_tokens, n_targets): mean response in the window after each onset."""
    phone: Codes
    """(n_tokens,) index of the phone; −1 where it is not tested."""
    names: tuple[str, ...]
    """Tested phones."""
    run: Codes
    """(n_tokens,) tokens are in time order within runs."""
    block: Codes
    """(n_tokens,) minute of the run, counted through all runs."""

    def take(self, rows: NDArray[np.bool_]) -> Tokens:
        """Keep some tokens."""
        return Tokens(
            self.responses[rows], self.phone[rows], self.names, self.run[rows], self.block[rows]
        )

    def untuned(self) -> Tokens:
        """Take the mean response to each phone away; what is left tells phones apart no longer."""
        left = self.responses.copy()
        for index in range(len(self.names)):
            rows = self.phone == index
            if rows.any():
                left[rows] -= left[rows].mean(axis=0)
        return Tokens(left, self.phone, self.names, self.run, self.block)

    @property
    def counts(self) -> NDArray[np.int64]:
        """(n_phones,) tokens of each phone."""
        return np.bincount(self.phone[self.phone >= 0], minlength=len(self.names))


@dataclass(frozen=True)
class RankSums:
    """How far phones lie above all other tokens."""

    z: Array64
    """(…, n_phones, n_targets) rank-sum z of each phone against all other tokens."""
    omnibus: Array64
    """(…, n_targets) Kruskal–Wallis H over the tested phones."""
    category_z: Array64
    """(…, n_categories, n_targets) z of each category against all other tokens."""


def rank_sums(tokens: Tokens, members: NDArray[np.bool_]) -> RankSums:
    """Compare phones and categories with all other tokens.

    Parameters
    ----------
    tokens : Tokens
    members : ndarray of bool, shape (n_categories, n_phones)

    Returns
    -------
    RankSums
        Without leading axis. z is the normal approximation of the Wilcoxon rank-sum test; ties,
        which averages of a filtered signal don't have, are not corrected for.
    """
    onehot = _onehot(tokens)
    return _from_sums(onehot @ _ranks(tokens), tokens.counts, members, len(tokens.phone))


def shifted_rank_sums(
    tokens: Tokens, members: NDArray[np.bool_], *, n_draws: int, rng: np.random.Generator
) -> RankSums:
    """Null of :func:`rank_sums`: the sequence of labels shifts circularly within each run.

    Neighbouring phones hang together and responses overlap, so permuting tokens one by one would
    find too much. One shift serves all electrodes: what they share stays shared.

    Parameters
    ----------
    tokens, members
        As for :func:`rank_sums`.
    n_draws : int
        Fewer are made where the runs allow fewer different shifts.
    rng : Generator

    Returns
    -------
    RankSums
        With a leading axis of draws.
    """
    shifts = _draw_shifts(tokens.run, n_draws, rng)
    ranks, onehot = _ranks(tokens), _onehot(tokens)
    n_phones, n_targets = len(tokens.names), ranks.shape[1]
    sums = np.zeros((len(shifts), n_phones, n_targets))
    for column, run in enumerate(np.unique(tokens.run)):
        rows = tokens.run == run
        label_spectrum = np.conj(np.fft.rfft(onehot[:, rows], axis=1))
        for target in range(n_targets):
            spectrum = label_spectrum * np.fft.rfft(ranks[rows, target])
            # All circular shifts at once: sum over tokens of label(t) · rank(t + shift).
            every = np.fft.irfft(spectrum, n=int(rows.sum()), axis=1)
            sums[:, :, target] += every[:, shifts[:, column]].T
    return _from_sums(sums, tokens.counts, members, len(tokens.phone))


def phone_selectivity_index(tokens: Tokens, *, alpha: float = PSI_ALPHA) -> NDArray[np.int64]:
    """Count for each phone the other phones that it exceeds.

    Parameters
    ----------
    tokens : Tokens
    alpha : float
        Of the one-sided rank-sum test of each ordered pair; there are no corrections.

    Returns
    -------
    ndarray of int, shape (n_phones, n_targets)

    References
    ----------
    Mesgarani, Cheung, Johnson & Chang 2014, Science 343:1006.
    """
    n_phones = len(tokens.names)
    known = tokens.phone >= 0
    codes = tokens.phone[known]
    n_bins = min(_PSI_BINS, max(int(known.sum()), 1))
    limit = norm.isf(alpha)
    psi = np.zeros((n_phones, tokens.responses.shape[1]), dtype=np.int64)
    for target in range(psi.shape[1]):
        bins = _bins(tokens.responses[known, target], n_bins)
        counts = np.bincount(codes * n_bins + bins, minlength=n_phones * n_bins)
        z = pairwise_rank_sums(counts.reshape(n_phones, n_bins).astype(np.float64))
        psi[:, target] = (z > limit).sum(axis=1)
    return psi


def pairwise_rank_sums(counts: Array64) -> Array64:
    """Rank-sum z of every ordered pair of phones from their histograms over ranks.

    Parameters
    ----------
    counts : ndarray of shape (n_phones, n_bins)
        Tokens of each phone in each bin, from low to high responses.

    Returns
    -------
    ndarray of shape (n_phones, n_phones)
        Positive where the row's phone exceeds the column's; corrected for ties.
    """
    n = counts.sum(axis=1)
    below = np.cumsum(counts, axis=1) - counts / 2
    u = counts @ below.T
    total = n[:, None] + n[None, :]
    cubes = (counts**3).sum(axis=1)
    squares = counts**2 @ counts.T
    ties = cubes[:, None] + cubes[None, :] + 3 * (squares + squares.T) - total
    product = n[:, None] * n[None, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = product / 12 * (total + 1 - ties / (total * (total - 1)))
        z = (u - product / 2) / np.sqrt(variance)
    np.fill_diagonal(z, 0.0)
    return np.asarray(np.nan_to_num(z))


def split_half_reliability(tokens: Tokens, members: NDArray[np.bool_]) -> Array64:
    """Correlate profiles over phones between odd and even minutes, for the whole length.

    Returns
    -------
    ndarray of shape (n_targets,)
        2r / (1 + abs(r)) (Spearman–Brown); NaN with fewer than three phones in both halves.
    """
    halves = [tokens.take(tokens.block % 2 == parity) for parity in (0, 1)]
    shared = np.logical_and.reduce([half.counts > 1 for half in halves])
    if shared.sum() < 3:
        return np.full(tokens.responses.shape[1], np.nan)
    first, second = (rank_sums(half, members).z[shared] for half in halves)
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (first * second).sum(axis=0) / np.sqrt(
            (first**2).sum(axis=0) * (second**2).sum(axis=0)
        )
    return np.asarray(2 * r / (1 + np.abs(r)))


def resampled_z(
    tokens: Tokens, members: NDArray[np.bool_], *, n_draws: int, rng: np.random.Generator
) -> Iterator[Array64]:
    """Profiles from minutes drawn with replacement, each (n_phones, n_targets)."""
    blocks = np.unique(tokens.block)
    for _ in range(n_draws):
        drawn = rng.choice(blocks, len(blocks))
        rows = np.concatenate([np.flatnonzero(tokens.block == block) for block in drawn])
        yield rank_sums(
            Tokens(
                tokens.responses[rows],
                tokens.phone[rows],
                tokens.names,
                tokens.run[rows],
                tokens.block[rows],
            ),
            members,
        ).z


def _ranks(tokens: Tokens) -> Array64:
    """Ranks of all tokens, less their mean."""
    ranks = rankdata(tokens.responses, axis=0)
    return np.asarray(ranks - (len(ranks) + 1) / 2)


def _onehot(tokens: Tokens) -> Array64:
    onehot = tokens.phone[None, :] == np.arange(len(tokens.names))[:, None]
    return np.asarray(onehot, dtype=np.float64)


def _from_sums(
    sums: Array64, counts: NDArray[np.int64], members: NDArray[np.bool_], n: int
) -> RankSums:
    """From sums of centred ranks, (…, n_phones, n_targets), to test statistics."""

    def z_of(part: Array64, size: NDArray[np.int64]) -> Array64:
        # Variance of the sum of ranks of ``size`` of ``n`` tokens.
        spread = np.sqrt(size * (n - size) * (n + 1) / 12.0)
        return np.asarray(part / np.where(spread > 0, spread, np.inf)[:, None])

    weighted = sums**2 / np.maximum(counts, 1)[:, None]
    return RankSums(
        z=z_of(sums, counts),
        omnibus=np.asarray(12.0 / (n * (n + 1)) * weighted.sum(axis=-2)),
        category_z=z_of(np.einsum("kp,...pe->...ke", members, sums), members @ counts),
    )


def _draw_shifts(run: Codes, n_draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(n_draws, n_runs) shifts in tokens; all different where there is one run."""
    sizes = [int((run == r).sum()) for r in np.unique(run)]
    allowed = []
    for size in sizes:
        least = min(MIN_SHIFT, size // 4)
        allowed.append(np.arange(max(least, 1), max(size - least, 1) + 1) % size)
    if len(allowed) == 1:
        return rng.permutation(allowed[0])[:n_draws, None]
    return np.stack([rng.choice(shifts, n_draws) for shifts in allowed], axis=1)


def _bins(values: Array64, n_bins: int) -> NDArray[np.int64]:
    ranks = rankdata(values)
    bins = np.minimum((ranks - 0.5) / len(values) * n_bins, n_bins - 1)
    return np.asarray(bins, dtype=np.int64)
