"""How far electrodes share voltage, from profiles of noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist, squareform

from bids_brainalign.phonemes.clusters import directions

Array64 = NDArray[np.float64]

EXPONENTS = (1.0, 1.5, 2.0)
"""Exponential to Gaussian; all give valid covariances in space."""
N_LENGTHS = 60
ABOUT_AS_GOOD = 3.84
"""Fits whose squared error exceeds the least by at most this share of it, over the number of
electrodes, are held possible: the 95 % region of one parameter (χ²), with as many independent
residuals as electrodes."""


@dataclass(frozen=True)
class Sharing:
    """Correlation of electrodes at distance d: common + share · exp(−(d / length)^exponent)."""

    length_mm: float
    exponent: float
    share: float
    """Of the variance; 0: neighbours are not more alike than others. What is left is each
    electrode's own noise (the nugget of a variogram)."""
    common: float
    """What all electrodes share, e.g. through the reference; may be negative."""

    def kernel(self, positions_mm: Array64) -> Array64:
        """Correlation of what electrodes pick up, without their own noise.

        Parameters
        ----------
        positions_mm : ndarray of shape (n_electrodes, 3)

        Returns
        -------
        ndarray of shape (n_electrodes, n_electrodes)
        """
        if self.share == 0:
            return np.eye(len(positions_mm))
        distance = cdist(positions_mm, positions_mm)
        return np.asarray(np.exp(-((distance / self.length_mm) ** self.exponent)))


def likeness(null: Array64) -> Array64:
    """Correlation of electrodes' profiles where there is no tuning.

    Parameters
    ----------
    null : ndarray of shape (n_draws, n_electrodes, n_phones)
        Profiles of noise: shifted labels, no tuning.

    Returns
    -------
    ndarray of shape (n_electrodes, n_electrodes)
    """
    points = directions(null)
    return np.asarray(np.einsum("dep,dfp->ef", points, points, optimize=True) / len(points))


def fit_sharing(alike: Array64, positions_mm: Array64) -> Sharing:
    """Fit a variogram model with a nugget to the likeness of electrodes.

    Where tuned voltage spreads to neighbours, each electrode's own noise hides how far: noise is
    not shared, and makes all electrodes look less alike. So only the decay with distance is used,
    not the level. Where several decays fit about as well, nearest neighbours are taken to share
    as much as any of them says: what they share is then no evidence of order.

    Parameters
    ----------
    alike : ndarray of shape (n_electrodes, n_electrodes)
        From :func:`likeness`.
    positions_mm : ndarray of shape (n_electrodes, 3)

    Returns
    -------
    Sharing
        Share 0 where a constant fits about as well, and where all positions are the same.

    References
    ----------
    Cressie 1993, Statistics for Spatial Data, §2.3 (variograms, nugget) and §2.6 (weighted least
    squares; here pairs weigh 1/d², so that every octave of distance counts the same).
    """
    distance = pdist(positions_mm)
    if not (distance > 0).any():
        return Sharing(float("nan"), 1.0, 0.0, 0.0)
    r = squareform(alike, checks=False)
    nearest = float(distance[distance > 0].min())
    weight = np.maximum(distance, nearest) ** -2.0
    weight /= weight.sum()
    flat = float(weight @ r)
    constant = float(weight @ (r - flat) ** 2)
    fits = [
        _fit(r, np.exp(-((distance / length) ** exponent)), weight, float(length), exponent)
        for exponent in EXPONENTS
        for length in np.geomspace(nearest / 2, max(distance.max() / 1.5, nearest), N_LENGTHS)
    ]
    enough = (1 + ABOUT_AS_GOOD / len(alike)) * min(error for error, _ in fits)
    if constant <= enough:
        return Sharing(float("nan"), 1.0, 0.0, flat)
    step = float(np.median(_to_nearest(distance)))
    possible = [sharing for error, sharing in fits if error <= enough and sharing.share > 0]
    return max(possible, key=lambda s: -((step / s.length_mm) ** s.exponent))


def _fit(
    r: Array64, decay: Array64, weight: Array64, length: float, exponent: float
) -> tuple[float, Sharing]:
    """Weighted squared error and model, with share ≥ 0 and share + common ≤ 1."""
    mean_r, mean_decay = weight @ r, weight @ decay
    spread = weight @ (decay - mean_decay) ** 2
    share = weight @ ((decay - mean_decay) * (r - mean_r)) / spread if spread > 0 else 0.0
    share = max(float(share), 0.0)
    common = float(mean_r - share * mean_decay)
    if share + common > 1:
        share = max(float(weight @ ((decay - 1) * (r - 1)) / (weight @ (decay - 1) ** 2)), 0.0)
        common = 1 - share
    error = float(weight @ (r - common - share * decay) ** 2)
    return error, Sharing(length, exponent, share, common)


def _to_nearest(distance: Array64) -> Array64:
    """(n_electrodes,) distance to the nearest other electrode elsewhere."""
    apart = squareform(distance)
    return np.asarray(np.where(apart > 0, apart, np.inf).min(axis=1))
