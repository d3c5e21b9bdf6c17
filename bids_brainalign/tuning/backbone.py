"""A speech model opened for training: raw audio in, frames of one layer out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.dense import FrameGrid
from bids_brainalign.features.exact_convolutions import exact_on_cpu
from bids_brainalign.features.folders import FAMILIES, cannot_load, model_facts
from bids_brainalign.features.loading import load_pretrained, quiet_transformers
from bids_brainalign.features.waveform import config_and_extractor as waveform_folder
from bids_brainalign.features.waveform import grid_of
from bids_brainalign.features.whisper import GRID as WHISPER_GRID
from bids_brainalign.features.whisper import config_and_extractor as whisper_folder
from bids_brainalign.tuning.front_end import (
    by_length,
    heard_samples,
    in_order,
    standardised,
    take_computed,
)
from bids_brainalign.tuning.log_mel import LogMel
from bids_brainalign.tuning.training_noise import (
    require_mask_vector,
    switch_off,
    take_given_masks,
)
from bids_brainalign.tuning.wavlm_attention import route_wavlm_attention

WAVEFORM_FAMILIES = ("wav2vec2", "hubert", "wavlm", "data2vec-audio")
TUNABLE = ("whisper", *WAVEFORM_FAMILIES)
"""``model_type`` of the families that can be tuned."""
CPU_SAMPLES = 160_000
"""Samples run together on a CPU: larger passes fall out of its caches. 12 clips of 10 s at once
take 1.3 times as long as one at a time, 145 windows of 4 s 1.7 times as long as two."""


class Backbone(nn.Module):
    """An encoder cut off after the layer that is read.

    Parameters
    ----------
    folder : Path
        A local Hugging Face folder of wav2vec 2.0, HuBERT, WavLM, data2vec-audio or Whisper.
    layer : int, optional
        Layer read, numbered as ``hidden_states`` in transformers: 0 is the input of the first
        block. None: the last. Later blocks are not kept.
    regularised : bool
        Use the model's own dropout, layer drop and SpecAugment in training. Off by default, as in
        published brain-tuning, where the model stays as ``from_pretrained`` gives it: in
        evaluation mode (Moussa et al. 2025, code).
    checkpointing : bool
        Compute the blocks again in the backward pass instead of keeping their activations.

    Attributes
    ----------
    net : torch module
        What adapters are added to. Its parameters have the names that ``AutoModel`` gives them
        (``encoder.layers.0…``).
    n_dims : int
    n_blocks : int
        Blocks of the whole model.
    layer : int
    grid : FrameGrid
        Where the frames lie in the audio.
    window_samples : int or None
        Longest clip; None: any. Whisper hears so much whatever is in it.

    Notes
    -----
    Frames equal those of ``features`` on the same clip alone, for any batch. Encoders with layer
    norm in their convolutions take clips of different lengths with a mask. Those with group norm
    (wav2vec2-base, HuBERT-base, WavLM-base) normalise over time and were trained without a mask,
    and data2vec's positions (five convolutions with layer norm between them) hear padding in spite
    of one: there, clips of one length run together, without padding. Whisper hears every clip
    padded to its 30 s and gives back the frames of the clip.

    The last layer of encoders that normalise before attention (large models) comes without the
    final layer norm, as in ``hidden_states`` of transformers; Whisper's last layer has it.

    Raises
    ------
    BrainAlignError
        Not a folder of these families or weights missing (66), no such layer (64).
    """

    def __init__(
        self,
        folder: Path,
        *,
        layer: int | None = None,
        regularised: bool = False,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        quiet_transformers()
        facts = model_facts(folder)
        if facts.model_type not in TUNABLE:
            raise BrainAlignError(
                f"{folder} is a {facts.family} model, which can't be tuned",
                where="families that can be: " + ", ".join(FAMILIES[name] for name in TUNABLE),
                fix="give a model of one of these families",
                exit_code=ExitCode.USAGE,
            )
        self.folder, self.family = folder, facts.model_type
        self.n_blocks, self.n_dims = facts.n_layers - 1, facts.n_dims
        self.layer = self.n_blocks if layer is None else layer
        self.window_samples: int | None = None
        if not 0 <= self.layer <= self.n_blocks:
            raise BrainAlignError(
                f"{folder.name} has no layer {layer}: its layers are 0 to {self.n_blocks}",
                fix=f"choose a readout layer from 0 to {self.n_blocks}",
                exit_code=ExitCode.USAGE,
            )
        if facts.is_whisper:
            config, self._extractor = whisper_folder(folder)
            self.net, self.grid, self.log_mel = self._open_whisper(config, regularised)
        else:
            config, self._extractor = waveform_folder(folder)
            self.net, self.grid = self._open_waveform(config, regularised)
        if checkpointing:
            model = self._model()
            # Renamed within transformers 5.
            enable = getattr(
                model, "activation_checkpointing_enable", model.gradient_checkpointing_enable
            )
            enable({"use_reentrant": False})
        # A model that is trained without SpecAugment never uses its mask vector, and one that is
        # trained with it has no reason to move it.
        for name, parameter in self.net.named_parameters():
            if name.endswith("masked_spec_embed"):
                parameter.requires_grad_(False)

    def n_frames(self, n_samples: int) -> int:
        """Frames that the model gives for a clip of so many samples."""
        if self.family == "whisper":
            return math.ceil(n_samples / self.grid.stride)
        return self.grid.n_frames(n_samples)

    def forward(
        self,
        clips: Tensor,
        n_valid: Tensor,
        masked: Tensor | None = None,
        *,
        front: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Give the frames of the layer that is read.

        Parameters
        ----------
        clips : Tensor of shape (n_clips, n_samples), float32
            16 kHz, raw; what follows the audio of a short clip is not heard.
        n_valid : Tensor of shape (n_clips,), int64
            Samples that are audio; on the CPU, or the device has to be waited for.
        masked : bool Tensor of shape (n_clips, n_frames), optional
            Frames that the blocks don't get: what the front end made of them is replaced by the
            model's own mask vector. Whisper has none: there, the spectrogram's frames below them
            are replaced by the mean of the clip's others.
        front : Tensor of shape (n_clips, n_front_dims, n_frames), optional
            What :meth:`front_end` gave for these clips: instead of computing it again.

        Returns
        -------
        hidden : Tensor of shape (n_clips, n_frames, n_dims)
            ``n_frames(n_samples)`` frames; 0 where a clip has ended.
        valid : bool Tensor of shape (n_clips, n_frames)
            Which frames are of the clip.

        Raises
        ------
        BrainAlignError
            A clip is shorter than one frame, or longer than Whisper's window (65); a model
            without a mask vector (66).
        """
        lengths = [int(n) for n in n_valid.tolist()]
        self._check(lengths, n_samples=clips.shape[1])
        device = clips.device if front is None else front.device
        counts = torch.tensor([self.n_frames(n) for n in lengths])
        counts = counts.to(device, non_blocking=True)
        positions = torch.arange(self.n_frames(clips.shape[1]), device=device)
        valid = positions < counts[:, None]  # (n_clips, n_frames)
        parts = []
        for some in self._together(clips, device):
            hidden = None if masked is None else masked[some]
            if front is None:
                given = self._front(clips[some], lengths[some], hidden)
            else:
                given = front[some]
            parts.append(self._frames(given, lengths[some], hidden, n_samples=clips.shape[1]))
        return torch.cat(parts).masked_fill(~valid[:, :, None], 0.0), valid

    @property
    def front_is_fixed(self) -> bool:
        """Whether the front end gives the same for a clip whenever it is asked, and at a cost.

        Whisper's is cheap, and its spectrogram cheaper still.
        """
        if self.family == "whisper":
            return False
        return not any(p.requires_grad for p in self._model().feature_extractor.parameters())

    @property
    def n_front_dims(self) -> int:
        """Channels of the last convolution, in the families that hear waveforms."""
        return int(self._model().config.conv_dim[-1])

    @torch.no_grad()
    def front_end(self, clips: Tensor, n_valid: Tensor) -> Tensor:
        """Give the output of the frozen convolutions, as :meth:`forward` computes it.

        Returns
        -------
        Tensor of shape (n_clips, n_front_dims, n_frames)
        """
        lengths = [int(n) for n in n_valid.tolist()]
        self._check(lengths, n_samples=clips.shape[1])
        parts = self._together(clips, clips.device)
        return torch.cat([self._front(clips[some], lengths[some], None) for some in parts])

    def _together(self, clips: Tensor, device: torch.device) -> list[slice]:
        """Which clips are run together."""
        at_once = len(clips)
        if device.type == "cpu":
            at_once = max(1, CPU_SAMPLES // clips.shape[1])
        return [slice(k, k + at_once) for k in range(0, len(clips), at_once)]

    def _front(self, clips: Tensor, lengths: list[int], masked: Tensor | None) -> Tensor:
        """Give what comes before the transformer; after the end of a clip it is not said."""
        if self.family == "whisper":
            quiet = clips.masked_fill(~heard_samples(clips, lengths), 0.0)
            missing = (self.window_samples or 0) - clips.shape[1]
            mel: Tensor = self.log_mel(nn.functional.pad(quiet, (0, missing)), lengths, masked)
            return mel
        convolve = self._model().feature_extractor
        if self._takes_mask:
            heard = heard_samples(clips, lengths)
            if self._normalises:
                clips = standardised(clips, heard)
            found: Tensor = convolve(clips.masked_fill(~heard, 0.0))
            return found
        n_frames, parts = self.n_frames(clips.shape[1]), []
        for length, rows in by_length(lengths):
            alike = clips[rows, :length]
            if self._normalises:
                alike = standardised(alike, torch.ones_like(alike, dtype=torch.bool))
            front = convolve(alike)
            parts.append(nn.functional.pad(front, (0, n_frames - front.shape[2])))
        return in_order(parts, lengths)

    def _frames(
        self, front: Tensor, lengths: list[int], masked: Tensor | None, *, n_samples: int
    ) -> Tensor:
        """Run clips together; what is after the end of a clip is not said."""
        n_frames = self.n_frames(n_samples)
        if self.family == "whisper":
            output: Tensor = self.net(input_features=front).last_hidden_state
            return output[:, :n_frames]
        if masked is not None:
            require_mask_vector(self._model(), self.folder)
        if self._takes_mask:
            # Without padding no mask is needed, and attention runs faster.
            mask = None
            if min(lengths) < n_samples:
                mask = heard_samples(front.new_empty(len(front), n_samples), lengths).long()
            found: Tensor = self.net(
                input_values=front, attention_mask=mask, mask_time_indices=masked
            ).last_hidden_state
            return found
        parts = []
        for length, rows in by_length(lengths):
            n_own = self.n_frames(length)
            hidden = None if masked is None else masked[rows, :n_own]
            frames = self.net(
                input_values=front[rows, :, :n_own], mask_time_indices=hidden
            ).last_hidden_state
            parts.append(nn.functional.pad(frames, (0, 0, 0, n_frames - n_own)))
        return in_order(parts, lengths)

    def _open_waveform(self, config: Any, regularised: bool) -> tuple[nn.Module, FrameGrid]:
        from transformers import AutoModel

        grid = grid_of(config)
        if grid is None or getattr(config, "add_adapter", False):
            raise cannot_load(
                self.folder, ValueError("its front end or its adapter is not the family's usual")
            )
        if not regularised:
            switch_off(config)
        model = exact_on_cpu(load_pretrained(AutoModel, self.folder, config=config))
        take_given_masks(model.config, draws_own=regularised)
        route_wavlm_attention(model)
        take_computed(model.feature_extractor)
        model.encoder.layers = model.encoder.layers[: self.layer]
        if getattr(config, "do_stable_layer_norm", False):
            model.encoder.layer_norm = nn.Identity()
        self._takes_mask = getattr(config, "feat_extract_norm", "") == "layer"
        self._normalises = bool(getattr(self._extractor, "do_normalize", False))
        return model, grid

    def _open_whisper(self, config: Any, regularised: bool) -> tuple[nn.Module, FrameGrid, LogMel]:
        from transformers import WhisperModel

        if not regularised:
            switch_off(config)
        whole = load_pretrained(WhisperModel, self.folder, part="encoder.", config=config)
        encoder = whole.encoder
        encoder.layers = encoder.layers[: self.layer]
        if self.layer < self.n_blocks:
            encoder.layer_norm = nn.Identity()
        self.window_samples = int(config.max_source_positions) * WHISPER_GRID.stride
        return _EncoderOnly(encoder), WHISPER_GRID, LogMel(self._extractor)

    def _model(self) -> Any:
        """Give the transformers model inside ``net``."""
        return self.net.encoder if isinstance(self.net, _EncoderOnly) else self.net

    def _check(self, lengths: list[int], *, n_samples: int) -> None:
        shortest, longest = min(lengths), max(lengths)
        if self.n_frames(shortest) < 1 or longest > n_samples:
            raise BrainAlignError(
                f"a clip for {self.folder.name} has {shortest} samples; it needs at least "
                f"{self.grid.receptive} and at most the {n_samples} of its batch",
                fix="leave out responses without audio before them",
            )
        if self.window_samples is not None and n_samples > self.window_samples:
            raise BrainAlignError(
                f"Whisper hears clips of at most {self.window_samples / 16_000:g} s, not "
                f"{n_samples / 16_000:g} s",
                fix="make the clips shorter",
            )


class _EncoderOnly(nn.Module):
    """Whisper's encoder under the name that it has in the whole model."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_features: Tensor) -> Any:
        return self.encoder(input_features)
