"""Whisper's input on the device of the model: log-mel spectrograms without a trip to the CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class LogMel(nn.Module):
    """The log-mel spectrogram of a Whisper feature extractor.

    Parameters
    ----------
    extractor : transformers.WhisperFeatureExtractor
        Gives mel filters, length of the transform and hop.

    References
    ----------
    Radford et al. 2023, §2.2; the range of 8 and the scaling (x + 4) / 4 are those of the
    published code (``whisper.audio.log_mel_spectrogram``).
    """

    filters: Tensor
    window: Tensor

    def __init__(self, extractor: Any) -> None:
        super().__init__()
        self.n_fft, self.hop = int(extractor.n_fft), int(extractor.hop_length)
        filters = torch.as_tensor(extractor.mel_filters, dtype=torch.float32).T.contiguous()
        # Constants of the model, not weights: they are not saved with it.
        self.register_buffer("filters", filters, persistent=False)  # (n_mels, n_fft / 2 + 1)
        self.register_buffer("window", torch.hann_window(self.n_fft), persistent=False)

    @torch.no_grad()
    def forward(self, waves: Tensor) -> Tensor:
        """Give the spectrograms of padded clips.

        Parameters
        ----------
        waves : Tensor of shape (n_clips, n_samples), float32

        Returns
        -------
        Tensor of shape (n_clips, n_mels, n_samples / hop)
        """
        with torch.autocast(waves.device.type, enabled=False):
            spectra = torch.stft(
                waves.float(), self.n_fft, self.hop, window=self.window, return_complex=True
            )
            power = spectra[..., :-1].abs().square()
            logs = (self.filters @ power).clamp(min=1e-10).log10()
            logs = torch.maximum(logs, logs.amax(dim=(1, 2), keepdim=True) - 8.0)
        return (logs + 4.0) / 4.0
