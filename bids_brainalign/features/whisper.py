"""Layers of a Whisper encoder over a whole stimulus (dense mode)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bids_brainalign.features.audio import SAMPLE_RATE_HZ
from bids_brainalign.features.dense import EncoderLayers, FrameGrid, Windowing, run_windows
from bids_brainalign.features.folders import cannot_load
from bids_brainalign.features.loading import (
    PRECISIONS,
    load_pretrained,
    quiet_transformers,
    random_twin,
)

FRAME_S = 0.02
"""One encoder frame: mel hop 10 ms × stride 2 of the second convolution; frame i is centred at
0.02·i s (both the STFT and the convolutions are centred)."""
GRID = FrameGrid(stride=320, receptive=320, first_centre=0.0)
WINDOWING = Windowing(window_s=30.0, hop_s=18.0, margin_s=5.0, blend_s=2.0)


class WhisperLayers:
    """A Whisper encoder from a local Hugging Face folder.

    Parameters
    ----------
    folder : Path
        With ``config.json``, ``preprocessor_config.json`` and ``model.safetensors``.
    untrained_seed : int, optional
        Build the same architecture with random weights from this seed instead of the trained ones.
    device : str
        A torch device.
    precision : str
        ``fp32``, ``bf16`` or ``fp16``; features are float32 in any case.

    Notes
    -----
    Layer numbers are those of ``hidden_states`` in transformers: 0 is the input of the first
    block, the last one includes the encoder's final LayerNorm. The encoder looks both ways in
    time.
    """

    def __init__(
        self,
        folder: Path,
        *,
        untrained_seed: int | None = None,
        device: str = "cpu",
        precision: str = "fp32",
    ) -> None:
        from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

        quiet_transformers()
        try:
            config = WhisperConfig.from_pretrained(folder, local_files_only=True)
            self.extractor: Any = WhisperFeatureExtractor.from_pretrained(
                folder, local_files_only=True
            )
        except (OSError, ValueError, KeyError) as error:
            raise cannot_load(folder, error) from error
        if untrained_seed is None:
            model = load_pretrained(WhisperModel, folder, part="encoder.")
        else:
            model = random_twin(WhisperModel, config, seed=untrained_seed)
        self.device, self.dtype = torch.device(device), PRECISIONS[precision]
        encoder: Any = model.encoder
        self.encoder = encoder.eval().to(self.device, self.dtype)
        self.n_layers = int(config.encoder_layers) + 1
        self.window_frames = int(config.max_source_positions)

    def extract(
        self,
        wave: NDArray[np.float32],
        *,
        rate_hz: float = 50.0,
        windowing: Windowing = WINDOWING,
        batch_size: int = 1,
    ) -> EncoderLayers:
        """Run the encoder over a stimulus in overlapping windows and blend them.

        Parameters
        ----------
        wave : ndarray of shape (n_samples,), float32
            16 kHz.
        rate_hz : float
            Rate of the frames returned: 50, or a divisor of it (means of neighbouring frames).
        windowing : Windowing
            Its ``window_s`` is the model's own, whatever is given.
        batch_size : int
            Windows per forward pass.

        Returns
        -------
        EncoderLayers
            Only frames of the stimulus itself: the 30 s padding is never read.
        """
        return run_windows(
            wave,
            self._forward,
            grid=GRID,
            n_frames=max(1, math.ceil(len(wave) / GRID.stride)),
            windowing=replace(windowing, window_s=self.window_frames * FRAME_S),
            sample_rate_hz=SAMPLE_RATE_HZ,
            rate_hz=rate_hz,
            batch_size=batch_size,
        )

    def _forward(self, clips: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        inputs = self.extractor(
            list(clips),
            sampling_rate=SAMPLE_RATE_HZ,
            return_tensors="pt",
            padding="max_length",
            max_length=GRID.n_samples(self.window_frames),
            truncation=True,
        ).input_features
        with torch.inference_mode():
            output = self.encoder(inputs.to(self.device, self.dtype), output_hidden_states=True)
        return [state.float().cpu().numpy() for state in output.hidden_states]
