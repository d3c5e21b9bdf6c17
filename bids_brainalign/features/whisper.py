"""Layers of a Whisper encoder over a whole stimulus (dense mode)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray

from bids_brainalign.config.schema import WHISPER_WINDOW_S, Features
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.audio import SAMPLE_RATE_HZ
from bids_brainalign.features.clips import clip_means
from bids_brainalign.features.dense import EncoderLayers, FrameGrid, Windowing, run_windows
from bids_brainalign.features.ending import EndingWindows, run_ending_windows
from bids_brainalign.features.folders import cannot_load
from bids_brainalign.features.loading import (
    hidden_states,
    placed,
    quiet_transformers,
    trained_or_random,
)

FRAME_S = 0.02
"""One encoder frame: mel hop 10 ms × stride 2 of the second convolution; frame i is centred at
0.02·i s (both the STFT and the convolutions are centred)."""
GRID = FrameGrid(stride=320, receptive=320, first_centre=0.0)
WINDOWING = Windowing(WHISPER_WINDOW_S, Features.hop_s, Features.margin_s, Features.blend_s)


def config_and_extractor(folder: Path) -> tuple[Any, Any]:
    """Open what a Whisper folder says of the model and of its input.

    Raises
    ------
    BrainAlignError
        Not a folder of Whisper (66).
    """
    from transformers import WhisperConfig, WhisperFeatureExtractor

    quiet_transformers()
    try:
        config = WhisperConfig.from_pretrained(folder, local_files_only=True)
        extractor = WhisperFeatureExtractor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise cannot_load(folder, error) from error
    return config, extractor


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
        from transformers import WhisperModel

        config, self.extractor = config_and_extractor(folder)
        model = trained_or_random(
            WhisperModel, folder, config, untrained_seed=untrained_seed, part="encoder."
        )
        self.encoder, self.device, self.dtype = placed(
            model.encoder, device=device, precision=precision
        )
        self.n_layers = int(config.encoder_layers) + 1
        self.window_frames = int(config.max_source_positions)

    @property
    def shortest_clip(self) -> int:
        """Samples of one frame."""
        return GRID.receptive

    def extract(
        self,
        wave: NDArray[np.float32],
        *,
        rate_hz: float = 50.0,
        windowing: Windowing = WINDOWING,
        batch_size: int = 1,
        scratch: IO[bytes] | None = None,
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
        scratch : binary file, optional
            For layers too large for memory, see ``layer_rows.LayerRows``.

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
            scratch=scratch,
        )

    def extract_ending(
        self,
        wave: NDArray[np.float32],
        windows: EndingWindows,
        *,
        batch_size: int = 1,
        scratch: IO[bytes] | None = None,
    ) -> EncoderLayers:
        """Run the encoder on windows that end at the frames wanted.

        Parameters
        ----------
        wave : ndarray of shape (n_samples,), float32
            16 kHz.
        windows : EndingWindows
            Causal ones begin with silence until the stimulus has filled a window, so that every
            frame stands at the same place of its window; if they are shorter than 30 s, the
            encoder runs on its first positions only (Whisper was not trained so, but it costs
            less than in proportion). Published ones (not causal) are padded after their end up to
            30 s, and their last frame before the padding is read.
        batch_size : int
            Windows per forward pass.
        scratch : binary file, optional
            For layers too large for memory, see ``layer_rows.LayerRows``.
        """
        wanted = round(windows.window_s / FRAME_S)
        if wanted > self.window_frames:
            raise BrainAlignError(
                f"Whisper hears windows of {self.window_frames * FRAME_S:g} s, not of "
                f"{windows.window_s:g} s.",
                fix="lower causal_window_s and sliding_window_s in [features] of the "
                "configuration",
                exit_code=ExitCode.USAGE,
            )
        with self._positions(wanted if windows.causal else self.window_frames):
            return run_ending_windows(
                wave,
                self._forward,
                last_frame=lambda n_samples: math.ceil(n_samples / GRID.stride) - 1,
                shortest=1,
                windows=windows,
                sample_rate_hz=SAMPLE_RATE_HZ,
                batch_size=batch_size,
                lead_in=windows.causal,
                scratch=scratch,
            )

    @contextmanager
    def _positions(self, n_frames: int) -> Iterator[None]:
        """Let the encoder take `n_frames` frames: it refuses any length but its own."""
        encoder, whole = self.encoder, self.encoder.embed_positions
        before = self.window_frames
        cut = torch.nn.Embedding(n_frames, whole.embedding_dim, _weight=whole.weight[:n_frames])
        encoder.embed_positions, encoder.config.max_source_positions = cut, n_frames
        self.window_frames = n_frames
        try:
            yield
        finally:
            encoder.embed_positions, encoder.config.max_source_positions = whole, before
            self.window_frames = before

    def extract_clips(
        self, clips: Sequence[NDArray[np.float32]], *, batch_size: int = 1
    ) -> list[NDArray[np.float32]]:
        """Mean state of every clip, heard by itself: per layer (n_clips, n_dims).

        Parameters
        ----------
        clips : sequence of ndarray of shape (n_samples,), float32
            16 kHz. Each is padded with silence to the model's window, as in training; the mean is
            over the frames of the clip alone, which are mostly a few of 1,500.
        batch_size : int
            Clips per forward pass.

        Raises
        ------
        BrainAlignError
            A clip is longer than the window (65).
        """
        longest = max(map(len, clips), default=0)
        if longest > GRID.n_samples(self.window_frames):
            raise BrainAlignError(
                f"A clip of {longest / SAMPLE_RATE_HZ:.1f} s is longer than Whisper's window of "
                f"{self.window_frames * FRAME_S:g} s."
            )
        return clip_means(
            clips,
            self._forward,
            n_frames=lambda n_samples: math.ceil(n_samples / GRID.stride),
            equally_long=False,
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
        return hidden_states(output)
