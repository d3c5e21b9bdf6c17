"""Many targets at once: false discovery rate and max statistics."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bids_brainalign.statistics.tails import p_floor


def benjamini_hochberg(p: NDArray[np.floating]) -> NDArray[np.float64]:
    """Give the false discovery rate at which each target would be declared.

    Parameters
    ----------
    p : array (n_targets,)
        NaN where there is no test; such a target doesn't count as one.

    Returns
    -------
    array (n_targets,), float64
        q values; NaN where p is.

    References
    ----------
    Benjamini & Hochberg 1995, J. R. Stat. Soc. B 57(1).
    """
    p = np.asarray(p, dtype=np.float64)
    q = np.full(p.shape, np.nan)
    tested = ~np.isnan(p)  # scipy refuses NaN
    if tested.any():
        q[tested] = stats.false_discovery_control(p[tested], method="bh")
    return q


def bh_reachable(n_tests: int, n_draws: int, *, alpha: float = 0.05, tail_fit: bool = True) -> int:
    """Discoveries it takes before Benjamini-Hochberg can declare any.

    The smallest p value that the draws allow must not exceed ``alpha · k / n_tests`` for ``k``
    targets at that floor.

    Parameters
    ----------
    n_tests : int
        Targets that are tested.
    n_draws : int
        Null draws behind each p value.
    alpha : float
        False discovery rate.
    tail_fit : bool
        Whether p values come from fitted tails (:func:`~.tails.p_values`).

    Returns
    -------
    int
        1: a single target can be declared. Larger: worth a warning. Larger than ``n_tests``: not
        even an effect in every target would be declared.
    """
    needed = p_floor(n_draws, tail_fit=tail_fit) * n_tests / alpha
    return max(1, math.ceil(needed - 1e-9))
