"""What is written opens elsewhere and gives the same."""

import json

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModel

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.folders import model_facts
from bids_brainalign.features.models import open_model
from bids_brainalign.tuning.adaptation import Adaptation, adapt
from bids_brainalign.tuning.adapter_files import (
    load_adapters,
    merged_weights,
    save_adapters,
    save_merged,
)
from bids_brainalign.tuning.backbone import Backbone
from bids_brainalign.tuning.wavlm_attention import route_wavlm_attention
from tests.tuning.conftest import NAMES, padded_clips

LORA = Adaptation(kind="lora", rank=2, alpha=4, target_modules=("q_proj", "v_proj"))


def trained(folder, adaptation=LORA, *, layer=2):
    """A backbone whose trainable weights were moved."""
    backbone = adapt(Backbone(folder, layer=layer), adaptation, seed=0).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in backbone.parameters():
            if parameter.requires_grad:
                size = 0.3 * float(parameter.std(correction=0)) or 0.1
                parameter.add_(size * torch.randn(parameter.shape, generator=generator))
    return backbone


def clip():
    clips, n_valid = padded_clips((0.7,))
    return clips, n_valid


@pytest.mark.parametrize("adaptation", [LORA, Adaptation(cnn="thawed")], ids=["lora", "full"])
@pytest.mark.parametrize("name", NAMES)
def test_merged_folder_opens_like_any_model(folders, name, adaptation, tmp_path):
    backbone = trained(folders[name], adaptation)
    save_merged(backbone, tmp_path / "tuned", note="Tuned for a test.")
    clips, n_valid = clip()
    with torch.no_grad():
        expected = backbone(clips, n_valid)[0][0].numpy()
    found = open_model(tmp_path / "tuned").extract(clips[0].numpy()).layers
    original = open_model(folders[name]).extract(clips[0].numpy()).layers
    assert len(found) == len(original) == 4
    np.testing.assert_allclose(found[2], expected, atol=2e-4)
    assert np.abs(found[2] - original[2]).max() > 0.01
    facts = model_facts(tmp_path / "tuned")
    assert facts.note == "Tuned for a test."
    # Later blocks and all that training switched off are as in the original.
    ours, theirs = (
        {k: v for k, v in json.loads((f / "config.json").read_text()).items()}
        for f in (tmp_path / "tuned", folders[name])
    )
    ours.pop("brainalign_note")
    assert ours == theirs
    weights = [load_file(f / "model.safetensors") for f in (tmp_path / "tuned", folders[name])]
    assert weights[0].keys() == weights[1].keys()
    last = [k for k in weights[0] if "encoder.layers.2." in k]
    assert last
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in last)


@pytest.mark.parametrize("name", NAMES)
def test_peft_opens_the_adapters(folders, name, tmp_path):
    backbone = trained(folders[name])
    save_adapters(backbone, tmp_path, base_model="someone/some-model")
    model = AutoModel.from_pretrained(folders[name])
    route_wavlm_attention(model)
    adapted = PeftModel.from_pretrained(model, tmp_path).eval()
    clips, n_valid = clip()
    with torch.no_grad():
        expected = backbone(clips, n_valid)[0]
    found = {n: t for n, t in adapted.state_dict().items() if "lora_" in n}
    ours = {n: t for n, t in backbone.net.state_dict().items() if "lora_" in n}
    assert found.keys() == ours.keys()
    for n, tensor in ours.items():
        torch.testing.assert_close(found[n], tensor)
    merged = adapted.merge_and_unload()
    merged.save_pretrained(tmp_path / "whole")
    for file in folders[name].glob("preprocessor_config.json"):
        (tmp_path / "whole" / file.name).write_bytes(file.read_bytes())
    features = open_model(tmp_path / "whole").extract(clips[0].numpy()).layers[2]
    np.testing.assert_allclose(features, expected[0], atol=2e-4)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "someone/some-model"
    assert config["inference_mode"] is True
    assert str(folders[name]) not in (tmp_path / "adapter_config.json").read_text()


def test_adapters_come_back(folders, tmp_path):
    backbone = trained(folders["whisper"])
    save_adapters(backbone, tmp_path, base_model="a/b")
    again = adapt(Backbone(folders["whisper"], layer=2), LORA, seed=5).eval()
    load_adapters(again, tmp_path)
    with torch.no_grad():
        assert torch.equal(again(*clip())[0], backbone(*clip())[0])


def test_merging_leaves_the_backbone_as_it_is(folders):
    backbone = trained(folders["hubert"])
    before = {n: t.clone() for n, t in backbone.state_dict().items()}
    merged = merged_weights(backbone)
    assert all(torch.equal(t, before[n]) for n, t in backbone.state_dict().items())
    name = "encoder.layers.0.attention.q_proj.weight"
    base = before["net.base_model.model." + name.replace("weight", "base_layer.weight")]
    a, b = (
        before[f"net.base_model.model.{name.replace('weight', '')}lora_{k}.default.weight"]
        for k in "AB"
    )
    torch.testing.assert_close(merged[name], base + 4 / 2 * b @ a)


def test_files_that_do_not_fit_are_refused(folders, tmp_path):
    backbone = trained(folders["hubert"])
    with pytest.raises(BrainAlignError, match="can't be read as adapters") as error:
        load_adapters(backbone, tmp_path)
    assert error.value.exit_code == ExitCode.MISSING_INPUT
    save_adapters(backbone, tmp_path, base_model="a/b")
    other = trained(folders["hubert"], Adaptation(kind="lora", rank=3))
    with pytest.raises(BrainAlignError, match="adapters of other modules, blocks or rank"):
        load_adapters(other, tmp_path)
    with pytest.raises(BrainAlignError, match="is trained as a whole: it has no adapters"):
        save_adapters(trained(folders["hubert"], Adaptation()), tmp_path, base_model="a/b")
