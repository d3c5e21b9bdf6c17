"""What is trained, and what stays still."""

import pytest
import torch
from transformers import AutoModel, WavLMConfig

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.tuning.adaptation import (
    Adaptation,
    adapt,
    with_adapters,
)
from bids_brainalign.tuning.alive import require_alive
from bids_brainalign.tuning.backbone import Backbone
from bids_brainalign.tuning.losses import mse, parse_loss
from bids_brainalign.tuning.readouts import TunedModel
from tests.tuning.conftest import NAMES, pooled_batch

LORA = Adaptation(kind="lora", rank=2, alpha=2)
KINDS = {
    "lora": LORA,
    "full": Adaptation(),
    "thawed": Adaptation(cnn="thawed"),
    "lower": Adaptation(up_to_layer=1),
    "lower lora": Adaptation(kind="lora", up_to_layer=1, target_modules=("q_proj", "out_proj")),
}


def tuned(folder, adaptation, *, layer=2, **options):
    backbone = adapt(Backbone(folder, layer=layer, **options), adaptation, seed=0)
    return TunedModel(backbone, n_targets=5, seed=0)


def trained_names(model):
    return {n for n, p in model.backbone.net.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("name", NAMES)
def test_everything_that_should_learn_does_and_nothing_else_moves(folders, name, kind):
    model = tuned(folders[name], KINDS[kind]).train()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    batch = pooled_batch()
    require_alive(model, batch, parse_loss("mse+spatial"))
    for n, p in model.named_parameters():  # the trial left no trace
        assert torch.equal(p, before[n]), n
        assert p.grad is None
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    for _ in range(2):
        optimiser.zero_grad()
        mse(model(batch), batch.responses).backward()
        optimiser.step()
    for n, p in model.named_parameters():
        assert torch.equal(p, before[n]) != p.requires_grad, n


@pytest.mark.parametrize("name", NAMES)
def test_only_blocks_up_to_the_layer_are_trained(folders, name):
    for kind, blocks in [("lora", {0, 1}), ("full", {0, 1}), ("lower", {0}), ("lower lora", {0})]:
        names = trained_names(tuned(folders[name], KINDS[kind]))
        found = {i for i in range(3) if any(f"encoder.layers.{i}." in n for n in names)}
        assert found == blocks, kind
        assert ("lora" in kind) == all("lora_" in n for n in names)


def test_front_ends_are_frozen_or_thawed(folders):
    front = {"wavlm": "feature_extractor.", "whisper": "encoder.conv"}
    for name, prefix in front.items():
        frozen = trained_names(tuned(folders[name], KINDS["full"]))
        thawed = trained_names(tuned(folders[name], KINDS["thawed"]))
        assert not any(n.startswith(prefix) for n in frozen)
        assert any(n.startswith(prefix) for n in thawed)
    assert "encoder.embed_positions.weight" in thawed
    assert "encoder.embed_positions.weight" not in frozen
    # The projection after the convolutions belongs to what is trained.
    names = trained_names(tuned(folders["hubert"], KINDS["full"]))
    assert any(n.startswith("feature_projection.") for n in names)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_frozen_front_end_is_not_differentiated_through(folders, checkpointing):
    for kind in ("lora", "full"):
        model = tuned(folders["wavlm"], KINDS[kind], checkpointing=checkpointing).train()
        seen = []
        model.backbone.net.feature_extractor.register_forward_hook(
            lambda module, inputs, output, seen=seen: seen.append(output.requires_grad)
        )
        model(pooled_batch())
        assert seen == [False] * 4  # two lengths of clips, computed and then handed on


def test_number_of_adapter_weights_of_wavlm_base_plus():
    with torch.device("meta"):
        net = AutoModel.from_config(WavLMConfig())
        settings = Adaptation(kind="lora", rank=4, alpha=4)
        adapted = with_adapters(net, settings, n_blocks=12, seed=0)
    count = sum(p.numel() for n, p in adapted.named_parameters() if "lora_" in n)
    assert count == 12 * 3 * 2 * 4 * 768 == 221_184


def test_first_weights_come_from_the_seed(folders):
    backbones = [Backbone(folders["hubert"]) for _ in range(3)]
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    states = [
        adapt(backbone, LORA, seed=seed).state_dict()
        for backbone, seed in zip(backbones, (1, 1, 2), strict=True)
    ]
    assert torch.equal(torch.rand(2), expected)
    name = next(n for n in states[0] if "lora_A" in n)
    assert torch.equal(states[0][name], states[1][name])
    assert not torch.equal(states[0][name], states[2][name])


@pytest.mark.parametrize("name", NAMES)
def test_bf16_autocast_gives_nearly_the_same(folders, name):
    model, batch = tuned(folders[name], LORA).train(), pooled_batch()
    with torch.no_grad():
        exact = model.features(batch)
    with torch.autocast("cpu", torch.bfloat16):
        found = model.features(batch)
        loss = parse_loss("mse+spatial")(model(batch), batch.responses)
    assert found.dtype == torch.float32
    correlation = torch.corrcoef(torch.stack([found.detach().ravel(), exact.ravel()]))[0, 1]
    assert correlation > 0.98
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.requires_grad)


def test_adapters_do_nothing_at_first(folders):
    batch = pooled_batch()
    with torch.no_grad():
        plain = Backbone(folders["wavlm"], layer=2)(batch.clips, batch.n_valid)[0]
        adapted = adapt(Backbone(folders["wavlm"], layer=2), LORA, seed=0)
        assert torch.equal(adapted(batch.clips, batch.n_valid)[0], plain)


@pytest.mark.parametrize("name", ["hubert", "wavlm-large", "whisper"])
def test_checkpointing_with_adapters_gives_the_same_gradients(folders, name):
    found = []
    for checkpointing in (False, True):
        settings = Adaptation(kind="lora", rank=2, alpha=2, dropout=0)
        model = tuned(folders[name], settings, checkpointing=checkpointing).train()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            for n, p in model.named_parameters():
                if "lora_B" in n:
                    torch.nn.init.normal_(p, 0, 0.05)
        batch = pooled_batch()
        mse(model(batch), batch.responses).backward()
        found.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    for n, gradient in found[0].items():
        near = 1e-4 * float(gradient.abs().max())
        torch.testing.assert_close(found[1][n], gradient, atol=near, rtol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"up_to_layer": 3}, "layers up to 3 can't be trained when layer 2 is read"),
        ({"kind": "lora", "target_modules": ("query",)}, "no linear|has a linear module 'query'"),
        ({"kind": "lora", "up_to_layer": 0}, "no block comes before layer 0"),
        ({"kind": "lora", "cnn": "thawed"}, "the CNN front end can't be thawed"),
        ({"kind": "lora", "rank": 0}, "LoRA with rank 0"),
    ],
)
def test_what_can_not_be_trained_is_refused(folders, settings, message):
    with pytest.raises(BrainAlignError, match=message) as error:
        adapt(Backbone(folders["hubert"], layer=2), Adaptation(**settings), seed=0)
    assert error.value.exit_code == ExitCode.USAGE


def test_a_missing_module_is_answered_with_those_that_exist(folders):
    with pytest.raises(BrainAlignError) as error:
        adapt(Backbone(folders["whisper"]), Adaptation("lora", target_modules=("w",)), seed=0)
    assert "self_attn.q_proj" in error.value.where
    assert "fc1" in error.value.where
