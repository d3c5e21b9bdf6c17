"""Layers of a Whisper encoder over a whole stimulus (dense mode)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.audio import SAMPLE_RATE_HZ
from bids_brainalign.features.windows import blend_weights, block_mean, window_starts

FRAME_S = 0.02
"""One encoder frame: mel hop 10 ms × stride 2 of the second convolution; frame i is centred at
0.02·i s (both the STFT and the convolutions are centred)."""


@dataclass(frozen=True)
class EncoderLayers:
    """All layers over one stimulus."""

    layers: tuple[NDArray[np.float32], ...]
    """L + 1 arrays of shape (n_frames, n_dims); 0 = after convolutions and positions."""
    times: NDArray[np.float64]
    """(n_frames,) s on the stimulus clock."""
    context_past_s: float
    context_future_s: float


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

    Notes
    -----
    Layer numbers are those of ``hidden_states`` in transformers: 0 is the input of the first
    block, the last one includes the encoder's final LayerNorm. The encoder looks both ways in
    time.
    """

    def __init__(
        self, folder: Path, *, untrained_seed: int | None = None, device: str = "cpu"
    ) -> None:
        from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel
        from transformers.utils import logging as transformers_logging

        quiet: Any = transformers_logging.disable_progress_bar
        quiet()
        try:
            config = WhisperConfig.from_pretrained(folder, local_files_only=True)
            self.extractor: Any = WhisperFeatureExtractor.from_pretrained(
                folder, local_files_only=True
            )
            if untrained_seed is None:
                model = WhisperModel.from_pretrained(
                    folder, local_files_only=True, dtype=torch.float32, use_safetensors=True
                )
            else:
                with torch.random.fork_rng():
                    torch.manual_seed(untrained_seed)
                    model = WhisperModel(config)
        except (OSError, ValueError, KeyError) as error:
            raise BrainAlignError(
                f"{folder} can't be loaded as a Whisper model: {error}",
                fix="give a Hugging Face folder with config.json, preprocessor_config.json and "
                "model.safetensors: --models NAME=FOLDER",
                exit_code=ExitCode.MISSING_INPUT,
            ) from error
        self.device = torch.device(device)
        encoder: Any = model.encoder
        self.encoder = encoder.eval().to(self.device)
        self.n_layers = int(config.encoder_layers) + 1
        self.window_frames = int(config.max_source_positions)

    def extract(
        self,
        wave: NDArray[np.float32],
        *,
        rate_hz: float = 50.0,
        hop_s: float = 18.0,
        margin_s: float = 5.0,
        blend_s: float = 2.0,
        batch_size: int = 1,
    ) -> EncoderLayers:
        """Run the encoder over a stimulus in overlapping windows and blend them.

        Parameters
        ----------
        wave : ndarray of shape (n_samples,), float32
            16 kHz.
        rate_hz : float
            Rate of the frames returned: 50, or a divisor of it (means of neighbouring frames).
        hop_s, margin_s, blend_s : float
            Step between windows, audio kept on both sides of every used frame, and cross-fade.
        batch_size : int
            Windows per forward pass.

        Returns
        -------
        EncoderLayers
            Only frames of the stimulus itself: the 30 s padding is never read.
        """
        n_frames = max(1, math.ceil(len(wave) / (SAMPLE_RATE_HZ * FRAME_S)))
        window = self.window_frames
        starts = window_starts(n_frames, window=window, hop=round(hop_s / FRAME_S))
        weights = blend_weights(
            starts,
            n_frames=n_frames,
            window=window,
            margin=round(margin_s / FRAME_S),
            blend=round(blend_s / FRAME_S),
        )
        sums = [
            np.zeros((n_frames, int(self.encoder.config.d_model)), dtype=np.float32)
            for _ in range(self.n_layers)
        ]
        for first in range(0, len(starts), batch_size):
            chosen = range(first, min(first + batch_size, len(starts)))
            states = self._forward([self._clip(wave, int(starts[i])) for i in chosen])
            for row, i in enumerate(chosen):
                stop = min(int(starts[i]) + window, n_frames)
                length = stop - int(starts[i])
                for layer, state in enumerate(states):
                    sums[layer][starts[i] : stop] += (
                        state[row, :length] * weights[i, :length, None]
                    )
        times = np.arange(n_frames, dtype=np.float64) * FRAME_S
        factor = round(1 / (FRAME_S * rate_hz))
        means = [block_mean(frames, times, factor=factor) for frames in sums]
        # A used frame lies at least margin_s from an inner edge: it heard at most the rest.
        heard = min(window * FRAME_S - margin_s, n_frames * FRAME_S)
        if len(starts) == 1:
            heard = n_frames * FRAME_S
        return EncoderLayers(tuple(m[0] for m in means), means[0][1], heard, heard)

    def _clip(self, wave: NDArray[np.float32], start: int) -> NDArray[np.float32]:
        first = round(start * FRAME_S * SAMPLE_RATE_HZ)
        return wave[first : first + round(self.window_frames * FRAME_S * SAMPLE_RATE_HZ)]

    def _forward(self, clips: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        n_samples = round(self.window_frames * FRAME_S * SAMPLE_RATE_HZ)
        inputs = self.extractor(
            clips,
            sampling_rate=SAMPLE_RATE_HZ,
            return_tensors="pt",
            padding="max_length",
            max_length=n_samples,
            truncation=True,
        ).input_features
        with torch.inference_mode():
            output = self.encoder(inputs.to(self.device), output_hidden_states=True)
        return [state.float().cpu().numpy() for state in output.hidden_states]
