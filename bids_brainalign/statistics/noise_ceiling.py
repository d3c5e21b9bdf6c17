"""Noise ceilings from repeated presentations of a stimulus: what a perfect model would reach.

A response is a signal, the same in every presentation, plus noise that is not. With TP the
variance of single presentations and SP that of the signal, the mean covariance of two
presentations, no prediction correlates better with the mean of m presentations than

    CC_max(m) = sqrt(SP / (SP + (TP − SP) / m)),

which is sqrt(SP/TP) for a single one and, with all R that SP and TP are estimated from, the
1 / sqrt(1 + (TP/SP − 1) / R) of Schoppe et al.

References
----------
Sahani & Linden 2003, NIPS 15, eq. 1 (SP and TP); Hsu, Borst & Theunissen 2004, Network 15(2);
Schoppe et al. 2016, Front. Comput. Neurosci. 10:10, eq. 6 to 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.statistics.multiplicity import benjamini_hochberg
from bids_brainalign.statistics.repeat_null import SegmentDraws, draw_moves, moved_products
from bids_brainalign.statistics.tails import p_values

Array64 = NDArray[np.float64]

ALPHA = 0.05
THRESHOLD = 0.4
"""Least ceiling of the targets of brain-tuning (Moussa et al. 2025); alone it lets 4 to 11 % of
voxels of pure noise pass, hence the test beside it."""
BLOCK_TIMES = 3.0
"""Length of the blocks of time that are left out for intervals, in decorrelation times."""
MIN_BLOCKS = 6
"""With fewer blocks there is no interval."""
LEVEL = 0.95
_EPSILON = 1e-12
_BLOCK_ELEMENTS = 1 << 23


@dataclass(frozen=True)
class Powers:
    """Variances that a ceiling is made of."""

    signal: Array64
    """SP: mean covariance of two presentations; unbiased, so it may be negative."""
    total: Array64
    """TP: mean variance of single presentations."""


@dataclass(frozen=True)
class RepeatDraws:
    """Draws of one fit, shared by all targets: means over targets can be tested with them."""

    lengths: tuple[int, ...]
    """Samples of each segment."""
    moves: tuple[SegmentDraws, ...] | None
    """How presentations are moved against each other; None where there is no test."""
    n_repeats: int
    block: NDArray[np.int64]
    """(n_times,) block of time that a sample belongs to."""


@dataclass(frozen=True)
class Estimate:
    """Signed ceilings of targets (or means over groups of them), with draws of the same."""

    signed: Array64
    """(n_targets,): the ceiling, negative where SP is, so that chance cancels in means over
    targets; NaN without variance."""
    left_out: Array64
    """(n_blocks, n_targets) the same with each block of time left out."""
    null: Array64 | None
    """(n_draws, n_targets) the same of presentations moved against each other."""
    n_averaged: int
    """Presentations that the scored response is the mean of."""
    n_repeats: int

    def ceiling(self) -> Array64:
        """Give the ceiling; NaN where SP ≤ 0: it can't be estimated there."""
        return np.where(self.signed > 0, self.signed, np.nan)

    def interval(self) -> tuple[Array64, Array64]:
        """Give the ends of the 95 % interval, at least 0; NaN with fewer than 6 blocks.

        Student's t with the jackknife over blocks, on the scale on which Fisher (1925, Statistical
        Methods for Research Workers, §39) gave an intraclass correlation SP/TP a constant error.
        It held the planted ceiling in 91 to 95 % of targets, percentiles of drawn blocks in 83 to
        91 % (tests/statistics/test_noise_ceiling.py).
        """
        n = len(self.left_out)
        if n < MIN_BLOCKS:
            missing = np.full(self.signed.shape, np.nan)
            return missing, missing
        z, others = self._stable(self.signed), self._stable(self.left_out)
        spread = ((others - others.mean(axis=0)) ** 2).sum(axis=0)
        reach = stats.t.ppf((1 + LEVEL) / 2, n - 1) * np.sqrt(spread * (n - 1) / n)
        low, high = (np.maximum(self._ceiling_of(z + side * reach), 0.0) for side in (-1, 1))
        return low, high

    def _stable(self, signed: Array64) -> Array64:
        share = np.clip(np.sign(signed) * signed**2, -1e6, 1 - _EPSILON)
        single = share / (self.n_averaged - (self.n_averaged - 1) * share)
        odds = (1 + (self.n_repeats - 1) * single) / (1 - single)
        return np.asarray(0.5 * np.log(np.maximum(odds, _EPSILON)))

    def _ceiling_of(self, z: Array64) -> Array64:
        odds = np.exp(2 * z)
        single = (odds - 1) / (odds + self.n_repeats - 1)
        return signed_ceiling(single, np.ones_like(single), n_averaged=self.n_averaged)

    def p(self) -> Array64:
        """One-sided p that presentations agree more than moved ones do; NaN without a null."""
        if self.null is None:
            return np.full(self.signed.shape, np.nan)
        return p_values(self.signed, self.null)


def powers(repeats: NDArray[np.floating], *, lengths: Sequence[int] | None = None) -> Powers:
    """Signal and total power (variance) of every target.

    Parameters
    ----------
    repeats : ndarray of shape (n_repeats, n_times, n_targets)
        Single presentations of the same stimulus.
    lengths : sequence of int, optional
        Segments (held-out folds) that follow each other in time and are centred each on its own;
        one by default.
    """
    repeats, lengths = _checked(repeats, lengths)
    signal = np.empty(repeats.shape[2])
    total = np.empty(repeats.shape[2])
    for block in _blocks(repeats):
        x = centred(repeats[:, :, block], lengths)
        sums = (x.sum(axis=0) ** 2).sum(axis=0), (x**2).sum(axis=(0, 1))
        signal[block], total[block] = _powers_of(*sums, x.shape[1] - len(lengths), len(x))
    return Powers(signal, total)


def signed_ceiling(signal: Array64, total: Array64, *, n_averaged: int) -> Array64:
    """Ceiling of the mean of some presentations, with the sign of SP.

    Parameters
    ----------
    signal, total : ndarray
        SP and TP.
    n_averaged : int
        Presentations that the scored response is the mean of: 1 for single ones.

    Returns
    -------
    ndarray
        sqrt(SP / (SP + (TP − SP) / n_averaged)); where SP < 0 minus the root of the absolute
        value; NaN without variance.
    """
    scored = signal + (total - signal) / n_averaged
    share = signal / np.where(scored > _EPSILON * np.abs(total), scored, np.nan)
    return np.asarray(np.sign(share) * np.sqrt(np.abs(share)))


def centred(repeats: NDArray[np.floating], lengths: Sequence[int]) -> Array64:
    """Take the mean of every segment and presentation from it, in float64."""
    x = np.asarray(repeats, dtype=np.float64)
    parts = np.split(x, np.cumsum(lengths)[:-1], axis=1)
    return np.concatenate([part - part.mean(axis=1, keepdims=True) for part in parts], axis=1)


def draw_repeats(
    lengths: Sequence[int],
    n_repeats: int,
    decorrelation_samples: float,
    *,
    n_draws: int,
    rng: np.random.Generator,
) -> RepeatDraws:
    """Draw shifts of presentations, and cut time into blocks.

    Parameters
    ----------
    lengths : sequence of int
        Samples of each segment (held-out fold); neither shifts nor blocks cross their borders.
    n_repeats : int
    decorrelation_samples : float
        Of the responses, in samples.
    n_draws : int
    rng : Generator
    """
    moves = draw_moves(lengths, n_repeats, decorrelation_samples, n_draws=n_draws, rng=rng)
    size = BLOCK_TIMES * max(1.0, decorrelation_samples)
    parts, n_blocks = [], 0
    for length in lengths:
        mine = max(1, int(length / size))
        parts.append(n_blocks + np.arange(length) * mine // length)
        n_blocks += mine
    return RepeatDraws(tuple(lengths), moves, n_repeats, np.concatenate(parts))


def noise_ceiling(
    repeats: NDArray[np.floating], draws: RepeatDraws, *, n_averaged: int
) -> Estimate:
    """Estimate the ceiling of every target.

    Parameters
    ----------
    repeats : ndarray of shape (n_repeats, n_times, n_targets)
        Single presentations of the same stimulus; two or more.
    draws : RepeatDraws
        From :func:`draw_repeats`.
    n_averaged : int
        Presentations that the scored response is the mean of: 1 for single ones, `n_repeats` for
        the mean of those given.

    Returns
    -------
    Estimate
        Its null has a value per draw and target: give a block of many targets.
    """
    repeats, lengths = _checked(repeats, draws.lengths)
    n_targets, n = repeats.shape[2], repeats.shape[1] - len(lengths)
    signed = np.empty(n_targets)
    member = (draws.block == np.arange(draws.block.max() + 1)[:, None]).astype(np.float64)
    kept = (n * (1 - member.mean(axis=1)))[:, None]
    left_out = np.full((len(member), n_targets), np.nan)
    null = None if draws.moves is None else np.empty((draws.moves[0].n_draws, n_targets))
    n_repeats = len(repeats)
    for block in _blocks(repeats):
        x = centred(repeats[:, :, block], lengths)
        together, apart = x.sum(axis=0) ** 2, (x**2).sum(axis=0)  # (n_times, n_targets)
        found = _powers_of(together.sum(axis=0), apart.sum(axis=0), n, n_repeats)
        signed[block] = signed_ceiling(*found, n_averaged=n_averaged)
        if len(member) > 1:
            others = [part.sum(axis=0) - member @ part for part in (together, apart)]
            parts = _powers_of(others[0], others[1], kept, n_repeats)
            left_out[:, block] = signed_ceiling(*parts, n_averaged=n_averaged)
        if null is not None and draws.moves is not None:
            products = moved_products(x, draws.moves)
            signal = products * (2 / (n_repeats * (n_repeats - 1) * n))
            null[:, block] = signed_ceiling(signal, found[1], n_averaged=n_averaged)
    return Estimate(signed, left_out, null, n_averaged, n_repeats)


def select_by_ceiling(
    ceiling: NDArray[np.floating],
    q: NDArray[np.floating],
    *,
    threshold: float = THRESHOLD,
    alpha: float = ALPHA,
) -> NDArray[np.bool_]:
    """Choose targets by a ceiling that is large enough, and is one.

    Estimate it from other data than the selected targets are scored on.

    Parameters
    ----------
    ceiling : ndarray of shape (n_targets,)
        NaN where undefined: never chosen.
    q : ndarray of shape (n_targets,)
        Of the permutation test; NaN: never chosen.
    threshold : float
        Least ceiling.
    alpha : float
        Largest q.
    """
    return np.asarray((np.nan_to_num(ceiling, nan=-1.0) > threshold) & has_ceiling(q, alpha=alpha))


def has_ceiling(q: NDArray[np.floating], *, alpha: float = ALPHA) -> NDArray[np.bool_]:
    """Whether presentations of a target agree; not where that was not tested (NaN)."""
    return np.asarray(np.nan_to_num(q, nan=1.0) < alpha)


def q_of(p: Array64) -> Array64:
    """Benjamini–Hochberg q over targets."""
    return np.asarray(benjamini_hochberg(p))


def _powers_of(
    together: Array64, apart: Array64, n: float | Array64, n_repeats: int
) -> tuple[Array64, Array64]:
    """SP and TP from sums over time of (Σ_r x)² and of Σ_r x²."""
    total = apart / (n_repeats * n)
    signal = (together - apart) / (n_repeats * (n_repeats - 1) * n)
    return np.asarray(signal), np.asarray(total)


def _checked(
    repeats: NDArray[np.floating], lengths: Sequence[int] | None
) -> tuple[NDArray[np.floating], tuple[int, ...]]:
    lengths = (repeats.shape[1],) if lengths is None else tuple(lengths)
    if repeats.ndim != 3 or len(repeats) < 2 or sum(lengths) != repeats.shape[1]:
        raise BrainAlignError(
            f"A noise ceiling needs two or more presentations; repeats have shape "
            f"{repeats.shape}, segments {sum(lengths)} samples.",
            exit_code=ExitCode.INTERNAL,
        )
    if repeats.shape[1] - len(lengths) < 2:
        raise BrainAlignError(
            f"A noise ceiling can't be estimated from {repeats.shape[1]} samples.",
            fix="give a longer repeated stimulus",
        )
    return repeats, lengths


def _blocks(repeats: NDArray[np.floating]) -> list[slice]:
    """Targets whose presentations are in float64 at once."""
    n_repeats, n_times, n_targets = repeats.shape
    step = max(1, _BLOCK_ELEMENTS // (n_repeats * n_times))
    return [slice(start, min(start + step, n_targets)) for start in range(0, n_targets, step)]
