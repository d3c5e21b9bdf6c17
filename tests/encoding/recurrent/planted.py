"""Responses that follow features linearly, or gated by what was heard before."""

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from bids_brainalign.alignment.delays import delayed
from bids_brainalign.encoding.recurrent.seed_fit import Options
from bids_brainalign.encoding.recurrent.training import Recipe
from bids_brainalign.statistics.folds import Fold, Samples, Split

LAGS = tuple(range(-5, 30, 2))
LAGS_S = np.array(LAGS) * 0.02
GAP = 75


@dataclass(frozen=True)
class Case:
    windows: np.ndarray
    responses: np.ndarray
    fold: Fold
    samples: Samples


def autoregressive(n, dims, phi, rng):
    drive = rng.standard_normal((n, dims)) * np.sqrt(1 - phi**2)
    return lfilter([1], [1, -phi], drive, axis=0).astype(np.float32)


def timeline(n):
    zero = np.zeros(n, dtype=np.int64)
    times = np.arange(n) * 0.02
    return Samples(zero, zero, times, zero, times, 0.02)


def one_fold(n, n_test):
    train = np.arange(n_test + GAP, n)
    inner = []
    for part in np.array_split(train, 3):
        rest = train[(train < part[0] - GAP) | (train > part[-1] + GAP)]
        inner.append(Split(rest, part))
    return Fold("first", Split(train, np.arange(n_test)), tuple(inner))


def make_case(kind, *, n, n_test, dims=8, n_targets=6, share=0.4, seed=0):
    """``linear``: one lag per target; ``gated``: that, times the recent past of another axis."""
    rng = np.random.default_rng(seed)
    features = autoregressive(n, dims, 0.8, rng)
    lags = rng.integers(4, 22, n_targets)
    signal = features @ rng.standard_normal((dims, n_targets))
    gate = features @ rng.standard_normal((dims, n_targets)) / np.sqrt(dims)
    source = np.empty((n, n_targets))
    for j, lag in enumerate(lags):
        source[:, j] = np.roll(signal[:, j], lag)
        if kind == "gated":
            history = sum(np.roll(gate[:, j], lag + k) for k in range(4)) / 2
            source[:, j] *= history > 0
    source /= source.std(axis=0)
    noise = autoregressive(n, n_targets, 0.8, rng)
    responses = np.sqrt(share) * source + np.sqrt(1 - share) * noise
    windows = delayed(features, LAGS).reshape(n, len(LAGS), dims)
    return Case(windows, responses.astype(np.float32), one_fold(n, n_test), timeline(n))


def options(*, epochs=15, rows=8192, hidden=16, patience=5):
    recipe = Recipe(epochs, rows, 256, 3e-3, 0.05, patience)
    return Options(hidden, 4, 0.2, recipe, 0.15, GAP * 0.02)
