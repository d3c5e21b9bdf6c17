"""Is there a repeatable response at all? Presentations moved against each other, for a null."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.statistics.nulls import fold_kind

_BLOCK_ELEMENTS = 1 << 22


@dataclass(frozen=True)
class SegmentDraws:
    """How every presentation is moved, in one segment (held-out fold); shared by all targets."""

    length: int
    offsets: NDArray[np.int64] | None
    """(n_draws, n_repeats) circular shifts in samples."""
    phases: NDArray[np.float32] | None
    """(n_draws, n_repeats, length // 2) in turns, one per frequency above 0; where the segment is
    too short for shifts."""

    @property
    def n_draws(self) -> int:
        """Draws."""
        drawn = self.offsets if self.phases is None else self.phases
        return 0 if drawn is None else len(drawn)


def draw_moves(
    lengths: Sequence[int],
    n_repeats: int,
    decorrelation_samples: float,
    *,
    n_draws: int,
    rng: np.random.Generator,
) -> tuple[SegmentDraws, ...] | None:
    """Draw how presentations are moved against each other.

    Segments of 50 decorrelation times are shifted circularly; shorter ones get random phases
    instead: of AR(1) noise with coefficient .6, 90 to 150 samples long, shifts called 5.5 to 7 %
    of targets significant at .05, random phases 5 % (tests/statistics/test_repeat_null.py).

    Parameters
    ----------
    lengths : sequence of int
        Samples of each segment.
    n_repeats : int
    decorrelation_samples : float
        Any two presentations are shifted at least so far from their true alignment, as far as
        a segment has room for it.
    n_draws : int
        Draws wanted. Two presentations in one segment have no more shifts than its length.
    rng : Generator

    Returns
    -------
    tuple of SegmentDraws or None
        One per segment. None where one is shorter than 10 decorrelation times: no test then.
    """
    steps = max(1.0, decorrelation_samples)
    kinds = [fold_kind(length, steps) for length in lengths]
    if n_repeats < 2 or not kinds or "none" in kinds:
        return None
    if kinds == ["shift"] and n_repeats == 2:
        least = _least_offset(lengths[0], 2, steps)
        chosen = rng.permutation(np.arange(least, lengths[0] - least + 1))[:n_draws]
        offsets = np.stack([np.zeros_like(chosen), chosen], axis=1)
        return (SegmentDraws(lengths[0], offsets, None),)
    drawn = []
    for length, kind in zip(lengths, kinds, strict=True):
        if kind == "shift":
            offsets = _spread(length, n_repeats, steps, n_draws=n_draws, rng=rng)
            drawn.append(SegmentDraws(length, offsets, None))
        else:
            phases = rng.random((n_draws, n_repeats, length // 2), dtype=np.float32)
            if length % 2 == 0:
                phases[..., -1] = np.where(phases[..., -1] < 0.5, 0.0, 0.5)
            drawn.append(SegmentDraws(length, None, phases))
    return tuple(drawn)


def moved_products(
    repeats: NDArray[np.floating], draws: Sequence[SegmentDraws]
) -> NDArray[np.float64]:
    """Sum over pairs of presentations of their inner products, after each was moved.

    Parameters
    ----------
    repeats : ndarray of shape (n_repeats, n_times, n_targets)
        Mean 0 in every segment and presentation; segments follow each other in time.
    draws : sequence of SegmentDraws
        From :func:`draw_moves`.

    Returns
    -------
    ndarray of shape (n_draws, n_targets)
    """
    n_targets = repeats.shape[2]
    total = np.zeros((draws[0].n_draws, n_targets))
    step = max(1, _BLOCK_ELEMENTS // max(draw.length for draw in draws))
    for first in range(0, n_targets, step):
        block = slice(first, first + step)
        start = 0
        for draw in draws:
            part = repeats[:, start : start + draw.length, block].astype(np.float32)
            spectra = fft.rfft(part, axis=1)
            if draw.offsets is not None:
                _add_shifted(total[:, block], spectra, draw.offsets, draw.length)
            elif draw.phases is not None:
                _add_phased(total[:, block], spectra, draw.phases, draw.length)
            start += draw.length
    return total


def _add_shifted(
    total: NDArray[np.float64],
    spectra: NDArray[np.complex64],
    offsets: NDArray[np.int64],
    length: int,
) -> None:
    for one, two in combinations(range(len(spectra)), 2):
        # Row d: the inner product of `one` moved by d samples with `two`.
        every = fft.irfft(spectra[two] * spectra[one].conj(), length, axis=0)
        total += every[(offsets[:, one] - offsets[:, two]) % length]


def _add_phased(
    total: NDArray[np.float64],
    spectra: NDArray[np.complex64],
    phases: NDArray[np.float32],
    length: int,
) -> None:
    """Half of |Σ_r X_r e^(iθ_r)|² − Σ_r |X_r|², summed over frequencies (Parseval)."""
    for index in range(phases.shape[2]):
        found = spectra[:, index + 1]  # (n_repeats, n_targets)
        turned = np.exp(2j * np.pi * phases[:, :, index]).astype(np.complex64) @ found
        pairs = (turned.real**2 + turned.imag**2) - (np.abs(found) ** 2).sum(axis=0)
        nyquist = length % 2 == 0 and index == phases.shape[2] - 1
        total += pairs * ((0.5 if nyquist else 1.0) / length)


def _least_offset(length: int, n_repeats: int, steps: float) -> int:
    return max(1, min(int(np.ceil(steps)), length // (2 * n_repeats)))


def _spread(
    length: int, n_repeats: int, steps: float, *, n_draws: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Offsets that keep a least distance on the circle, each such set as likely as another."""
    if length <= n_repeats:
        raise BrainAlignError(
            f"{n_repeats} presentations of {length} samples can't be shifted against each other.",
            fix="leave out folds that short",
            exit_code=ExitCode.INTERNAL,
        )
    least = _least_offset(length, n_repeats, steps)
    spare = length - n_repeats * least  # shared out among the gaps between neighbours
    cuts = np.sort(rng.integers(0, spare + 1, size=(n_draws, n_repeats - 1)), axis=1)
    places = np.zeros((n_draws, n_repeats), dtype=np.int64)
    places[:, 1:] = cuts + least * np.arange(1, n_repeats)
    return rng.permuted(places, axis=1)
