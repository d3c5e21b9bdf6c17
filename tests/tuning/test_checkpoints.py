"""Checkpoints: whole, bounded, of these settings, ours."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from bids_brainalign.errors import BrainAlignError
from bids_brainalign.tuning.checkpoints import SLOTS, load_weights, save_weights
from tests.tuning.small_training import SETTINGS, Noisy, Rows, run


class Stopped(Exception):
    """In place of a kill."""


class StoppedRows(Rows):
    """Ends the training at the n-th batch."""

    def batch(self, epoch: int, index: int) -> object:  # type: ignore[override]
        if len(self.asked) == self.die_at:
            raise Stopped
        self.asked.append((epoch, index))
        return Rows.batch(Rows(), epoch, index)


def interrupted(folder: Path, *, at: int = 18) -> None:
    with pytest.raises(Stopped):
        run(folder, Noisy(), source=StoppedRows(die_at=at))


def weights_of(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.fixture(scope="module")
def final_weights(tmp_path_factory: pytest.TempPathFactory) -> torch.Tensor:
    model = Noisy()
    run(tmp_path_factory.mktemp("whole"), model)
    return weights_of(model)


def newest(folder: Path) -> Path:
    return max((folder / name for name in SLOTS), key=lambda path: path.stat().st_mtime_ns)


@pytest.mark.parametrize("at", range(0, 21, 2))
def test_stopped_at_any_batch(tmp_path: Path, at: int, final_weights: torch.Tensor) -> None:
    interrupted(tmp_path, at=at)
    model = Noisy(seed=9 if at else 1)  # the epoch before training has no other weights
    run(tmp_path, model)
    assert torch.equal(weights_of(model), final_weights)


@pytest.mark.parametrize("keep_share", [0.0, 0.001, 0.5, 0.99])
def test_a_damaged_one_gives_way_to_the_one_before(
    tmp_path: Path,
    keep_share: float,
    final_weights: torch.Tensor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    interrupted(tmp_path)
    damaged = newest(tmp_path)
    content = damaged.read_bytes()
    damaged.write_bytes(content[: int(keep_share * len(content))])
    model = Noisy(seed=9)
    with caplog.at_level(logging.WARNING):
        run(tmp_path, model)
    assert f"{damaged} is damaged" in caplog.text
    assert torch.equal(weights_of(model), final_weights)


def test_nothing_but_damaged_ones_is_refused(tmp_path: Path) -> None:
    interrupted(tmp_path)
    for name in SLOTS:
        (tmp_path / name).write_bytes(b"\0" * 100)
    with pytest.raises(BrainAlignError, match="is damaged and there is no other") as caught:
        run(tmp_path, Noisy())
    assert "delete" in str(caught.value)


def test_one_of_another_program_is_refused_and_kept(tmp_path: Path) -> None:
    foreign = tmp_path / SLOTS[0]
    save_file({"weight": torch.ones(3)}, foreign)
    before = foreign.read_bytes()
    with pytest.raises(BrainAlignError, match="is not a file of this program's training"):
        run(tmp_path, Noisy())
    assert foreign.read_bytes() == before


@pytest.mark.parametrize(
    "change", [{"seed": 6}, {"epochs": 4}, {"batches_per_update": 1}, {"weight_decay": 0.0}]
)
def test_other_settings_begin_anew(
    tmp_path: Path, change: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    interrupted(tmp_path / "a")
    settings = replace(SETTINGS, **change)
    model, alone = Noisy(), Noisy()
    with caplog.at_level(logging.WARNING):
        run(tmp_path / "a", model, settings=settings)
    run(tmp_path / "b", alone, settings=settings)
    assert "other settings or data" in caplog.text
    assert torch.equal(weights_of(model), weights_of(alone))
    log = [(tmp_path / name / "training.tsv").read_text() for name in "ab"]
    assert log[0] == log[1]


def test_other_data_begin_anew_and_other_checkpoint_times_do_not(tmp_path: Path) -> None:
    interrupted(tmp_path)
    source = Rows()
    run(tmp_path, Noisy(), settings=replace(SETTINGS, checkpoint_updates=50), source=source)
    assert len(source.asked) < 21
    source = Rows()
    run(tmp_path, Noisy(), source=source, key="other data")
    assert len(source.asked) == 21


def test_no_more_than_two_lie_on_the_disk_and_one_is_always_whole(tmp_path: Path) -> None:
    counts = []

    class Watching(Rows):
        def batch(self, epoch: int, index: int) -> object:  # type: ignore[override]
            there = [path for path in tmp_path.iterdir() if path.suffix == ".safetensors"]
            counts.append(len(there))
            return super().batch(epoch, index)

    run(tmp_path, Noisy(), settings=replace(SETTINGS, checkpoint_updates=1), source=Watching())
    assert max(counts) <= 3  # two, and the one that is being written
    tables = ["gradient_norms.tsv", "progress.json", "training.tsv"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [*SLOTS, *tables]


def test_frozen_weights_are_not_in_them(tmp_path: Path) -> None:
    run(tmp_path, Noisy())
    names = load_file(newest(tmp_path)).keys()
    assert "weights.backbone.weight" in names
    assert "optimiser.backbone.weight.exp_avg_sq" in names
    assert not any("frozen" in name for name in names)


def test_a_finished_training_is_not_done_again(tmp_path: Path) -> None:
    first, again = Noisy(), Noisy(seed=9)
    done = run(tmp_path, first)
    source, seen = Rows(), []
    assert run(tmp_path, again, source=source, on_epoch=lambda e, m: seen.append(e)) == done
    assert source.asked == []
    assert seen == []
    assert torch.equal(weights_of(again), weights_of(first))


def test_an_interrupted_evaluation_is_repeated_without_training(tmp_path: Path) -> None:
    def fail(epoch: int, model: nn.Module) -> None:
        if epoch == 2:
            raise Stopped

    with pytest.raises(Stopped):
        run(tmp_path, Noisy(), on_epoch=fail)
    source, seen = Rows(), []
    run(tmp_path, Noisy(), source=source, on_epoch=lambda e, m: seen.append(e))
    assert seen == [2, 3]
    assert {epoch for epoch, _ in source.asked} == {2}


def test_weights_alone(tmp_path: Path) -> None:
    model, other = Noisy(seed=1), Noisy(seed=2)
    path = save_weights(tmp_path / "epochs" / "epoch-3.safetensors", model)
    assert path.stat().st_size < 4 * 300 + 1000
    load_weights(path, other)
    assert torch.equal(weights_of(model), weights_of(other))


class Buffered(Noisy):
    """With running statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(12)

    def forward(self, batch: object) -> torch.Tensor:
        return super().forward(replace(batch, clips=self.norm(batch.clips)))  # type: ignore


def test_running_statistics_come_back(tmp_path: Path) -> None:
    model, whole = Buffered(), Buffered()
    settings = replace(SETTINGS, learning_rates=(("", 1e-2),))
    with pytest.raises(Stopped):
        run(tmp_path / "a", model, settings=settings, source=StoppedRows(die_at=18))
    again = Buffered()
    run(tmp_path / "a", again, settings=settings)
    run(tmp_path / "b", whole, settings=settings)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    path = save_weights(tmp_path / "weights.safetensors", Noisy())
    before = weights_of(other := Noisy(seed=4))
    other.readout = nn.Linear(16, 5)
    with pytest.raises(BrainAlignError, match="of another model: 2 tensors differ"):
        load_weights(path, other)
    frozen = Noisy(seed=4)
    frozen.backbone.requires_grad_(False)
    with pytest.raises(BrainAlignError, match=r"backbone\.bias"):
        load_weights(path, frozen)
    assert torch.equal(weights_of(frozen), before)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(BrainAlignError, match="are damaged"):
        load_weights(path, Noisy())
