"""Design matrices of one feature space: standardised, reduced, delayed, run by run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.alignment.delays import delayed
from bids_brainalign.encoding.lag_gram import LagStructure, structure_of

Array32 = NDArray[np.float32]
_ROWS = 256


@dataclass(frozen=True)
class RunLayout:
    """Which samples of every run enter fit and score, the same for all feature spaces."""

    playing: tuple[NDArray[np.bool_], ...]
    """Per run (n_times,): the stimulus was on."""
    used: tuple[NDArray[np.bool_], ...]
    """Per run (n_times,): playing, after trims, not censored."""
    whole_runs: bool
    """Folds never cut a run: standardise each run by its own mean and SD."""

    @property
    def n_samples(self) -> int:
        """Rows of every design matrix."""
        return sum(int(rows.sum()) for rows in self.used)


class DesignMaker:
    """Designs of one layer for every outer fold.

    Parameters
    ----------
    features : sequence of ndarray of shape (n_times_r, n_dims)
        One array per run on the response clock; values where nothing plays are ignored.
    layout : RunLayout
    delays : tuple of int
        In samples.
    n_components : int, optional
        PCA dimensions; None keeps all.
    """

    def __init__(
        self,
        features: Sequence[Array32],
        layout: RunLayout,
        *,
        delays: tuple[int, ...],
        n_components: int | None,
    ) -> None:
        self.layout = layout
        self.delays = delays
        n_dims = features[0].shape[1]
        self.n_components = (
            None if n_components is None or n_components >= n_dims else n_components
        )
        self._raw = features
        # A run's own mean and SD see no other run: the same for every fold.
        self._runs = _standardised(features, layout, None) if layout.whole_runs else None

    @property
    def lags(self) -> LagStructure | None:
        """How the columns of every design repeat each other; None where they don't."""
        return structure_of(self.delays, self.layout.used)

    def design(self, train: NDArray[np.int64]) -> Array32:
        """Build the design for one outer fold.

        Parameters
        ----------
        train : ndarray of int
            Training rows of the outer fold, counted over the used samples of all runs: PCA, and
            the mean and SD where folds cut runs, come from these alone.

        Returns
        -------
        ndarray of shape (n_used, n_delays * n_components), float32
        """
        return self._assembled(self._reduced(train), self.delays)

    def designs_by_delay(self, train: NDArray[np.int64]) -> Iterator[Array32]:
        """Build one design per delay, each (n_used, n_components); parameters as `design`."""
        runs = self._reduced(train)
        for delay in self.delays:
            yield self._assembled(runs, (delay,))

    def _reduced(self, train: NDArray[np.int64]) -> list[Array32]:
        runs, basis = self._runs_and_basis(train)
        return runs if basis is None else [run @ basis for run in runs]

    def _assembled(self, runs: Sequence[Array32], delays: tuple[int, ...]) -> Array32:
        """Delayed copies of the used samples of all runs."""
        out = np.empty((self.layout.n_samples, len(delays) * runs[0].shape[1]), dtype=np.float32)
        start = 0
        for run, used in zip(runs, self.layout.used, strict=True):
            stop = start + int(used.sum())
            for index, delay in enumerate(delays):  # one at a time: the whole is large
                shifted = delayed(run, (delay,))
                block = slice(index * run.shape[1], (index + 1) * run.shape[1])
                out[start:stop, block] = shifted if used.all() else shifted[used]
            start = stop
        return out

    def in_feature_units(self, weights: Array32, train: NDArray[np.int64]) -> Array32:
        """Turn weights of a design's columns into weights of the features as extracted.

        Parameters
        ----------
        weights : ndarray of shape (n_delays * n_components, n_targets)
        train : ndarray of int
            Training rows that the design was built with.

        Returns
        -------
        ndarray of shape (n_delays, n_dims, n_targets), float32
            Where every run is standardised by its own SD, the mean of 1/SD over the runs with
            training rows stands for all of them.
        """
        _, basis = self._runs_and_basis(train)
        per_delay = weights.reshape(len(self.delays), -1, weights.shape[1])
        if basis is not None:
            per_delay = np.einsum("dc,lct->ldt", basis, per_delay)
        return np.asarray(per_delay * self._scale(train)[None, :, None], dtype=np.float32)

    def _runs_and_basis(self, train: NDArray[np.int64]) -> tuple[list[Array32], Array32 | None]:
        """Standardised runs, and the principal axes of the training rows."""
        per_run = self._per_run(train)
        runs = self._runs or _standardised(self._raw, self.layout, per_run)
        if self.n_components is None:
            return runs, None
        parts = zip(runs, self.layout.used, per_run, strict=True)
        rows = [run[np.flatnonzero(used)[mine]] for run, used, mine in parts]
        return runs, principal_axes(rows, self.n_components)

    def _per_run(self, train: NDArray[np.int64]) -> list[NDArray[np.bool_]]:
        is_train = np.zeros(self.layout.n_samples, dtype=bool)
        is_train[train] = True
        return _split_rows(is_train, self.layout)

    def _scale(self, train: NDArray[np.int64]) -> NDArray[np.float64]:
        """1/SD per dimension that standardised the features."""
        per_run = self._per_run(train)
        if self._runs is None:
            rows = [x[u][t] for x, u, t in zip(self._raw, self.layout.used, per_run, strict=True)]
            return _mean_and_scale(np.concatenate(rows))[1]
        scales = [
            _mean_and_scale(run[playing])[1]
            for run, playing, mine in zip(self._raw, self.layout.playing, per_run, strict=True)
            if mine.any()
        ]
        return np.asarray(np.mean(scales, axis=0))


def principal_axes(rows: Sequence[Array32], n_components: int) -> Array32:
    """Leading eigenvectors of the covariance of all rows.

    Parameters
    ----------
    rows : sequence of ndarray of shape (n_rows_r, n_dims)
    n_components : int

    Returns
    -------
    ndarray of shape (n_dims, n_components), float32
    """
    total = sum(part.sum(axis=0, dtype=np.float64) for part in rows)
    n_rows = sum(len(part) for part in rows)
    second = sum((part.T @ part).astype(np.float64) for part in rows)
    _, vectors = np.linalg.eigh(second - np.outer(total, total) / n_rows)
    return np.ascontiguousarray(vectors[:, ::-1][:, :n_components], dtype=np.float32)


def _split_rows(rows: NDArray[np.bool_], layout: RunLayout) -> list[NDArray[np.bool_]]:
    return np.split(rows, np.cumsum([int(used.sum()) for used in layout.used])[:-1])


def _standardised(
    features: Sequence[Array32],
    layout: RunLayout,
    train: Sequence[NDArray[np.bool_]] | None,
) -> list[Array32]:
    """Z-score by each run's playing samples, or by the training rows; 0 where nothing plays."""
    if train is not None:
        rows = [x[u][t] for x, u, t in zip(features, layout.used, train, strict=True)]
        mean, scale = _mean_and_scale(np.concatenate(rows))
    out = []
    for run, playing in zip(features, layout.playing, strict=True):
        if train is None:
            mean, scale = _mean_and_scale(run[playing])
        values = run - mean.astype(np.float32)
        values *= scale.astype(np.float32)
        values[~playing] = 0.0
        out.append(values)
    return out


def _mean_and_scale(rows: Array32) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and 1/SD of columns; a constant column gets scale 0."""
    mean = rows.mean(axis=0, dtype=np.float64)
    sd = rows.std(axis=0, dtype=np.float64)
    constant = sd <= 1e-6 * np.maximum(np.abs(mean), 1e-12)
    return mean, np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, sd))


def standardised_responses(
    responses: Sequence[Array32], layout: RunLayout, train: NDArray[np.int64]
) -> Array32:
    """Responses of the used samples, z-scored as the features are.

    Parameters
    ----------
    responses : sequence of ndarray of shape (n_times_r, n_targets)
    layout : RunLayout
    train : ndarray of int
        Training rows of the outer fold.

    Returns
    -------
    ndarray of shape (n_used, n_targets), float32
        Each run by its own mean and SD where whole runs are held out, else by the training rows.
    """
    used = [run[rows] for run, rows in zip(responses, layout.used, strict=True)]
    if layout.whole_runs:
        scaled = []
        for run in used:
            scaled.append(_scaled(run, *_mean_and_scale(run)))
        return np.concatenate(scaled)
    rows = np.concatenate(used)
    return _scaled(rows, *_mean_and_scale(rows[train]))


def _scaled(rows: Array32, mean: NDArray[np.float64], scale: NDArray[np.float64]) -> Array32:
    """Z-scores, worked out in float64 a few rows at a time: bounds memory."""
    out = np.empty(rows.shape, dtype=np.float32)
    for start in range(0, len(rows), _ROWS):
        part = slice(start, start + _ROWS)
        out[part] = (rows[part] - mean) * scale
    return out
