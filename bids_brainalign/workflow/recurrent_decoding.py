"""Networks trained fold by fold and seed by seed; each is kept, so a stopped run goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.decoding.identification import SCORES
from bids_brainalign.decoding.layerwise import Decoded, DecodingProblem, score_fold
from bids_brainalign.decoding.recurrent import Training, fit_recurrent
from bids_brainalign.encoding.layerwise import FeatureSpace
from bids_brainalign.store.atomic import atomic_path
from bids_brainalign.workflow.extraction import device_of

Array32 = NDArray[np.float32]


def decode_by_gru(
    config: Config,
    space: FeatureSpace,
    ridge: Decoded,
    problem: DecodingProblem,
    *,
    folder: Path,
) -> Decoded | None:
    """Decode each fold's chosen layer by a recurrent network.

    Parameters
    ----------
    config : Config
    space : FeatureSpace
    ridge : Decoded
        Chose the layers, on inner folds.
    problem : DecodingProblem
    folder : Path
        Keeps the predictions of networks that are done.

    Returns
    -------
    Decoded or None
        The layer chosen, in every fold (scores are means over seeds, not of an ensemble); None
        where there are no inner folds to stop training by.
    """
    folds = problem.plan.folds
    if not all(fold.inner for fold in folds):
        return None
    single = [
        _empty(len(folds), problem, layer="selected") for _ in range(config.decoding.gru_seeds)
    ]
    for k, fold in enumerate(folds):
        if k not in problem.scored:
            continue
        train, test = fold.outer.train, fold.outer.test
        embedding = problem.embedding(space, int(ridge.chosen[k]), train)
        windows = problem.inputs(train).reshape(len(embedding), len(problem.lags), -1)
        mean = embedding[train].mean(axis=0)
        for seed, out in enumerate(single):
            path = folder / f"{space.name.replace(':', '-')}_fold-{k + 1}_seed-{seed}.npy"
            if not path.is_file():
                training = Training(
                    config.decoding.gru_hidden,
                    config.decoding.gru_epochs,
                    config.random_seed + seed,
                    device_of(config),
                )
                split = fold.inner[seed % len(fold.inner)]
                _save(path, fit_recurrent(windows, embedding, split, test, training=training))
            predicted = np.load(path, allow_pickle=False)
            score_fold(problem, k, embedding[test] - mean, predicted - mean, out=out, layer=0)
    return _mean(single)


def _empty(n_folds: int, problem: DecodingProblem, *, layer: str) -> Decoded:
    shape = (1, len(SCORES))
    null = (
        np.empty((len(problem.draws), *shape, problem.draws[0].n_draws), dtype=np.float32)
        if problem.draws
        else None
    )
    return Decoded(
        (layer,), np.full((n_folds, *shape), np.nan), null, np.full((n_folds, 1), np.nan)
    )


def _mean(single: Sequence[Decoded]) -> Decoded:
    nulls = [one.null for one in single if one.null is not None]
    return Decoded(
        single[0].layers,
        np.mean([one.value for one in single], axis=0),
        np.mean(nulls, axis=0) if nulls else None,
        single[0].inner,
    )


def _save(path: Path, prediction: Array32) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, prediction, allow_pickle=False)
