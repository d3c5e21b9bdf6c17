"""Seconds of brain-tuning, beside a plain loop that runs clip after clip through the stock model.

Weights are random and audio is noise: the cost doesn't depend on them. Both loops see the same
clips in the same order, train the same parameters with Adam, and must report the same losses.
In the first epoch the output of the frozen front end is computed and kept, in later ones it is
read; all that the loop does besides (checkpoints, log, norms) is counted.
``clips`` are those of a pooled readout (a clip per response), ``windows`` and ``dense`` blocks of
responses with their history, as short windows or as long clips (one feature space more, which the
plain loop isn't run on). On a GPU seconds are by the clock and memory is the GPU's:
``python benchmarks/tuning.py --size base --device cuda --targets 90000 --rows 128 --stories 8``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tables import Row, show
from torch import Tensor, nn
from transformers import AutoModel, Wav2Vec2Config, Wav2Vec2FeatureExtractor, WavLMConfig

from bids_brainalign.tuning.adaptation import Adaptation, adapt
from bids_brainalign.tuning.backbone import Backbone
from bids_brainalign.tuning.batch_order import batch_order
from bids_brainalign.tuning.block_batches import BlockBatches, BlockSettings
from bids_brainalign.tuning.clip_batches import ClipBatches, ClipSettings
from bids_brainalign.tuning.front_end import standardised
from bids_brainalign.tuning.kept_front_end import with_kept_front_end
from bids_brainalign.tuning.loop import train
from bids_brainalign.tuning.loop_settings import LoopSettings
from bids_brainalign.tuning.readouts import Readout, TunedModel
from bids_brainalign.tuning.stories import SAMPLE_RATE_HZ, Batch, Story, moved

SMALL: dict[str, Any] = {
    "hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4,
    "intermediate_size": 512, "conv_dim": (64,) * 7, "num_conv_pos_embeddings": 64,
    "num_conv_pos_embedding_groups": 8,
}  # fmt: skip
CONFIGS: dict[str, Any] = {"wav2vec2": Wav2Vec2Config, "wavlm": WavLMConfig}
TR_S = 2.0045


@dataclass(frozen=True)
class Measured:
    """One loop."""

    first: float
    """Seconds of the first epoch, with all that comes before it."""
    later: float
    """Of the quickest later epoch."""
    losses: list[float]
    memory_gb: float | None


def write_model(folder: Path, family: str, size: str) -> Path:
    """Write a model with random weights and its family's architecture."""
    torch.manual_seed(0)
    config = CONFIGS[family](**(SMALL if size == "small" else {}))
    AutoModel.from_config(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=family != "wavlm").save_pretrained(folder)
    return folder


def make_stories(asked: argparse.Namespace) -> list[Story]:
    rng = np.random.default_rng(0)
    times = TR_S * np.arange(asked.rows_per_story) + 1
    n_samples = int((times[-1] + 1) * SAMPLE_RATE_HZ)
    return [
        Story(
            f"story{k}",
            rng.standard_normal(n_samples, dtype=np.float32),
            times,
            rng.standard_normal((len(times), asked.targets), dtype=np.float32),
        )
        for k in range(asked.stories)
    ]


def make_model(folder: Path, asked: argparse.Namespace, *, n_delays: int) -> TunedModel:
    backbone = adapt(Backbone(folder), Adaptation(kind="full"), seed=0)
    bottleneck = 100 if n_delays > 1 else 0
    readout = Readout(n_delays=n_delays, bottleneck=bottleneck)
    return TunedModel(backbone, n_targets=asked.targets, readout=readout, seed=0)


def clock(device: str) -> float:
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def measured(device: str, loop: Callable[[Callable[[], None]], list[float]]) -> Measured:
    """Run a loop that calls what it is given at the end of every epoch."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    times = [clock(device)]
    losses = loop(lambda: times.append(clock(device)))
    first, *later = np.diff(times).tolist()
    memory = None if device == "cpu" else torch.cuda.max_memory_allocated() / 1e9
    return Measured(first, min(later), losses, memory)


def our_loop(
    model: TunedModel, batches: Any, settings: LoopSettings, tick: Callable[[], None]
) -> list[float]:
    def on_epoch(epoch: int, model: nn.Module) -> None:
        if epoch:
            tick()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = with_kept_front_end(
            batches, model.backbone.to(settings.device), folder, key="",
            precision=settings.precision,
        )  # fmt: skip
        train(model, source, nn.functional.mse_loss, settings, folder, on_epoch=on_epoch)
        log = (folder / "training.tsv").read_text().splitlines()[1:]
    return [float(line.split("\t")[2]) for line in log]


def plain_loop(
    stock: Any, model: TunedModel, batches: Any, settings: LoopSettings, tick: Callable[[], None]
) -> list[float]:
    """What one writes in an afternoon: stock model, one clip at a time."""
    trained = {n.removeprefix("net.") for n, p in model.backbone.named_parameters()
               if p.requires_grad}  # fmt: skip
    for name, parameter in stock.named_parameters():
        parameter.requires_grad_(name in trained)
    head = model.head.to(settings.device)
    parameters = [p for p in (*stock.parameters(), *head.parameters()) if p.requires_grad]
    adam = torch.optim.Adam(parameters, lr=settings.learning_rates[0][1])
    losses = []
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(settings.precision, torch.bfloat16)
    for epoch in range(settings.epochs):
        for index in batch_order(len(batches), seed=settings.seed, epoch=epoch):
            batch = moved(batches.batch(epoch, index), settings.device)
            with torch.autocast(settings.device, half, enabled=settings.precision != "fp32"):
                predicted = head(plain_features(stock, model, batch))
            loss = nn.functional.mse_loss(predicted.float(), batch.responses)
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(float(loss.detach()))
        tick()
    return losses


def plain_features(stock: Any, model: TunedModel, batch: Batch) -> Tensor:
    rows = []
    n_frames = model.backbone.n_frames(batch.clips.shape[1])
    for clip, n_valid in zip(batch.clips, batch.n_valid.tolist(), strict=True):
        heard = clip[None, :n_valid]
        if model.backbone._normalises:
            heard = standardised(heard, torch.ones_like(heard, dtype=torch.bool))
        frames = stock(heard).last_hidden_state[0].float()
        missing = n_frames - len(frames)
        rows.append(
            frames.mean(dim=0)
            if batch.mixing is None
            else nn.functional.pad(frames, (0, 0, 0, missing))
        )
    if batch.mixing is None:
        return torch.stack(rows)
    with torch.autocast(batch.clips.device.type, enabled=False):
        mixed = torch.sparse.mm(batch.mixing, torch.cat(rows))
    return torch.cat([mixed, mixed.new_zeros(1, mixed.shape[1])])[batch.delays].flatten(1)


def case_rows(kind: str, folder: Path, asked: argparse.Namespace) -> list[Row]:
    """Both loops, turn by turn; the smallest seconds of each count."""
    settings = LoopSettings(
        epochs=asked.epochs, learning_rates=(("", 1e-4),), schedule="constant",
        device=asked.device, precision=asked.precision,
    )  # fmt: skip
    stories = make_stories(asked)
    n_delays = 1 if kind == "clips" else len(BlockSettings().delays)
    probe = make_model(folder, asked, n_delays=n_delays)
    if kind == "clips":
        batches: Any = ClipBatches(stories, ClipSettings(rows=asked.rows, clip_s=asked.clip_s))
    else:
        block = BlockSettings(rows=asked.block_rows, source=kind)
        batches = BlockBatches(
            stories, grid=probe.backbone.grid, n_frames=probe.backbone.n_frames, settings=block
        )
    ours: list[Measured] = []
    plain: list[Measured] = []
    for _ in range(asked.repeats):
        model = make_model(folder, asked, n_delays=n_delays)
        ours.append(
            measured(asked.device, lambda tick, m=model: our_loop(m, batches, settings, tick))
        )
        if kind != "dense":
            model = make_model(folder, asked, n_delays=n_delays)
            stock = AutoModel.from_pretrained(folder).eval().to(settings.device)
            plain.append(
                measured(
                    asked.device,
                    lambda tick, m=model, s=stock: plain_loop(s, m, batches, settings, tick),
                )
            )
    n_clips = sum(len(batches.batch(0, k).clips) for k in range(len(batches)))
    n_rows = sum(len(batches.rows(0, k)) for k in range(len(batches)))
    case = (f"tuning {asked.family}-{asked.size} {asked.precision}, {kind}: {n_rows} responses, "
            f"{n_clips} clips, {asked.targets} targets")  # fmt: skip
    return [
        one
        for part in ("first", "later")
        for one in part_rows(case, part, ours, plain, n_clips=n_clips)
    ]


def part_rows(
    case: str, part: str, ours: list[Measured], plain: list[Measured], *, n_clips: int
) -> list[Row]:
    """First or later epochs of both loops, the smallest seconds of each."""
    best = min(getattr(one, part) for one in ours)
    rows = []
    for tool, tried in (("bids_brainalign", ours), ("clip after clip, stock model", plain)):
        if not tried:
            continue
        seconds = min(getattr(one, part) for one in tried)
        speed = f"{n_clips / seconds:.3g} clips/s"
        if tried is plain:
            differing = np.abs(np.subtract(tried[0].losses, ours[0].losses)).max()
            speed += f"; losses differ by {differing:.1g} of {ours[0].losses[0]:.2g} at most"
        name = f"{case}, {'first epoch' if part == 'first' else 'later epochs'}"
        rows.append(Row(name, tool, seconds, seconds / best, tried[0].memory_gb, speed))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--family", choices=CONFIGS, default="wav2vec2")
    parser.add_argument("--size", choices=("small", "base"), default="small")
    parser.add_argument("--kinds", nargs="+", choices=("clips", "windows", "dense"),
                        default=["clips", "windows", "dense"])  # fmt: skip
    parser.add_argument("--stories", type=int, default=1)
    parser.add_argument("--rows-per-story", type=int, default=36)
    parser.add_argument("--rows", type=int, default=12, help="responses per batch of clips")
    parser.add_argument("--block-rows", type=int, default=10)
    parser.add_argument("--clip-s", type=float, default=10.0)
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--precision", choices=("fp32", "bf16", "fp16"), default="fp32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--epochs", type=int, default=3, help="two at least")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    with suppress(ImportError):
        from transformers.utils import logging

        logging.disable_progress_bar()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(Path(folder), asked.family, asked.size)
        for kind in asked.kinds:
            rows += case_rows(kind, model, asked)
    show(rows, threads=asked.threads, as_json=asked.json)


if __name__ == "__main__":
    main()
