"""Networks of voxels, fold by fold: what is done is kept in the work folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.encoding.layerwise import FeatureSpace
from bids_brainalign.encoding.voxelwise import Voxelwise
from bids_brainalign.store.atomic import atomic_path
from bids_brainalign.store.digest import code_digest, digest_of
from bids_brainalign.workflow.assemble import Assembly, assemble, feature_space
from bids_brainalign.workflow.encoding import fit_inputs, problem_of
from bids_brainalign.workflow.extraction import device_of
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.inner_scores import keep_inner_scores, kept_inner_scores
from bids_brainalign.workflow.kept_networks import is_kept, keep_arrays
from bids_brainalign.workflow.spaces import Space, seed_of

if TYPE_CHECKING:
    from bids_brainalign.encoding.voxel_networks import Chosen, Curve, Readout

Array16 = NDArray[np.float16]
Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]
logger = logging.getLogger(__name__)

_WORTH_THREADS = 1e8
"""Operations of one step's largest product from which on it is split between threads; smaller
networks are trained side by side instead."""


@dataclass(frozen=True)
class _Fold:
    """What networks of one outer fold learn from."""

    windows: Array32
    """(n_samples, n_delays, n_dims)."""
    responses: Array32
    """(n_samples, n_targets) what is to be learnt."""
    known: NDArray[np.int64]


class VoxelStudy:
    """One fMRI fit and one feature space: ridge and networks that are trained when asked for.

    Parameters
    ----------
    config : Config
    fit : Fit
        With inner folds.
    space : Space
    spaces : sequence of Space
        All feature spaces of the run (the folds depend on their context).
    """

    def __init__(self, config: Config, fit: Fit, space: Space, spaces: Sequence[Space]) -> None:
        self.config = config
        self.assembly: Assembly = assemble(config, fit, spaces)
        self.features: FeatureSpace = feature_space(config, self.assembly, space)
        n_targets = len(self.assembly.targets)
        self.voxels = Voxelwise(
            lambda columns: problem_of(config, self.assembly, columns, None),
            n_targets,
            config.paths.work_dir,
        )
        self._space, self._names = space, (fit.name.stem, fit.modality, space.name, "mlp")
        self._inputs = fit_inputs(config, fit, spaces)

    @cached_property
    def inner_scores(self) -> Array64:
        """(n_layers, n_folds) ridge on the inner folds, mean over voxels."""
        kept = kept_inner_scores(self.config, self._inputs, self._space)
        if kept is not None:
            return kept
        scores = np.array(
            [
                [
                    self.voxels.ridge(self.features, layer, k).score.mean()
                    for k in range(len(self.voxels.folds))
                ]
                for layer in range(len(self.features.layers))
            ]
        )
        keep_inner_scores(self.config, self._inputs, self._space, scores)
        return scores

    def predictions(
        self,
    ) -> tuple[NDArray[np.int64], list[Array16], list[list[Array16]]]:
        """Layer of each fold, ridge's held-out predictions per fold, the networks' per seed.

        Predictions are those of the layer whose ridge does best on the inner folds of each outer
        fold, in the units in which the fold is scored, mapped from files in half precision.
        """
        layers = self.inner_scores.argmax(axis=0).astype(np.int64)
        for k, layer in enumerate(layers):
            self._complete(k, int(layer))
        folds, seeds = range(len(layers)), range(self.config.mlp.seeds)
        ridge = [_mapped(self._ridge_path(k, int(layers[k]))) for k in folds]
        networks = [
            [_mapped(self._seed_path(k, int(layers[k]), seed)) for k in folds] for seed in seeds
        ]
        return layers, ridge, networks

    def said(self) -> list[dict[str, object]]:
        """Layer, weight decay, epochs, and the share of voxels that take a part, per fold."""
        told: list[dict[str, object]] = []
        for k, layer in enumerate(self.inner_scores.argmax(axis=0)):
            with np.load(self._choice_path(k, int(layer))) as kept:
                told.append(
                    {
                        "fold": k + 1,
                        "layer": self.features.layers[int(layer)],
                        "weight_decay": float(kept["weight_decay"]),
                        "epochs": int(kept["epochs"]),
                        "voxels_that_take_part": round(float((kept["gain"] > 0).mean()), 4),
                    }
                )
        return told

    def _complete(self, k: int, layer: int) -> None:
        """Fit and train what is missing of one fold."""
        from bids_brainalign.encoding.voxel_networks import Chosen

        seeds = [s for s in range(self.config.mlp.seeds)
                 if not _is_array(self._seed_path(k, layer, s))]  # fmt: skip
        choice = self._choice_path(k, layer)
        if not seeds and is_kept(choice) and _is_array(self._ridge_path(k, layer)):
            return
        fold = self._fold(k, layer)
        if not is_kept(choice):
            chosen = self._chosen(k, layer, fold)
            keep_arrays(
                choice, weight_decay=np.asarray(chosen.weight_decay),
                epochs=np.asarray(chosen.epochs), gain=chosen.gain, mse=np.asarray(chosen.mse),
            )  # fmt: skip
        with np.load(choice) as kept:
            chosen = Chosen(
                float(kept["weight_decay"]), int(kept["epochs"]), kept["gain"], tuple(kept["mse"])
            )
        tasks = [partial(self._train, k, layer, seed, fold, chosen) for seed in seeds]
        self._work(tasks, fold)

    def _fold(self, k: int, layer: int) -> _Fold:
        """Fit the ridge, keep its prediction, and make what networks learn."""
        from bids_brainalign.encoding.voxel_networks import held_out_rows, what_ridge_leaves

        voxels, outer = self.voxels, self.voxels.folds[k].outer
        ridge = voxels.ridge(self.features, layer, k)
        path = self._ridge_path(k, layer)
        if not _is_array(path):
            shape = (len(outer.test), voxels.n_targets)
            with atomic_path(path) as temporary:
                kept = open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
                for columns in voxels.blocks():
                    kept[:, columns] = ridge.prediction[:, columns]
                kept.flush()
        windows = ridge.design.reshape(len(ridge.design), len(self.assembly.delays), -1)
        if not self.config.mlp.linear_path:
            return _Fold(windows, voxels.responses, outer.train)
        left = what_ridge_leaves(voxels, ridge, k)
        return _Fold(windows, left, held_out_rows(voxels.folds[k].inner))

    def _chosen(self, k: int, layer: int, fold: _Fold) -> Chosen:
        """Train networks on the inner folds with every weight decay, and choose."""
        from bids_brainalign.encoding.voxel_networks import choose, inner_curve

        decays, splits = self.config.mlp.weight_decays, self.voxels.folds[k].inner
        curves: dict[tuple[int, int], Curve] = {}

        def train(d: int, i: int) -> None:
            # The same first weights for every decay: their difference is the decay's.
            curves[d, i] = inner_curve(
                fold.windows, fold.responses, splits[i], fold.known, readout=self._readout,
                weight_decay=decays[d], seed=self._seed(k, layer, f"inner{i}"),
            )  # fmt: skip

        places = [(d, i) for d in range(len(decays)) for i in range(len(splits))]
        self._work([partial(train, d, i) for d, i in places], fold)
        chosen = choose(
            [[curves[d, i] for i in range(len(splits))] for d in range(len(decays))],
            decays,
            shrink=self._readout.shrink,
        )
        logger.info(
            "%s mlp layer %s fold %d: weight decay %g, %d epochs, %.0f %% of voxels take a part",
            self._space.name, self.features.layers[layer], k + 1, chosen.weight_decay,
            chosen.epochs, 100 * (chosen.gain > 0).mean(),
        )  # fmt: skip
        return chosen

    def _train(self, k: int, layer: int, seed: int, fold: _Fold, chosen: Chosen) -> None:
        """Train one network on all training rows and keep its held-out prediction."""
        from bids_brainalign.encoding.recurrent.training import predictions_of
        from bids_brainalign.encoding.voxel_networks import trained_network

        network = trained_network(
            fold.windows, fold.responses, fold.known, readout=self._readout, chosen=chosen,
            seed=self._seed(k, layer, str(seed)),
        )  # fmt: skip
        test = self.voxels.folds[k].outer.test
        mean, scale = self.voxels.fold_units(k)
        factor = chosen.gain * scale
        ridge = _mapped(self._ridge_path(k, layer))
        with atomic_path(self._seed_path(k, layer, seed)) as temporary:
            kept = open_memmap(temporary, mode="w+", dtype=np.float16, shape=ridge.shape)
            start = 0
            for rows, own in predictions_of(
                network, fold.windows, rows=test, device=self._readout.device
            ):
                part = slice(start, start + len(rows))
                below = ridge[part] if self.config.mlp.linear_path else -mean * scale
                kept[part] = below + factor * own
                start += len(rows)
            kept.flush()

    def _work(self, tasks: Sequence[Callable[[], None]], fold: _Fold) -> None:
        """Train small networks side by side, large ones each on all threads."""
        from bids_brainalign.encoding.recurrent.side_by_side import side_by_side, torch_threads

        mlp, n_threads = self.config.mlp, self.config.resources.omp_nthreads
        widest = max(fold.responses.shape[1], fold.windows[0].size)
        if 2.0 * mlp.batch_rows * mlp.hidden * widest < _WORTH_THREADS:
            side_by_side(tasks, n_threads=n_threads)
            return
        with torch_threads(n_threads):
            for task in tasks:
                task()

    @cached_property
    def _readout(self) -> Readout:
        from bids_brainalign.encoding.recurrent.training import Recipe
        from bids_brainalign.encoding.voxel_networks import Readout

        mlp = self.config.mlp
        return Readout(
            hidden=mlp.hidden,
            dropout=mlp.dropout,
            recipe=Recipe(
                epochs=mlp.epochs,
                rows_per_epoch=self.assembly.layout.n_samples,
                batch_rows=mlp.batch_rows,
                learning_rate=mlp.learning_rate,
                weight_decay=0.0,
                patience=mlp.patience,
            ),
            weight_decays=mlp.weight_decays,
            shrink=mlp.linear_path,
            device=device_of(self.config),
        )

    def _seed(self, k: int, layer: int, what: str) -> int:
        return seed_of(self.config, *self._names, str(layer), str(k), what)

    def _ridge_path(self, k: int, layer: int) -> Path:
        return self._path({"what": ["ridge", k, layer]}, ".npy")

    def _choice_path(self, k: int, layer: int) -> Path:
        return self._path({"what": ["choice", k, layer]} | self._settings(), ".npz")

    def _seed_path(self, k: int, layer: int, seed: int) -> Path:
        return self._path({"what": ["seed", k, layer, seed]} | self._settings(), ".npy")

    def _settings(self) -> dict[str, object]:
        """Give the settings that change a network: one seed more leaves the others."""
        settings = asdict(self.config.mlp)
        settings.pop("seeds")
        return {"mlp": settings}

    @cached_property
    def _code(self) -> str:
        return code_digest(
            (
                "bids_brainalign.encoding.voxel_networks",
                "bids_brainalign.workflow.voxel_network_fits",
            )
        )

    def _path(self, what: dict[str, object], ending: str) -> Path:
        key = digest_of({**self._inputs, "model": self._space.name, **what, "code": self._code})
        return self.config.paths.work_dir / "mlp" / f"{key[:24]}{ending}"


def _mapped(path: Path) -> Array16:
    """Held-out predictions of a file, in half precision."""
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _is_array(path: Path) -> bool:
    """Whether a file is there and has its end."""
    try:
        np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return False
    return True
