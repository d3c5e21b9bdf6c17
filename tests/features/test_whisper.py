import json

import numpy as np
import pytest
import torch
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.whisper import WhisperLayers


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("whisper")
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=32, d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    WhisperModel(config).save_pretrained(path)
    WhisperFeatureExtractor().save_pretrained(path)
    return path


def noise(seconds):
    rng = np.random.default_rng(0)
    return (0.1 * rng.standard_normal(int(16_000 * seconds))).astype(np.float32)


def test_short_clip_equals_transformers_hidden_states(folder):
    wave = noise(7.3)
    found = WhisperLayers(folder).extract(wave)
    model = WhisperModel.from_pretrained(folder).encoder.eval()
    inputs = WhisperFeatureExtractor()(wave, sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        states = model(inputs.input_features, output_hidden_states=True).hidden_states
    assert len(found.layers) == len(states) == 3
    for ours, theirs in zip(found.layers, states, strict=True):
        np.testing.assert_allclose(ours, theirs[0, :365], atol=1e-5)
    assert len(found.times) == 365  # ceil(7.3 s / 0.02 s): the padding is not there


def test_windows_of_a_long_stimulus_agree_away_from_their_edges(folder):
    wave = noise(70)
    found = WhisperLayers(folder).extract(wave, batch_size=2)
    alone = WhisperLayers(folder).extract(wave[: 30 * 16_000])
    assert len(found.times) == 3500
    # The first 23 s come from the first window alone.
    np.testing.assert_allclose(found.layers[1][:1150], alone.layers[1][:1150], atol=1e-5)
    assert found.context_past_s == found.context_future_s == 30.0


def test_slower_rate_is_the_mean_of_frames(folder):
    wave = noise(5)
    encoder = WhisperLayers(folder)
    fast, slow = encoder.extract(wave), encoder.extract(wave, rate_hz=10)
    expected = fast.layers[2].reshape(50, 5, -1).mean(axis=1)
    np.testing.assert_allclose(slow.layers[2], expected, atol=1e-6)
    np.testing.assert_allclose(slow.times[:2], [0.04, 0.14])


def test_untrained_twin_has_the_shape_but_not_the_weights(folder):
    wave = noise(3)
    trained = WhisperLayers(folder).extract(wave)
    twin = WhisperLayers(folder, untrained_seed=1).extract(wave)
    again = WhisperLayers(folder, untrained_seed=1).extract(wave)
    other = WhisperLayers(folder, untrained_seed=2).extract(wave)
    for a, b in zip(trained.layers, twin.layers, strict=True):
        assert a.shape == b.shape
        assert not np.allclose(a, b)
    np.testing.assert_array_equal(twin.layers[2], again.layers[2])
    assert not np.allclose(twin.layers[2], other.layers[2])


def test_random_state_of_the_caller_is_left_alone(folder):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    WhisperLayers(folder, untrained_seed=1)
    assert torch.equal(torch.rand(3), expected)


def test_a_folder_without_weights_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "whisper"}))
    with pytest.raises(BrainAlignError, match="can't be loaded") as caught:
        WhisperLayers(tmp_path)
    assert caught.value.exit_code == ExitCode.MISSING_INPUT


@pytest.mark.shared
def test_real_whisper_base_loads_and_its_layers_are_used(shared):
    encoder = WhisperLayers(shared / "models" / "whisper-base")
    found = encoder.extract(noise(2))
    assert len(found.layers) == 7
    assert found.layers[3].shape == (100, 512)
