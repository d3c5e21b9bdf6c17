"""Features through a canonical haemodynamic response onto the times of volumes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from bids_brainalign.alignment.lanczos import LOBES, lanczos_matrix

FIR = "fir"
"""No canonical response: the ridge finds its own over delays."""
HRF_S = 32.0
"""Length of the response, as in nilearn."""
_STEP_S = 0.02
"""At which the response is sampled, and the kernel tabulated."""


def canonical_hrf(name: str, *, step_s: float) -> NDArray[np.float64]:
    """Sample a canonical haemodynamic response.

    Parameters
    ----------
    name : str
        ``glover`` or ``spm``.
    step_s : float

    Returns
    -------
    ndarray of shape (round(32 / step_s),)
        From second 0 on; sums to 1.

    References
    ----------
    Glover 1999, NeuroImage 9:416; SPM's ``spm_hrf``; both as in nilearn
    (``nilearn.glm.first_level``).
    """
    from nilearn.glm.first_level import glover_hrf, spm_hrf

    make = {"glover": glover_hrf, "spm": spm_hrf}[name]
    return np.asarray(make(step_s, oversampling=1, time_length=HRF_S), dtype=np.float64)


def hrf_matrix(
    times_s: NDArray[np.float64],
    new_times_s: NDArray[np.float64],
    *,
    cutoff_hz: float,
    hrf: str,
) -> csr_array:
    """Weights that convolve with a haemodynamic response, low-pass and resample at once.

    Parameters
    ----------
    times_s : ndarray of shape (n_old,)
        Times of the samples at hand, s, in rising order.
    new_times_s : ndarray of shape (n_new,)
        Times wanted, s.
    cutoff_hz : float
        Of the Lanczos filter, as :func:`lanczos_matrix`.
    hrf : str
        ``glover`` or ``spm``.

    Returns
    -------
    csr_array of shape (n_new, n_old)
        The response convolved with the Lanczos kernel, at every pair's distance. Not normalised:
        a constant factor that standardisation removes.

    Notes
    -----
    Convolving at the features' own rate and low-passing afterwards is one linear filter; as one
    matrix it needs no even grid of samples. Before the first sample there is nothing: features
    that begin at a level of their own begin with a response to it, as a stimulus does.
    """
    reach_s = LOBES / cutoff_hz
    response = canonical_hrf(hrf, step_s=_STEP_S)
    since_s: NDArray[np.float64] = np.arange(len(response)) * np.float64(_STEP_S)
    lags_s: NDArray[np.float64] = np.arange(-reach_s, HRF_S + reach_s + _STEP_S, _STEP_S)
    kernel = lanczos_matrix(since_s, lags_s, cutoff_hz=cutoff_hz) @ response  # (n_lags,)
    first = np.searchsorted(times_s, new_times_s - HRF_S - reach_s, side="left")
    last = np.searchsorted(times_s, new_times_s + reach_s, side="right")
    counts = last - first
    rows = np.repeat(np.arange(len(new_times_s)), counts)
    columns = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - first, counts)
    weights = np.interp(new_times_s[rows] - times_s[columns], lags_s, kernel, left=0.0, right=0.0)
    return csr_array((weights, (rows, columns)), shape=(len(new_times_s), len(times_s)))
