"""Networks of one fit and model: trained once, kept one by one in the work folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.encoding.design import DesignMaker
from bids_brainalign.encoding.layerwise import FeatureSpace, Problem
from bids_brainalign.encoding.recurrent.linear_path import LinearPath, linear_path
from bids_brainalign.encoding.recurrent.validation import purged_block
from bids_brainalign.statistics.folds import Fold
from bids_brainalign.store.digest import code_digest, digest_of
from bids_brainalign.workflow.assemble import Assembly, assemble, feature_space
from bids_brainalign.workflow.encoding import fit_inputs
from bids_brainalign.workflow.extraction import device_of
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.inner_scores import keep_inner_scores, kept_inner_scores
from bids_brainalign.workflow.kept_networks import (
    KeptFit,
    Wanted,
    is_kept,
    keep_arrays,
    keep_fit,
    kept_fit,
)
from bids_brainalign.workflow.spaces import Space, seed_of

if TYPE_CHECKING:
    from bids_brainalign.encoding.recurrent.architecture import Network
    from bids_brainalign.encoding.recurrent.seed_fit import Options

logger = logging.getLogger(__name__)

LEAST_VALIDATION = 50
"""Rows that decide when training stops."""
Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]
MODULES = (
    "bids_brainalign.encoding.recurrent.seed_fit",
    "bids_brainalign.workflow.recurrent_fits",
)


@dataclass(frozen=True)
class Window:
    """One layer's design of one outer fold."""

    lags: Array32
    """(n_samples, n_lags, n_dims)."""
    responses: Array32
    """(n_samples, n_targets), standardised by the training rows."""
    fold: Fold
    linear: LinearPath


class Study:
    """One fit and one feature space: designs, ridge, and networks that are trained when asked for.

    Parameters
    ----------
    config : Config
    fit : Fit
    space : Space
    spaces : sequence of Space
        All feature spaces of the run (the folds depend on their context).

    Notes
    -----
    Ask :func:`too_short` first: without inner folds the layer can't be chosen.
    """

    def __init__(self, config: Config, fit: Fit, space: Space, spaces: Sequence[Space]) -> None:
        self.config = config
        self.assembly: Assembly = assemble(config, fit, spaces)
        self.features: FeatureSpace = feature_space(config, self.assembly, space)
        self.problem = problem_of(config, self.assembly)
        self.held_out = self.problem.held_out()
        self._name = (fit.name.stem, fit.modality, space.name)
        self._space = space
        self._fit_inputs = fit_inputs(config, fit, spaces)
        self._folder = config.paths.work_dir / "recurrent"
        self._kept_window: tuple[tuple[int, int], Window] | None = None

    @property
    def n_folds(self) -> int:
        """Outer folds."""
        return len(self.assembly.plan.folds)

    @cached_property
    def inner_scores(self) -> Array64:
        """(n_layers, n_folds) ridge on the inner folds, mean over electrodes."""
        kept = kept_inner_scores(self.config, self._fit_inputs, self._space)
        if kept is not None:
            return kept
        n_layers = len(self.features.layers)
        scores = np.zeros((n_layers, self.n_folds))
        for layer in range(n_layers):
            for k in range(self.n_folds):
                scores[layer, k] = np.nanmean(self.window(layer, k).linear.inner_score)
        keep_inner_scores(self.config, self._fit_inputs, self._space, scores)
        return scores

    @property
    def chosen_layers(self) -> NDArray[np.int64]:
        """(n_folds,) the layer whose ridge does best on the inner folds of each outer fold."""
        return np.asarray(self.inner_scores.argmax(axis=0), dtype=np.int64)

    def window(self, layer: int, k: int) -> Window:
        """Design, responses and ridge of one layer and outer fold; the last one is kept."""
        if self._kept_window is not None and self._kept_window[0] == (layer, k):
            return self._kept_window[1]
        self._kept_window = None
        fold = self.assembly.plan.folds[k]
        maker = DesignMaker(
            self.features.read(layer),
            self.assembly.layout,
            delays=self.assembly.delays,
            n_components=self.features.n_components,
        )
        design = maker.design(fold.outer.train)
        responses = self.problem.fold_responses(k)
        linear = linear_path(
            design, responses, fold,
            alphas=self.problem.alphas, fixed_alpha=self.problem.fixed_alpha,
            lags=maker.lags, metric=self.problem.metric,
        )  # fmt: skip
        lags = design.reshape(len(design), len(self.assembly.delays), -1)
        window = Window(lags, responses, fold, linear)
        self._kept_window = ((layer, k), window)
        path = self._ridge_path(layer, k)
        if not is_kept(path):
            keep_arrays(path, prediction=linear.prediction.astype(np.float16))
        return window

    def ridge(self, layer: int, k: int) -> Array32:
        """(n_test, n_targets) held-out prediction of the ridge."""
        path = self._ridge_path(layer, k)
        if not is_kept(path):
            self.window(layer, k)
        with np.load(path) as kept:
            return np.asarray(kept["prediction"], dtype=np.float32)

    def fits(self, wanted: Sequence[Wanted]) -> list[KeptFit]:
        """Train networks side by side, or read them from the work folder.

        Networks of one design share it; designs of as many folds are in memory at once as it
        takes to give every thread a network.
        """
        missing: dict[tuple[int, int], list[Wanted]] = {}
        for one in wanted:
            if not is_kept(self._fit_path(one)):
                missing.setdefault((one.layer, one.k), []).append(one)
        places, n_threads = list(missing), self.config.resources.omp_nthreads
        while places:
            tasks: list[Callable[[], None]] = []
            while places and len(tasks) < n_threads:
                window = self.window(*places[0])
                tasks += [partial(self._train, one, window) for one in missing[places.pop(0)]]
            from bids_brainalign.encoding.recurrent.side_by_side import side_by_side

            side_by_side(tasks, n_threads=n_threads)
        return [kept_fit(self._fit_path(one)) for one in wanted]

    def _train(self, one: Wanted, window: Window) -> None:
        from bids_brainalign.encoding.recurrent.architecture import KINDS
        from bids_brainalign.encoding.recurrent.seed_fit import fit_seed

        kind = next(kind for kind in KINDS if kind == one.encoder)
        seeds = self.config.recurrent.seeds
        fitted = fit_seed(
            kind,
            window.lags,
            window.responses if one.responses is None else one.responses,
            window.fold,
            self.assembly.samples,
            options=self.options,
            seed=seed_of(self.config, *self._name, *map(str, one.names)),
            position=(one.seed % seeds + 0.5) / seeds,
            linear=window.linear if one.with_linear else None,
        )
        logger.info(
            "%s %s layer %s fold %d seed %d: best epoch %d of %d", self._name[-1], one.encoder,
            self.features.layers[one.layer], one.k + 1, one.seed + 1, fitted.best_epoch,
            len(fitted.validation_mse) - 1,
        )  # fmt: skip
        keep_fit(self._fit_path(one), fitted)

    def network(self, encoder: str, layer: int, k: int, kept: KeptFit) -> Network:
        """Make a kept network again."""
        import torch

        from bids_brainalign.encoding.recurrent.architecture import KINDS, build
        from bids_brainalign.encoding.recurrent.seed_fit import shape_of

        kind = next(kind for kind in KINDS if kind == encoder)
        window = self.window(layer, k)
        network = build(kind, shape_of(window.lags, window.responses, self.options), seed=0)
        network.load_state_dict({n: torch.from_numpy(v) for n, v in kept.weights.items()})
        return network.to(self.options.device).eval()

    @cached_property
    def options(self) -> Options:
        """Sizes and schedule of the networks."""
        from bids_brainalign.encoding.recurrent.seed_fit import Options
        from bids_brainalign.encoding.recurrent.training import Recipe

        r = self.config.recurrent
        return Options(
            hidden=r.hidden,
            n_queries=r.queries,
            dropout=r.dropout,
            recipe=Recipe(
                epochs=r.epochs,
                rows_per_epoch=r.rows_per_epoch,
                batch_rows=r.batch_rows,
                learning_rate=r.learning_rate,
                weight_decay=r.weight_decay,
                patience=r.patience,
            ),
            validation_share=r.validation_share,
            gap_s=validation_gap_s(self.assembly),
            device=device_of(self.config),
        )

    def _training_settings(self) -> dict[str, object]:
        """Give the settings that change a network; not those of the bootstrap."""
        settings = asdict(self.config.recurrent)
        for name in ("n_bootstrap", "block_s", "null_fits", "layers", "linear_path"):
            settings.pop(name)
        return settings

    def _fit_path(self, one: Wanted) -> Path:
        return self._path({"what": one.names, "recurrent": self._training_settings()})

    def _ridge_path(self, layer: int, k: int) -> Path:
        return self._path({"what": ["ridge", layer, k]})

    @cached_property
    def _code(self) -> str:
        return code_digest(MODULES)

    def _path(self, what: dict[str, object]) -> Path:
        model = {"model": self._space.name}
        key = digest_of({**self._fit_inputs, **model, **what, "code": self._code})
        return self._folder / f"{key[:24]}.npz"


def validation_gap_s(assembly: Assembly) -> float:
    """Gap of the fold plan; where that holds out whole runs, what it would be within one."""
    reach = (max(assembly.delays) - min(assembly.delays)) * assembly.interval_s
    support = max(r.support_s for r in assembly.responses)
    return max(assembly.plan.hard_gap_s, reach + support + assembly.decorrelation_s)


def too_short(config: Config, assembly: Assembly) -> str | None:
    """Why networks can't be trained on these data; None if they can."""
    if not all(fold.inner for fold in assembly.plan.folds):
        return (
            "inner folds don't fit into the recordings, and without them neither the layer nor "
            "the linear path can be chosen without looking at test data"
        )
    recurrent = config.recurrent
    for fold in assembly.plan.folds:
        for seed in range(recurrent.seeds):
            split = purged_block(
                assembly.samples,
                fold.outer.train,
                share=recurrent.validation_share,
                position=(seed + 0.5) / recurrent.seeds,
                gap_s=validation_gap_s(assembly),
            )
            if len(split.train) < recurrent.batch_rows or len(split.test) < LEAST_VALIDATION:
                return (
                    f"after the rows that decide when training stops ({len(split.test)}) and the "
                    f"gap around them {len(split.train)} are left to learn from; "
                    f"{recurrent.batch_rows} (a batch) and {LEAST_VALIDATION} are needed"
                )
    return None


def problem_of(config: Config, assembly: Assembly) -> Problem:
    """All electrodes of one fit as one problem."""
    return Problem(
        responses=[r.data for r in assembly.responses],
        layout=assembly.layout,
        plan=assembly.plan,
        delays=assembly.delays,
        alphas=config.ridge.alphas,
        fixed_alpha=config.ridge.fixed_alpha,
        metric=config.ridge.metric,
        band_weights=config.ridge.band_weights,
        draws=assembly.draws,
        min_samples=config.folds.min_samples,
        n_threads=config.resources.omp_nthreads,
    )
