"""Planted signals of a participant's targets, per story: where the answer comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.lowlevel import lowlevel_features
from bids_brainalign.simulate.planted import Signals, project
from bids_brainalign.simulate.stories import Story

N_MELS = 16


@dataclass(frozen=True)
class StoryFeatures:
    """Features of every story, all at one rate."""

    rate_hz: float
    start_s: float
    """Time of the first frame on the stimulus clock."""
    layers: tuple[tuple[NDArray[np.float32], ...], ...]
    """Per story, per layer: (n_frames, n_dims)."""
    lowlevel: tuple[NDArray[np.float32], ...]
    """Per story: envelope and mel spectrogram."""

    @property
    def n_layers(self) -> int:
        """Including layer 0."""
        return len(self.layers[0])


def story_features(
    stories: Sequence[Story], model_folder: Path, *, rate_hz: float
) -> StoryFeatures:
    """Run the model and the low-level features over all stories."""
    from bids_brainalign.features.models import open_model

    model = open_model(model_folder)
    encoded = [model.extract(story.wave, rate_hz=rate_hz) for story in stories]
    lowlevel = [
        # Envelope and mel only: these stories' words and phones are not planted.
        lowlevel_features(story.wave, None, rate_hz=rate_hz, n_mels=N_MELS)[0][:, : 1 + N_MELS]
        for story in stories
    ]
    # wav2vec2-like models give no frame for the last 25 ms.
    lengths = [min(len(e.times), len(low)) for e, low in zip(encoded, lowlevel, strict=True)]
    return StoryFeatures(
        rate_hz=rate_hz,
        start_s=float(encoded[0].times[0]),
        layers=tuple(
            tuple(layer[:n] for layer in e.layers) for e, n in zip(encoded, lengths, strict=True)
        ),
        lowlevel=tuple(low[:n] for low, n in zip(lowlevel, lengths, strict=True)),
    )


def check_layers(layers: Sequence[int], *, n_layers: int) -> None:
    """Refuse layers that the model doesn't have (exit code 64)."""
    wrong = [layer for layer in layers if not 0 <= layer < n_layers]
    if wrong:
        raise BrainAlignError(
            f"the model has no layer {wrong[0]}: its layers are 0 … {n_layers - 1}",
            fix=f"--layers with numbers from 0 to {n_layers - 1}",
            exit_code=ExitCode.USAGE,
        )


def source_signals(
    features: StoryFeatures,
    source: int | str | None,
    *,
    n_targets: int,
    rng: np.random.Generator,
) -> Signals:
    """Project one feature space to targets.

    Parameters
    ----------
    features : StoryFeatures
    source : int, "lowlevel" or None
        Layer number; None gives zeros.
    n_targets : int
    rng : Generator
        Draws the weights.

    Returns
    -------
    list of ndarray, each (n_frames, n_targets)
        One per story, SD 1 over all stories together.
    """
    if source is None:
        return [np.zeros((len(layers[0]), n_targets)) for layers in features.layers]
    if isinstance(source, str):
        return project(features.lowlevel, n_targets, rng=rng)
    return project([layers[source] for layers in features.layers], n_targets, rng=rng)
