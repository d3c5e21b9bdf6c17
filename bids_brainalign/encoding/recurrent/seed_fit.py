"""One network of one seed on one outer fold: what is trained, stored and averaged over seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.encoding.recurrent.architecture import Kind, Network, Shape, build
from bids_brainalign.encoding.recurrent.linear_path import LinearPath
from bids_brainalign.encoding.recurrent.training import Recipe, predict, train
from bids_brainalign.encoding.recurrent.validation import purged_block
from bids_brainalign.statistics.folds import Fold, Samples

Array32 = NDArray[np.float32]


@dataclass(frozen=True)
class Options:
    """Sizes and schedule of a network."""

    hidden: int
    n_queries: int
    dropout: float
    recipe: Recipe
    validation_share: float
    gap_s: float
    """Around the rows that decide when training stops."""
    device: str = "cpu"


@dataclass(frozen=True)
class SeedFit:
    """A trained network and its held-out prediction."""

    network: Network
    prediction: Array32
    """(n_test, n_targets); with the linear path included, where there is one."""
    best_epoch: int
    gain: Array32
    """(n_targets,) factor on the network's output."""
    validation_mse: tuple[float, ...]


def fit_seed(
    kind: Kind,
    windows: Array32,
    responses: Array32,
    fold: Fold,
    samples: Samples,
    *,
    options: Options,
    seed: int,
    position: float,
    linear: LinearPath | None,
) -> SeedFit:
    """Train one network on one outer fold and predict its held-out rows.

    Parameters
    ----------
    kind : str
    windows : ndarray of shape (n_samples, n_lags, n_dims)
        The ridge's design, lag by lag.
    responses : ndarray of shape (n_samples, n_targets)
        Standardised by the training rows.
    fold, samples
        Rows of the outer fold, and when each was recorded.
    options : Options
    seed : int
        Of the first weights and the order of rows.
    position : float
        Of the validation block within the training rows, 0 to 1 (see
        :func:`~.validation.purged_block`).
    linear : LinearPath, optional
        With it the network learns what the ridge leaves, and its output is scaled, target by
        target, by the factor between 0 and 1 that the validation block asks for: where nothing
        is left to learn the result is the ridge. Without it the network learns the responses
        themselves, as published.
    """
    split = purged_block(
        samples,
        fold.outer.train,
        share=options.validation_share,
        position=position,
        gap_s=options.gap_s,
    )
    learnt = responses
    if linear is not None:
        learnt = np.full_like(responses, np.nan)
        learnt[fold.outer.train] = linear.residual
    trained = train(
        build(kind, shape_of(windows, responses, options), seed=seed),
        windows,
        learnt,
        fit=_known(learnt, split.train),
        validation=_known(learnt, split.test),
        recipe=options.recipe,
        seed=seed,
        shrink=linear is not None,
        device=options.device,
    )
    own = predict(trained.network, windows, rows=fold.outer.test, device=options.device)
    base = np.float32(0) if linear is None else linear.prediction
    return SeedFit(
        trained.network,
        np.asarray(base + trained.gain * own, dtype=np.float32),
        trained.best_epoch,
        trained.gain,
        trained.validation_mse,
    )


def shape_of(windows: Array32, responses: Array32, options: Options) -> Shape:
    """Sizes of the network for these data."""
    return Shape(
        n_lags=windows.shape[1],
        n_dims=windows.shape[2],
        n_targets=responses.shape[1],
        hidden=options.hidden,
        n_queries=options.n_queries,
        dropout=options.dropout,
    )


def _known(values: Array32, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows that have a value."""
    return rows[np.isfinite(values[rows]).all(axis=1)]
