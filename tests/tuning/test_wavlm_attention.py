"""Routed attention gives what transformers gives."""

import pytest
import torch
from transformers import AutoModel

from bids_brainalign.tuning.wavlm_attention import route_wavlm_attention
from tests.tuning.conftest import WAVEFORM


@pytest.mark.parametrize("name", ["wavlm", "wavlm-large"])
@pytest.mark.parametrize("masked", [False, True])
def test_every_layer_equals_stock(folders, name, masked):
    stock = AutoModel.from_pretrained(folders[name]).eval()
    routed = AutoModel.from_pretrained(folders[name]).eval()
    assert route_wavlm_attention(routed) == WAVEFORM[name].num_hidden_layers
    torch.manual_seed(1)
    clips, mask = torch.randn(3, 12_000), torch.ones(3, 12_000, dtype=torch.long)
    mask[0, 5_000:] = 0
    inputs = {"attention_mask": mask if masked else None, "output_hidden_states": True}
    with torch.no_grad():
        expected = stock(clips, **inputs).hidden_states
        found = routed(clips, **inputs).hidden_states
    scale = max(float(state.abs().max()) for state in expected)
    for theirs, ours in zip(expected, found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5 * max(1.0, scale), rtol=0)
    # The bias matters: without it the states would be others.
    assert routed.encoder.layers[0].attention.rel_attn_embed.weight.abs().max() > 0


def test_gradients_equal_stock(folders):
    torch.manual_seed(1)
    clips, gradients = torch.randn(2, 8_000), []
    for route in (False, True):
        model = AutoModel.from_pretrained(folders["wavlm"]).eval()
        if route:
            route_wavlm_attention(model)
        model(clips).last_hidden_state.square().sum().backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-4 * scale + 1e-4, rtol=0)


def test_other_architectures_are_left_alone(folders):
    model = AutoModel.from_pretrained(folders["hubert"])
    before = [type(module) for module in model.modules()]
    assert route_wavlm_attention(model) == 0
    assert [type(module) for module in model.modules()] == before
