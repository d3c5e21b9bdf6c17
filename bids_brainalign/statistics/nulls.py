"""Null distributions that keep the autocorrelation of responses and predictions.

Each held-out fold's predictions are shifted circularly against its responses; short folds, which
have too few independent shifts, get random phases instead. The draws are made once per fold and
used for all targets, layers and models, so that maxima over them are true joint draws.

Both act on the samples that are scored: censored samples are already gone from ``y`` and
``yhat``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.statistics.correlation import fisher_z, unit_columns

FoldKind = Literal["shift", "phase", "none"]

SHIFT_TIMES = 50
"""Decorrelation times a fold must last for circular shifts. Fewer independent shifts describe the
null's tail badly: at 34 times (AR .9, 900 samples) p < .05 came in 6.5 % and p < .01 in 2.3 % of
10,000 null targets, random phases gave 5 % and 1 %; at 20 times and with skewed data both are near
6–7 %. statistics.md §4 says 20; its §13, calibration, needs more."""

PHASE_TIMES = 10
"""… and for random phases; a shorter fold has no p value."""

_BLOCK_ELEMENTS = 1 << 22


@dataclass(frozen=True)
class FoldDraws:
    """The draws of one fold, shared by all targets, layers and models."""

    kind: FoldKind
    n_samples: int
    n_draws: int
    offsets: NDArray[np.int64] | None = None
    """(n_draws,) samples, for ``shift``."""
    phase_basis: NDArray[np.float32] | None = None
    """(n_draws, 2 * (n_samples // 2)) cosines, then sines of the phases, for ``phase``."""


def fold_kind(n_samples: int, decorrelation_samples: float) -> FoldKind:
    """Null that a fold of this length can carry.

    Parameters
    ----------
    n_samples : int
        Length of the held-out fold.
    decorrelation_samples : float
        Decorrelation time of the responses, in samples; at least one sample is assumed.

    Returns
    -------
    {"shift", "phase", "none"}
        ``none``: too short for any p value.
    """
    times = n_samples / max(decorrelation_samples, 1.0)
    if times >= SHIFT_TIMES:
        return "shift"
    return "phase" if times >= PHASE_TIMES else "none"


def draw_offsets(
    fold_lengths: Sequence[int], *, n_draws: int, min_offset: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Offset of every fold in every draw.

    Parameters
    ----------
    fold_lengths : sequence of int
        Samples of each held-out fold.
    n_draws : int
        Draws wanted.
    min_offset : int
        Smallest shift in samples in either direction: delay span plus decorrelation time, so
        that no draw contains part of the true alignment.
    rng : Generator
        Seeded by the caller.

    Returns
    -------
    array (n_draws, n_folds), int64
        Each in [min_offset, n − min_offset]. No combination comes twice: if there are fewer
        combinations than draws wanted, there are that many rows, because repeated draws would
        promise a finer p value than the data hold.

    Raises
    ------
    BrainAlignError
        If a fold is too short for ``min_offset``.
    """
    counts = [length - 2 * min_offset + 1 for length in fold_lengths]
    if min_offset < 1 or min(counts, default=0) < 1:
        raise BrainAlignError(
            f"Folds of {list(fold_lengths)} samples cannot be shifted by at least "
            f"{min_offset} samples in both directions.",
            fix="Use fewer, longer folds, or give p values up.",
        )
    total = math.prod(counts)
    if total < 2**62:
        flat = rng.choice(total, size=min(n_draws, total), replace=False)
        columns = np.stack(np.unravel_index(flat, counts), axis=1)
    else:  # beyond 64-bit indices; a repetition won't happen
        columns = np.stack([rng.integers(count, size=n_draws) for count in counts], axis=1)
    return columns.astype(np.int64) + min_offset


def draw_phases(n_samples: int, *, n_draws: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Random phases of one fold as a basis for the cross-spectrum.

    Parameters
    ----------
    n_samples : int
        Length of the fold.
    n_draws : int
        Draws wanted.
    rng : Generator
        Seeded by the caller.

    Returns
    -------
    array (n_draws, 2 * (n_samples // 2)), float32
        Cosines, then sines, of one phase per frequency above 0; a sign at Nyquist.
    """
    theta = rng.random((n_draws, n_samples // 2), dtype=np.float32)
    if n_samples % 2 == 0:
        theta[:, -1] = np.where(theta[:, -1] < 0.5, 0.0, 0.5)
    theta *= np.float32(2 * np.pi)
    return np.concatenate([np.cos(theta), np.sin(theta)], axis=1)


def draw_folds(
    fold_lengths: Sequence[int],
    decorrelation_samples: float,
    *,
    n_draws: int,
    min_offset: int,
    rng: np.random.Generator,
) -> tuple[FoldDraws, ...]:
    """Draws of all folds, each of the kind its length allows.

    Parameters
    ----------
    fold_lengths : sequence of int
        Samples of each held-out fold that is scored.
    decorrelation_samples : float
        Decorrelation time of the responses, in samples.
    n_draws, min_offset, rng
        As in :func:`draw_offsets`.

    Returns
    -------
    tuple of FoldDraws
        One per fold, all with the same number of draws. If any is of kind ``none``, the score
        over folds has no null and its p is ``n/a``.
    """
    kinds = [fold_kind(length, decorrelation_samples) for length in fold_lengths]
    shifted = [n for n, kind in zip(fold_lengths, kinds, strict=True) if kind == "shift"]
    offsets = np.empty((n_draws, 0), dtype=np.int64)
    if shifted:
        offsets = draw_offsets(shifted, n_draws=n_draws, min_offset=min_offset, rng=rng)
        if "phase" in kinds and len(offsets) < n_draws:
            offsets = rng.choice(offsets, size=n_draws)  # phases differ, so repeats are no copies
    n_draws = len(offsets)
    columns = iter(offsets.T)
    draws = []
    for length, kind in zip(fold_lengths, kinds, strict=True):
        shift = next(columns) if kind == "shift" else None
        phases = draw_phases(length, n_draws=n_draws, rng=rng) if kind == "phase" else None
        draws.append(FoldDraws(kind, length, n_draws, shift, phases))
    return tuple(draws)


class FoldNull:
    """Null correlations of one held-out fold; responses are transformed once.

    Parameters
    ----------
    y : array (n_samples, n_targets)
        Held-out responses, a block of targets.
    draws : FoldDraws
        Of this fold.

    Raises
    ------
    BrainAlignError
        If the fold has no null, or ``y`` is not as long as the draws.
    """

    def __init__(self, y: NDArray[np.floating], draws: FoldDraws) -> None:
        if draws.kind == "none":
            raise BrainAlignError(
                f"A fold of {draws.n_samples} samples is shorter than {PHASE_TIMES} decorrelation "
                "times and has no null distribution.",
                fix="Report its p value as n/a.",
                exit_code=ExitCode.INTERNAL,
            )
        if y.shape[0] != draws.n_samples:
            raise BrainAlignError(
                f"Responses of {y.shape[0]} samples, but the draws are for {draws.n_samples}.",
                exit_code=ExitCode.INTERNAL,
            )
        self._draws = draws
        self._shape = y.shape
        self._step = max(1, _BLOCK_ELEMENTS // max(1, draws.n_samples))
        self._spectrum = np.empty((y.shape[1], draws.n_samples // 2 + 1), dtype=np.complex64)
        for block in self._blocks():
            self._spectrum[block] = _spectrum(y[:, block])

    def null(self, yhat: NDArray[np.floating]) -> NDArray[np.float32]:
        """Correlations of the responses with drawn versions of a prediction.

        Parameters
        ----------
        yhat : array (n_samples, n_targets)
            Held-out predictions.

        Returns
        -------
        array (n_draws, n_targets), float32
            NaN where responses or predictions have no variance.
        """
        if yhat.shape != self._shape:
            raise BrainAlignError(
                f"Predictions of shape {yhat.shape}, but responses of {self._shape}.",
                exit_code=ExitCode.INTERNAL,
            )
        r = np.empty((self._draws.n_draws, yhat.shape[1]), dtype=np.float32)
        for block in self._blocks():
            cross = self._spectrum[block] * _spectrum(yhat[:, block]).conj()
            r[:, block] = (
                self._shifted(cross) if self._draws.kind == "shift" else self._phased(cross)
            )
        return r

    def _blocks(self) -> Iterable[slice]:
        starts = range(0, self._shape[1], self._step)
        return (slice(start, min(start + self._step, self._shape[1])) for start in starts)

    def _shifted(self, cross: NDArray[np.complex64]) -> NDArray[np.float32]:
        """All circular shifts at once, then those drawn."""
        every = fft.irfft(cross, self._draws.n_samples, axis=1)
        picked: NDArray[np.float32] = every[:, self._draws.offsets].T
        return picked

    def _phased(self, cross: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Parseval's sum over frequencies, each turned by its phase."""
        n_samples = self._draws.n_samples
        weight = np.full(n_samples // 2, 2.0 / n_samples, dtype=np.float32)
        if n_samples % 2 == 0:
            weight[-1] /= 2  # Nyquist has no negative twin
        turned = cross[:, 1:] * weight
        basis = self._draws.phase_basis
        r: NDArray[np.float32] = basis @ np.concatenate([turned.real, turned.imag], axis=1).T
        return r


def combine(nulls: Iterable[NDArray[np.floating]], weights: ArrayLike) -> NDArray[np.float32]:
    """Null of the score over folds: the same weighted Fisher-z mean as the observed one.

    Parameters
    ----------
    nulls : iterable of array (n_draws, n_targets)
        One per fold; a generator keeps only one in memory.
    weights : array (n_folds,)
        Samples of each fold, as for :func:`~.correlation.fisher_mean`.

    Returns
    -------
    array (n_draws, n_targets), float32
        NaN where no fold is left.
    """
    total: NDArray[np.float32] | None = None
    for r, weight in zip(nulls, np.asarray(weights, dtype=np.float32), strict=True):
        z = fisher_z(r.astype(np.float32))
        missing = np.isnan(z).any(axis=0)  # a target without variance lacks all draws
        z[:, missing] = 0.0
        if total is None:
            total, share = np.zeros_like(z), np.zeros(z.shape[1], dtype=np.float32)
        total += weight * z
        share += weight * ~missing
    if total is None:
        raise BrainAlignError("No folds to combine.", exit_code=ExitCode.INTERNAL)
    mean: NDArray[np.float32] = np.tanh(total / np.where(share > 0, share, np.float32(np.nan)))
    return mean


def _spectrum(x: NDArray[np.floating]) -> NDArray[np.complex64]:
    """Spectrum (n_targets, n_frequencies) of columns of unit length."""
    unit = np.ascontiguousarray(unit_columns(x).T, dtype=np.float32)
    spectrum: NDArray[np.complex64] = fft.rfft(unit, axis=1)
    return spectrum
