"""A linear probe of one layer: ridge, its penalty chosen on validation rows, its test scored once.

Classes and labels are predicted by ridge, too, from indicator columns that are standardised, so
that rare ones count as much as frequent ones. That keeps thousands of refits on drawn labels
cheap: they share one decomposition of the features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.encoding.ridge import System, make_system
from bids_brainalign.probes.splits import TEST, TRAIN, VALIDATION
from bids_brainalign.probes.tallies import Kind, scores, tally

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]

ALPHAS = tuple(10.0**i for i in range(8))
"""Penalties in scikit-learn's convention, on standardised features and targets."""
_COLUMNS_AT_ONCE = 2048
_SCALE = (1.0,)


@dataclass(frozen=True)
class Labelled:
    """Rows with what is to be predicted of them."""

    y: NDArray[np.floating]
    """(n_rows, n_columns): numbers, or 0 and 1."""
    kind: Kind
    part: NDArray[np.int64]
    """(n_rows,): 0 training, 1 validation, 2 test."""
    block: NDArray[np.int64]
    """(n_rows,): block of test rows that the interval draws; of others it is not looked at."""

    def rows(self, part: int) -> NDArray[np.int64]:
        """Rows of one part."""
        return np.flatnonzero(self.part == part)


@dataclass(frozen=True)
class LayerProbe:
    """What one layer tells."""

    score: Array64
    """(n_metrics,), in the order of ``tallies.METRICS``."""
    null: Array64
    """(n_draws, n_metrics): scores of probes refitted on drawn labels."""
    blocks: Array64
    """Tallies of the test rows by block: see ``tallies.tally``."""
    alpha: float


def probe_layer(
    features: Array32, labelled: Labelled, draws: NDArray[np.int64], *, alphas: tuple[float, ...]
) -> LayerProbe:
    """Fit a probe and its null.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_dims)
    labelled : Labelled
    draws : ndarray of shape (n_draws, n_rows)
        ``y[draws[i]]`` are the labels of draw i; rows stay within their part.
    alphas : tuple of float
        Penalties to choose from, on the validation rows, in every draw anew.

    Returns
    -------
    LayerProbe
    """
    train, test = labelled.rows(TRAIN), labelled.rows(TEST)
    x = standardised(features, train)
    y = standardised(labelled.y, train)
    splits = [train, labelled.rows(VALIDATION), test]
    system = make_system([x], y, splits, n_kept=1)
    grid = np.array(alphas)
    ((alpha, said),) = _fits(system, labelled, 1, grid)
    held = labelled.y[test] if labelled.kind != "numbers" else y[test]
    _, block = np.unique(labelled.block[test], return_inverse=True)
    blocks = tally(held, said, block, labelled.kind)
    step = max(1, _COLUMNS_AT_ONCE // y.shape[1])
    null = []
    for first in range(0, len(draws), step):
        some = draws[first : first + step]
        drawn = np.concatenate([y[rows] for rows in some], axis=1)
        twin = system.of(np.ascontiguousarray(drawn))
        for rows, (_, predicted) in zip(some, _fits(twin, labelled, len(some), grid), strict=True):
            held = (labelled.y if labelled.kind != "numbers" else y)[rows[test]]
            sums = tally(held, predicted, np.zeros(len(test), dtype=np.int64), labelled.kind)
            null.append(scores(sums[0], labelled.kind))
    empty = np.empty((0, len(scores(blocks.sum(axis=0), labelled.kind))))
    return LayerProbe(
        scores(blocks.sum(axis=0), labelled.kind),
        np.stack(null) if null else empty,
        blocks,
        alpha,
    )


def standardised(values: NDArray[np.floating], train: NDArray[np.int64]) -> Array32:
    """Subtract the mean of the training rows and divide by their SD; 0 where they don't vary."""
    mean = values[train].mean(axis=0, dtype=np.float64)
    sd = values[train].std(axis=0, dtype=np.float64)
    still = sd <= 1e-6 * np.maximum(np.abs(mean), 1e-6)
    out = (values - mean) / np.where(still, 1.0, sd)
    out[:, still] = 0.0
    return np.ascontiguousarray(out, dtype=np.float32)


def _fits(
    system: System, labelled: Labelled, n_sets: int, alphas: Array64
) -> Iterator[tuple[float, NDArray[np.floating]]]:
    """Penalty and what is said of the test rows, for each set of columns.

    One penalty for all columns of a set: that with the highest mean R² on the validation rows.
    """
    validation, test = labelled.rows(VALIDATION), labelled.rows(TEST)
    solution = system.solve(labelled.rows(TRAIN), np.array(_SCALE))
    found = solution.scores(validation, alphas, "r2")  # (n_alphas, n_sets * n_columns)
    n_columns = found.shape[1] // n_sets
    means = found.reshape(len(alphas), n_sets, n_columns).mean(axis=2)
    chosen = alphas[np.argmax(means, axis=0)]  # (n_sets,)
    each = np.repeat(chosen, n_columns)
    predicted = np.split(solution.predict(test, each), n_sets, axis=1)
    checked = predicted
    if labelled.kind == "labels":
        checked = np.split(solution.predict(validation, each), n_sets, axis=1)
    share = labelled.y[labelled.rows(TRAIN)].mean(axis=0)
    for alpha, there, known in zip(chosen, predicted, checked, strict=True):
        yield float(alpha), _said(there, known, share, labelled.kind)


def _said(
    predicted: NDArray[np.floating],
    validation: NDArray[np.floating],
    share: NDArray[np.floating],
    kind: Kind,
) -> NDArray[np.floating]:
    """Turn predictions into classes or labels.

    A class is that with the highest prediction. A label is said where its prediction is above the
    threshold at which, on validation rows, it is said as often as it comes in training.
    """
    if kind == "numbers":
        return predicted
    if kind == "classes":
        return np.asarray(np.eye(predicted.shape[1])[np.argmax(predicted, axis=1)])
    columns = [np.quantile(v, 1 - s) for v, s in zip(validation.T, share, strict=True)]
    return (predicted > np.array(columns)).astype(np.float64)
