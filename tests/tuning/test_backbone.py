"""Frames of the cut-off model are those that features/ gives for the same clip alone."""

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.models import open_model
from bids_brainalign.tuning.backbone import Backbone
from bids_brainalign.tuning.log_mel import LogMel
from tests.tuning.conftest import NAMES, padded_clips

SECONDS = (1.0, 0.6, 0.6, 0.333)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layer", [0, 2, None])
def test_valid_frames_equal_the_features_of_each_clip_alone(folders, name, layer):
    clips, n_valid = padded_clips(SECONDS)
    backbone = Backbone(folders[name], layer=layer).train()  # as in the loop
    with torch.no_grad():
        hidden, valid = backbone(clips, n_valid)
    assert hidden.shape == (4, backbone.n_frames(16_000), 32)
    alone = open_model(folders[name])
    for row, n in enumerate(n_valid.tolist()):
        expected = alone.extract(clips[row, :n].numpy()).layers[-1 if layer is None else layer]
        found = hidden[row][valid[row]].numpy()
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-4)
    assert not hidden[~valid].any()


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2-large", "whisper"])
def test_rubbish_after_the_end_of_a_clip_is_not_heard(folders, name):
    clips, n_valid = padded_clips(SECONDS)
    backbone = Backbone(folders[name])
    with torch.no_grad():
        before, valid = backbone(clips, n_valid)
        for row, n in enumerate(n_valid.tolist()):
            clips[row, n:] = 100.0
        after, _ = backbone(clips, n_valid)
    torch.testing.assert_close(before[valid], after[valid], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_checkpointing_gives_the_same_gradients(folders, name):
    clips, n_valid = padded_clips((0.4, 0.3))
    gradients = []
    for checkpointing in (False, True):
        backbone = Backbone(folders[name], checkpointing=checkpointing).train()
        hidden, _ = backbone(clips, n_valid)
        hidden.square().sum().backward()
        gradients.append({n: p.grad for n, p in backbone.named_parameters()})
    for parameter, gradient in gradients[0].items():
        if gradient is None:
            assert gradients[1][parameter] is None
        else:
            near = 1e-4 * (1 + float(gradient.abs().max()))
            torch.testing.assert_close(gradients[1][parameter], gradient, atol=near, rtol=0)


def test_only_the_option_makes_training_random(folders):
    clips, n_valid = padded_clips((0.6, 0.6))
    plain = Backbone(folders["wavlm-large"]).train()
    regularised = Backbone(folders["wavlm-large"], regularised=True).train()
    with torch.no_grad():
        assert torch.equal(plain(clips, n_valid)[0], plain(clips, n_valid)[0])
        assert not torch.equal(regularised(clips, n_valid)[0], regularised(clips, n_valid)[0])
        torch.testing.assert_close(
            regularised.eval()(clips, n_valid)[0], plain(clips, n_valid)[0], atol=1e-6, rtol=0
        )


def test_blocks_after_the_layer_are_not_kept(folders):
    names = {n for n, _ in Backbone(folders["hubert"], layer=1).named_parameters()}
    assert any(".layers.0." in name for name in names)
    assert not any(".layers.1." in name for name in names)


def test_log_mel_is_that_of_the_processor():
    rng = np.random.default_rng(0)
    waves = rng.standard_normal((2, 48_000)).astype(np.float32) * np.float32([[0.01], [1.0]])
    extractor = WhisperFeatureExtractor(chunk_length=3)
    expected = extractor(list(waves), sampling_rate=16_000, return_tensors="pt").input_features
    torch.testing.assert_close(
        LogMel(extractor)(torch.from_numpy(waves)), expected, atol=1e-4, rtol=0
    )


def test_wrong_layers_and_clips_are_refused(folders, tmp_path):
    with pytest.raises(BrainAlignError, match="has no layer 4: its layers are 0 to 3") as error:
        Backbone(folders["wavlm"], layer=4)
    assert error.value.exit_code == ExitCode.USAGE
    with pytest.raises(BrainAlignError, match="has 399 samples; it needs at least 400"):
        Backbone(folders["wavlm"])(torch.zeros(1, 4000), torch.tensor([399]))
    with pytest.raises(BrainAlignError, match="Whisper hears clips of at most 3 s, not 4 s"):
        Backbone(folders["whisper"])(torch.zeros(1, 64_000), torch.tensor([64_000]))
    (tmp_path / "config.json").write_text(
        '{"model_type": "gpt2", "num_hidden_layers": 2, "hidden_size": 8}'
    )
    with pytest.raises(BrainAlignError, match="is a gpt2 model, which can't be tuned"):
        Backbone(tmp_path)


@pytest.mark.shared
def test_real_whisper_and_speech(shared):
    import soundfile

    path = sorted((shared / "data" / "librivox").glob("*.wav"))[0]
    wave = soundfile.read(path, dtype="float32", frames=10 * 16_000)[0]
    backbone = Backbone(shared / "models" / "whisper-base", layer=4).train()
    with torch.no_grad():
        hidden, valid = backbone(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))
    expected = open_model(shared / "models" / "whisper-base").extract(wave).layers[4]
    np.testing.assert_allclose(hidden[valid].numpy(), expected, atol=1e-3, rtol=1e-3)
