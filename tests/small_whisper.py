"""A small random Whisper whose encoder layers can be told apart (demonstration and tests only)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter

from bids_brainalign.features.folders import NOTE_KEY

NOTE = "This is a small Whisper with random weights: it has learnt nothing about speech."
SAMPLE_RATE_HZ = 16_000
N_DIMS = 64
N_LAYERS = 4
N_HIDDEN = 256
POSITION_SCALE = 0.05
"""Positions are kept small: otherwise every layer mostly tells where in the window a frame is."""
SHARPNESS = 3.0
"""SD of what enters each GELU; at 3 it is nearly a rectifier."""
ATTENTION_SHARE = 1.0
MLP_SHARE = 3.0
"""SD of what attention and MLP add to the residual stream, in units of its own SD."""
WHITENING_FLOOR = 0.03


def write_small_whisper(folder: Path, *, seed: int) -> Path:
    """Write a seeded random Whisper (64 dimensions, 4 encoder layers) as a Hugging Face folder.

    With the usual initialisation (SD 0.02) the blocks of an untrained Whisper are nearly the
    identity, and no analysis could say which layer a signal came from. Here each block is scaled
    by what enters it, and its MLP is an even function of its whitened input (pairs of hidden units
    with opposite signs: GELU(u) + GELU(−u) ≈ |u|), so that what a block adds is nearly
    uncorrelated with what it was given.

    Parameters
    ----------
    folder : Path
        Made if absent; gets ``config.json``, ``preprocessor_config.json``, ``model.safetensors``.
    seed : int
        Fixes every weight.

    Returns
    -------
    Path
        ``folder``.
    """
    from safetensors.torch import save_file
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    config = WhisperConfig(
        vocab_size=64,
        num_mel_bins=80,
        d_model=N_DIMS,
        encoder_layers=N_LAYERS,
        encoder_attention_heads=4,
        encoder_ffn_dim=N_HIDDEN,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=64,
        max_source_positions=1500,
        max_target_positions=16,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        suppress_tokens=None,
        begin_suppress_tokens=None,
        architectures=["WhisperModel"],
    )
    setattr(config, NOTE_KEY, NOTE)
    extractor: Any = WhisperFeatureExtractor(feature_size=80)  # type: ignore[no-untyped-call]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: Any = WhisperModel(config)
        model.eval()
    mel = extractor(
        _calibration_wave(seed), sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt"
    ).input_features
    with torch.no_grad():
        _spread_layers(model.encoder, mel, torch.Generator().manual_seed(seed))
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    extractor.save_pretrained(folder)
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _calibration_wave(seed: int, *, duration_s: float = 30.0) -> NDArray[np.float32]:
    """Speech-like noise: voiced and unvoiced pieces with three random formants each."""
    rng = np.random.default_rng(seed)
    pieces: list[NDArray[np.float64]] = []
    n_wanted = round(duration_s * SAMPLE_RATE_HZ)
    while sum(map(len, pieces)) < n_wanted:
        length = int(rng.uniform(0.04, 0.25) * SAMPLE_RATE_HZ)
        pitch = 2 * np.pi * rng.uniform(80, 250) / SAMPLE_RATE_HZ * np.arange(length)
        voiced = rng.random() > 0.4
        source = np.sign(np.sin(pitch)) if voiced else rng.standard_normal(length)
        for formant_hz in rng.uniform(250, 5000, 3):
            angle = 2 * np.pi * formant_hz / SAMPLE_RATE_HZ
            source = lfilter([0.05], [1, -1.9 * np.cos(angle), 0.9025], source)
        pieces.append(source / (source.std() + 1e-9) * 0.1 * rng.lognormal(0, 0.8))
    return np.concatenate(pieces)[:n_wanted].astype(np.float32)


@dataclass(frozen=True)
class _Draw:
    """Gaussian weights scaled by 1/sqrt(fan in)."""

    generator: torch.Generator

    def normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=self.generator) / math.sqrt(math.prod(shape[1:]))

    def fill(self, weight: torch.Tensor, gain: float = 1.0) -> None:
        weight.copy_(self.normal(*weight.shape) * gain)


def _spread_layers(encoder: Any, mel: torch.Tensor, generator: torch.Generator) -> None:
    """Set all encoder weights, front to back, each scaled by what reaches it."""
    draw = _Draw(generator)
    current = mel
    for convolution in (encoder.conv1, encoder.conv2):
        draw.fill(convolution.weight)
        convolution.bias.zero_()
        raw = convolution(current)
        scale = SHARPNESS / raw.std((0, 2))
        convolution.weight.mul_(scale[:, None, None])
        convolution.bias.copy_(-raw.mean((0, 2)) * scale)
        current = torch.nn.functional.gelu(convolution(current))
    encoder.embed_positions.weight.mul_(POSITION_SCALE)
    hidden = current.permute(0, 2, 1) + encoder.embed_positions.weight
    for block in encoder.layers:
        hidden = _set_block(block, hidden, draw)


def _set_block(block: Any, hidden: torch.Tensor, draw: _Draw) -> torch.Tensor:
    attention = block.self_attn
    draw.fill(attention.q_proj.weight, 1.5)
    draw.fill(attention.k_proj.weight, 1.5)
    draw.fill(attention.v_proj.weight)
    draw.fill(attention.out_proj.weight)
    size = hidden.std((0, 1)).mean()
    _standardise(block.self_attn_layer_norm, hidden)
    normed = block.self_attn_layer_norm(hidden)
    added = attention(normed)[0]
    attention.out_proj.weight.mul_(ATTENTION_SHARE * size / added.std((0, 1)).mean())
    middle = hidden + attention(normed)[0]

    _standardise(block.final_layer_norm, middle)
    normed = block.final_layer_norm(middle)
    directions = SHARPNESS * draw.normal(N_HIDDEN // 2, N_DIMS) @ _whitener(normed)
    readout = draw.normal(N_DIMS, N_HIDDEN // 2)
    block.fc1.weight.copy_(torch.cat([directions, -directions]))
    block.fc2.weight.copy_(torch.cat([readout, readout], dim=1))
    block.fc1.bias.zero_()
    block.fc2.bias.zero_()
    added = block.fc2(torch.nn.functional.gelu(block.fc1(normed)))
    block.fc2.weight.mul_(MLP_SHARE * size / added.std((0, 1)).mean())
    out: torch.Tensor = middle + block.fc2(torch.nn.functional.gelu(block.fc1(normed)))
    return out


def _standardise(norm: Any, hidden: torch.Tensor) -> None:
    """Give a LayerNorm the weight and bias that make every dimension mean 0, SD 1 over time."""
    norm.weight.fill_(1.0)
    norm.bias.zero_()
    out = norm(hidden).reshape(-1, N_DIMS)
    norm.weight.copy_(1 / out.std(0))
    norm.bias.copy_(-out.mean(0) / out.std(0))


def _whitener(normed: torch.Tensor) -> torch.Tensor:
    values, vectors = torch.linalg.eigh(torch.cov(normed.reshape(-1, N_DIMS).T))
    whitener: torch.Tensor = vectors @ torch.diag((values + WHITENING_FLOOR).rsqrt()) @ vectors.T
    return whitener


def write_tokenizer(folder):
    """A tokenizer of single letters for the small Whisper's 64 tokens."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    letters = ["<pad>", "<s>", "</s>", *map(chr, range(32, 93))]
    inner = Tokenizer(models.WordLevel({c: i for i, c in enumerate(letters)}, letters[0]))
    inner.decoder = decoders.Fuse()
    special = dict(zip(("pad_token", "bos_token", "eos_token"), letters, strict=False))
    PreTrainedTokenizerFast(tokenizer_object=inner, **special).save_pretrained(folder)
