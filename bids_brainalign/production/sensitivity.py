"""How much of a result is its penalty, and whether embeddings and responses have one geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.probes.draws import exchanged_rows
from bids_brainalign.probes.similarity import Likeness, likeness, long_enough
from bids_brainalign.production.elastic import ElasticNet, embedded, fit
from bids_brainalign.production.folds import WordFolds
from bids_brainalign.production.inputs import (
    Preparation,
    check_words,
    moments,
    usable_channels,
)
from bids_brainalign.production.mapping import PLAIN, Predictions, standardised, train_moments
from bids_brainalign.production.scores import (
    AcrossChannels,
    across_channels,
    corrected,
    spearman,
)

Array64 = NDArray[np.float64]

ALPHAS = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
"""On standardised embeddings and responses; 1 is scikit-learn's default, at which next to nothing
but the training mean is left."""


@dataclass(frozen=True)
class FixedPenalty:
    """Scores with one penalty for all channels and folds."""

    alpha: float
    ratio: float
    non_zero: Array64
    """(n_channels,) weights that are not 0, mean over folds; NaN for channels left out."""
    across: AcrossChannels
    statistics: Array64
    """(5,) of ``scores.STATISTICS``."""


def penalty_grid(
    embeddings: Array64,
    responses: Array64,
    folds: WordFolds,
    *,
    alphas: Sequence[float] = ALPHAS,
    ratios: Sequence[float] = (0.1, 0.5, 0.9),
    how: ElasticNet | None = None,
    preparation: Preparation = PLAIN,
) -> list[FixedPenalty]:
    """Fit elastic nets with fixed penalties.

    Parameters
    ----------
    embeddings : ndarray of shape (n_words, n_dims)
    responses : ndarray of shape (n_words, n_channels)
    folds : WordFolds
    alphas, ratios : sequence of float
        α and ρ of every pair.
    how : ElasticNet, optional
        Form and tolerance; its own penalties are not used.
    preparation : Preparation

    Returns
    -------
    list of FixedPenalty
        Nothing is chosen here: the best row is not a result.
    """
    how = how or ElasticNet()
    x = np.asarray(embeddings, dtype=np.float64)
    y = np.asarray(responses, dtype=np.float64)
    check_words(x, y, folds.n_words)
    use = usable_channels(y)
    y = y[:, use]
    falling = np.sort(np.array(alphas, dtype=np.float64))[::-1]
    rows = []
    for ratio in ratios:
        model, counts = _paths(x, y, folds, falling, ratio, how, preparation)
        for place, alpha in enumerate(falling):
            non_zero = np.full(len(use), np.nan)
            non_zero[use] = counts[place].mean(axis=0)
            predictions = _predictions(model[place], counts[place], y, folds, float(alpha), ratio)
            statistics = corrected(y, predictions).summary()
            across = across_channels(y, predictions)
            rows.append(FixedPenalty(float(alpha), ratio, non_zero, across, statistics))
    return rows


def shared_geometry(
    embeddings: Sequence[Array64],
    responses: Array64,
    *,
    n_draws: int,
    rng: np.random.Generator,
    in_time: bool = True,
) -> Likeness:
    """Linear CKA, debiased, of each embedding with the responses of all channels.

    Words are shuffled, which is exact where either side forgets the word before.

    Parameters
    ----------
    embeddings : sequence of ndarray of shape (n_words, n_dims)
        Of the same words, in the order of time.
    responses : ndarray of shape (n_words, n_channels)
        Usable channels are standardised, so that loud ones don't count more.
    n_draws : int
        Shuffles of the words.
    rng : Generator
    in_time : bool
        Words follow each other; False for means over the times that words were spoken.

    Returns
    -------
    Likeness
        Arrays of shape (n_embeddings, 1); p is NaN where both sides drift over the words.
    """
    y = np.asarray(responses, dtype=np.float64)
    y = y[:, usable_channels(y)]
    for x in embeddings:
        check_words(x, y, len(y))
    mean, sd = moments(y)
    everyone = np.zeros(len(y), dtype=np.int64)
    draws = exchanged_rows(everyone, n_draws=n_draws, rng=rng)
    far = np.ones((len(y), len(y)), dtype=np.bool_)
    z = (y - mean) / sd
    found = likeness(
        list(embeddings), [z], "cka", stretch=everyone, far=far, draws=draws, exact=True
    )
    if not in_time or long_enough([z], everyone):
        return found
    drifts = np.array([[not long_enough([x], everyone)] for x in embeddings])
    p, p_max, chance = (
        np.where(drifts, np.nan, part) for part in (found.p, found.p_max, found.chance)
    )
    return replace(found, p=p, p_max=p_max, chance=chance)


@dataclass(frozen=True)
class Relation:
    """Spearman correlation of two numbers over embeddings."""

    r: float
    p: float
    """Two-sided, by permutation; NaN, as r, where either number is the same for all."""
    n: int


def relation(
    geometry: Array64, scores: Array64, *, n_draws: int = 2000, rng: np.random.Generator
) -> Relation:
    """Ask whether embeddings with a more similar geometry score higher.

    Parameters
    ----------
    geometry, scores : ndarray of shape (n_embeddings,)
        CKA and corrected score of each.
    n_draws : int
    rng : Generator

    Returns
    -------
    Relation

    Raises
    ------
    BrainAlignError
        With fewer than 4 embeddings.
    """
    n = len(geometry)
    if n < 4 or len(scores) != n:
        raise BrainAlignError(f"{n} embeddings are too few to relate geometry to scores; 4 are.")
    r = spearman(geometry, scores)
    if not np.isfinite(r):
        return Relation(r, r, n)
    drawn = np.array([spearman(geometry, rng.permutation(scores)) for _ in range(n_draws)])
    reached = int((np.abs(drawn) >= abs(r) - 1e-12).sum())
    return Relation(r, (1 + reached) / (1 + n_draws), n)


def _paths(
    x: Array64,
    y: Array64,
    folds: WordFolds,
    alphas: Array64,
    ratio: float,
    how: ElasticNet,
    preparation: Preparation,
) -> tuple[Array64, Array64]:
    """Predictions (n_alphas, n_words, n_channels), non-zeros (n_alphas, n_folds, n_channels)."""
    model = np.empty((len(alphas), *y.shape))
    counts = np.empty((len(alphas), len(folds.folds), y.shape[1]))
    for number, fold in enumerate(folds.folds):
        train = fold.outer.train
        data = embedded(preparation.apply(x, train), fold.outer)
        mean, sd = moments(y[train])
        z = standardised(y, train)
        targets = [z] if how.multi_task else [z[:, [c]] for c in range(z.shape[1])]
        weights = np.concatenate([fit(data, t, alphas, ratio, how) for t in targets], axis=2)
        model[:, fold.outer.test] = mean + sd * (data.held @ weights)
        counts[:, number] = np.count_nonzero(weights, axis=1)
    return model, counts


def _predictions(
    model: Array64, counts: Array64, y: Array64, folds: WordFolds, alpha: float, ratio: float
) -> Predictions:
    mean, sd = train_moments(y, folds)
    penalty, share = np.full_like(counts, alpha), np.full_like(counts, ratio)
    return Predictions(model, mean, sd, folds, penalty, share, counts)
