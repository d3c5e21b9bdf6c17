"""The best penalty of every target without scoring every penalty.

Scores change smoothly with the logarithm of the penalty. So penalties are first scored a few
apart; a cubic spline says which of those between could be best for which target, and these are
scored for these targets. What is chosen is always a penalty that was scored.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, make_interp_spline

Array64 = NDArray[np.float64]
Columns = NDArray[np.int64] | None
Scorer = Callable[[float, Columns], Array64]
"""Penalty and targets (None: all) → score of each."""

STEP = 0.7
"""Largest distance of penalties that are scored for all targets, in powers of ten."""
MARGIN = 4e-3
"""A penalty is scored where the spline comes this close to the best: several times the spline's
error at such distances (tests/encoding/test_penalty_search.py)."""
BEND = 0.5
"""… or this share of what the spline differs from straight lines between nodes."""
FEWEST = 6
"""Shorter grids are scored whole."""


def nodes(alphas: Array64) -> NDArray[np.int64]:
    """Penalties to score for all targets: the ends and others at most ``STEP`` apart.

    Parameters
    ----------
    alphas : ndarray of shape (n_alphas,)
        Ascending, positive.

    Returns
    -------
    ndarray of int
        Indices; all of them where the grid is short, coarse, or has a penalty of 0.
    """
    every = np.arange(len(alphas))
    if len(alphas) < FEWEST or alphas[0] <= 0:
        return every
    place = np.log10(alphas)
    if (np.diff(place) <= 0).any():
        return every
    wanted = np.linspace(place[0], place[-1], int(np.ceil(np.ptp(place) / STEP)) + 1)
    found = np.unique(np.abs(place[:, None] - wanted).argmin(axis=0))
    return found if len(found) >= 4 else every


def search(score: Scorer, alphas: Array64) -> tuple[Array64, NDArray[np.int64]]:
    """Find the best penalty of every target.

    Parameters
    ----------
    score : callable
        Penalty, targets (None: all of them) → their scores.
    alphas : ndarray of shape (n_alphas,)

    Returns
    -------
    best : ndarray of shape (n_targets,)
        Score at the chosen penalty.
    index : ndarray of int, shape (n_targets,)
        Which penalty that is; the first of equals.
    """
    coarse = nodes(alphas)
    first = [score(float(alphas[i]), None) for i in coarse]
    curves = np.full((len(alphas), len(first[0])), -np.inf)
    curves[coarse] = first
    if len(coarse) < len(alphas):
        for index, columns in enumerate(_candidates(curves[coarse], coarse, np.log(alphas))):
            if len(columns):
                curves[index, columns] = score(float(alphas[index]), columns)
    index = curves.argmax(axis=0)
    return curves[index, np.arange(curves.shape[1])], index


def _candidates(
    scored: Array64, coarse: NDArray[np.int64], place: Array64
) -> list[NDArray[np.int64]]:
    """Per penalty, the targets for which it could be best; none for those already scored."""
    smooth = CubicSpline(place[coarse], scored)(place)
    # Where a curve bends much between nodes, a spline is least to be trusted.
    bend = np.abs(smooth - make_interp_spline(place[coarse], scored, k=1)(place))
    best = np.maximum(smooth.max(axis=0), scored.max(axis=0))
    near = smooth >= best - np.maximum(MARGIN, BEND * bend)
    near[coarse] = False
    return [np.flatnonzero(row) for row in near]
