"""Any speech model from a local folder, whatever its family."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.features.dense import EncoderLayers, Windowing
from bids_brainalign.features.ending import EndingWindows
from bids_brainalign.features.folders import model_facts


class SpeechModel(Protocol):
    """What the program needs of a speech model."""

    n_layers: int
    """Layers with the input of the first block."""

    @property
    def shortest_clip(self) -> int:
        """Samples that one frame hears before the transformer: a clip needs as many."""
        ...

    def extract(
        self,
        wave: NDArray[np.float32],
        *,
        rate_hz: float = ...,
        windowing: Windowing = ...,
        batch_size: int = ...,
        scratch: IO[bytes] | None = ...,
    ) -> EncoderLayers:
        """All layers over a stimulus."""
        ...

    def extract_ending(
        self,
        wave: NDArray[np.float32],
        windows: EndingWindows,
        *,
        batch_size: int = ...,
        scratch: IO[bytes] | None = ...,
    ) -> EncoderLayers:
        """All layers at the ends of windows."""
        ...

    def extract_clips(
        self, clips: Sequence[NDArray[np.float32]], *, batch_size: int = ...
    ) -> list[NDArray[np.float32]]:
        """Mean state of every clip, heard by itself: per layer (n_clips, n_dims)."""
        ...


def open_model(
    folder: Path,
    *,
    untrained_seed: int | None = None,
    device: str = "cpu",
    precision: str = "fp32",
) -> SpeechModel:
    """Open a model: Whisper by its own class, all others by transformers' ``AutoModel``.

    Parameters
    ----------
    folder : Path
    untrained_seed : int, optional
        Random weights from this seed instead of the trained ones.
    device, precision : str

    Raises
    ------
    BrainAlignError
        Not a speech model, or weights are missing (66).
    """
    from bids_brainalign.features.waveform import WaveformLayers
    from bids_brainalign.features.whisper import WhisperLayers

    kind = WhisperLayers if model_facts(folder).is_whisper else WaveformLayers
    return kind(folder, untrained_seed=untrained_seed, device=device, precision=precision)
