"""Copies of features shifted in time: lags of ECoG, FIR delays of fMRI."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def lag_samples(
    min_s: float, max_s: float, *, step_s: float, interval_s: float
) -> tuple[int, ...]:
    """Lags from ``min_s`` to ``max_s`` in samples of the response clock.

    Parameters
    ----------
    min_s, max_s, step_s : float
        Positive = the response follows the stimulus. The step is rounded to whole samples, at
        least one.
    interval_s : float
        Seconds between samples.

    Returns
    -------
    tuple of int
        Lags no further out than asked.

    Examples
    --------
    >>> lag_samples(-0.1, 0.1, step_s=0.04, interval_s=0.02)
    (-5, -3, -1, 1, 3, 5)
    """
    step = max(1, round(step_s / interval_s))
    first = int(np.ceil(min_s / interval_s - 1e-9))
    last = int(np.floor(max_s / interval_s + 1e-9))
    return tuple(range(first, last + 1, step))


def delay_samples(min_s: float, max_s: float, *, tr_s: float) -> tuple[int, ...]:
    """Give all multiples of the TR within [min_s, max_s].

    Examples
    --------
    >>> delay_samples(1, 9, tr_s=2.0)
    (1, 2, 3, 4)
    """
    return lag_samples(min_s, max_s, step_s=tr_s, interval_s=tr_s)


def delayed(features: NDArray[np.float32], delays: tuple[int, ...]) -> NDArray[np.float32]:
    """Put delayed copies of one run's features side by side.

    Parameters
    ----------
    features : ndarray of shape (n_times, n_dims)
        One run only: nothing may cross a run's border.
    delays : tuple of int
        In samples; positive delays look into the past, negative ones into the future.

    Returns
    -------
    ndarray of shape (n_times, n_delays * n_dims)
        Delay-major: all dimensions at the first delay, then the second, …; zeros where a delay
        reaches outside the run.
    """
    n_times, n_dims = features.shape
    out = np.zeros((n_times, len(delays) * n_dims), dtype=features.dtype)
    for index, delay in enumerate(delays):
        block = out[:, index * n_dims : (index + 1) * n_dims]
        if delay >= n_times or -delay >= n_times:
            continue
        if delay >= 0:
            block[delay:] = features[: n_times - delay]
        else:
            block[:delay] = features[-delay:]
    return out
