"""The step that fits one model on one fit and writes its derivatives."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.encoding.layerwise import FeatureSpace, Problem
from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.outputs.predictions import write_predictions
from bids_brainalign.outputs.statmaps import write_statmap
from bids_brainalign.outputs.tables import write_tsv
from bids_brainalign.statistics.tails import p_values
from bids_brainalign.store.features import FeatureStore
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow import tables
from bids_brainalign.workflow.assemble import Assembly, assemble, feature_space
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.inference import (
    BlockResult,
    Contrast,
    SpaceResult,
    concatenate,
    corrected,
    infer_block,
    layer_mode,
    p_over_targets,
)
from bids_brainalign.workflow.narrative import sidecar_fields
from bids_brainalign.workflow.responses import response_path
from bids_brainalign.workflow.spaces import LOWLEVEL, Space, feature_key, rate_of

logger = logging.getLogger(__name__)

BLOCK_TARGETS = 4096
"""Voxels fitted at once: bounds memory (2,000 null draws of a block are 33 MB)."""

Array64 = NDArray[np.float64]


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


def encoding_step(
    config: Config, fit: Fit, space: Space, twin: Space | None, spaces: Sequence[Space]
) -> Step:
    """Encode one fit with one model (or with the low-level features alone).

    Parameters
    ----------
    config : Config
    fit : Fit
    space : Space
        A model, the user's features, or the low-level set.
    twin : Space, optional
        Its untrained twin.
    spaces : sequence of Space
        All feature spaces of the run (the folds depend on their context).
    """
    slices = ("ieeg", "fmri", "ridge", "folds", "nulls")
    stimuli = {p.stimulus.name: p.stimulus for p in fit.presentations}.values()
    rate = rate_of(config, fit.modality)
    inputs: dict[str, object] = {name: asdict(getattr(config, name)) for name in slices}
    inputs |= {
        "seed": config.random_seed,
        "features": [[s.name, feature_key(config, s, st, rate)] for s in spaces for st in stimuli],
        "responses": [response_path(config, fit, r).name for r in fit.recordings],
        "presentations": [
            [p.recording.name, p.stimulus.name, p.onset_s, p.content_group, p.segments, p.rule]
            for p in fit.presentations
        ],
        "folds_file": config.paths.folds.read_text() if config.paths.folds else "",
        "model": space.name,
        "stem": [fit.name.stem, fit.name.datatype],
    }

    def work() -> list[Path]:
        result = encode(config, fit, space, twin, spaces)
        return write_result(config, result, space)

    return Step(
        name=f"encoding {fit.name.stem} {fit.name.datatype} {space.name}",
        inputs=inputs,
        modules=("bids_brainalign.workflow.encoding",),
        work=work,
    )


def encode(
    config: Config, fit: Fit, space: Space, twin: Space | None, spaces: Sequence[Space]
) -> Result:
    """Fit all targets block by block and join the blocks."""
    assembly = assemble(config, fit, spaces)
    if space.kind == "lowlevel":
        logger.info("%s: folds\n%s", fit.name.stem, tables.fold_summary(assembly))
    baseline = next(s for s in spaces if s.kind == "lowlevel")
    is_baseline = space.kind == "lowlevel"
    sources = {"lowlevel": baseline}
    if not is_baseline:
        sources["model"] = space
    if twin is not None:
        sources["untrained"] = twin
    features = {k: feature_space(config, assembly, s) for k, s in sources.items()}
    n_targets = len(assembly.targets)
    parcels, names = _parcels(assembly)
    parts: list[BlockResult] = []
    parcel_predicted = 0.0
    parcel_response = 0.0
    for start in range(0, n_targets, BLOCK_TARGETS):
        columns = slice(start, min(start + BLOCK_TARGETS, n_targets))
        block = infer_block(
            _problem(config, assembly, columns, parcels),
            features["lowlevel"],
            features.get("model"),
            features.get("untrained"),
        )
        if parcels is not None:
            mean = parcels[:, columns].T / parcels.sum(axis=1)
            predicted, response = _stacked(block)
            parcel_predicted = parcel_predicted + predicted @ mean.astype(np.float32)
            parcel_response = parcel_response + response @ mean.astype(np.float32)
        parts.append(block)
    contexts = {k: _context(config, fit, s) for k, s in sources.items()}
    per_target = _join(parts, features, contexts, sources)
    if parcels is None:
        predicted, response = _stacked(parts[0])
        rows, blocks, voxels = assembly.targets, per_target, {}
    else:
        predicted, response = np.asarray(parcel_predicted), np.asarray(parcel_response)
        rows, voxels = names, per_target
        blocks = _parcel_blocks(per_target, parts, parcels)
    return Result(assembly, rows, blocks, voxels, predicted, response, _test_samples(assembly))


def _problem(
    config: Config, assembly: Assembly, columns: slice, parcels: NDArray[np.bool_] | None
) -> Problem:
    return Problem(
        responses=[r.data[:, columns] for r in assembly.responses],
        layout=assembly.layout,
        plan=assembly.plan,
        delays=assembly.delays,
        alphas=config.ridge.alphas,
        fixed_alpha=config.ridge.fixed_alpha,
        band_weights=config.ridge.band_weights,
        draws=assembly.draws,
        min_samples=config.folds.min_samples,
        n_threads=config.resources.omp_nthreads,
        parcels=None if parcels is None else parcels[:, columns],
    )


def _parcels(assembly: Assembly) -> tuple[NDArray[np.bool_] | None, pd.DataFrame]:
    """Voxel groups that become rows of scores.tsv: the whole mask and its hemispheres."""
    targets = assembly.targets
    if assembly.fit.modality != "fmri":
        return None, targets
    hemisphere = targets["hemisphere"].to_numpy(dtype=str)
    groups = {"whole": ("n/a", np.ones(len(targets), dtype=bool))}
    groups |= {"left": ("L", hemisphere == "L"), "right": ("R", hemisphere == "R")}
    groups = {name: g for name, g in groups.items() if g[1].any()}
    rows = pd.DataFrame(
        {
            "name": list(groups),
            "type": "parcel",
            "hemisphere": [side for side, _ in groups.values()],
            "region": "n/a",
        }
    )
    return np.stack([members for _, members in groups.values()]), rows


def _stacked(block: BlockResult) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return np.concatenate(block.predictions), np.concatenate(list(block.held_out.responses))


def _context(config: Config, fit: Fit, space: Space) -> tuple[float, float]:
    store = FeatureStore(config.paths.work_dir / "features")
    rate = rate_of(config, fit.modality)
    stored = [
        store.load(store.path_for(feature_key(config, space, p.stimulus, rate)))
        for p in fit.presentations
    ]
    return max(s.context_past_s for s in stored), max(s.context_future_s for s in stored)


def _join(
    parts: list[BlockResult],
    features: dict[str, FeatureSpace],
    contexts: dict[str, tuple[float, float]],
    sources: dict[str, Space],
) -> dict[str, tables.ScoreBlock]:
    joined: dict[str, SpaceResult] = {}
    for kind in sources:
        joined[kind] = concatenate([r for p in parts if (r := getattr(p, kind)) is not None])
    blocks = {}
    for kind, result in joined.items():
        draws = [p.maxima[kind] for p in parts if kind in p.maxima]
        maxima = np.max(draws, axis=0) if draws else None
        blocks[kind] = tables.ScoreBlock(
            model=sources[kind].name,
            layers=features[kind].layers,
            result=result,
            n_null=0 if maxima is None else len(maxima),
            context_past_s=contexts[kind][0],
            context_future_s=contexts[kind][1],
            q=corrected(result.p),
            p_max=p_over_targets(result.r_max, maxima),
            r_lowlevel=joined["lowlevel"].selected_r if kind != "lowlevel" else None,
        )
    if "model" in blocks:
        blocks["model"].untrained = joined.get("untrained")
        blocks["model"].delta_lowlevel = _join_contrast(parts, "delta_lowlevel")
        blocks["model"].delta_untrained = _join_contrast(parts, "delta_untrained")
    return blocks


def _join_contrast(parts: list[BlockResult], name: str) -> Contrast | None:
    found = [c for p in parts if (c := getattr(p, name)) is not None]
    if not found:
        return None
    return Contrast(np.concatenate([c.value for c in found]), np.concatenate([c.p for c in found]))


def _parcel_blocks(
    voxels: dict[str, tables.ScoreBlock], parts: list[BlockResult], parcels: NDArray[np.bool_]
) -> dict[str, tables.ScoreBlock]:
    """Means over the voxels of each parcel, tested against the nulls of the same means."""
    weights = parcels / parcels.sum(axis=1, keepdims=True)
    size = parcels.sum(axis=1).astype(np.float64)

    def mean(values: Array64) -> Array64:
        return np.asarray(np.nan_to_num(values) @ weights.T)

    out = {}
    for kind, block in voxels.items():
        nulls = [p.parcel_nulls[kind] for p in parts if kind in p.parcel_nulls]
        null = sum(nulls[1:], start=nulls[0]) / size if nulls else None
        result = _parcel_result(block.result, null, mean, n_parcels=len(parcels))
        mode, agreement = _parcel_mode(block, parcels)
        parcel = tables.ScoreBlock(
            model=block.model,
            layers=block.layers,
            result=result,
            n_null=block.n_null,
            context_past_s=block.context_past_s,
            context_future_s=block.context_future_s,
            q=corrected(result.p),
            p_max=p_over_targets(result.r_max, None if null is None else null.max(axis=(0, 2))),
            r_lowlevel=None if block.r_lowlevel is None else mean(block.r_lowlevel),
            mode=mode,
            agreement=agreement,
        )
        for name in ("delta_lowlevel", "delta_untrained"):
            contrast: Contrast | None = getattr(block, name)
            if contrast is not None:
                value = mean(contrast.value)
                draws = [p.parcel_nulls[name] for p in parts if name in p.parcel_nulls]
                p = np.full(len(value), np.nan)
                if draws:
                    p = p_values(value, sum(draws[1:], start=draws[0]) / size)
                setattr(parcel, name, Contrast(value, p))
        out[kind] = parcel
    if "model" in out and "untrained" in out:
        out["model"].untrained = out["untrained"].result
    return out


def _parcel_result(
    result: SpaceResult,
    null: NDArray[np.floating] | None,
    mean: Callable[[Array64], Array64],
    *,
    n_parcels: int,
) -> SpaceResult:
    layer_r = mean(result.layer_r)
    layer_p = np.full(layer_r.shape, np.nan)
    p = np.full(n_parcels, np.nan)
    quantiles = np.full((4, n_parcels), np.nan)
    r_max = layer_r.max(axis=0)
    if null is not None:
        layer_p = np.stack([p_values(r, n) for r, n in zip(layer_r, null, strict=True)])
        over_layers = null.max(axis=0)
        p = p_values(r_max, over_layers)
        quantiles = np.quantile(over_layers, [0.5, 0.95, 0.99, 1.0], axis=0)
    return SpaceResult(
        layer_r=layer_r,
        layer_r2=mean(result.layer_r2),
        layer_p=layer_p,
        selected_r=mean(result.selected_r),
        selected_r2=mean(result.selected_r2),
        selected_r_fold=mean(result.selected_r_fold),
        chosen=np.zeros((len(result.chosen), n_parcels), dtype=np.int64),
        r_max=r_max,
        p=p,
        null_quantiles=quantiles,
    )


def _parcel_mode(
    block: tables.ScoreBlock, parcels: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], Array64]:
    n_layers = len(block.layers)
    modes, agreements = [], []
    for members in parcels:
        mode, agreement = layer_mode(block.result.chosen[:, members].reshape(-1, 1), n_layers)
        modes.append(mode[0])
        agreements.append(agreement[0])
    return np.array(modes), np.array(agreements)


def _test_samples(assembly: Assembly) -> pd.DataFrame:
    """Time, stimulus time, run and fold of every held-out sample, in the order of predictions."""
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
                    "run": names[samples.run[rows]],
                    "fold": k + 1,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def write_result(config: Config, result: Result, space: Space) -> list[Path]:
    """Write all files of one analysis under output_dir."""
    assembly = result.assembly
    name, root = assembly.fit.name, config.paths.output_dir
    sizes = [len(f.outer.test) for f in assembly.plan.folds]
    extra = sidecar_fields(config, assembly, space)
    written: list[Path] = []
    own = ["lowlevel"] if space.name == LOWLEVEL else ["model", "untrained"]
    for kind in own:
        if kind not in result.blocks:
            continue
        block = result.blocks[kind]
        label = analysis_label(block.model)
        scores = tables.score_table(block, result.targets, n_samples=sum(sizes), fold_sizes=sizes)
        path = root / name.file("scores.tsv", analysis=label)
        written += write_tsv(path, scores, tables.SCORE_COLUMNS, extra=extra)
        path = root / name.file("nulls.tsv", analysis=label)
        nulls = tables.null_table(block.result, result.targets)
        written += write_tsv(path, nulls, tables.NULL_COLUMNS)
        if assembly.fit.modality == "ieeg":
            coordinates = assembly.fit.recordings[0].space or ""
            channels = tables.channel_table(scores, assembly.targets, coordinates)
            path = root / name.file("channels.tsv", analysis=label)
            written += write_tsv(path, channels, tables.CHANNEL_COLUMNS)
        else:
            written += _write_maps(root, result, kind, label)
    label = analysis_label(space.name)
    path = root / name.file("folds.tsv", analysis=label)
    written += write_tsv(path, tables.fold_table(assembly), tables.FOLD_COLUMNS)
    written.append(
        write_predictions(
            root / name.file("predictions.h5", analysis=label),
            predicted=result.predicted,
            response=result.response,
            samples=result.samples,
            targets=[str(n) for n in result.targets["name"]],
            description="Held-out predictions of the layer chosen on inner folds, and responses, "
            "standardised; parcels are means over their voxels",
        )
    )
    return written


def _write_maps(root: Path, result: Result, kind: str, label: str) -> list[Path]:
    """Voxel maps: r per layer, q, and the preferred layer where it may be shown."""
    volume = result.assembly.responses[0].volume
    if volume is None or kind not in result.voxels:
        return []
    block, name = result.voxels[kind], result.assembly.fit.name
    written: list[Path] = []

    def write(stat: str, values: Array64, description: str) -> None:
        path = root / name.file("statmap.nii.gz", analysis=label, stat=stat)
        sidecar = {"Description": description, "Model": block.model, "Layers": list(block.layers)}
        written.extend(write_statmap(path, values, volume, sidecar=sidecar))

    layer_r = np.where(np.isfinite(block.result.layer_r), block.result.layer_r, 0.0)
    write("r", layer_r, "Held-out correlation; the fourth axis is the layer")
    q = np.where(np.isfinite(block.q), block.q, 1.0)
    write("q", q, tables.SCORE_COLUMNS["q_fdr"])
    if kind == "model" and block.delta_lowlevel is not None:
        mode, agreement = layer_mode(block.result.chosen, len(block.layers))
        q_delta = corrected(block.delta_lowlevel.p)
        shown = (q_delta < 0.05) & (agreement > 0.5)
        write(
            "layer",
            np.where(shown, mode.astype(np.float64), np.nan),
            "Preferred layer, only where the model adds to the low-level features (q_delta < .05) "
            "and more than half of the outer folds agree",
        )
    return written
