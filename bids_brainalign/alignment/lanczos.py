"""Lanczos downsampling of features to the TR, as a sparse matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

LOBES = 3
"""Lobes of the Lanczos window (LeBel et al. 2023; HuthLab ``interpdata.lanczosinterp2D``)."""


def lanczos_matrix(
    times_s: NDArray[np.float64], new_times_s: NDArray[np.float64], *, cutoff_hz: float
) -> csr_array:
    """Weights that resample from ``times_s`` to ``new_times_s``.

    Parameters
    ----------
    times_s : ndarray of shape (n_old,)
        Times of the samples at hand, s.
    new_times_s : ndarray of shape (n_new,)
        Times wanted, s.
    cutoff_hz : float
        Low-pass; HuthLab uses the TR rate 1/TR.

    Returns
    -------
    csr_array of shape (n_new, n_old)
        ``3 sin(πtc) sin(πtc/3) / (πtc)²`` within ±3/c, 0 beyond. Not normalised: a constant factor
        that standardisation removes.

    Notes
    -----
    The kernel looks 3/c s ahead (6 s at TR 2): folds need a gap for it.
    """
    reach = LOBES / cutoff_hz
    first = np.searchsorted(times_s, new_times_s - reach, side="left")
    last = np.searchsorted(times_s, new_times_s + reach, side="right")
    counts = last - first
    rows = np.repeat(np.arange(len(new_times_s)), counts)
    columns = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - first, counts)
    phase = (new_times_s[rows] - times_s[columns]) * cutoff_hz
    weights = np.sinc(phase) * np.sinc(phase / LOBES)
    shape = (len(new_times_s), len(times_s))
    return csr_array((weights, (rows, columns)), shape=shape)
