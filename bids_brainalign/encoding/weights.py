"""Ridge weights per delay in the units of the features as extracted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.encoding.design import DesignMaker
from bids_brainalign.encoding.layerwise import FeatureSpace, LayerwiseFit, Problem
from bids_brainalign.encoding.ridge import make_system

Array32 = NDArray[np.float32]


@dataclass(frozen=True)
class TargetWeights:
    """Weights of one layer per target."""

    weights: Array32
    """(n_delays, n_dims, n_targets): SD of the response per unit of the feature; mean over outer
    folds, each fitted on its training part."""
    layer: NDArray[np.int64]
    """(n_targets,) index of the layer: the one most outer folds chose."""
    alpha: NDArray[np.float64]
    """(n_targets,) geometric mean over folds of the penalties used."""


def target_weights(space: FeatureSpace, problem: Problem, fit: LayerwiseFit) -> TargetWeights:
    """Refit every target on its preferred layer and give the weights.

    Parameters
    ----------
    space : FeatureSpace
    problem : Problem
    fit : LayerwiseFit
        Layers and penalties from the inner folds. A fold that chose another layer takes the
        geometric mean of the penalties of those that chose the preferred one.

    Returns
    -------
    TargetWeights
    """
    layer, alpha = preferred_layer(fit.chosen, fit.alpha, len(space.layers))
    folds = problem.plan.folds
    weights: Array32 | None = None
    for index in np.unique(layer):
        targets = np.flatnonzero(layer == index)
        maker = DesignMaker(
            space.read(int(index)),
            problem.layout,
            delays=problem.delays,
            n_components=space.n_components,
        )
        for k, fold in enumerate(folds):
            train = fold.outer.train
            responses = np.ascontiguousarray(problem.fold_responses(k)[:, targets])
            system = make_system([maker.design(train)], responses, [train], lags=maker.lags)
            solution = system.solve(train, np.ones(1))
            original = maker.in_feature_units(solution.weights(alpha[k, targets]), train)
            if weights is None:
                shape = (*original.shape[:2], len(layer))
                weights = np.zeros(shape, dtype=np.float32)
            weights[:, :, targets] += original / len(folds)
    if weights is None:
        raise ValueError("weights of no target were asked for")
    return TargetWeights(weights, layer, np.exp(np.log(alpha).mean(axis=0)))


def preferred_layer(
    chosen: NDArray[np.int64], alpha: NDArray[np.float64], n_layers: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Layer that most outer folds chose, and the penalty of every fold for it.

    Parameters
    ----------
    chosen : ndarray of int, shape (n_folds, n_targets)
    alpha : ndarray of shape (n_folds, n_targets)
    n_layers : int

    Returns
    -------
    layer : ndarray of int, shape (n_targets,)
    alpha : ndarray of shape (n_folds, n_targets)
        Folds that chose another layer take the geometric mean of the others' penalties.
    """
    counts = np.stack([(chosen == i).sum(axis=0) for i in range(n_layers)])
    layer = counts.argmax(axis=0)
    agrees = chosen == layer
    log_alpha = np.log(alpha)
    common = np.where(agrees, log_alpha, 0).sum(axis=0) / agrees.sum(axis=0)
    return layer, np.exp(np.where(agrees, log_alpha, common))
