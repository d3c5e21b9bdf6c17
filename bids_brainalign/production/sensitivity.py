"""How much of a result is its penalty, and whether embeddings and responses have one geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.probes.draws import exchanged_rows
from bids_brainalign.probes.similarity import Likeness, cka, likeness
from bids_brainalign.production.elastic import ElasticNet, embedded, fit
from bids_brainalign.production.folds import Rows, WordFolds
from bids_brainalign.production.inputs import (
    Preparation,
    check_words,
    moments,
    usable_channels,
)
from bids_brainalign.production.mapping import PLAIN, Predictions, standardised, train_moments
from bids_brainalign.production.nulls import drawn_shifts
from bids_brainalign.production.scores import (
    AcrossChannels,
    across_channels,
    corrected,
    spearman,
)

Array64 = NDArray[np.float64]

MOST_SHIFTS = 199

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
    types: Rows,
    least_shift: int,
    n_draws: int,
    rng: np.random.Generator,
) -> Likeness:
    """Linear CKA, debiased, of each embedding with the responses of all channels.

    Means of words are compared: what comes again is alike in any vectors and in responses. p is
    the larger of two: shuffles of the means, and circular shifts of the embeddings along the
    trials, which keep the drift of both sides. By shuffles alone, drifting vectors that had
    nothing to do with drifting responses had p < .05 in 48 to 97 % of data sets (simulated).

    Parameters
    ----------
    embeddings : sequence of ndarray of shape (n_words, n_dims)
        Of the same words, in the order of time.
    responses : ndarray of shape (n_words, n_channels)
        Usable channels are standardised, so that loud ones don't count more.
    types : ndarray of shape (n_words,), int
        Equal numbers are the same word.
    least_shift : int
        Smallest shift in either direction, in words.
    n_draws : int
        Shuffles; of shifts there are 199 at most.
    rng : Generator

    Returns
    -------
    Likeness
        Arrays of shape (n_embeddings, 1); ``chance`` and ``p_max`` are of the shuffles alone.
    """
    y = np.asarray(responses, dtype=np.float64)
    y = y[:, usable_channels(y)]
    for x in embeddings:
        check_words(x, y, len(y))
    mean, sd = moments(y)
    z = word_means((y - mean) / sd, types)
    everyone = np.zeros(len(z), dtype=np.int64)
    far = np.ones((len(z), len(z)), dtype=np.bool_)
    found = likeness(
        [word_means(x, types) for x in embeddings],
        [z],
        "cka",
        stretch=everyone,
        far=far,
        draws=exchanged_rows(everyone, n_draws=n_draws, rng=rng),
        exact=True,
    )
    shifts = drawn_shifts(len(y), n_draws=MOST_SHIFTS, rng=rng, least=least_shift)
    p = found.p.copy()
    for place, x in enumerate(embeddings):
        moved = (word_means(np.roll(x, shift, axis=0), types) for shift in shifts)
        reached = cka(moved, z) >= found.value[place, 0]
        p[place, 0] = max(p[place, 0], (1 + reached.sum()) / (1 + len(shifts)))
    return replace(found, p=p)


def word_means(values: Array64, types: Rows) -> Array64:
    """Average the rows of each word: (n_types, n_columns), in the order of first appearance."""
    labels, first, label = np.unique(types, return_index=True, return_inverse=True)
    means = np.zeros((len(labels), values.shape[1]))
    np.add.at(means, label, values)
    return np.asarray((means / np.bincount(label)[:, None])[np.argsort(first)])


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
