"""Layers of wav2vec2-like encoders (wav2vec2, HuBERT, WavLM, data2vec, any speech AutoModel)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray

from bids_brainalign.config.schema import Features
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

WINDOWING = Windowing(
    Features.waveform_window_s,
    Features.waveform_hop_s,
    Features.waveform_margin_s,
    Features.blend_s,
)
"""A used frame hears at most 16 s on either side, as in the published sliding scheme; up to 20 s
near the ends of the stimulus, where windows have no neighbour."""
_PROBE_SAMPLES = SAMPLE_RATE_HZ


def config_and_extractor(folder: Path) -> tuple[Any, Any]:
    """Open what a folder says of the model and of its input.

    Raises
    ------
    BrainAlignError
        Not a model folder, or a model for another sampling rate (66).
    """
    from transformers import AutoConfig, AutoFeatureExtractor

    quiet_transformers()
    try:
        config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
        open_extractor: Any = AutoFeatureExtractor
        extractor: Any = open_extractor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise cannot_load(folder, error) from error
    if extractor.sampling_rate != SAMPLE_RATE_HZ:
        raise cannot_load(folder, ValueError(f"it wants audio at {extractor.sampling_rate} Hz"))
    return config, extractor


class WaveformLayers:
    """A speech encoder without a fixed input length, from a local Hugging Face folder.

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
    transformer block (features projected, positions added). Every window is one clip for the
    model's own processor, which normalises it to zero mean and unit variance where its
    ``preprocessor_config.json`` says so. No window is padded: encoders with group norm
    (wav2vec2-base, HuBERT-base) were trained without an attention mask and would hear the padding.
    """

    def __init__(
        self,
        folder: Path,
        *,
        untrained_seed: int | None = None,
        device: str = "cpu",
        precision: str = "fp32",
    ) -> None:
        from transformers import AutoModel

        config, self.extractor = config_and_extractor(folder)
        model = trained_or_random(AutoModel, folder, config, untrained_seed=untrained_seed)
        if getattr(config, "is_encoder_decoder", False):
            model = model.get_encoder()
        self.model, self.device, self.dtype = placed(model, device=device, precision=precision)
        self.folder = folder
        states = self._forward([np.zeros(_PROBE_SAMPLES, dtype=np.float32)])
        self.n_layers = len(states)
        grid = grid_of(config)
        # SEW squeezes frames after its convolutions; others don't describe their front end.
        if grid is None or grid.n_frames(_PROBE_SAMPLES) != states[0].shape[1]:
            grid = self._measured_grid()
        lengths = {state.shape[1] for state in states}
        if lengths != {grid.n_frames(_PROBE_SAMPLES)}:
            raise cannot_load(
                folder, ValueError(f"its layers have {sorted(lengths)} frames for 1 s of audio")
            )
        self.grid = grid

    @property
    def shortest_clip(self) -> int:
        """Samples that one frame hears before the transformer: a clip needs as many."""
        return self.grid.receptive

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
            Rate of the frames returned: the model's (mostly 50), or a divisor of it.
        windowing : Windowing
        batch_size : int
            Windows per forward pass.
        scratch : binary file, optional
            For layers too large for memory, see ``layer_rows.LayerRows``.

        Raises
        ------
        BrainAlignError
            The stimulus is shorter than one frame (65), or `rate_hz` does not divide the model's
            frame rate (64).
        """
        n_frames = self.grid.n_frames(len(wave))
        if n_frames < 1:
            raise BrainAlignError(
                f"a stimulus of {len(wave) / SAMPLE_RATE_HZ:.3f} s is shorter than one frame of "
                f"{self.folder.name}",
                fix="leave it out",
            )
        own_hz = SAMPLE_RATE_HZ / self.grid.stride
        if abs(own_hz / rate_hz - round(own_hz / rate_hz)) > 1e-6:
            raise BrainAlignError(
                f"{self.folder.name} gives {own_hz:g} frames per second, which {rate_hz:g} does "
                "not divide",
                fix="set ieeg_rate_hz and fmri_rate_hz in [features] of the configuration",
                exit_code=ExitCode.USAGE,
            )
        return run_windows(
            wave,
            self._forward,
            grid=self.grid,
            n_frames=n_frames,
            windowing=windowing,
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
        """Run the encoder on windows that end at the frames wanted; the first are shorter.

        Parameters
        ----------
        wave : ndarray of shape (n_samples,), float32
            16 kHz.
        windows : EndingWindows
        batch_size : int
            Windows per forward pass.
        scratch : binary file, optional
            For layers too large for memory, see ``layer_rows.LayerRows``.
        """
        return run_ending_windows(
            wave,
            self._forward,
            last_frame=lambda n_samples: self.grid.n_frames(n_samples) - 1,
            shortest=max(self.grid.receptive, round(windows.stride_s * SAMPLE_RATE_HZ)),
            windows=windows,
            sample_rate_hz=SAMPLE_RATE_HZ,
            batch_size=batch_size,
            lead_in=False,  # no padding, see above
            scratch=scratch,
        )

    def extract_clips(
        self, clips: Sequence[NDArray[np.float32]], *, batch_size: int = 1
    ) -> list[NDArray[np.float32]]:
        """Mean state of every clip, heard by itself: per layer (n_clips, n_dims).

        Parameters
        ----------
        clips : sequence of ndarray of shape (n_samples,), float32
            16 kHz, at least `shortest_clip` samples each.
        batch_size : int
            Clips per forward pass, if they are equally long; others are not padded, see above.
        """
        return clip_means(
            clips,
            self._forward,
            n_frames=self.grid.n_frames,
            equally_long=True,
            batch_size=batch_size,
        )

    def _forward(self, clips: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        encoded = self.extractor(
            list(clips), sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt", padding=False
        )
        name = "input_values" if "input_values" in encoded else "input_features"
        inputs = encoded[name].to(self.device, self.dtype)
        with torch.inference_mode():
            output = self.model(**{name: inputs}, output_hidden_states=True)
        return hidden_states(output)

    def _measured_grid(self) -> FrameGrid:
        """Find stride and reach of a front end that the configuration doesn't describe."""

        def count(n_samples: int) -> int:
            return int(self._forward([np.zeros(n_samples, dtype=np.float32)])[0].shape[1])

        def first_with(n_frames: int) -> int:
            low, high = _PROBE_SAMPLES // 2, 3 * _PROBE_SAMPLES
            while low < high:
                middle = (low + high) // 2
                low, high = (low, middle) if count(middle) >= n_frames else (middle + 1, high)
            return low

        base = count(_PROBE_SAMPLES)
        if count(2 * _PROBE_SAMPLES) == base:
            raise cannot_load(
                self.folder, ValueError("it gives as many frames for 1 s as for 2 s of audio")
            )
        start, end = first_with(base + 1), first_with(base + 11)
        stride = (end - start) // 10
        receptive = start - base * stride
        return FrameGrid(stride, receptive, (receptive - 1) / 2)


def grid_of(config: Any) -> FrameGrid | None:
    """Stride and receptive field of the convolutions (wav2vec2's: 320 and 400 samples)."""
    kernels, strides = getattr(config, "conv_kernel", None), getattr(config, "conv_stride", None)
    if not kernels or not strides:
        return None
    stride, receptive = 1, 1
    for kernel, step in zip(kernels, strides, strict=True):
        receptive += (int(kernel) - 1) * stride
        stride *= int(step)
    return FrameGrid(stride, receptive, (receptive - 1) / 2)
