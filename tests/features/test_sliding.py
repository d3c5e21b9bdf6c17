"""Sliding mode against a loop over windows written with transformers alone."""

import math

import numpy as np
import pytest
import torch
from transformers import (
    AutoModel,
    HubertConfig,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    WavLMConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperModel,
)

from bids_brainalign.features.ending import EndingWindows
from bids_brainalign.features.models import open_model

RATE = 16_000
SIZES = {
    "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
    "conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
    "initializer_range": 0.2,
}  # fmt: skip
PUBLISHED = {"Antonello 2023": (16.1, 0.1, 16.6), "BrainWavLM": (4.0, 0.25, 6.1)}
"""Window, stride and length of the stimulus, in s: in each, the last windows are full ones."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root, found = tmp_path_factory.mktemp("sliding"), {}
    configs = {"wav2vec2": Wav2Vec2Config, "hubert": HubertConfig, "wavlm": WavLMConfig}
    torch.manual_seed(0)
    for name, kind in configs.items():
        found[name] = root / name
        AutoModel.from_config(kind(**SIZES)).save_pretrained(found[name])
        normalises = name != "wavlm"  # as wavlm-base-plus
        Wav2Vec2FeatureExtractor(do_normalize=normalises).save_pretrained(found[name])
    found["whisper"] = root / "whisper"
    config = WhisperConfig(
        vocab_size=32, d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, init_std=0.2,
    )  # fmt: skip
    WhisperModel(config).save_pretrained(found["whisper"])
    WhisperFeatureExtractor().save_pretrained(found["whisper"])
    return found


def noise(seconds, seed=0):
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(RATE * seconds))).astype(np.float32)


def naive(folder, name, wave, window_s, stride_s):
    """One window at a time: the last valid frame of every layer, stamped with the window's end."""
    whisper = name == "whisper"
    model = WhisperModel.from_pretrained(folder).encoder if whisper else None
    model = (model or AutoModel.from_pretrained(folder)).eval()
    extractor = WhisperFeatureExtractor()
    rows, times = [], []
    for k in range(1, math.floor(len(wave) / RATE / stride_s + 1e-9) + 1):
        end = k * stride_s
        stop = round(end * RATE)
        clip = wave[max(0, stop - round(window_s * RATE)) : stop]
        if whisper:
            found = extractor(
                clip, sampling_rate=RATE, return_tensors="pt", return_attention_mask=True
            )
            # Valid mel frames, through the second convolution's stride of 2.
            last = (int(found.attention_mask.sum()) - 1) // 2
            inputs = found.input_features
        else:
            last = -1
            if name != "wavlm":
                clip = (clip - clip.mean()) / np.sqrt(clip.var() + 1e-7)
            inputs = torch.tensor(clip)[None]
        with torch.no_grad():
            states = model(inputs, output_hidden_states=True).hidden_states
        rows.append(np.stack([state[0, last].numpy() for state in states]))
        times.append(end)
    return np.stack(rows, axis=1), np.array(times)  # (n_layers, n_windows, n_dims)


@pytest.mark.parametrize("scheme", list(PUBLISHED))
@pytest.mark.parametrize("name", ["wav2vec2", "hubert", "wavlm", "whisper"])
def test_sliding_equals_one_window_at_a_time(folders, name, scheme):
    window_s, stride_s, length_s = PUBLISHED[scheme]
    wave = noise(length_s)
    windows = EndingWindows(window_s, stride_s, causal=False)
    found = open_model(folders[name]).extract_ending(wave, windows, batch_size=8)
    expected, times = naive(folders[name], name, wave, window_s, stride_s)
    np.testing.assert_allclose(found.times, times)
    assert len(found.layers) == len(expected) == 3
    for ours, theirs in zip(found.layers, expected, strict=True):
        assert theirs.std() > 0.01
        np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=0)
