"""Networks trained fold by fold and seed by seed; each is kept, so a stopped run goes on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.decoding.identification import SCORES
from bids_brainalign.decoding.layerwise import Decoded, DecodingProblem, score_fold
from bids_brainalign.decoding.recurrent import Training, fit_recurrent
from bids_brainalign.encoding.layerwise import FeatureSpace
from bids_brainalign.encoding.recurrent.side_by_side import side_by_side
from bids_brainalign.statistics.folds import Fold
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
        mean = embedding[train].mean(axis=0)
        stem = f"{space.name.replace(':', '-')}_fold-{k + 1}"
        paths = [folder / f"{stem}_seed-{seed}.npy" for seed in range(len(single))]
        missing = [seed for seed, path in enumerate(paths) if not path.is_file()]
        if missing:
            windows = problem.inputs(train).reshape(len(embedding), len(problem.lags), -1)
            side_by_side(
                [
                    partial(_train, config, windows, embedding, fold, seed, path=paths[seed])
                    for seed in missing
                ],
                n_threads=config.resources.omp_nthreads,
            )
        for path, out in zip(paths, single, strict=True):
            predicted = np.load(path, allow_pickle=False)
            score_fold(problem, k, embedding[test] - mean, predicted - mean, out=out, layer=0)
    return _mean(single)


def _train(
    config: Config, windows: Array32, embedding: Array32, fold: Fold, seed: int, *, path: Path
) -> None:
    """Train the network of one seed and keep what it predicts."""
    training = Training(
        config.decoding.gru_hidden,
        config.decoding.gru_epochs,
        config.random_seed + seed,
        device_of(config),
    )
    split = fold.inner[seed % len(fold.inner)]
    _save(path, fit_recurrent(windows, embedding, split, fold.outer.test, training=training))


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
