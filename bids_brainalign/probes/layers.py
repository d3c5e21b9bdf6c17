"""Probes of all layers of a model, with intervals and p values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.probes.linear import ALPHAS, Labelled, LayerProbe, probe_layer
from bids_brainalign.probes.splits import TEST, TRAIN, VALIDATION
from bids_brainalign.probes.tallies import METRICS, interval
from bids_brainalign.statistics.block_bootstrap import MIN_BLOCKS, draw_counts


@dataclass(frozen=True)
class ProbedLayers:
    """One probe of all layers of one model."""

    labelled: Labelled
    layers: tuple[str, ...]
    probes: tuple[LayerProbe, ...]
    counts: NDArray[np.float64]
    """(n_bootstrap, n_blocks): the same for all models on the same rows."""

    @property
    def enough_blocks(self) -> bool:
        """Whether an interval can be given."""
        return bool(self.counts.shape[1] >= MIN_BLOCKS)

    def table(self) -> pd.DataFrame:
        """Long table: a row per layer and metric, with p by rank among the refitted nulls.

        ``p_max`` is corrected over layers: the null is each draw's highest layer.
        """
        kind = self.labelled.kind
        null = np.stack([p.null for p in self.probes])  # (n_layers, n_draws, n_metrics)
        highest = null.max(axis=0)
        rows = []
        for layer, probe in zip(self.layers, self.probes, strict=True):
            low = high = np.full(len(probe.score), np.nan)
            if self.enough_blocks:
                low, high = interval(probe.blocks, kind, counts=self.counts)
            for m, metric in enumerate(METRICS[kind]):
                rows.append(
                    {
                        "layer": layer,
                        "metric": metric,
                        "score": probe.score[m],
                        "ci_low": low[m],
                        "ci_high": high[m],
                        "chance": _mean(probe.null[:, m]),
                        "p": rank_p(probe.score[m], probe.null[:, m]),
                        "p_max": rank_p(probe.score[m], highest[:, m]),
                        "n_null": len(probe.null),
                        "alpha": probe.alpha,
                    }
                )
        sizes = {
            name: len(self.labelled.rows(part))
            for name, part in (("n_train", TRAIN), ("n_validation", VALIDATION), ("n_test", TEST))
        }
        return pd.DataFrame(rows).assign(**sizes, n_columns=self.labelled.y.shape[1])


def probe_layers(
    read: Callable[[int], NDArray[np.float32]],
    layers: Sequence[str],
    labelled: Labelled,
    draws: NDArray[np.int64],
    *,
    n_bootstrap: int,
    rng: np.random.Generator,
    alphas: tuple[float, ...] = ALPHAS,
) -> ProbedLayers:
    """Probe every layer with the same rows, draws and blocks.

    Parameters
    ----------
    read : callable
        ``read(layer_index)`` gives (n_rows, n_dims), float32.
    layers : sequence of str
        Their names.
    labelled : Labelled
    draws : ndarray of shape (n_draws, n_rows)
        From :mod:`.draws`.
    n_bootstrap : int
        Draws of test blocks for the intervals.
    rng : Generator
    alphas : tuple of float
    """
    probes = tuple(
        probe_layer(read(i), labelled, draws, alphas=alphas) for i in range(len(layers))
    )
    counts = draw_counts(len(probes[0].blocks), n_draws=n_bootstrap, rng=rng)
    return ProbedLayers(labelled, tuple(layers), probes, counts)


def changes(after: ProbedLayers, before: ProbedLayers) -> pd.DataFrame:
    """Score of one model less that of another, layer by layer, on the same rows.

    Parameters
    ----------
    after, before : ProbedLayers
        Of the same probe, rows and blocks.

    Returns
    -------
    DataFrame
        ``layer``, ``metric``, ``before``, ``after``, ``change`` and its paired interval over
        blocks; of the layers that both have.

    Raises
    ------
    ValueError
        The rows differ.
    """
    if not np.array_equal(after.labelled.y, before.labelled.y):
        raise ValueError("the models were probed on different rows")
    kind, rows = after.labelled.kind, []
    known = dict(zip(before.layers, before.probes, strict=True))
    for layer, probe in zip(after.layers, after.probes, strict=True):
        other = known.get(layer)
        if other is None:
            continue
        low = high = np.full(len(probe.score), np.nan)
        if after.enough_blocks:
            low, high = interval(probe.blocks, kind, counts=after.counts, minus=other.blocks)
        for m, metric in enumerate(METRICS[kind]):
            rows.append(
                {
                    "layer": layer,
                    "metric": metric,
                    "before": other.score[m],
                    "after": probe.score[m],
                    "change": probe.score[m] - other.score[m],
                    "ci_low": low[m],
                    "ci_high": high[m],
                }
            )
    return pd.DataFrame(rows)


def rank_p(observed: float, null: NDArray[np.float64]) -> float:
    """(1 + draws that reach the score) / (1 + draws); NaN without draws."""
    if not len(null) or np.isnan(observed):
        return float("nan")
    return float((1 + np.sum(null >= observed)) / (1 + len(null)))


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")
