"""Correlation per target, its mean over folds, and out-of-sample R²."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bids_brainalign.errors import BrainAlignError, ExitCode

_BLOCK_ELEMENTS = 1 << 22
"""Elements converted to float64 at a time: a whole brain in float64 doesn't fit in memory."""

_R_LIMIT = 1.0 - 1e-7
"""Fisher's z is infinite at |r| = 1; this is the float32 number next to it."""


def unit_columns(x: NDArray[np.floating]) -> NDArray[np.float64]:
    """Centre every column and scale it to length one.

    Parameters
    ----------
    x : array (n_samples, n_targets)
        Any floating type.

    Returns
    -------
    array (n_samples, n_targets), float64
        The inner product of two such columns is their Pearson correlation. A column without
        variance is NaN throughout: it has no correlation, and 0 would read as "not related".
    """
    if x.shape[0] == 0:
        return np.empty(x.shape, dtype=np.float64)
    centred = x.astype(np.float64)
    mean = centred.mean(axis=0)
    # A constant column leaves rounding errors of its mean behind, and those do correlate.
    rounding = 16 * np.finfo(np.float64).eps * np.abs(mean) * np.sqrt(x.shape[0])
    centred -= mean
    length = np.sqrt(np.einsum("tv,tv->v", centred, centred))
    length[length <= rounding] = np.nan
    centred /= length
    return centred


def correlation(
    a: NDArray[np.floating], b: NDArray[np.floating], *, axis: int = 0
) -> NDArray[np.float64]:
    """Pearson correlation of each column of ``a`` with the same column of ``b``.

    Parameters
    ----------
    a, b : array (n_samples, ...)
        Same shape; float32 is accumulated in float64.
    axis : int
        The axis of samples.

    Returns
    -------
    array (...), float64
        In [-1, 1]; NaN where either column has no variance or holds a NaN.

    Raises
    ------
    BrainAlignError
        If the shapes differ.
    """
    if a.shape != b.shape:
        raise BrainAlignError(
            f"Cannot correlate arrays of shapes {a.shape} and {b.shape}.",
            exit_code=ExitCode.INTERNAL,
        )
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    shape = a.shape[1:]
    n_samples, n_columns = a.shape[0], int(np.prod(shape))
    a, b = a.reshape(n_samples, n_columns), b.reshape(n_samples, n_columns)
    r = np.full(n_columns, np.nan)
    if n_samples < 2:
        return r.reshape(shape)
    step = max(1, _BLOCK_ELEMENTS // n_samples)
    for start in range(0, n_columns, step):
        block = slice(start, start + step)
        r[block] = np.einsum("tv,tv->v", unit_columns(a[:, block]), unit_columns(b[:, block]))
    return np.asarray(np.clip(r, -1.0, 1.0).reshape(shape))


def fisher_z(r: NDArray[np.floating]) -> NDArray[np.floating]:
    """Fisher's z of ``r``, finite also at |r| = 1."""
    z: NDArray[np.floating] = np.arctanh(np.clip(r, -_R_LIMIT, _R_LIMIT))
    return z


def fisher_mean(r: NDArray[np.floating], weights: ArrayLike) -> NDArray[np.float64]:
    """Weighted mean of correlations over folds, on Fisher's z.

    Parameters
    ----------
    r : array (n_folds, ...)
        Correlation of each held-out fold; NaN folds are left out, target by target.
    weights : array (n_folds,)
        Samples of each fold; 0 leaves the fold out.

    Returns
    -------
    array (...), float64
        Back-transformed mean; NaN where no fold is left.
    """
    r = np.asarray(r)
    z = fisher_z(r.astype(np.float64))
    weight = np.asarray(weights, dtype=np.float64).reshape((-1,) + (1,) * (r.ndim - 1))
    weight = np.where(np.isnan(z), 0.0, weight)
    total = weight.sum(axis=0)
    mean = np.nansum(weight * z, axis=0) / np.where(total > 0, total, np.nan)
    return np.asarray(np.tanh(mean))


def fold_errors(
    y: NDArray[np.floating], yhat: NDArray[np.floating], *, train_mean: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Squared errors of one held-out fold and of its training mean.

    Parameters
    ----------
    y, yhat : array (n_samples, n_targets)
        Held-out responses and their predictions.
    train_mean : array (n_targets,)
        Mean response of the fold's training samples.

    Returns
    -------
    sse, sst : array (n_targets,), float64
        Errors of the prediction and of the train-mean predictor, to be summed over folds.
    """
    error = y.astype(np.float64) - yhat
    baseline = y.astype(np.float64) - train_mean
    return np.einsum("tv,tv->v", error, error), np.einsum("tv,tv->v", baseline, baseline)


def r2_out_of_sample(sse: NDArray[np.floating], sst: NDArray[np.floating]) -> NDArray[np.float64]:
    """Skill R² = 1 − SSE / SSE(train mean), both summed over folds.

    Parameters
    ----------
    sse, sst : array (n_folds, ...)
        From :func:`fold_errors`. A fold that is NaN in either is left out of both.

    Returns
    -------
    array (...), float64
        Below 0 where the training mean predicts better; NaN where the baseline makes no error.
    """
    missing = np.isnan(sse) | np.isnan(sst)
    error = np.where(missing, 0.0, sse).sum(axis=0, dtype=np.float64)
    baseline = np.where(missing, 0.0, sst).sum(axis=0, dtype=np.float64)
    return np.asarray(1.0 - error / np.where(baseline > 0, baseline, np.nan))
