"""Causal and sliding modes: what a frame has heard, and that it equals one call of the model."""

import numpy as np
import pytest
import torch
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperModel,
)

from bids_brainalign.alignment.clock import Placement, onto_fast_clock
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.ending import EndingWindows
from bids_brainalign.features.estimates import estimate
from bids_brainalign.features.folders import ModelFacts
from bids_brainalign.features.waveform import WaveformLayers
from bids_brainalign.features.whisper import WhisperLayers

RATE = 16_000
CAUSAL = EndingWindows(30.0, 0.5, causal=True)


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
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


@pytest.fixture(scope="module")
def wav2vec2(tmp_path_factory):
    """Group norm over time, as in wav2vec2-base: every frame hears its whole window."""
    path = tmp_path_factory.mktemp("wav2vec2")
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2, conv_dim=(16,) * 7,
    )  # fmt: skip
    Wav2Vec2Model(config).save_pretrained(path)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(path)
    return path


def noise(seconds, seed=0):
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(int(RATE * seconds))).astype(np.float32)


def openers(whisper, wav2vec2):
    return {
        "whisper": (WhisperLayers(whisper), CAUSAL),
        "whisper, shorter": (WhisperLayers(whisper), EndingWindows(4.0, 0.5, causal=True)),
        "wav2vec2": (WaveformLayers(wav2vec2), EndingWindows(2.0, 0.5, causal=True)),
    }


@pytest.mark.parametrize("which", ["whisper", "whisper, shorter", "wav2vec2"])
@pytest.mark.parametrize("changed_s", [1.26, 5.5])
def test_audio_after_t_changes_no_feature_up_to_t(whisper, wav2vec2, which, changed_s):
    model, windows = openers(whisper, wav2vec2)[which]
    wave, other = noise(7), noise(7)
    cut = int(changed_s * RATE)
    # Louder by far: Whisper's log-mel is cut at 8 below the loudest moment of the window.
    other[cut:] = 8 * noise(7, seed=1)[cut:]
    a, b = (model.extract_ending(w, windows, batch_size=3) for w in (wave, other))
    before = a.times <= changed_s + 1e-9
    for one, two in zip(a.layers, b.layers, strict=True):
        np.testing.assert_allclose(one[before], two[before], atol=1e-5)
        assert np.abs(one[~before] - two[~before]).max() > 1e-3
    assert a.context_future_s == 0
    # … nor on the response clock, where a frame is held until the next one.
    clock = np.arange(0, 7, 0.02)
    placed = [
        onto_fast_clock(
            x.layers[-1], x.times, clock, Placement(0.0, 7.0, ((0.0, 7.0),)), hold=True
        )
        for x in (a, b)
    ]
    early = clock <= changed_s
    np.testing.assert_allclose(placed[0][early], placed[1][early], atol=1e-5)
    assert not np.allclose(placed[0], placed[1], atol=1e-3)


def test_causal_whisper_is_one_call_on_the_last_thirty_seconds(whisper):
    wave = noise(33)
    model = WhisperLayers(whisper)
    found = model.extract_ending(wave, EndingWindows(30.0, 1.5, causal=True), batch_size=4)
    assert found.times[0] == 0
    np.testing.assert_allclose(np.diff(found.times), 1.5)
    encoder = WhisperModel.from_pretrained(whisper).encoder.eval()
    for at_s in (0.0, 6.0, 33.0):
        clip = np.concatenate([np.zeros(30 * RATE, np.float32), wave[: int(at_s * RATE)]])
        inputs = WhisperFeatureExtractor()(
            clip[-30 * RATE :], sampling_rate=RATE, return_tensors="pt"
        ).input_features
        with torch.no_grad():
            states = encoder(inputs, output_hidden_states=True).hidden_states
        for ours, theirs in zip(found.layers, states, strict=True):
            np.testing.assert_allclose(ours[found.times == at_s][0], theirs[0, -1], atol=1e-5)
    # The encoder is whole again afterwards.
    assert len(model.extract(noise(1)).times) == 50


def test_sliding_whisper_reads_the_last_frame_before_the_padding(whisper):
    wave = noise(5)
    model = WhisperLayers(whisper)
    found = model.extract_ending(wave, EndingWindows(2.0, 0.5, causal=False))
    alone = model.extract(wave[3 * RATE : 5 * RATE])
    np.testing.assert_allclose(found.times, np.arange(1, 11) * 0.5)
    np.testing.assert_allclose(found.layers[2][-1], alone.layers[2][-1], atol=1e-5)
    assert found.context_future_s == 0.5  # interpolated between two frames


def test_waveform_windows_are_not_padded(wav2vec2):
    wave = noise(5)
    model = WaveformLayers(wav2vec2)
    found = model.extract_ending(wave, EndingWindows(2.0, 0.5, causal=True), batch_size=4)
    for at_s, clip in ((1.0, wave[:RATE]), (4.5, wave[int(2.5 * RATE) : int(4.5 * RATE)])):
        alone = model.extract(clip)
        row = np.flatnonzero(found.times == at_s)[0]
        np.testing.assert_allclose(found.layers[2][row], alone.layers[2][-1], atol=1e-5)
    assert np.isfinite(found.layers[0][0]).all()  # silence before the start


def test_shorter_windows_cost_less_and_longer_ones_are_refused(whisper):
    with pytest.raises(BrainAlignError, match="hears windows of 30 s, not of 31 s") as caught:
        WhisperLayers(whisper).extract_ending(noise(1), EndingWindows(31.0, 0.5, causal=True))
    assert caught.value.exit_code == ExitCode.USAGE
    facts = ModelFacts("whisper", 7, 512, 20_000_000, "")

    def operations(window_s, causal=True):
        windows = EndingWindows(window_s, 0.1, causal=causal)
        return estimate(facts, windows, durations_s=[60.0], rate_hz=50).operations

    assert operations(4.0) < operations(30.0) * 4 / 30
    # Published sliding windows are padded: they cost what 30 s cost.
    assert operations(16.1, causal=False) == pytest.approx(operations(30.0), rel=0.01)
    assert EndingWindows(30.0, 0.1, causal=True).count(60.0) == 601
