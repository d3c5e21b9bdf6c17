"""Noise ceilings of one fit: of its targets and of its parcels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.statistics.noise_ceiling import (
    Estimate,
    draw_repeats,
    has_ceiling,
    noise_ceiling,
    powers,
    q_of,
    signed_ceiling,
)
from bids_brainalign.workflow.assemble import Assembly
from bids_brainalign.workflow.repeats import Repeats, find_repeats, values_of
from bids_brainalign.workflow.spaces import seed_of

Array64 = NDArray[np.float64]

BLOCK_TARGETS = 2048
"""Voxels whose null draws are in memory at once: 33 MB at 2,000 draws."""
N_BINS = 40


@dataclass(frozen=True)
class TargetCeilings:
    """Ceilings of electrodes, voxels or parcels; (n_targets,) each."""

    signed: Array64
    """Negative where the signal power is (for parcels: mean of their voxels')."""
    low: Array64
    high: Array64
    p: Array64
    q: Array64
    per_fold: Array64
    """(n_folds, n_targets) as `signed`; NaN for folds without repeats."""

    @property
    def value(self) -> Array64:
        """NaN where it can't be estimated."""
        return np.where(self.signed > 0, self.signed, np.nan)

    @property
    def found(self) -> NDArray[np.bool_]:
        """Whether there is a ceiling at all (q < .05)."""
        return has_ceiling(self.q) & (self.signed > 0)


@dataclass(frozen=True)
class Ceilings:
    """What repeats tell about one fit."""

    n_averaged: int
    n_repeats: int
    n_samples: int
    """Moments that were repeated, over the folds of `pooled`."""
    n_null: int
    pooled: tuple[int, ...]
    """Folds that the ceilings over folds are from."""
    targets: TargetCeilings
    parcels: TargetCeilings | None
    null_counts: NDArray[np.float64]
    """(n_bins,) expected number of targets per bin of ceiling if none were repeatable."""

    @property
    def kind(self) -> str:
        """``single``, or ``mean_of_R``."""
        return "single" if self.n_averaged == 1 else f"mean_of_{self.n_averaged}"

    @property
    def rows(self) -> TargetCeilings:
        """Of the rows of scores.tsv."""
        return self.targets if self.parcels is None else self.parcels


BIN_EDGES = np.linspace(-1.0, 1.0, N_BINS + 1)


def estimate_ceilings(
    config: Config,
    assembly: Assembly,
    rows: Sequence[NDArray[np.int64]],
    parcels: NDArray[np.bool_] | None,
    *,
    purpose: str = "score",
) -> Ceilings | None:
    """Estimate ceilings from held-out rows of each fold.

    Parameters
    ----------
    config : Config
    assembly : Assembly
    rows : sequence of ndarray of int
        Per fold, into the samples of the fit.
    parcels : ndarray of bool, shape (n_parcels, n_targets), optional
    purpose : str
        Part of the seed.

    Returns
    -------
    Ceilings or None
        None where no fold holds repeats. Folds may differ in the number of presentations: ceilings
        over folds are from the kind that most moments have.
    """
    known = _known(config, assembly, rows)
    if not known:
        return None
    (n_averaged, n_repeats), pooled = _most_moments(known)
    lengths = [known[k].rows.shape[1] for k in pooled]
    seed = seed_of(config, "ceiling", purpose, assembly.fit.name.stem, assembly.fit.modality)
    draws = draw_repeats(
        lengths,
        n_repeats,
        assembly.decorrelation_s / assembly.interval_s,
        n_draws=config.nulls.n_draws,
        rng=np.random.default_rng(seed),
    )
    n_targets = len(assembly.targets)
    parts, per_fold, sums = [], np.full((len(rows), n_targets), np.nan), None
    counts = np.zeros(N_BINS)
    for start in range(0, n_targets, BLOCK_TARGETS):
        block = slice(start, min(start + BLOCK_TARGETS, n_targets))
        values = {k: values_of(config, assembly, r, block) for k, r in known.items()}
        per_fold[:, block] = _of_folds(values, known, n_folds=len(rows))
        joined = np.concatenate([values[k] for k in pooled], axis=1)
        part = noise_ceiling(joined, draws, n_averaged=n_averaged)
        if part.null is not None:
            counts += np.histogram(np.clip(part.null, -1, 1), BIN_EDGES)[0] / len(part.null)
        if parcels is not None:
            mine = _weighted(part, parcels[:, block])
            sums = mine if sums is None else _added(sums, mine)
        parts.append(_told(part, p=part.p()))
    groups = None
    if parcels is not None and sums is not None:
        groups = _groups(sums, per_fold, parcels)
    return Ceilings(
        n_averaged=n_averaged,
        n_repeats=n_repeats,
        n_samples=sum(lengths),
        n_null=0 if draws.moves is None else draws.moves[0].n_draws,
        pooled=pooled,
        targets=_joined(parts, per_fold),
        parcels=groups,
        null_counts=counts,
    )


def _known(
    config: Config, assembly: Assembly, rows: Sequence[NDArray[np.int64]]
) -> dict[int, Repeats]:
    """Fold → its repeats, where there are enough of them."""
    least, known = config.folds.min_samples, {}
    for k, part in enumerate(rows):
        if len(part) >= least:
            found = find_repeats(assembly.samples, part, assembly.stored_repeats)
            if found is not None and found.rows.shape[1] >= least:
                known[k] = found
    return known


def _most_moments(known: Mapping[int, Repeats]) -> tuple[tuple[int, int], tuple[int, ...]]:
    """Pick what most moments have, as (n_averaged, n_repeats), and the folds that have it."""
    kinds = {k: (repeats.n_averaged, repeats.n_repeats) for k, repeats in known.items()}
    moments: Counter[tuple[int, int]] = Counter()
    for k, repeats in known.items():
        moments[kinds[k]] += repeats.rows.shape[1]
    most = moments.most_common(1)[0][0]
    return most, tuple(k for k in known if kinds[k] == most)


def _groups(sums: Estimate, per_fold: Array64, parcels: NDArray[np.bool_]) -> TargetCeilings:
    """Means over the targets of each parcel."""
    size = parcels.sum(axis=1).astype(np.float64)
    mean = _scaled(sums, 1 / size)
    folds = np.nan_to_num(per_fold) @ parcels.T / size
    folds[np.isnan(per_fold).all(axis=1)] = np.nan
    return _joined([_told(mean, p=mean.p())], folds)


def _of_folds(
    values: Mapping[int, NDArray[np.floating]], known: Mapping[int, Repeats], *, n_folds: int
) -> Array64:
    n_targets = next(iter(values.values())).shape[2]
    out = np.full((n_folds, n_targets), np.nan)
    for k, x in values.items():
        found = powers(x)
        out[k] = signed_ceiling(found.signal, found.total, n_averaged=known[k].n_averaged)
    return out


def _weighted(part: Estimate, parcels: NDArray[np.bool_]) -> Estimate:
    """Sum over the targets of each parcel; those without variance count as 0."""
    weight = parcels.T.astype(np.float64)

    def total(values: Array64) -> Array64:
        return np.asarray(np.nan_to_num(values) @ weight)

    null = None if part.null is None else total(part.null)
    return replace(part, signed=total(part.signed), left_out=total(part.left_out), null=null)


def _added(one: Estimate, two: Estimate) -> Estimate:
    null = None if one.null is None or two.null is None else one.null + two.null
    return replace(
        one, signed=one.signed + two.signed, left_out=one.left_out + two.left_out, null=null
    )


def _scaled(sums: Estimate, by: Array64) -> Estimate:
    null = None if sums.null is None else sums.null * by
    return replace(sums, signed=sums.signed * by, left_out=sums.left_out * by, null=null)


def _told(part: Estimate, *, p: Array64) -> dict[str, Array64]:
    low, high = part.interval()
    return {"signed": part.signed, "low": low, "high": high, "p": p}


def _joined(parts: Sequence[dict[str, Array64]], per_fold: Array64) -> TargetCeilings:
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return TargetCeilings(**whole, q=q_of(whole["p"]), per_fold=per_fold)
