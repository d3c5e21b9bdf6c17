"""Norms per layer, their mean over an epoch, and shortening, against torch's own."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from bids_brainalign.tuning.adaptation import Adaptation, adapt
from bids_brainalign.tuning.backbone import Backbone
from bids_brainalign.tuning.gradient_log import NORMS_NAME, NormSums, with_update, write_norms
from bids_brainalign.tuning.gradients import Gradients
from bids_brainalign.tuning.readouts import TunedModel
from tests.tuning.conftest import pooled_batch
from tests.tuning.small_training import SETTINGS, Noisy, run


def with_gradients(folder: Path, adaptation: Adaptation) -> TunedModel:
    model = TunedModel(adapt(Backbone(folder), adaptation, seed=0), n_targets=5, seed=0)
    batch = pooled_batch()
    (3 * nn.functional.mse_loss(model(batch), batch.responses)).backward()
    return model


def norm_of(parameters: list[nn.Parameter]) -> float:
    return float(torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]).norm())


@pytest.mark.parametrize("family", ["hubert", "wavlm-large", "whisper"])
def test_norms_are_those_of_every_layer(folders: dict[str, Path], family: str) -> None:
    model = with_gradients(folders[family], Adaptation(cnn="thawed"))
    gradients = Gradients(model)
    assert gradients.layers == ("0", "1", "2", "3", "head")
    net = model.backbone.net
    blocks = [list(block.parameters()) for block in net.encoder.layers]
    if family == "whisper":  # its last norm makes its last layer
        blocks[2] += list(net.encoder.layer_norm.parameters())
    inside = {id(p) for block in blocks for p in block}
    before = [p for p in net.parameters() if id(p) not in inside]
    parts = [before, *blocks, list(model.head.parameters())]
    expected = [norm_of(part) / 3 for part in parts]
    total, *found = gradients.average(torch.tensor(3.0)).tolist()
    assert found == pytest.approx(expected, rel=1e-5)
    assert total == pytest.approx(norm_of(list(model.parameters())), rel=1e-5)


def test_only_trained_layers_are_listed(folders: dict[str, Path]) -> None:
    model = with_gradients(folders["wavlm"], Adaptation(kind="lora", up_to_layer=2))
    assert Gradients(model).layers == ("1", "2", "head")


def test_blocks_are_in_order_beyond_nine() -> None:
    net = nn.ModuleDict(
        {"backbone": nn.ModuleDict({"encoder": nn.ModuleDict(
            {"layers": nn.ModuleList(nn.Linear(1, 1) for _ in range(12))})}),
         "head": nn.Linear(1, 1)}
    )  # fmt: skip
    assert Gradients(net).layers == (*map(str, range(1, 13)), "head")


@pytest.mark.parametrize("longest", [None, 0.01, 1e6])
def test_shortening_is_that_of_torch(folders: dict[str, Path], longest: float | None) -> None:
    ours, torchs = (with_gradients(folders["wav2vec2"], Adaptation()) for _ in range(2))
    norm = float(torch.nn.utils.clip_grad_norm_(torchs.parameters(), longest or 1e9))
    gradients = Gradients(ours)
    total = float(gradients.average(torch.tensor(1.0))[0])
    assert total == pytest.approx(norm, rel=1e-5)
    gradients.shorten(total, longest)
    for one, other in zip(ours.parameters(), torchs.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None)
        if one.grad is not None and other.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-9)


def test_the_table_has_means_over_the_updates_of_each_epoch(tmp_path: Path) -> None:
    run(tmp_path, Noisy())
    table = pd.read_csv(tmp_path / NORMS_NAME, sep="\t")
    assert table["epoch"].tolist() == [1, 1, 2, 2, 3, 3]
    assert table["layer"].tolist() == ["0", "head"] * 3
    log = pd.read_csv(tmp_path / "training.tsv", sep="\t")
    whole = log.groupby("epoch")["gradient_norm"]
    parts = table.pivot_table(index="epoch", columns="layer", values="gradient_norm")
    # The norm of the whole lies between the longest part's and the sum of the parts'.
    assert (parts.max(axis=1) <= whole.mean()).all()
    assert (parts.sum(axis=1) >= whole.mean()).all()


def test_one_update_per_epoch_gives_its_norms(tmp_path: Path) -> None:
    settings = SETTINGS.__class__(epochs=1, learning_rates=(("", 1e-3),), batches_per_update=7)
    run(tmp_path, Noisy(), settings=settings)
    table = pd.read_csv(tmp_path / NORMS_NAME, sep="\t")
    log = pd.read_csv(tmp_path / "training.tsv", sep="\t")
    assert len(log) == 1
    squares = float((table["gradient_norm"] ** 2).sum())
    assert squares**0.5 == pytest.approx(log["gradient_norm"][0], rel=1e-6)


def test_updates_that_were_left_out_are_not_in_the_mean(tmp_path: Path) -> None:
    epochs = with_update((), 0, [1.0, 2.0])
    epochs = with_update(epochs, 0, [float("inf"), float("nan")])
    epochs = with_update(epochs, 0, [3.0, 4.0])
    epochs = with_update(epochs, 1, [float("inf"), 1.0])
    assert epochs == (NormSums(2, (4.0, 6.0)), NormSums(0, (0.0, 0.0)))
    write_norms(tmp_path / "norms.tsv", ("1", "head"), epochs)
    assert (tmp_path / "norms.tsv").read_text() == (
        "epoch\tlayer\tgradient_norm\n1\t1\t2\n1\thead\t3\n2\t1\tn/a\n2\thead\tn/a\n"
    )
