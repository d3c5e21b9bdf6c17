"""Intervals over participants; which one depends on how many there are."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

MIN_FOR_INTERVAL = 5
"""Fewer participants are shown one by one (design: statistics.md §8)."""

MIN_FOR_BOOTSTRAP = 10
"""Below this a bootstrap covers too little (74–89 % at 3–8 participants)."""

N_RESAMPLES = 9999


class Interval(NamedTuple):
    """A mean over participants and its confidence interval."""

    mean: float
    low: float
    high: float
    kind: Literal["none", "t", "bca"]
    """``none``: too few participants; low and high are NaN."""
    n: int
    """Participants that have a value."""


def t_interval(x: NDArray[np.floating], *, level: float = 0.95) -> tuple[float, float]:
    """Student's t interval of the mean.

    Parameters
    ----------
    x : array (n_participants,)
        One value per participant; NaN is left out.
    level : float
        Coverage.

    Returns
    -------
    low, high : float
        NaN with fewer than two values.
    """
    x = _known(x)
    if len(x) < 2:
        return float("nan"), float("nan")
    half = stats.t.ppf((1 + level) / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x))
    return float(x.mean() - half), float(x.mean() + half)


def bca_interval(
    x: NDArray[np.floating], rng: np.random.Generator, *, level: float = 0.95
) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap interval of the mean.

    Parameters
    ----------
    x : array (n_participants,)
        One value per participant; NaN is left out.
    rng : Generator
        Seeded by the caller.
    level : float
        Coverage.

    Returns
    -------
    low, high : float
        NaN with fewer than two values; both the mean where all values are equal.

    References
    ----------
    Efron 1987, J. Am. Stat. Assoc. 82(397).
    """
    x = _known(x)
    if len(x) < 2:
        return float("nan"), float("nan")
    if np.ptp(x) == 0:
        return float(x[0]), float(x[0])
    result = stats.bootstrap(
        (x,),
        np.mean,
        confidence_level=level,
        n_resamples=N_RESAMPLES,
        method="BCa",
        random_state=rng,
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def group_interval(
    x: NDArray[np.floating], rng: np.random.Generator, *, level: float = 0.95
) -> Interval:
    """Mean over participants with the interval that their number allows.

    Parameters
    ----------
    x : array (n_participants,)
        One value per participant (targets are averaged before); NaN is left out.
    rng : Generator
        Seeded by the caller; used from 10 participants on.
    level : float
        Coverage.

    Returns
    -------
    Interval
        No interval below 5 participants, Student's t below 10, bootstrap from 10 on.
    """
    x = _known(x)
    mean = float(x.mean()) if len(x) else float("nan")
    if len(x) < MIN_FOR_INTERVAL:
        return Interval(mean, float("nan"), float("nan"), "none", len(x))
    if len(x) < MIN_FOR_BOOTSTRAP:
        return Interval(mean, *t_interval(x, level=level), "t", len(x))
    return Interval(mean, *bca_interval(x, rng, level=level), "bca", len(x))


def _known(x: NDArray[np.floating]) -> NDArray[np.float64]:
    x = np.asarray(x, dtype=np.float64)
    return np.asarray(x[~np.isnan(x)])
