"""From embeddings of words to the responses of channels, every word predicted from others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.production.elastic import Choice, ElasticNet, Embedded, choose, embedded, fit
from bids_brainalign.production.folds import Rows, WordFolds, selection_rows
from bids_brainalign.production.inputs import (
    Preparation,
    check_words,
    moments,
    usable_channels,
)
from bids_brainalign.production.ridge import Ridge, RidgePlan
from bids_brainalign.statistics.folds import Fold, Split

Array64 = NDArray[np.float64]
Method = Ridge | ElasticNet
PLAIN = Preparation()


@dataclass(frozen=True)
class Predictions:
    """Predictions of all words together with what a predictor that ignores the word would say."""

    model: Array64
    """(n_words, n_channels) in the units of the responses; NaN for channels that don't vary."""
    train_mean: Array64
    """(n_words, n_channels) mean over the training words of the fold that held the word out."""
    train_sd: Array64
    """(n_words, n_channels) … and their SD."""
    folds: WordFolds
    penalty: Array64
    """(n_folds, n_channels) α as chosen."""
    ratio: Array64
    """(n_folds, n_channels) share of the L1 penalty; 0 for ridge."""
    non_zero: Array64
    """(n_folds, n_channels) weights that are not 0."""


def map_words(
    embeddings: Array64,
    responses: Array64,
    folds: WordFolds,
    how: Method,
    *,
    preparation: Preparation = PLAIN,
) -> Predictions:
    """Predict the response to every word from folds that don't hold it.

    Embeddings and responses are standardised by the training words of each fold; penalties are
    chosen on inner folds of words outside the held-out group.

    Parameters
    ----------
    embeddings : ndarray of shape (n_words, n_dims)
    responses : ndarray of shape (n_words, n_channels)
        In any units. Channels with a NaN or without variance are left out, the others don't mind.
    folds : WordFolds
    how : Ridge or ElasticNet
    preparation : Preparation

    Returns
    -------
    Predictions

    Raises
    ------
    BrainAlignError
        If the words don't fit, or nothing varies.
    """
    x = np.asarray(embeddings, dtype=np.float64)
    y = np.asarray(responses, dtype=np.float64)
    check_words(x, y, folds.n_words)
    use = usable_channels(y)
    mean, sd = train_moments(y[:, use], folds)
    if isinstance(how, Ridge):
        plan = RidgePlan(x, folds, how, preparation=preparation)
        model, penalty = plan.predict(y[:, use])
        ratio = np.zeros_like(penalty)
        non_zero = np.repeat(plan.n_weights[:, None].astype(np.float64), use.sum(), axis=1)
    else:
        model, penalty, ratio, non_zero = _elastic(x, y[:, use], folds, how, preparation)
    return Predictions(
        model=_spread(model, use),
        train_mean=_spread(mean, use),
        train_sd=_spread(sd, use),
        folds=folds,
        penalty=_spread(penalty, use),
        ratio=_spread(ratio, use),
        non_zero=_spread(non_zero, use),
    )


def train_moments(responses: Array64, folds: WordFolds) -> tuple[Array64, Array64]:
    """Mean and SD of the training words of each word's fold: (n_words, n_channels) each."""
    mean, sd = np.empty(responses.shape), np.empty(responses.shape)
    for fold in folds.folds:
        mean[fold.outer.test], sd[fold.outer.test] = moments(responses[fold.outer.train])
    return mean, sd


def _spread(values: Array64, use: NDArray[np.bool_]) -> Array64:
    out = np.full((len(values), len(use)), np.nan)
    out[:, use] = values
    return out


def _elastic(
    x: Array64, y: Array64, folds: WordFolds, how: ElasticNet, preparation: Preparation
) -> tuple[Array64, Array64, Array64, Array64]:
    """Predictions, α, ρ and non-zero weights."""
    chosen: dict[int, list[Choice]] = {}
    model = np.empty(y.shape)
    found = np.empty((3, len(folds.folds), y.shape[1]))
    for number, fold in enumerate(folds.folds):
        if id(fold.inner) not in chosen:
            chosen[id(fold.inner)] = _choices(x, y, fold.inner, how, preparation)
        model[fold.outer.test], found[:, number] = _fitted(
            x, y, fold, chosen[id(fold.inner)], how, preparation
        )
    return model, found[0], found[1], found[2]


def _choices(
    x: Array64,
    y: Array64,
    inner: tuple[Split, ...],
    how: ElasticNet,
    preparation: Preparation,
) -> list[Choice]:
    """Penalty of every channel."""
    rows = selection_rows(inner)
    prepared = preparation.apply(x, rows)
    z = standardised(y, rows)
    parts: list[Embedded] = [embedded(prepared, split) for split in inner]
    if how.multi_task:
        return [choose(prepared[rows], z, parts, how)] * z.shape[1]
    return [choose(prepared[rows], z[:, [c]], parts, how) for c in range(z.shape[1])]


def _fitted(
    x: Array64,
    y: Array64,
    fold: Fold,
    choices: list[Choice],
    how: ElasticNet,
    preparation: Preparation,
) -> tuple[Array64, Array64]:
    """Predictions (n_test, n_channels), and α, ρ and non-zero weights (3, n_channels)."""
    train = fold.outer.train
    data = embedded(preparation.apply(x, train), fold.outer)
    mean, sd = moments(y[train])
    z = standardised(y, train)
    if how.multi_task:
        alpha = np.array([choices[0].alpha])
        weights = fit(data, z, alpha, choices[0].ratio, how)[0]
    else:
        columns = [
            fit(data, z[:, [c]], np.array([choice.alpha]), choice.ratio, how)[0]
            for c, choice in enumerate(choices)
        ]
        weights = np.concatenate(columns, axis=1)
    predicted = mean + sd * (data.held @ weights)
    about = [[c.alpha for c in choices], [c.ratio for c in choices]]
    return predicted, np.array([*about, np.count_nonzero(weights, axis=0)], dtype=np.float64)


def standardised(values: Array64, train: Rows) -> Array64:
    """Responses about the mean and in SDs of the training words; 0 where they don't vary."""
    mean, sd = moments(values[train])
    return np.asarray((values - mean) / np.where(sd > 0, sd, np.inf))
