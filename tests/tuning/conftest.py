"""Small models with random weights and true architectures, as folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModel,
    Data2VecAudioConfig,
    HubertConfig,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    WavLMConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperModel,
)

from bids_brainalign.tuning.stories import Batch

SIZES: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 48,
    "conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
    "vocab_size": 32,
}  # fmt: skip
LARGE: dict[str, Any] = SIZES | {
    "feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True
}  # fmt: skip
WAVEFORM: dict[str, Any] = {
    "wav2vec2": Wav2Vec2Config(**SIZES),
    "wav2vec2-large": Wav2Vec2Config(**LARGE),
    "hubert": HubertConfig(**SIZES),
    "hubert-large": HubertConfig(**LARGE),
    "wavlm": WavLMConfig(**SIZES),
    "wavlm-large": WavLMConfig(**LARGE),
    "data2vec": Data2VecAudioConfig(**SIZES),
}
NAMES = [*WAVEFORM, "whisper"]


def livelier(model: torch.nn.Module, *, gain: float = 6.0) -> None:
    """Scale the projections up: at SD 0.02 attention is flat and blocks do next to nothing."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".layers." in name and name.endswith("weight") and parameter.ndim == 2:
                parameter.mul_(gain)


def write_whisper(folder: Path, *, seconds: int) -> None:
    """A Whisper that hears so many seconds instead of 30."""
    config = WhisperConfig(
        vocab_size=32, d_model=32, encoder_layers=3, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=48, decoder_ffn_dim=32, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
        max_source_positions=50 * seconds,
    )  # fmt: skip
    torch.manual_seed(0)
    model = WhisperModel(config)
    livelier(model)
    with torch.no_grad():
        # Otherwise every clip looks like the positions.
        model.encoder.embed_positions.weight.mul_(0.1)
        model.encoder.conv1.weight.mul_(10.0)
        model.encoder.conv2.weight.mul_(10.0)
    model.save_pretrained(folder)
    WhisperFeatureExtractor(chunk_length=seconds).save_pretrained(folder)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("backbones")
    for name, config in WAVEFORM.items():
        torch.manual_seed(0)
        model = AutoModel.from_config(config)
        livelier(model)
        model.save_pretrained(root / name)
        # WavLM-base-plus takes raw audio, the others normalise it.
        extractor = Wav2Vec2FeatureExtractor(do_normalize=name != "wavlm")
        extractor.save_pretrained(root / name)
    write_whisper(root / "whisper", seconds=3)
    return {name: root / name for name in NAMES}


def padded_clips(
    seconds: tuple[float, ...], *, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips of noise with different means and sizes; after their end lies rubbish."""
    rng = np.random.default_rng(seed)
    n_valid = [round(16_000 * s) for s in seconds]
    clips = rng.standard_normal((len(seconds), max(n_valid))).astype(np.float32)
    for row, n in enumerate(n_valid):
        clips[row] *= 0.1 * 3.0**row
        clips[row, :n] += 0.05 * row
        clips[row, n:] = 0.0
    return torch.from_numpy(clips), torch.tensor(n_valid)


def pooled_batch(*, n_targets: int = 5, seed: int = 0) -> Batch:
    """Three clips, one of them shorter, with random responses."""
    clips, n_valid = padded_clips((0.5, 0.5, 0.3), seed=seed)
    responses = np.random.default_rng(seed + 1).standard_normal((3, n_targets))
    return Batch(clips, n_valid, None, None, torch.from_numpy(responses).float(), story=0)
