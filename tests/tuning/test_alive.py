"""The check before training finds what would silently not learn."""

import pytest
import torch
from torch import nn

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.tuning.adaptation import Adaptation, adapt
from bids_brainalign.tuning.alive import require_alive
from bids_brainalign.tuning.backbone import Backbone
from bids_brainalign.tuning.losses import LOSSES, mse
from bids_brainalign.tuning.readouts import Readout, TunedModel
from tests.tuning.conftest import NAMES, pooled_batch

LORA = Adaptation(kind="lora", rank=2, alpha=2)


def tuned(folder, adaptation=LORA, **options):
    return TunedModel(
        adapt(Backbone(folder, layer=2), adaptation, seed=0), n_targets=5, seed=0, **options
    )


@pytest.fixture
def stock_wavlm(monkeypatch):
    monkeypatch.setattr("bids_brainalign.tuning.backbone.route_wavlm_attention", lambda model: 0)


def test_stock_wavlm_is_caught(folders, stock_wavlm):
    with pytest.raises(BrainAlignError, match="6 trainable parameters get no gradient") as error:
        # B of 2 blocks × 3 projections; A gets none in the first step anywhere.
        require_alive(tuned(folders["wavlm"]), pooled_batch(), mse)
    assert error.value.exit_code == ExitCode.INTERNAL
    assert "q_proj.lora_B" in error.value.where


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("loss", list(LOSSES))
def test_every_loss_reaches_every_adapter(folders, name, loss):
    require_alive(tuned(folders[name]), pooled_batch(), LOSSES[loss])


def test_the_model_is_as_before(folders):
    model = tuned(folders["wavlm"]).train()
    before = {n: p.detach().clone() for n, p in model.state_dict().items()}
    flags = [p.requires_grad for p in model.parameters()]
    require_alive(model, pooled_batch(), mse)
    assert model.training
    assert all(torch.equal(p, before[n]) for n, p in model.state_dict().items())
    assert [p.requires_grad for p in model.parameters()] == flags
    assert all(p.grad is None for p in model.parameters())


def test_a_model_that_was_trained_for_a_while_passes(folders):
    model = tuned(folders["hubert"])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.02)
    before = {n: p.detach().clone() for n, p in model.state_dict().items()}
    require_alive(model, pooled_batch(), mse)
    assert all(torch.equal(p, before[n]) for n, p in model.state_dict().items())


def test_checkpointing_saves_memory_in_the_trial_too(folders):
    from torch.utils import checkpoint

    calls, honest = [], checkpoint.checkpoint

    backbone = Backbone(folders["hubert"], layer=2, checkpointing=True)
    for block in backbone.net.encoder.layers:
        block._gradient_checkpointing_func = lambda *args: (
            calls.append(1), honest(*args, use_reentrant=False)
        )[1]  # fmt: skip
    model = TunedModel(adapt(backbone, LORA, seed=0), n_targets=5, seed=0)
    require_alive(model, pooled_batch(), mse)
    assert calls


def test_a_thing_that_is_never_called_is_named(folders):
    model = tuned(folders["hubert"])
    model.backbone.extra = nn.Linear(2, 2)
    with pytest.raises(BrainAlignError, match="2 trainable parameters") as error:
        require_alive(model, pooled_batch(), mse)
    assert error.value.where == "backbone.extra.weight, backbone.extra.bias"


def test_adapters_that_merge_to_something_else_are_caught(folders, monkeypatch):
    from peft.tuners.lora import Linear

    honest = Linear.get_delta_weight
    monkeypatch.setattr(Linear, "get_delta_weight", lambda self, key: 2 * honest(self, key))
    model = tuned(folders["hubert"])
    before = {n: p.detach().clone() for n, p in model.state_dict().items()}
    with pytest.raises(BrainAlignError, match="merged into the weights they differ"):
        require_alive(model, pooled_batch(), mse)
    assert all(torch.equal(p, before[n]) for n, p in model.state_dict().items())


def test_a_gradient_on_frozen_weights_is_caught(folders):
    model = tuned(folders["hubert"])
    frozen = next(p for n, p in model.named_parameters() if not p.requires_grad)

    def loss(prediction, truth):
        frozen.grad = torch.ones_like(frozen)
        return mse(prediction, truth)

    with pytest.raises(BrainAlignError, match="1 frozen parameters get a gradient"):
        require_alive(model, pooled_batch(), loss)


def test_a_loss_that_is_not_finite_is_caught(folders):
    with pytest.raises(BrainAlignError, match="the loss of the first batch is nan"):
        require_alive(tuned(folders["hubert"]), pooled_batch(), lambda p, t: (p * torch.nan).sum())


def test_pinned_readouts_pass_too(folders):
    model = tuned(folders["whisper"], readout=Readout(head="pinned"))
    rng = torch.Generator().manual_seed(0)
    model.pin(torch.randn(32, 5, generator=rng).numpy(), torch.zeros(5).numpy())
    require_alive(model, pooled_batch(), mse)
    assert not list(model.head.parameters())
