"""The loop against oracles written out, interrupted, shared over processes and out of memory."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.tuning.batch_order import batch_order
from bids_brainalign.tuning.checkpoints import load_weights
from bids_brainalign.tuning.stories import Batch
from tests.tuning.small_training import SETTINGS, Noisy, Rows, pooled_batch, run

SCRIPT = Path(__file__).with_name("small_training.py")
REPOSITORY = SCRIPT.parents[2]


def weights_of(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def start(folder: Path, mode: str, number: float, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder), mode, str(number)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | environment,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tensor, str, str]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    model = Noisy()
    run(folder, model)
    log, norms = ((folder / name).read_text() for name in ("training.tsv", "gradient_norms.tsv"))
    return weights_of(model), log, norms


def test_updates_are_those_of_plain_adam(tmp_path: Path) -> None:
    """Against torch's own Adam, scheduler and means over rows of whole updates."""
    settings = replace(SETTINGS, weight_decay=0.0, clip_norm=None, shuffle=False)
    model, plain = Noisy(is_noisy=False), Noisy(is_noisy=False)
    run(tmp_path, model, settings=settings)
    adam = torch.optim.Adam(
        [{"params": plain.backbone.parameters(), "lr": 1e-2},
         {"params": plain.readout.parameters(), "lr": 2e-2}]
    )  # fmt: skip
    n_updates, warmup = 12, 2
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        adam,
        lambda k: (k + 1) / warmup if k < warmup else (n_updates - k) / (n_updates - warmup),
    )
    for _ in range(3):
        for group in ((0, 1), (2, 3), (4, 5), (6,)):
            parts = [Rows().batch(0, index) for index in group]
            together = pooled_batch(
                torch.cat([b.clips for b in parts]), torch.cat([b.responses for b in parts])
            )
            adam.zero_grad()
            nn.functional.mse_loss(plain(together), together.responses).backward()
            adam.step()
            scheduler.step()
    torch.testing.assert_close(weights_of(model), weights_of(plain), rtol=0, atol=1e-6)


def test_what_is_frozen_does_not_move(tmp_path: Path) -> None:
    model = Noisy()
    before = {name: p.clone() for name, p in model.named_parameters()}
    run(tmp_path, model)
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {"backbone.weight", "backbone.bias", "readout.weight", "readout.bias"}


def test_epochs_are_seen_from_zero_in_evaluation_mode(tmp_path: Path) -> None:
    seen: list[tuple[int, bool, float]] = []
    model = Noisy()
    start_weight = model.backbone.weight[0, 0].item()

    def look(epoch: int, seen_model: nn.Module) -> None:
        assert seen_model is model
        seen.append((epoch, seen_model.training, model.backbone.weight[0, 0].item()))

    run(tmp_path, model, on_epoch=look)
    assert [epoch for epoch, *_ in seen] == [0, 1, 2, 3]
    assert not any(training for _, training, _ in seen)
    assert seen[0][2] == start_weight
    assert len({weight for *_, weight in seen}) == 4


def test_every_epoch_has_every_batch_in_its_own_order(tmp_path: Path) -> None:
    source = Rows()
    run(tmp_path, Noisy(), source=source)
    epochs = [[i for e, i in source.asked if e == epoch] for epoch in range(3)]
    assert all(sorted(order) == list(range(7)) for order in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert epochs[1] == batch_order(7, seed=SETTINGS.seed, epoch=1)


def test_what_runs_between_epochs_changes_nothing(
    tmp_path: Path, uninterrupted: tuple[Tensor, str, str]
) -> None:
    def draw(epoch: int, model: nn.Module) -> None:
        torch.rand(7), np.random.rand(3), random.random()  # noqa: NPY002, S311

    model = Noisy()
    run(tmp_path, model, on_epoch=draw)
    assert torch.equal(weights_of(model), uninterrupted[0])


def test_seeds_differ(tmp_path: Path, uninterrupted: tuple[Tensor, str, str]) -> None:
    model = Noisy()
    run(tmp_path, model, settings=replace(SETTINGS, seed=6))
    assert not torch.allclose(weights_of(model), uninterrupted[0], atol=1e-4)


def test_early_stop_after_patience_and_again_nothing_to_do(tmp_path: Path) -> None:
    values = iter([1.0, 0.5, 0.7, 0.6, 0.4])
    settings = replace(SETTINGS, epochs=8, patience=2)
    done = run(tmp_path, Noisy(), settings=settings, validation=lambda model: next(values))
    assert done.validation == (1.0, 0.5, 0.7, 0.6)
    assert done.epochs == 3
    again = run(tmp_path, Noisy(seed=2), settings=settings, validation=lambda model: next(values))
    assert again == done


def test_the_log_has_every_update(uninterrupted: tuple[Tensor, str, str]) -> None:
    header, *lines = uninterrupted[1].splitlines()
    assert header.split("\t") == [
        "epoch", "update", "loss", "gradient_norm",
        "learning_rate_backbone", "learning_rate_readout",
    ]  # fmt: skip
    rows = np.array([line.split("\t") for line in lines], dtype=float)
    assert rows[:, 1].tolist() == list(range(1, 13))
    assert rows[:, 0].tolist() == [1] * 4 + [2] * 4 + [3] * 4
    assert (rows[:, 4] > 0).all()
    np.testing.assert_allclose(rows[:, 5], 2 * rows[:, 4], rtol=1e-8)
    assert rows[-4:, 2].mean() < rows[:4, 2].mean()


@pytest.mark.parametrize(("mode", "number"), [("batch", 10), ("write", 5)])
def test_killed_and_run_again_gives_the_same(
    tmp_path: Path, uninterrupted: tuple[Tensor, str, str], mode: str, number: int
) -> None:
    process = start(tmp_path, mode, number)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    n_rows = len((tmp_path / "training.tsv").read_text().splitlines()) - 1
    assert 0 < n_rows < 12
    source, model = Rows(), Noisy(seed=3)  # the weights come from the checkpoint
    run(tmp_path, model, source=source)
    assert len(source.asked) < 21
    assert torch.equal(weights_of(model), uninterrupted[0])
    assert (tmp_path / "training.tsv").read_text() == uninterrupted[1]
    assert (tmp_path / "gradient_norms.tsv").read_text() == uninterrupted[2]
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
    assert not list(tmp_path.glob(".tmp-*checkpoint*"))


@pytest.mark.slow
def test_killed_at_any_time_again_and_again(
    tmp_path: Path, uninterrupted: tuple[Tensor, str, str]
) -> None:
    rng = np.random.default_rng(0)
    kills = 0
    for _ in range(40):
        process = start(tmp_path, "slow", 0.1)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0.2, 1.2))
        process.kill()
        if process.wait() == 0:
            break
        kills += 1
    assert kills >= 3
    model = Noisy(seed=3)
    run(tmp_path, model)
    assert torch.equal(weights_of(model), uninterrupted[0])
    assert (tmp_path / "training.tsv").read_text() == uninterrupted[1]
    assert (tmp_path / "gradient_norms.tsv").read_text() == uninterrupted[2]


def test_two_processes_update_as_one(
    tmp_path: Path, uninterrupted: tuple[Tensor, str, str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    processes = [
        start(tmp_path, "processes", 0, RANK=rank, LOCAL_RANK=rank, MASTER_PORT=port, **common)
        for rank in "01"
    ]
    for process in processes:
        process.communicate(timeout=120)
    assert [process.returncode for process in processes] == [0, 0]
    model = Noisy(seed=3)
    load_weights(tmp_path / "weights.safetensors", model)
    torch.testing.assert_close(weights_of(model), uninterrupted[0], rtol=0, atol=1e-6)
    # Were the gradients of one process used only, the log would say so in its first row.
    ours, one = ((tmp_path / "training.tsv").read_text(), uninterrupted[1])
    assert [row.split("\t")[:2] for row in ours.splitlines()] == [
        row.split("\t")[:2] for row in one.splitlines()
    ]


class Full(Noisy):
    """Runs out of memory at the third batch."""

    calls = 0

    def forward(self, batch: Batch) -> Tensor:
        self.calls += 1
        if self.calls == 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore.")
        return super().forward(batch)


def test_a_full_device_gives_advice_and_75(tmp_path: Path) -> None:
    with pytest.raises(BrainAlignError, match="ran out of memory") as caught:
        run(tmp_path, Full())
    assert caught.value.exit_code == ExitCode.TEMPORARY == 75
    for advice in ("smaller batches", "gradient checkpointing", "bf16", "Tried to allocate 2 GiB"):
        assert advice in str(caught.value)
    assert "More." not in str(caught.value)


def test_a_loss_that_is_not_finite_stops_training(tmp_path: Path) -> None:
    class Broken(Noisy):
        def forward(self, batch: Batch) -> Tensor:
            return super().forward(batch) * float("nan")

    with pytest.raises(BrainAlignError, match="the loss is nan at update 1"):
        run(tmp_path, Broken())


def test_a_gradient_that_is_not_finite_leaves_the_weights(tmp_path: Path) -> None:
    class Steep(Noisy):
        def forward(self, batch: Batch) -> Tensor:
            # √0 has an infinite slope: the loss is finite, its gradient isn't.
            return super().forward(batch) + torch.sqrt(0 * self.readout.weight.sum())

    model = Steep()
    before = weights_of(model)
    with pytest.raises(BrainAlignError, match="the gradient is nan at update 1"):
        run(tmp_path, model)
    assert torch.equal(weights_of(model), before)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_near_single(tmp_path: Path, precision: str) -> None:
    single, half = Noisy(is_noisy=False), Noisy(is_noisy=False)
    run(tmp_path / "fp32", single)
    run(tmp_path / "half", half, settings=replace(SETTINGS, precision=precision))
    assert all(p.dtype == torch.float32 for p in half.parameters())
    difference = (weights_of(half) - weights_of(single)).abs().max()
    assert 0 < difference < 0.02
    assert len((tmp_path / "half" / "training.tsv").read_text().splitlines()) == 13


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patience": 3}, "patience needs a validation loss"),
        ({"batches_per_update": 0}, "must be positive"),
        ({"clip_norm": 0.0}, "positive length"),
        ({"device": "cuda"}, "no CUDA device"),
        ({"learning_rates": (("readout.", 1.0),)}, "backbone.weight has no learning rate"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    if changes.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("there is one here")
    with pytest.raises(BrainAlignError, match=message) as caught:
        run(tmp_path, Noisy(), settings=replace(SETTINGS, **changes))
    assert caught.value.exit_code == ExitCode.USAGE
