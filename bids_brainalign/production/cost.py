"""Time of a mapping and of its null, told beforehand from a sample of the real fits."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.production.elastic import NULL_GRID, ElasticNet
from bids_brainalign.production.folds import WordFolds
from bids_brainalign.production.inputs import Preparation, usable_channels
from bids_brainalign.production.mapping import PLAIN, Method, map_words
from bids_brainalign.production.nulls import shuffled_words
from bids_brainalign.production.ridge import Ridge

Array64 = NDArray[np.float64]

_SAMPLE_CHANNELS = 3
_SAMPLE_DRAWS = 4


@dataclass(frozen=True)
class Cost:
    """CPU seconds of one participant and embedding."""

    fit_s: float
    null_s: float
    """Of all draws of one null."""


def null_method(how: Method) -> Method:
    """Give the method of null draws: ridge as it is, an elastic net over a 3 × 5 grid."""
    if isinstance(how, Ridge):
        return how
    return replace(NULL_GRID, multi_task=how.multi_task)


def estimated_cost(
    embeddings: Array64,
    responses: Array64,
    folds: WordFolds,
    how: Method,
    *,
    n_draws: int,
    preparation: Preparation = PLAIN,
) -> Cost:
    """Fit a sample, and multiply.

    The sample are the folds that share the first penalties, with three channels where channels are
    fitted one by one. Ridge shares its decompositions: a null is a few draws, multiplied.

    Parameters
    ----------
    embeddings : ndarray of shape (n_words, n_dims)
    responses : ndarray of shape (n_words, n_channels)
    folds : WordFolds
    how : Ridge or ElasticNet
    n_draws : int
        Of the null.
    preparation : Preparation

    Returns
    -------
    Cost
        Of the right order: the penalties that channels need differ.
    """
    if isinstance(how, Ridge):
        fit = _seconds(embeddings, responses, folds, how, preparation)
        began = time.process_time()
        rng = np.random.default_rng(0)
        shuffled_words(
            embeddings, responses, folds, how,
            n_draws=_SAMPLE_DRAWS, rng=rng, preparation=preparation,
        )  # fmt: skip
        each = max(0.0, time.process_time() - began - fit) / _SAMPLE_DRAWS
        return Cost(fit, fit + n_draws * each)
    fit = _elastic_seconds(embeddings, responses, folds, how, preparation)
    draw = _elastic_seconds(embeddings, responses, folds, null_method(how), preparation)
    return Cost(fit, n_draws * draw)


def _elastic_seconds(
    embeddings: Array64,
    responses: Array64,
    folds: WordFolds,
    how: Method,
    preparation: Preparation,
) -> float:
    use = np.flatnonzero(usable_channels(np.asarray(responses, dtype=np.float64)))
    alone = isinstance(how, ElasticNet) and not how.multi_task
    some = use[:: max(1, len(use) // _SAMPLE_CHANNELS)][:_SAMPLE_CHANNELS] if alone else use
    first = tuple(fold for fold in folds.folds if fold.inner is folds.folds[0].inner)
    sample = replace(folds, folds=first)
    spent = _seconds(embeddings, responses[:, some], sample, how, preparation)
    return spent * len(folds.selections()) * len(use) / max(1, len(some))


def _seconds(
    embeddings: Array64,
    responses: Array64,
    folds: WordFolds,
    how: Method,
    preparation: Preparation,
) -> float:
    began = time.process_time()
    map_words(embeddings, responses, folds, how, preparation=preparation)
    return time.process_time() - began
