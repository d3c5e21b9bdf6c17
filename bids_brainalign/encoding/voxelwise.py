"""All layers of a model against tens of thousands of targets: layers outside, targets inside.

What :func:`~bids_brainalign.encoding.layerwise.encode_layers` does for some hundred electrodes,
for voxels: a layer's kernel or Gram matrix is made once for all of them, and responses,
predictions and nulls lie in files of a scratch folder, of which a block of targets is in memory at
a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.encoding.design import DesignMaker
from bids_brainalign.encoding.layerwise import FeatureSpace, LayerwiseFit, Problem
from bids_brainalign.encoding.many_targets import FittedBatch, ManyTargets, many_targets
from bids_brainalign.encoding.scoring import HeldOut, Scores
from bids_brainalign.encoding.target_batches import Columns, Some
from bids_brainalign.encoding.weights import TargetWeights, preferred_layer
from bids_brainalign.statistics.folds import Fold
from bids_brainalign.statistics.tails import p_values

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]

BLOCK_TARGETS = 4096
"""Targets in memory at once: 2,000 null draws of a block are 33 MB."""


@dataclass(frozen=True)
class VoxelwiseFit:
    """What all layers of one feature space give for all targets; large arrays lie in files."""

    r_fold: Array32
    """(n_layers, n_folds, n_targets)."""
    r: Array64
    """(n_layers, n_targets)."""
    r2: Array64
    halves: Array32
    """(n_layers, 2, n_targets)."""
    layer_p: Array64
    inner: Array64
    """(n_layers, n_folds) score on the inner folds, mean over targets."""
    best: Array64
    """(n_folds, n_targets) score on the inner folds of the chosen layer; NaN without any."""
    chosen: NDArray[np.int64]
    """(n_folds, n_targets)."""
    alpha: Array64
    """(n_folds, n_targets)."""
    predictions: tuple[Array32, ...]
    """Per fold (n_test, n_targets), from the chosen layer."""
    null_max: Array32 | None
    """(n_targets, n_draws)."""
    null_min: Array32 | None
    """(n_targets, n_draws) minimum over layers."""
    parcel_null: Array32 | None
    """(n_layers, n_draws, n_parcels)."""

    def block(self, columns: slice, held_out: HeldOut, *, parcel_null: bool) -> LayerwiseFit:
        """Give some targets as :func:`~.layerwise.encode_layers` would.

        Parameters
        ----------
        columns : slice
        held_out : HeldOut
            Of these targets.
        parcel_null : bool
            With the null of the parcels, which is a sum over all blocks: for one of them.
        """
        kept = tuple(np.asarray(part[:, columns]) for part in self.predictions)
        null_max = None if self.null_max is None else np.asarray(self.null_max[columns]).T
        null_range = None
        if null_max is not None and self.null_min is not None:
            null_range = null_max - np.asarray(self.null_min[columns]).T
        return LayerwiseFit(
            layer_scores=tuple(
                Scores(
                    r_fold[:, columns].astype(np.float64),
                    r[columns],
                    r2[columns],
                    halves[:, columns].astype(np.float64),
                )
                for r_fold, r, r2, halves in zip(
                    self.r_fold, self.r, self.r2, self.halves, strict=True
                )
            ),
            layer_p=self.layer_p[:, columns],
            inner=self.inner,
            chosen=self.chosen[:, columns],
            alpha=self.alpha[:, columns],
            predictions=kept,
            selected=held_out.score(kept),
            null_selected=held_out.null(kept) if held_out.has_null else None,
            null_max=null_max,
            null_range=null_range,
            r_max=self.r[:, columns].max(axis=0),
            parcel_null=self.parcel_null if parcel_null else None,
        )


@dataclass(frozen=True)
class LayerRidge:
    """Ridge of all targets on one layer and outer fold."""

    design: Array32
    """(n_samples, n_delays * n_components)."""
    system: ManyTargets
    score: Array64
    """(n_targets,) mean over inner folds at the chosen penalty."""
    alpha: Array64
    """(n_targets,)."""
    prediction: Array32
    """(n_test, n_targets), in a file of the scratch folder; in the units of the fold."""


class Voxelwise:
    """The responses of one fit, ready for feature spaces one after another.

    Parameters
    ----------
    problem_of : callable
        Targets → their :class:`~.layerwise.Problem`.
    n_targets : int
    scratch : Path
        Folder with room for about four times the responses. Files there have no name: the system
        removes them with the arrays, or when the process ends, however it does.
    """

    def __init__(
        self, problem_of: Callable[[slice], Problem], n_targets: int, scratch: Path
    ) -> None:
        self.problem_of, self.n_targets, self.scratch = problem_of, n_targets, scratch
        self._units: dict[int, tuple[Array32, Array32]] = {}
        self.problem = problem_of(slice(0, 1))
        """Of one target: folds, delays and penalties are those of all."""
        self.folds = self.problem.plan.folds
        self.responses = self.scratch_array((self.problem.layout.n_samples, n_targets))
        """Standardised; where folds cut runs, as for the first fold: scores don't depend on it."""
        for columns in self.blocks():
            self.responses[:, columns] = problem_of(columns).fold_responses(0)

    def blocks(self) -> Iterator[slice]:
        """Targets that are in memory at once."""
        for start in range(0, self.n_targets, BLOCK_TARGETS):
            yield slice(start, min(start + BLOCK_TARGETS, self.n_targets))

    def encode(self, space: FeatureSpace) -> VoxelwiseFit:
        """Fit every layer on identical folds; choose a layer per target on the inner folds.

        Parameters
        ----------
        space : FeatureSpace

        Returns
        -------
        VoxelwiseFit
            Without inner folds the middle layer is taken for all targets.
        """
        n_layers, n_folds, middle = len(space.layers), len(self.folds), len(space.layers) // 2
        best = np.full((n_folds, self.n_targets), -np.inf)
        chosen = np.full((n_folds, self.n_targets), middle)
        alpha = np.zeros((n_folds, self.n_targets))
        inner = np.full((n_layers, n_folds), np.nan)
        kept, current = self.empty_predictions(), self.empty_predictions()
        scored = _Scored(self, n_layers)
        for layer in range(n_layers):
            systems = self._systems(self._designs(space, layer))
            for k, fold in enumerate(self.folds):
                system = next(systems)
                total = 0.0
                for part in self._fit(system, fold):
                    columns, score = part.columns, part.score
                    total += float(score.sum())
                    if not fold.inner:
                        score = np.full(len(score), 0.0 if layer == middle else -1.0)
                    better = score > best[k, columns]
                    mine = np.arange(self.n_targets)[columns][better]
                    best[k, mine], chosen[k, mine] = score[better], layer
                    alpha[k, mine] = part.alpha[better]
                    prediction = self.in_fold_units(k, columns, part.prediction)
                    current[k][:, columns] = prediction
                    kept[k][:, mine] = prediction[:, better]
                inner[layer, k] = total / self.n_targets
            scored.add(layer, current)
        if not self.folds[0].inner:
            best[:] = np.nan
        return scored.fit(inner=inner, best=best, chosen=chosen, alpha=alpha, predictions=kept)

    def encode_jointly(
        self, space: FeatureSpace, fit: VoxelwiseFit, baseline: FeatureSpace, alone: VoxelwiseFit
    ) -> tuple[Array32, ...]:
        """Two-band ridge: the baseline's features together with each target's chosen layer.

        Parameters
        ----------
        space, fit
            The model and its layers.
        baseline, alone
            The low-level features, with one layer, and their fit.

        Returns
        -------
        tuple of ndarray of shape (n_test, n_targets)
            Held-out predictions per fold. The share of the bands is chosen on the inner folds;
            where the baseline alone does best, its own predictions stand, so that nothing is
            gained or lost.
        """
        predictions = self.empty_predictions()
        best = np.array(alone.best)
        for part, own in zip(predictions, alone.predictions, strict=True):
            for block in self.blocks():
                part[:, block] = own[:, block]
        shares = self.problem.band_weights
        if not self.folds[0].inner:
            best[:], shares = -np.inf, (shares[(len(shares) - 1) // 2],)
        low = self._designs(baseline, 0)
        for layer in np.unique(fit.chosen):
            high = self._designs(space, int(layer))
            for share in shares:
                for k, fold in enumerate(self.folds):
                    mine = np.flatnonzero(fit.chosen[k] == layer)
                    if not len(mine):
                        continue
                    system = self._joint_system(high, low, fold, share=share)
                    for fitted in self._fit(system, fold, only=mine):
                        score = np.where(np.isnan(fitted.score), 0.0, fitted.score)
                        columns = np.asarray(fitted.columns)
                        better = score > best[k, columns]
                        best[k, columns] = np.maximum(best[k, columns], score)
                        columns = columns[better]
                        prediction = self.in_fold_units(k, columns, fitted.prediction[:, better])
                        predictions[k][:, columns] = prediction
        return predictions

    def weights(self, space: FeatureSpace, fit: VoxelwiseFit) -> TargetWeights:
        """Refit every target on its preferred layer; see :func:`~.weights.target_weights`.

        Returns
        -------
        TargetWeights
            Its weights lie in a file of the scratch folder.
        """
        layer, alpha = preferred_layer(fit.chosen, fit.alpha, len(space.layers))
        weights: Array32 | None = None
        for index in np.unique(layer):
            targets = layer == index
            maker = self._designs(space, int(index))
            systems = self._systems(maker)
            for k, fold in enumerate(self.folds):
                system, train = next(systems), fold.outer.train
                penalties = np.where(targets, alpha[k], np.nan)
                for some, part in system.weights(train, penalties):
                    scale = self.fold_units(k)[1][some]
                    original = maker.in_feature_units(part * scale, train)
                    if weights is None:
                        weights = self.scratch_array((*original.shape[:2], self.n_targets))
                    weights[:, :, some] += original / len(self.folds)
        if weights is None:
            raise ValueError("weights of no target were asked for")
        return TargetWeights(weights, layer, np.exp(np.log(alpha).mean(axis=0)))

    def ridge(self, space: FeatureSpace, layer: int, k: int) -> LayerRidge:
        """Ridge of all targets on one layer and outer fold."""
        fold = self.folds[k]
        design = self._designs(space, layer).design(fold.outer.train)
        system = self._system(design)
        score, alpha = np.empty((2, self.n_targets))
        prediction = self.scratch_array((len(fold.outer.test), self.n_targets))
        for part in self._fit(system, fold):
            score[part.columns], alpha[part.columns] = part.score, part.alpha
            prediction[:, part.columns] = self.in_fold_units(k, part.columns, part.prediction)
        return LayerRidge(design, system, score, alpha, prediction)

    def held_out(self, columns: slice) -> tuple[Problem, HeldOut]:
        """Problem and held-out responses of some targets."""
        problem = self.problem_of(columns)
        if problem.layout.whole_runs:
            problem.keep_responses(np.array(self.responses[:, columns]))
        return problem, problem.held_out()

    def in_fold_units(self, k: int, some: Some, prediction: Array32) -> Array32:
        """Turn predictions of some targets into the units in which fold k is scored."""
        mean, scale = self.fold_units(k)
        return (prediction - mean[some]) * scale[some]

    def empty_predictions(self) -> tuple[Array32, ...]:
        """Make arrays for predictions of every fold, each (n_test, n_targets)."""
        return tuple(
            self.scratch_array((len(fold.outer.test), self.n_targets)) for fold in self.folds
        )

    def scratch_array(self, shape: tuple[int, ...]) -> Array32:
        """Make zeros in a new file of the scratch folder."""
        with TemporaryFile(dir=self.scratch) as file:
            return np.memmap(file, dtype=np.float32, mode="w+", shape=shape)

    def fold_units(self, k: int) -> tuple[Array32, Array32]:
        """Mean and 1/SD of fold k's training rows, where folds cut runs; else 0 and 1."""
        if self.problem.layout.whole_runs:
            return np.zeros(self.n_targets, np.float32), np.ones(self.n_targets, np.float32)
        if k not in self._units:
            mean, scale = np.empty((2, self.n_targets), dtype=np.float32)
            for columns in self.blocks():
                rows = np.asarray(self.responses[:, columns])[self.folds[k].outer.train]
                mean[columns] = rows.mean(axis=0, dtype=np.float64)
                sd = rows.std(axis=0, dtype=np.float64)
                scale[columns] = 1 / np.where(sd > 0, sd, 1)
            self._units[k] = mean, scale
        return self._units[k]

    def _fit(self, system: ManyTargets, fold: Fold, only: Columns = None) -> Iterator[FittedBatch]:
        problem = self.problem
        alphas = problem.alphas if fold.inner else (problem.fixed_alpha,)
        return system.fit(
            fold.outer.train,
            fold.outer.test,
            fold.inner,
            np.asarray(alphas, dtype=np.float64),
            metric=problem.metric,
            only=only,
        )

    def _designs(self, space: FeatureSpace, layer: int) -> DesignMaker:
        return DesignMaker(
            space.read(layer),
            self.problem.layout,
            delays=self.problem.delays,
            n_components=space.n_components,
        )

    def _systems(self, maker: DesignMaker) -> Iterator[ManyTargets]:
        """One system per outer fold; the same one where the design doesn't depend on the fold."""
        same = maker.layout.whole_runs and maker.n_components is None
        system: ManyTargets | None = None
        for fold in self.folds:
            if system is None or not same:
                system = None  # before the next one is made
                system = self._system(maker.design(fold.outer.train))
            yield system

    def _joint_system(
        self, high: DesignMaker, low: DesignMaker, fold: Fold, *, share: float
    ) -> ManyTargets:
        """Both bands, scaled by the variance that they have in the training rows of a fold."""
        train = fold.outer.train
        bands = _scaled([high.design(train), low.design(train)], train, share)
        return self._system(np.concatenate(bands, axis=1))

    def _system(self, design: Array32) -> ManyTargets:
        longest = max(len(fold.outer.train) for fold in self.folds)
        return many_targets(
            design,
            self.responses,
            n_train=longest,
            solver=self.problem.solver,
            n_threads=self.problem.n_threads,
            device=self.problem.device,
            scoring=self.problem.scoring,
        )


class _Scored:
    """Scores and nulls of one layer after another."""

    def __init__(self, targets: Voxelwise, n_layers: int) -> None:
        n_targets, n_folds = targets.n_targets, len(targets.folds)
        self.targets = targets
        self.r_fold = np.full((n_layers, n_folds, n_targets), np.nan, dtype=np.float32)
        self.r, self.r2, self.p = np.full((3, n_layers, n_targets), np.nan)
        self.halves = np.full((n_layers, 2, n_targets), np.nan, dtype=np.float32)
        self.null_max: Array32 | None = None
        self.null_min: Array32 | None = None
        self.parcel_null: list[Array32] = []

    def add(self, layer: int, predictions: Sequence[Array32]) -> None:
        """Score a layer's predictions of every fold, each (n_test, n_targets)."""
        parcels: Array32 | float = 0.0
        for columns in self.targets.blocks():
            problem, held_out = self.targets.held_out(columns)
            mine = [np.asarray(part[:, columns]) for part in predictions]
            scores = held_out.score(mine)
            self.r_fold[layer][:, columns] = scores.r_fold
            self.r[layer, columns], self.r2[layer, columns] = scores.r, scores.r2
            self.halves[layer][:, columns] = scores.halves
            if not held_out.has_null:
                continue
            null = held_out.null(mine)
            self.p[layer, columns] = p_values(scores.r, null)
            if self.null_max is None:
                shape = (self.targets.n_targets, len(null))
                self.null_max = self.targets.scratch_array(shape)
                # A single layer has no range.
                self.null_min = self.targets.scratch_array(shape) if len(self.r) > 1 else None
            for kept, keep in ((self.null_max, np.fmax), (self.null_min, np.fmin)):
                if kept is not None:
                    kept[columns] = null.T if layer == 0 else keep(kept[columns], null.T)
            if problem.parcels is not None:
                parcels = parcels + null @ problem.parcels.T.astype(np.float32)
        if not isinstance(parcels, float):
            self.parcel_null.append(parcels)

    def fit(
        self,
        *,
        inner: Array64,
        best: Array64,
        chosen: NDArray[np.int64],
        alpha: Array64,
        predictions: tuple[Array32, ...],
    ) -> VoxelwiseFit:
        """Put everything together."""
        return VoxelwiseFit(
            r_fold=self.r_fold,
            r=self.r,
            r2=self.r2,
            halves=self.halves,
            layer_p=self.p,
            inner=inner,
            best=best,
            chosen=chosen,
            alpha=alpha,
            predictions=predictions,
            null_max=self.null_max,
            null_min=self.null_min,
            parcel_null=np.stack(self.parcel_null) if self.parcel_null else None,
        )


def _scaled(bands: Sequence[Array32], train: NDArray[np.int64], share: float) -> list[Array32]:
    """Scale two bands to their shares of the kernel, the second at the first one's variance."""
    first, second = (band[train].var(axis=0, dtype=np.float64).sum() for band in bands)
    scales = (share, (1 - share) * (first / second if second > 0 else 0.0))
    return [band * np.float32(np.sqrt(s)) for band, s in zip(bands, scales, strict=True)]
