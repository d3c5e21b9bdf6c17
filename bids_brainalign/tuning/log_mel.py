"""Whisper's input on the device of the model: log-mel spectrograms without a trip to the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


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
    def forward(
        self, waves: Tensor, lengths: Sequence[int] = (), masked: Tensor | None = None
    ) -> Tensor:
        """Give the spectrograms of padded clips.

        Parameters
        ----------
        waves : Tensor of shape (n_clips, n_samples), float32
        lengths : sequence of int
            Samples of each clip that are audio; only read with `masked`.
        masked : bool Tensor of shape (n_clips, n_encoder_frames), optional
            Frames of the encoder, two of the spectrogram each, that are not heard: they are the
            mean over the clip's others, as SpecAugment's (Park et al. 2019, §2).

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
            if masked is not None:
                hidden, others = _parts(lengths, masked, hop=self.hop, n_frames=logs.shape[2])
                # Not the loudest frame either, which says how soft the others may be.
                logs = logs.masked_fill(hidden, -10.0)
            logs = torch.maximum(logs, logs.amax(dim=(1, 2), keepdim=True) - 8.0)
            if masked is not None:
                n_others = others.sum(dim=2, keepdim=True).clamp(min=1)
                mean = (logs * others).sum(dim=2, keepdim=True) / n_others
                logs = torch.where(hidden, mean, logs)
        return (logs + 4.0) / 4.0


def _parts(
    lengths: Sequence[int], masked: Tensor, *, hop: int, n_frames: int
) -> tuple[Tensor, Tensor]:
    """Which frames of spectrograms are masked, and which others are audio: (n_clips, 1, n)."""
    hidden = masked.repeat_interleave(2, dim=1)[:, :n_frames]
    hidden = functional.pad(hidden, (0, n_frames - hidden.shape[1]))
    count = torch.tensor([-(-length // hop) for length in lengths], device=masked.device)
    audio = torch.arange(n_frames, device=masked.device) < count[:, None]
    return hidden[:, None], (audio & ~hidden)[:, None]
