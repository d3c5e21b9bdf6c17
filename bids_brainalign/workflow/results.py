"""What one fit gives for one model, and its files under output_dir."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.encoding.weights import TargetWeights
from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.outputs.predictions import VoxelPredictions, write_predictions
from bids_brainalign.outputs.statmaps import write_maps
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.outputs.weights import write_weights
from bids_brainalign.workflow import tables
from bids_brainalign.workflow.assemble import Assembly
from bids_brainalign.workflow.ceiling_scores import add_ceilings, normalised_map
from bids_brainalign.workflow.ceiling_selection import selection_fields
from bids_brainalign.workflow.ceilings import Ceilings
from bids_brainalign.workflow.layer_maps import layer_maps
from bids_brainalign.workflow.narrative import sidecar_fields
from bids_brainalign.workflow.spaces import LOWLEVEL, Space
from bids_brainalign.workflow.variance import (
    VARIANCE_COLUMNS,
    Explained,
    explained,
    variance_table,
)

Array64 = NDArray[np.float64]
PerFold = tuple[NDArray[np.float32], ...]


@dataclass(frozen=True)
class Result:
    """All targets of one fit, blocks joined."""

    assembly: Assembly
    targets: pd.DataFrame
    """Rows of scores.tsv: electrodes, or parcels."""
    blocks: dict[str, tables.ScoreBlock]
    """``lowlevel``, ``model``, ``untrained`` → what their tables say."""
    voxels: dict[str, tables.ScoreBlock]
    """The same per voxel (fMRI); empty for electrodes."""
    predicted: NDArray[np.float32]
    """(n_test, n_rows) held-out predictions of the rows of scores.tsv."""
    response: NDArray[np.float32]
    samples: pd.DataFrame
    voxel_predictions: tuple[PerFold, PerFold] | None
    """Held-out predictions and responses of voxels, per fold (n_test, n_voxels), if they are to be
    saved."""
    weights: list[TargetWeights]
    """Of all targets; empty unless they are to be saved."""
    inner: Array64
    """(n_layers, n_folds) score on the inner folds, mean over targets."""
    ceilings: Ceilings | None = None
    """None where no held-out stimulus was repeated."""
    parcels: NDArray[np.bool_] | None = None
    """(n_rows, n_voxels) voxels of the rows; None for electrodes."""


def write_result(config: Config, result: Result, space: Space) -> list[Path]:
    """Write all files of one analysis under output_dir."""
    assembly = result.assembly
    name, root = assembly.fit.name, config.paths.output_dir
    sizes = [len(f.outer.test) for f in assembly.plan.folds]
    written: list[Path] = []
    own = ["lowlevel"] if space.name == LOWLEVEL else ["model", "untrained"]
    for kind in own:
        if kind not in result.blocks:
            continue
        block = result.blocks[kind]
        described = replace(space, kind="untrained") if kind == "untrained" else space
        extra = sidecar_fields(config, assembly, described) | selection_fields(config, assembly)
        label = analysis_label(block.model)
        scores = tables.score_table(block, result.targets, n_samples=sum(sizes), fold_sizes=sizes)
        scores = add_ceilings(
            scores, result.ceilings, block.result.selected_r_fold,
            fold_sizes=sizes, min_samples=config.folds.min_samples,
        )  # fmt: skip
        path = root / name.file("scores.tsv", analysis=label)
        written += write_tsv(path, scores, tables.SCORE_COLUMNS, extra=extra)
        path = root / name.file("nulls.tsv", analysis=label)
        nulls = tables.null_table(block.result, result.targets)
        written += write_tsv(path, nulls, tables.NULL_COLUMNS)
        if kind == "model":
            parts = _variance(result)
            shares = None
            if parts is not None:
                shares = variance_table(block, parts, result.targets, n_samples=sum(sizes))
            if shares is not None:
                path = root / name.file("variance.tsv", analysis=label)
                written += write_tsv(path, shares, VARIANCE_COLUMNS)
        if assembly.fit.modality != "fmri":
            coordinates = assembly.fit.recordings[0].space or ""
            channels = tables.channel_table(scores, assembly.targets, coordinates)
            path = root / name.file("channels.tsv", analysis=label)
            written += write_tsv(path, channels, tables.CHANNEL_COLUMNS)
        else:
            least = config.folds.min_samples
            written += _write_maps(root, result, kind, label, min_samples=least)
    label = analysis_label(space.name)
    path = root / name.file("folds.tsv", analysis=label)
    written += write_tsv(path, tables.fold_table(assembly), tables.FOLD_COLUMNS)
    volume = assembly.responses[0].volume
    if result.weights:
        written.append(_write_weights(config, result, space))
    written.append(
        write_predictions(
            root / name.file("predictions.h5", analysis=label),
            predicted=result.predicted,
            response=result.response,
            samples=result.samples,
            targets=[str(n) for n in result.targets["name"]],
            description="Held-out predictions of the layer chosen on inner folds, and responses, "
            "standardised; parcels are means over their voxels",
            voxels=(
                None
                if result.voxel_predictions is None
                else VoxelPredictions(
                    result.voxel_predictions[0],
                    result.voxel_predictions[1],
                    None if volume is None else np.argwhere(volume.mask),
                    None if volume is None else volume.affine,
                    [str(target) for target in assembly.targets["name"]],
                )
            ),
        )
    )
    return written


def _variance(result: Result) -> Explained | None:
    """Part the variance of the rows of scores.tsv."""
    if result.parcels is None:
        return explained(result.blocks["model"], result.blocks["lowlevel"])
    voxels = explained(result.voxels["model"], result.voxels["lowlevel"])
    return None if voxels is None else voxels.of_parcels(result.parcels)


def _write_weights(config: Config, result: Result, space: Space) -> Path:
    assembly = result.assembly
    volume = assembly.responses[0].volume
    layers = result.blocks["lowlevel" if space.name == LOWLEVEL else "model"].layers
    (found,) = result.weights
    return write_weights(
        config.paths.output_dir
        / assembly.fit.name.file("weights.h5", analysis=analysis_label(space.name)),
        weights=found.weights,
        layer=[layers[i] for i in found.layer],
        alpha=found.alpha,
        delays_s=np.array(assembly.delays) * assembly.interval_s,
        targets=[str(name) for name in assembly.targets["name"]],
        voxels=None if volume is None else np.argwhere(volume.mask),
        affine=None if volume is None else volume.affine,
    )


def _write_maps(
    root: Path, result: Result, kind: str, label: str, *, min_samples: int
) -> list[Path]:
    """Write maps: r per layer, q, where it is significant, the preferred layer."""
    grid = result.assembly.responses[0].grid
    if grid is None or kind not in result.voxels:
        return []
    block, name = result.voxels[kind], result.assembly.fit.name
    layers = [str(layer) for layer in block.layers]
    written: list[Path] = []

    def write(stat: str, values: Array64, description: str) -> None:
        sidecar = {"Description": description, "Model": block.model, "Layers": list(block.layers)}
        written.extend(
            write_maps(
                root, name, values, grid, analysis=label, stat=stat, layers=layers, sidecar=sidecar
            )
        )

    layer_r = np.where(np.isfinite(block.result.layer_r), block.result.layer_r, 0.0)
    write("r", layer_r, "Held-out correlation of every layer")
    if result.ceilings is not None:
        sizes = [len(fold.outer.test) for fold in result.assembly.plan.folds]
        write("rNorm", *normalised_map(block.result, result.ceilings, sizes, min_samples))
    q = np.where(np.isfinite(block.q), block.q, 1.0)
    write("q", q, tables.SCORE_COLUMNS["q_fdr"])
    for stat, values, description in layer_maps(block):
        write(stat, values, description)
    parts = explained(block, result.voxels["lowlevel"]) if kind == "model" else None
    if parts is not None:
        write("unique", np.nan_to_num(parts.unique_model), VARIANCE_COLUMNS["unique_model"])
        write("shared", np.nan_to_num(parts.shared), VARIANCE_COLUMNS["shared"])
    return written


def test_samples(assembly: Assembly) -> pd.DataFrame:
    """Time, stimulus time, stimulus, run and fold of held-out samples, in order of predictions."""
    stimuli = sorted({p.stimulus.name for p in assembly.fit.presentations})
    heard = np.array(stimuli, dtype=object)
    names = np.array([r.name for r in assembly.fit.recordings], dtype=object)
    samples = assembly.samples
    parts = []
    for k, fold in enumerate(assembly.plan.folds):
        rows = fold.outer.test
        parts.append(
            pd.DataFrame(
                {
                    "time": samples.time_s[rows],
                    "stimulus_time": samples.stimulus_s[rows],
                    "stimulus": heard[samples.stimulus[rows]],
                    "run": names[samples.run[rows]],
                    "fold": k + 1,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
