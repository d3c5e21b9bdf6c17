"""How long the mappings of a speaker will take, told before they are made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.config.production import Production, draws_of
from bids_brainalign.features.word_embeddings import WordEmbeddings
from bids_brainalign.production.cost import estimated_cost
from bids_brainalign.workflow.production.material import Material
from bids_brainalign.workflow.production.rebuilding import (
    RIDGE,
    is_continuous,
    method_of,
    plan_folds,
)
from bids_brainalign.workflow.production_embeddings import preparation_of


def announce_cost(
    settings: Production,
    material: Material,
    todo: Sequence[tuple[str, WordEmbeddings]],
    shared: NDArray[np.bool_],
) -> Iterator[str]:
    """One line per elastic net that has to be fitted, from a sample of its own fits.

    And one for ridge where every draw needs decompositions of its own: continuous speech.

    Parameters
    ----------
    settings : Production
    material : Material
        Of the shared words.
    todo : sequence of (mapping, WordEmbeddings)
        Of the largest embedding, the time is told for all.
    shared : ndarray of bool
    """
    for mapping in dict.fromkeys(mapping for mapping, _ in todo if mapping != RIDGE):
        mine = [embedding for name, embedding in todo if name == mapping]
        widest = max(mine, key=lambda one: one.values[0].shape[1])
        folds = plan_folds(settings, material, over="k-fold", seed=0)
        cost = estimated_cost(
            widest.values[0][shared].astype(np.float64),
            material.response,
            folds,
            method_of(mapping),
            n_draws=draws_of(settings, mapping),
            preparation=preparation_of(widest, explained=settings.explained),
        )
        # Leaving words out one by one fits as many folds as there are words, with the same
        # penalties: little beside the choice of these.
        minutes = len(mine) * (cost.fit_s * len(settings.folds) + cost.null_s) / 60
        yield f"{mapping} of {len(mine)} embeddings: about {_length(minutes)} of one processor"
    ridge = [embedding for mapping, embedding in todo if mapping == RIDGE]
    if ridge and is_continuous(settings, material):
        widest = max(ridge, key=lambda one: one.values[0].shape[1])
        n_layers = sum(len(embedding.layers) for embedding in ridge)
        minutes = _ridge_minutes(settings, material, widest, shared, len(ridge), n_layers)
        what = f"ridge and time courses of {len(ridge)} embeddings"
        yield f"{what}: about {_length(minutes)} of one processor"


def _ridge_minutes(
    settings: Production,
    material: Material,
    widest: WordEmbeddings,
    shared: NDArray[np.bool_],
    n_embeddings: int,
    n_layers: int,
) -> float:
    """Decompositions decide, whatever they are for: draws, layers, the jackknife of the course."""
    cost = estimated_cost(
        widest.values[0][shared].astype(np.float64),
        material.response,
        plan_folds(settings, material, over="k-fold", seed=0),
        method_of(RIDGE),
        n_draws=2 * settings.ridge_draws + settings.random_draws,
        preparation=preparation_of(widest, explained=settings.explained),
    )
    n_words = len(material.words)
    alone = cost.fit_s * n_words / settings.n_folds if len(settings.folds) > 1 else 0.0
    course = n_layers * cost.fit_s * (2 * settings.course_draws + settings.n_folds + 1)
    return (n_embeddings * (cost.fit_s + alone + cost.null_s) + course) / 60


def _length(minutes: float) -> str:
    """Round as people say it.

    Examples
    --------
    >>> [_length(m) for m in (0.2, 7.4, 200.0)]
    ['1 min', '8 min', '3.4 h']
    """
    return (
        f"{max(1, round(minutes + 0.5))} min" if minutes < 90 else f"{minutes / 60 + 0.05:.1f} h"
    )
