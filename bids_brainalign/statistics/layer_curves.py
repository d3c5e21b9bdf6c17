"""Whether a curve over layers says anything, and where its weight lies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array64 = NDArray[np.float64]
DEPTH_SHARE = 12
"""Peaks of the two halves may lie a twelfth of the model's depth apart (at least: not at all)."""


def tolerance(n_layers: int) -> int:
    """How many layers apart two peaks still agree.

    Examples
    --------
    >>> [tolerance(n) for n in (3, 12, 13, 25, 33)]
    [0, 1, 1, 2, 2]
    """
    return n_layers // DEPTH_SHARE


def halves_agree(half_r: Array64) -> NDArray[np.bool_]:
    """Whether the two halves' curves peak at the same layer, or at neighbours in deep models.

    Parameters
    ----------
    half_r : ndarray of shape (2, n_layers, n_targets)

    Returns
    -------
    ndarray of bool, shape (n_targets,)
        False where a curve is not known.
    """
    known = np.isfinite(half_r).all(axis=(0, 1))
    first, second = np.where(np.isfinite(half_r), half_r, -np.inf).argmax(axis=1)
    return np.asarray(known & (np.abs(first - second) <= tolerance(half_r.shape[1])))


def centre_of_mass(r: Array64) -> Array64:
    """Mean layer, weighted by how far r lies above the curve's lowest point.

    What all layers share does not draw it to the middle.

    Parameters
    ----------
    r : ndarray of shape (n_layers, n_targets)

    Returns
    -------
    ndarray of shape (n_targets,)
        Between 0 and n_layers − 1; NaN where the curve is constant or not known.
    """
    above = r - r.min(axis=0)
    total = above.sum(axis=0)
    layers = np.arange(len(r), dtype=np.float64)
    mean = np.full(r.shape[1], np.nan)
    np.divide(layers @ above, total, out=mean, where=total > 0)
    return mean


def curve_range(r: NDArray[np.floating]) -> NDArray[np.floating]:
    """Largest less smallest r over layers (the first axis): 0 for a flat curve."""
    return np.asarray(r.max(axis=0) - r.min(axis=0))
