"""Scores over folds, their p values, and the difference to a control."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.decoding.layerwise import Decoded, DecodingProblem
from bids_brainalign.statistics.tails import p_values

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]


@dataclass(frozen=True)
class Tested:
    """One feature space over all folds; the last layer row is the one chosen on inner folds."""

    value: Array64
    """(n_layers + 1, n_scores)."""
    p: Array64
    """(n_layers + 1, n_scores) of each row by itself."""
    p_max: Array64
    """(n_layers + 1, n_scores) against the maximum over layers; the last row is the test of the
    largest score over layers."""
    null: Array32 | None
    """(n_layers + 1, n_scores, n_draws)."""
    null_max_q95: Array64
    """(n_scores,) 95th percentile of the maximum over layers."""


def infer_layers(decoded: Decoded, problem: DecodingProblem) -> Tested:
    """Combine folds, weighted by their segments, and test every layer.

    Parameters
    ----------
    decoded : Decoded
    problem : DecodingProblem

    Returns
    -------
    Tested
        NaN p without a null.

    Notes
    -----
    Folds train each other, so their scores are not independent as the draws assume: the null of
    their mean is widened about its own mean by √(1 + mutual share), as for encoding
    (:meth:`bids_brainalign.encoding.scoring.HeldOut.null`; checked in
    tests/decoding/test_layerwise.py).
    """
    scored = problem.scored
    n_rows = len(decoded.layers) + 1
    n_scores = decoded.value.shape[2]
    missing = np.full((n_rows, n_scores), np.nan)
    if not scored:
        return Tested(missing, missing, missing, None, np.full(n_scores, np.nan))
    weights = np.array([problem.segments[k].n_segments for k in scored], dtype=np.float64)
    weights /= weights.sum()
    chosen = decoded.chosen[scored]
    value = _with_selected(decoded.value[scored], chosen)
    combined = np.einsum("k,kls->ls", weights, value)
    if decoded.null is None:
        return Tested(combined, missing, missing, None, np.full(n_scores, np.nan))
    null = np.einsum(
        "k,klsd->lsd", weights.astype(np.float32), _with_selected(decoded.null, chosen)
    )
    centre = null.mean(axis=2, keepdims=True)
    null = centre + np.float32(np.sqrt(1 + problem.plan.mutual_share())) * (null - centre)
    maximum = null[:-1].max(axis=0)
    largest = np.concatenate([combined[:-1], combined[:-1].max(axis=0, keepdims=True)])
    return Tested(
        combined,
        np.stack([p_values(row, draws.T) for row, draws in zip(combined, null, strict=True)]),
        np.stack([p_values(row, maximum.T) for row in largest]),
        null,
        np.quantile(maximum, 0.95, axis=1),
    )


def difference(trained: Tested, control: Tested) -> tuple[Array64, Array64]:
    """Difference of scores row by row, and its one-sided p from the same draws.

    Parameters
    ----------
    trained, control : Tested
        With the same layers.

    Returns
    -------
    value, p : ndarray of shape (n_layers + 1, n_scores)
    """
    value = trained.value - control.value
    if trained.null is None or control.null is None:
        return value, np.full(value.shape, np.nan)
    null = trained.null - control.null
    return value, np.stack(
        [p_values(row, draws.T) for row, draws in zip(value, null, strict=True)]
    )


def _with_selected(
    values: NDArray[np.floating], chosen: NDArray[np.int64]
) -> NDArray[np.floating]:
    """Append each fold's chosen layer as a last row of the layer axis (axis 1)."""
    picked = values[np.arange(len(values)), chosen][:, None]
    return np.concatenate([values, picked], axis=1)
