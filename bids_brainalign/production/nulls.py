"""What scores of no information look like: shuffled words, random embeddings, shifted trials.

Every draw is fitted anew, penalties included. The statistics that the draws are compared with come
from the same fit: an elastic net whose null has a coarse grid is itself fitted on that grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.production.folds import Rows, WordFolds
from bids_brainalign.production.inputs import Preparation, check_words, usable_channels
from bids_brainalign.production.mapping import (
    PLAIN,
    Method,
    Predictions,
    map_words,
    train_moments,
)
from bids_brainalign.production.ridge import Ridge, RidgePlan, rows_of_sets
from bids_brainalign.production.scores import STATISTICS, corrected
from bids_brainalign.statistics.tails import p_values

Array64 = NDArray[np.float64]

_COLUMNS_AT_ONCE = 4096


@dataclass(frozen=True)
class Null:
    """Statistics of the observed fit and of draws without information."""

    name: str
    observed: Array64
    """(5,) in the order of ``scores.STATISTICS``; NaN where a statistic is not defined."""
    draws: Array64
    """(n_draws, 5)."""

    @property
    def p(self) -> Array64:
        """(1 + #{draws ≥ observed}) / (1 + n_draws) of each statistic: (5,)."""
        return p_values(self.observed, self.draws, tail_fit=False)

    @property
    def least_p(self) -> float:
        """Smallest p that so many draws can give."""
        return 1.0 / (1.0 + len(self.draws))


def shuffled_words(
    embeddings: Array64,
    responses: Array64,
    folds: WordFolds,
    how: Method,
    *,
    n_draws: int,
    rng: np.random.Generator,
    preparation: Preparation = PLAIN,
) -> Null:
    """Exchange words, refit, and choose penalties anew.

    With words that come once and were dealt to folds at random, exchanging responses is as good
    as exchanging embeddings, and ridge needs one decomposition for all draws. Where a word comes
    again, folds are stretches of time, or words near to held-out ones don't train, embeddings are
    exchanged instead, all repetitions of a word together: folds, the drift of the responses and
    their overlap in time stay as they are. So does what any embedding tells of a word that comes
    in training, too: which word it is.

    Parameters
    ----------
    embeddings : ndarray of shape (n_words, n_dims)
    responses : ndarray of shape (n_words, n_channels)
    folds : WordFolds
    how : Ridge or ElasticNet
    n_draws : int
    rng : Generator
    preparation : Preparation

    Returns
    -------
    Null
    """
    orders, of_responses = drawn_orders(folds, n_draws=n_draws, rng=rng)
    null = _reordered if of_responses else _exchanged
    return null("shuffled words", embeddings, responses, folds, how, orders, preparation)


def drawn_orders(folds: WordFolds, *, n_draws: int, rng: np.random.Generator) -> tuple[Rows, bool]:
    """Draw shuffles of the words, as :func:`shuffled_words` does.

    Returns
    -------
    orders : ndarray of shape (n_draws, n_words), int
    of_responses : bool
        Whether responses may be put into these orders; else embeddings must.
    """
    _check_draws(n_draws)
    unique = len(np.unique(folds.types)) == folds.n_words
    if unique and folds.cut == "dealt" and not folds.reach_s:
        return np.stack([rng.permutation(folds.n_words) for _ in range(n_draws)]), True
    return np.stack([_exchanged_types(folds.types, rng) for _ in range(n_draws)]), False


def shifted_trials(
    embeddings: Array64,
    responses: Array64,
    folds: WordFolds,
    how: Method,
    *,
    n_draws: int,
    rng: np.random.Generator,
    least: int = 1,
    preparation: Preparation = PLAIN,
) -> Null:
    """Shift the responses circularly against the words: both keep their drift.

    Where words near to held-out ones don't train, the words are shifted against the responses
    instead, so that no draw trains on part of a held-out response.

    Parameters
    ----------
    embeddings, responses, folds, how, rng, preparation
        As for :func:`shuffled_words`; words in the order of time.
    n_draws : int
        At most; there are no more than ``n_words − 2 least + 1`` different shifts.
    least : int
        Smallest shift in either direction, in words.

    Returns
    -------
    Null
    """
    orders, of_responses = shifted_orders(folds, n_draws=n_draws, rng=rng, least=least)
    null = _reordered if of_responses else _exchanged
    return null("shifted trials", embeddings, responses, folds, how, orders, preparation)


def shifted_orders(
    folds: WordFolds, *, n_draws: int, rng: np.random.Generator, least: int = 1
) -> tuple[Rows, bool]:
    """Draw circular shifts of the words, as :func:`shifted_trials` does, each once.

    Returns
    -------
    orders : ndarray of shape (≤ n_draws, n_words), int
    of_responses : bool
        Whether responses may be put into these orders; else embeddings must.
    """
    _check_draws(n_draws)
    words = np.arange(folds.n_words)
    shifts = drawn_shifts(folds.n_words, n_draws=n_draws, rng=rng, least=least)[:, None]
    if folds.reach_s:
        return (words - shifts) % folds.n_words, False
    return (words + shifts) % folds.n_words, True


def drawn_shifts(n_words: int, *, n_draws: int, rng: np.random.Generator, least: int) -> Rows:
    """Draw circular shifts by at least so many words either way, each once: (≤ n_draws,)."""
    shifts = np.arange(least, n_words - least + 1)
    if least < 1 or not len(shifts):
        raise BrainAlignError(
            f"{n_words} trials cannot be shifted by at least {least} either way."
        )
    if len(shifts) > n_draws:
        shifts = rng.choice(shifts, size=n_draws, replace=False)
    return shifts


def random_embeddings(
    embeddings: Array64,
    responses: Array64,
    folds: WordFolds,
    how: Method,
    *,
    n_draws: int,
    rng: np.random.Generator,
    preparation: Preparation = PLAIN,
) -> Null:
    """Replace embeddings by Gaussian ones of equal size; repetitions of a word get the same.

    Parameters and result as of :func:`shuffled_words`.
    """
    _check_draws(n_draws)
    _, label = np.unique(folds.types, return_inverse=True)
    shape = (int(label.max()) + 1, embeddings.shape[1])
    draws = [
        _statistics(rng.standard_normal(shape)[label], responses, folds, how, preparation)
        for _ in range(n_draws)
    ]
    observed = _statistics(embeddings, responses, folds, how, preparation)
    return Null("random embeddings", observed, np.stack(draws))


def _check_draws(n_draws: int) -> None:
    if n_draws < 1:
        raise BrainAlignError(f"{n_draws} draws make no null.", fix="Ask for at least 19.")


def _statistics(
    embeddings: Array64,
    responses: Array64,
    folds: WordFolds,
    how: Method,
    preparation: Preparation,
) -> Array64:
    predictions = map_words(embeddings, responses, folds, how, preparation=preparation)
    return corrected(responses, predictions).summary()


def _exchanged(
    name: str,
    embeddings: Array64,
    responses: Array64,
    folds: WordFolds,
    how: Method,
    orders: Rows,
    preparation: Preparation,
) -> Null:
    """Null from reordered embeddings: orders (n_draws, n_words)."""
    observed = _statistics(embeddings, responses, folds, how, preparation)
    draws = [_statistics(embeddings[o], responses, folds, how, preparation) for o in orders]
    return Null(name, observed, np.stack(draws))


def _reordered(
    name: str,
    embeddings: Array64,
    responses: Array64,
    folds: WordFolds,
    how: Method,
    orders: Rows,
    preparation: Preparation,
) -> Null:
    """Null from reordered responses: orders (n_draws, n_words)."""
    if isinstance(how, Ridge):
        everything = np.concatenate([np.arange(folds.n_words)[None], orders])
        found = _ridge_statistics(embeddings, responses, folds, how, everything, preparation)
        return Null(name, found[0], found[1:])
    observed = _statistics(embeddings, responses, folds, how, preparation)
    draws = [_statistics(embeddings, responses[o], folds, how, preparation) for o in orders]
    return Null(name, observed, np.stack(draws))


def _ridge_statistics(
    embeddings: Array64,
    responses: Array64,
    folds: WordFolds,
    how: Ridge,
    orders: Rows,
    preparation: Preparation,
) -> Array64:
    """Statistics of every order from one decomposition: (n_orders, 5)."""
    x = np.asarray(embeddings, dtype=np.float64)
    y = np.asarray(responses, dtype=np.float64)
    check_words(x, y, folds.n_words)
    y = y[:, usable_channels(y)]
    plan = RidgePlan(x, folds, how, preparation=preparation)
    step = max(1, _COLUMNS_AT_ONCE // y.shape[1])
    out = np.empty((len(orders), len(STATISTICS)))
    for first in range(0, len(orders), step):
        some = orders[first : first + step]
        predicted, _ = plan.predict(rows_of_sets(some, y), n_sets=len(some))
        parts = np.split(predicted, len(some), axis=1)
        for place, (order, model) in enumerate(zip(some, parts, strict=True)):
            out[first + place] = _of_order(y[order], model, folds)
    return out


def _of_order(y: Array64, model: Array64, folds: WordFolds) -> Array64:
    nothing = np.zeros((len(folds.folds), y.shape[1]))
    mean, sd = train_moments(y, folds)
    predictions = Predictions(model, mean, sd, folds, nothing, nothing, nothing)
    return corrected(y, predictions).summary()


def _exchanged_types(types: Rows, rng: np.random.Generator) -> Rows:
    """Rows that bring each word the embedding of another; the k-th repetition that of its k-th."""
    labels, label = np.unique(types, return_inverse=True)
    rows = [np.flatnonzero(label == place) for place in range(len(labels))]
    drawn = rng.permutation(len(labels))
    order = np.empty(len(types), dtype=np.int64)
    for place, target in enumerate(rows):
        source = rows[drawn[place]]
        order[target] = source[np.arange(len(target)) % len(source)]
    return order
