"""Ridge from training to validation stories: what epochs are chosen by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bids_brainalign.alignment.clock import add_onto_response_clock
from bids_brainalign.config.schema import Config
from bids_brainalign.encoding.layerwise import FeatureSpace, encode_layers
from bids_brainalign.encoding.voxelwise import Voxelwise
from bids_brainalign.features.dense import Windowing
from bids_brainalign.features.models import SpeechModel, open_model
from bids_brainalign.statistics.folds import Fold, Split
from bids_brainalign.store.features import FeatureStore
from bids_brainalign.workflow.assemble import Assembly, placements
from bids_brainalign.workflow.encoding import problem_of
from bids_brainalign.workflow.extraction import device_of
from bids_brainalign.workflow.spaces import Space, rate_of, windowing_of

Array32 = NDArray[np.float32]
Array64 = NDArray[np.float64]


@dataclass(frozen=True)
class Frames:
    """Frames of one layer of one stimulus."""

    data: Array32
    """(n_frames, n_dims)."""
    times: Array64
    """(n_frames,) s on the stimulus clock."""


class StoryRidge:
    """All responses of a fit, and the score of features on its validation stories.

    The test stories are not looked at: predictions are made of validation stories.

    Parameters
    ----------
    config : Config
    assembly : Assembly
        With the plan of :func:`~.story_roles.story_plan`.
    """

    def __init__(self, config: Config, assembly: Assembly) -> None:
        (fold,) = assembly.plan.folds
        (choice,) = fold.inner
        blind = Fold(fold.name, Split(choice.train, choice.test), (choice,))
        self.config = config
        self.assembly = replace(
            assembly, plan=replace(assembly.plan, folds=(blind,)), draws=(), aside=()
        )
        self._voxels: Voxelwise | None = None
        if assembly.fit.modality == "fmri":
            self._voxels = Voxelwise(
                lambda columns: problem_of(config, self.assembly, columns, None),
                len(assembly.targets),
                config.paths.work_dir,
            )
            self.responses: Array32 = self._voxels.responses
            self._problem = self._voxels.problem
        else:
            self._problem = problem_of(config, self.assembly, slice(None), None)
            self.responses = self._problem.fold_responses(0)

    @property
    def train(self) -> NDArray[np.int64]:
        """Rows of the training stories."""
        return self.assembly.plan.folds[0].outer.train

    @property
    def validation(self) -> NDArray[np.int64]:
        """Rows of the validation stories."""
        return self.assembly.plan.folds[0].outer.test

    def score(self, frames: Mapping[str, Frames]) -> Array64:
        """Give r of every target on the validation stories, at its best penalty.

        Parameters
        ----------
        frames : mapping of str to Frames
            By name of the stimulus, of all training and validation stories.
        """
        space = self._space(frames)
        if self._voxels is None:
            fit = encode_layers(space, self._problem, self._problem.held_out(), layer_nulls=False)
            return fit.selected.r
        blas = 1 if self._problem.solver == "own" else self._problem.n_threads
        with threadpool_limits(blas, user_api="blas"):
            return np.asarray(self._voxels.encode(space).r[0])

    def _space(self, frames: Mapping[str, Frames]) -> FeatureSpace:
        fit, electric = self.assembly.fit, self.assembly.fit.modality != "fmri"
        n_dims = next(iter(frames.values())).data.shape[1]

        def read(_: int) -> list[Array32]:
            runs = []
            for recording, response in zip(fit.recordings, self.assembly.responses, strict=True):
                run = np.zeros((len(response.times), n_dims), dtype=np.float32)
                mine = fit.of(recording)
                for presentation, placement in zip(mine, placements(mine), strict=True):
                    found = frames.get(presentation.stimulus.name)
                    if found is not None:  # test stories have none
                        add_onto_response_clock(
                            run, found.data, found.times, response.times, placement,
                            slow=not electric, hold=False, hrf=self.config.fmri.hrf,
                        )  # fmt: skip
                runs.append(run)
            return runs

        n_components = self.config.electrodes(fit.modality).n_components if electric else None
        return FeatureSpace("epoch", ("0",), read, n_components)


def frames_of(
    config: Config,
    folder: Path,
    space: Space,
    waves: Mapping[str, Array32],
    *,
    layer: int,
    modality: str,
) -> dict[str, Frames]:
    """Extract one layer of a model for some stimuli, as features are extracted elsewhere.

    Parameters
    ----------
    config : Config
    folder : Path
        Hugging Face folder.
    space : Space
        Of the original: its windows are taken.
    waves : mapping of str to ndarray of shape (n_samples,)
    layer : int
        0 = input of the first block.
    modality : str
        Of the responses: it has a rate of its own.
    """
    model: SpeechModel = open_model(
        folder, device=device_of(config), precision=config.resources.precision
    )
    windowing = windowing_of(config, space)
    assert isinstance(windowing, Windowing)  # noqa: S101 - tuned spaces are dense
    rate_hz = rate_of(config, modality)
    store, found = FeatureStore(config.paths.work_dir / "features"), {}
    for name, wave in waves.items():
        with store.scratch() as scratch:
            layers = model.extract(
                wave, rate_hz=rate_hz, windowing=windowing,
                batch_size=config.resources.batch_size, scratch=scratch,
            )  # fmt: skip
            found[name] = Frames(np.array(layers.layers[layer]), layers.times)
    return found
