"""The choice of the epoch: ridge on validation stories after every pass over training stories."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from bids_brainalign.config.schema import Config
from bids_brainalign.store.atomic import write_json
from bids_brainalign.tuning.adapter_files import save_adapters, save_merged
from bids_brainalign.tuning.backbone import Backbone
from bids_brainalign.workflow.spaces import Space
from bids_brainalign.workflow.story_ridge import StoryRidge, frames_of

EPOCHS = "epochs.json"
LAST = "last"


class EpochChoice:
    """Scores of ridge on the validation stories, epoch by epoch, and the model of the best.

    With several participants the score is the mean of theirs. Epoch 0 is the original. What was
    found lies in ``epochs.json`` and survives interruptions; of models only the best one and that
    of the last epoch are kept.

    Parameters
    ----------
    config : Config
    space : Space
        The original.
    ridges : sequence of (StoryRidge, ndarray of int)
        Per participant, with the targets whose r counts.
    waves : mapping of str to ndarray of shape (n_samples,)
        Audio of all training and validation stories.
    folder : Path
        Of the training.
    """

    def __init__(
        self,
        config: Config,
        space: Space,
        ridges: Sequence[tuple[StoryRidge, NDArray[np.int64]]],
        waves: Mapping[str, NDArray[np.float32]],
        folder: Path,
    ) -> None:
        self._config, self._space, self._ridges = config, space, tuple(ridges)
        self._waves, self._folder = waves, folder
        path = folder / EPOCHS
        self._score = np.nan
        """Of the epoch that was evaluated last."""
        self.means: list[float] = json.loads(path.read_text()) if path.is_file() else []

    @property
    def folder(self) -> Path:
        """Of the best model."""
        return self._folder / f"best-{self.best}"

    @property
    def best(self) -> int:
        """Epoch with the best score; the earliest of equals."""
        return int(np.argmax(self.means))

    def loss(self, model: nn.Module) -> float:
        """Minus the mean r of ridge over the targets that are tuned on."""
        backbone = getattr(model, "backbone", None)
        if not isinstance(backbone, Backbone):
            raise TypeError(f"{type(model)} has no backbone")
        last = self._folder / LAST
        shutil.rmtree(last, ignore_errors=True)
        note = f"{self._space.model} tuned by bids_brainalign"
        save_merged(backbone, last / "model", note=note)
        if self._config.tuning.adaptation == "lora":
            save_adapters(backbone, last / "adapters", base_model=self._space.model)
        frames = frames_of(
            self._config, last / "model", self._space, self._waves,
            layer=backbone.layer, modality=self._ridges[0][0].assembly.fit.modality,
        )  # fmt: skip
        means = [
            float(np.nan_to_num(ridge.score(frames)[columns]).mean())
            for ridge, columns in self._ridges
        ]
        self._score = sum(means) / len(means)
        return -self._score

    def keep(self, epoch: int, model: nn.Module) -> None:
        """Note the score of the epoch just evaluated, and its model if it is the best so far."""
        del model  # `loss` has written it
        self.means = [*self.means[:epoch], self._score]
        if self.best == epoch:
            shutil.rmtree(self.folder, ignore_errors=True)
            (self._folder / LAST).rename(self.folder)
        write_json(self._folder / EPOCHS, self.means)
        for old in self._folder.glob("best-*"):
            if old != self.folder:
                shutil.rmtree(old)
