"""True architectures with random weights, through the real loaders."""

from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModel,
    Data2VecAudioConfig,
    HubertConfig,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2BertConfig,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    WavLMConfig,
)

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.models import open_model
from bids_brainalign.features.waveform import WaveformLayers

SIZES: dict[str, Any] = {
    "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32,
    "conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
    "vocab_size": 32,
}  # fmt: skip
FAMILIES: dict[str, Any] = {
    "wav2vec2": Wav2Vec2Config(**SIZES),
    "wav2vec2-large": Wav2Vec2Config(
        **SIZES, feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True
    ),
    "hubert": HubertConfig(**SIZES),
    "wavlm": WavLMConfig(**SIZES),
    "data2vec": Data2VecAudioConfig(**SIZES),
}


def noise(seconds: float, *, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(int(16_000 * seconds))).astype(np.float32)


def save(path, config, *, do_normalize=True):
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(path)
    Wav2Vec2FeatureExtractor(do_normalize=do_normalize).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {name: save(root / name, config) for name, config in FAMILIES.items()}


@pytest.mark.parametrize("name", list(FAMILIES))
def test_short_clip_equals_transformers_hidden_states(folders, name):
    wave = noise(3.01)
    found = open_model(folders[name]).extract(wave)
    model = AutoModel.from_pretrained(folders[name]).eval()
    standard = (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)
    with torch.no_grad():
        states = model(torch.tensor(standard)[None], output_hidden_states=True).hidden_states
    assert len(found.layers) == len(states) == 4
    for ours, theirs in zip(found.layers, states, strict=True):
        np.testing.assert_allclose(ours, theirs[0], atol=2e-5)
    # 25 ms windows every 20 ms: frame 0 is centred at 12.5 ms.
    assert len(found.times) == (48_160 - 400) // 320 + 1
    np.testing.assert_allclose(found.times[:2], [199.5 / 16_000, 519.5 / 16_000])


def test_the_processor_decides_about_normalisation(tmp_path):
    wave = noise(2)
    normalised = save(tmp_path / "a", FAMILIES["hubert"])
    raw = save(tmp_path / "b", FAMILIES["hubert"], do_normalize=False)
    # Group norm removes a gain, but not an offset's effect on the edges: compare with an offset.
    a, b = (WaveformLayers(f).extract(wave + 0.5).layers[0] for f in (normalised, raw))
    assert not np.allclose(a, b, atol=1e-3)
    loud = WaveformLayers(normalised).extract(7 * wave + 2).layers[0]
    np.testing.assert_allclose(loud, WaveformLayers(normalised).extract(wave).layers[0], atol=1e-3)


def test_windows_of_a_long_stimulus_lie_on_one_grid_of_frames(folders):
    """An impulse changes the same frames whether it falls into one window or two."""
    wave = noise(47)
    model = WaveformLayers(folders["wav2vec2-large"])
    found = model.extract(wave, batch_size=2)
    assert len(found.times) == (47 * 16_000 - 400) // 320 + 1
    assert found.context_past_s == found.context_future_s == 20.0
    np.testing.assert_allclose(np.diff(found.times), 0.02)
    changed = wave.copy()
    at = 23.0
    changed[int(at * 16_000)] += 20
    difference = np.abs(model.extract(changed).layers[0] - found.layers[0]).max(axis=1)
    # Positions' convolution (16 frames) spreads it; the largest change is at the impulse.
    assert abs(found.times[difference.argmax()] - at) < 0.16 + 0.0125


def test_end_of_a_window_is_not_padded(folders):
    """A stimulus' last frames are the same alone as at the end of a longer batch's window."""
    wave = noise(12.345)
    model = WaveformLayers(folders["wav2vec2"])
    found = model.extract(wave)
    longer = np.concatenate([wave, np.zeros(16_000, dtype=np.float32)])
    padded = model.extract(longer).layers[2][: len(found.times)]
    assert not np.allclose(found.layers[2], padded, atol=1e-3)


def test_an_unknown_front_end_is_measured(tmp_path):
    config = Wav2Vec2BertConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        feature_projection_input_dim=160, add_adapter=False, conv_depthwise_kernel_size=3,
        position_embeddings_type=None,
    )  # fmt: skip
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(tmp_path)
    SeamlessM4TFeatureExtractor().save_pretrained(tmp_path)
    model = WaveformLayers(tmp_path)
    assert model.grid.stride == 320  # 10 ms mel frames, two stacked
    found = model.extract(noise(30))
    assert len(found.layers) == 3
    assert abs(found.times[-1] - 30) < 0.05


def test_measuring_finds_what_the_configuration_says(folders):
    model = WaveformLayers(folders["wavlm"])
    assert (model.grid.stride, model.grid.receptive) == (320, 400)
    assert model._measured_grid() == model.grid


def test_weights_of_a_task_model_serve_and_missing_ones_are_refused(tmp_path):
    torch.manual_seed(0)
    config = Wav2Vec2Config(**SIZES)
    Wav2Vec2ForCTC(config).save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    assert WaveformLayers(tmp_path).n_layers == 4
    deeper = Wav2Vec2Config(**(SIZES | {"num_hidden_layers": 5}))
    deeper.save_pretrained(tmp_path)
    with pytest.raises(BrainAlignError, match=r"lacks weights .* encoder\.layers\.3\.") as caught:
        WaveformLayers(tmp_path)
    assert caught.value.exit_code == ExitCode.MISSING_INPUT
    assert WaveformLayers(tmp_path, untrained_seed=1).n_layers == 6


def test_untrained_twin_and_bfloat16(folders):
    wave = noise(4)
    trained = WaveformLayers(folders["wavlm"]).extract(wave)
    twin = WaveformLayers(folders["wavlm"], untrained_seed=3).extract(wave)
    assert not np.allclose(trained.layers[1], twin.layers[1])
    half = WaveformLayers(folders["wavlm"], precision="bf16").extract(wave)
    assert half.layers[3].dtype == np.float32
    r = np.corrcoef(half.layers[3].ravel(), trained.layers[3].ravel())[0, 1]
    assert 0.99 < r < 1


def test_refusals(folders, tmp_path):
    with pytest.raises(BrainAlignError, match=r"0\.020 s is shorter than one frame"):
        WaveformLayers(folders["hubert"]).extract(noise(0.02))
    with pytest.raises(BrainAlignError, match="50 frames per second, which 30 does not divide"):
        WaveformLayers(folders["hubert"]).extract(noise(1), rate_hz=30)
    other = save(tmp_path / "other", FAMILIES["hubert"])
    Wav2Vec2FeatureExtractor(sampling_rate=8_000).save_pretrained(other)
    with pytest.raises(BrainAlignError, match="wants audio at 8000 Hz"):
        WaveformLayers(other)
    (other / "preprocessor_config.json").unlink()
    with pytest.raises(BrainAlignError, match="can't be loaded as a speech model"):
        WaveformLayers(other)


def test_frames_squeezed_after_the_convolutions_are_noticed(tmp_path):
    from transformers import SEWConfig

    config = SEWConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        conv_dim=(16,) * 13, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
        squeeze_factor=2,
    )  # fmt: skip
    model = WaveformLayers(save(tmp_path, config))
    assert model.grid.stride == 640
    found = model.extract(noise(45), rate_hz=16_000 / model.grid.stride)
    assert abs(found.times[-1] - 45) < 0.1
