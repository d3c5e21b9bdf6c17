"""Model, batches and settings of one training, from the configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.config.variants import Variant
from bids_brainalign.encoding.many_targets import many_targets
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.statistics.folds import Split
from bids_brainalign.tuning.adaptation import Adaptation, FrontEnd, Kind, adapt
from bids_brainalign.tuning.backbone import Backbone
from bids_brainalign.tuning.batch_order import BatchSource
from bids_brainalign.tuning.block_batches import BlockBatches, BlockSettings, Source
from bids_brainalign.tuning.clip_batches import ClipBatches, ClipSettings
from bids_brainalign.tuning.clusters import cluster_frames
from bids_brainalign.tuning.loop_settings import LoopSettings, Precision
from bids_brainalign.tuning.losses import Loss, parse_loss
from bids_brainalign.tuning.masked_prediction import (
    MaskedBatches,
    MaskedModel,
    MaskSettings,
    heard_once,
    masked_loss,
)
from bids_brainalign.tuning.readouts import (
    Head,
    Normalisation,
    Readout,
    TunedModel,
    features_and_responses,
)
from bids_brainalign.tuning.schedule import ScheduleName
from bids_brainalign.tuning.stories import SAMPLE_RATE_HZ, Batch, Story, moved
from bids_brainalign.workflow.extraction import device_of
from bids_brainalign.workflow.spaces import Space, seed_of

PINNED_FOLDS = 3


def batches_of(
    config: Config, stories: Sequence[Story], backbone: Backbone, delays: Sequence[int]
) -> ClipBatches | BlockBatches:
    """Cut stories into clips or blocks.

    Parameters
    ----------
    config : Config
    stories : sequence of Story
    backbone : Backbone
        Blocks look at its frames.
    delays : sequence of int
        In rows, of blocks: those of the encoding model that look back.
    """
    own = config.tuning
    if own.input == "clips":
        interval = stories[0].interval_s
        settings = ClipSettings(clip_s=own.clip_s, offset_s=interval / 2, rows=own.batch_rows)
        return ClipBatches(stories, settings)
    if stories[0].interval_s < own.step_s and own.source == "windows":
        raise BrainAlignError(
            f"[tuning]: a feature every {own.step_s:g} s can't follow responses every "
            f"{stories[0].interval_s:g} s",
            fix='source = "dense" in [tuning], which takes all frames of the model',
            exit_code=ExitCode.USAGE,
        )
    blocks = BlockSettings(
        rows=own.batch_rows,
        delays=tuple(delay for delay in delays if delay >= 0),
        window_s=own.window_s,
        step_s=own.step_s,
        source=cast(Source, own.source),
    )
    return BlockBatches(stories, grid=backbone.grid, settings=blocks, n_frames=backbone.n_frames)


def backbone_of(config: Config, space: Space, *, seed: int) -> Backbone:
    """Open the model of a space with what is trained of it."""
    own = config.tuning
    assert space.source is not None  # noqa: S101 - models have a folder
    backbone = Backbone(
        space.source,
        layer=None if own.readout_layer < 0 else own.readout_layer,
        regularised=own.regularised,
        checkpointing=own.gradient_checkpointing,
    )
    adaptation = Adaptation(
        kind=cast(Kind, own.adaptation),
        cnn=cast(FrontEnd, own.cnn),
        up_to_layer=None if own.up_to_layer < 0 else own.up_to_layer,
        rank=own.lora_rank,
        alpha=own.lora_alpha,
        dropout=own.lora_dropout,
        target_modules=own.lora_modules or Adaptation.target_modules,
    )
    return adapt(backbone, adaptation, seed=seed)


@dataclass(frozen=True)
class Task:
    """What is trained, on what, to what end."""

    model: TunedModel | MaskedModel
    batches: BatchSource
    loss: Loss
    n_targets: int
    """Numbers per row, or clusters, that are predicted."""


def response_task(
    config: Config, backbone: Backbone, batches: BatchSource, *, n_targets: int
) -> Task:
    """Predict responses, or what stands in their place."""
    model = model_of(config, backbone, batches, n_targets=n_targets, device=device_of(config))
    return Task(model, batches, parse_loss(config.tuning.loss), n_targets)


def masked_task(
    config: Config, backbone: Backbone, stories: Sequence[Story], folder: Path
) -> Task:
    """Predict hidden frames of the stories' audio; clusters of frames are kept in `folder`."""
    device, seed = device_of(config), weights_seed(config)
    heard = heard_once(stories)
    folder.mkdir(parents=True, exist_ok=True)
    clusters = cluster_frames(
        backbone, heard, seed=seed, device=device, path=folder / "clusters.npz"
    )
    window = backbone.window_samples  # Whisper's costs the same however much is in it
    clip_s = MaskSettings.clip_s if window is None else window / SAMPLE_RATE_HZ
    masks = MaskSettings(clip_s=clip_s, seed=seed)
    batches = MaskedBatches(heard, clusters, backbone=backbone, settings=masks)
    model = MaskedModel(backbone, n_clusters=clusters.n_clusters, seed=seed).to(device)
    return Task(model, batches, masked_loss, clusters.n_clusters)


def model_of(
    config: Config,
    backbone: Backbone,
    batches: BatchSource,
    *,
    n_targets: int,
    device: str,
) -> TunedModel:
    """Put the readout on a backbone; what is fixed from training stories is fixed here."""
    own = config.tuning
    first = batches.batch(0, 0)
    readout = Readout(
        n_delays=1 if first.delays is None else int(first.delays.shape[1]),
        bottleneck=own.bottleneck,
        normalisation=cast(Normalisation, own.normalisation),
        head=cast(Head, own.readout),
    )
    seed = weights_seed(config)
    model = TunedModel(backbone, n_targets=n_targets, readout=readout, seed=seed).to(device)

    def every() -> Iterator[Batch]:  # one at a time: together they may not fit into memory
        return (moved(batches.batch(0, index), device) for index in range(len(batches)))

    if readout.normalisation == "training":
        model.fit_normalisation(every())
    if readout.head == "pinned":
        model.pin(*pinned_weights(config, *features_and_responses(model, every())))
    return model


def pinned_weights(
    config: Config, features: NDArray[np.float32], responses: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Ridge of training stories on the original's features; penalties from contiguous folds.

    Returns
    -------
    weights : ndarray of shape (n_features, n_targets)
    intercept : ndarray of shape (n_targets,)
    """
    rows = np.arange(len(features))
    inner = [Split(np.setdiff1d(rows, part), part) for part in np.array_split(rows, PINNED_FOLDS)]
    centre = features.mean(axis=0)
    scale = features.std(axis=0)
    scale[scale <= 1e-6 * max(float(scale.max()), 1e-30)] = 1.0
    design = np.ascontiguousarray((features - centre) / scale, dtype=np.float32)
    system = many_targets(
        design,
        responses,
        n_train=len(rows),
        n_threads=config.resources.omp_nthreads,
        device=device_of(config),
    )
    alpha = np.empty(responses.shape[1])
    alphas = np.asarray(config.ridge.alphas)
    for part in system.fit(rows, rows[:1], inner, alphas, metric=config.ridge.metric):
        alpha[part.columns] = part.alpha
    weights = np.empty((design.shape[1], responses.shape[1]), dtype=np.float32)
    for some, found in system.weights(rows, alpha):
        weights[:, some] = found
    weights /= scale[:, None]
    return weights, np.asarray(responses.mean(axis=0) - centre @ weights, dtype=np.float32)


def weights_seed(config: Config) -> int:
    """Seed of adapters and readout; ``seed`` in ``[tuning]`` gives others."""
    return seed_of(config, "tuning", "weights", *_numbered(config))


def _numbered(config: Config) -> list[str]:
    return [str(config.tuning.seed)] if config.tuning.seed else []


def loop_settings(config: Config, variant: Variant) -> LoopSettings:
    """Give the settings of the loop; settings that are compared see batches in the same order."""
    own = config.tuning
    return LoopSettings(
        epochs=own.epochs,
        learning_rates=(("", own.learning_rate), ("head.", own.head_learning_rate)),
        weight_decay=own.weight_decay,
        batches_per_update=own.batches_per_update,
        schedule=cast(ScheduleName, own.schedule),
        warmup_share=own.warmup_share,
        clip_norm=own.clip_norm or None,
        precision=cast(Precision, config.resources.precision),
        seed=seed_of(config, "tuning", variant.kind, *_numbered(config)),
        patience=own.patience or None,
        checkpoint_updates=own.checkpoint_updates,
        device=device_of(config),
    )
