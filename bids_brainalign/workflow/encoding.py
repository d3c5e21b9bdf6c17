"""The step that fits one model on one fit and writes its derivatives."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.encoding.layerwise import FeatureSpace, Problem
from bids_brainalign.store.digest import file_digest
from bids_brainalign.store.features import FeatureStore
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow import tables
from bids_brainalign.workflow.assemble import Assembly, assemble, feature_space
from bids_brainalign.workflow.ceilings import Ceilings
from bids_brainalign.workflow.extraction import device_of
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.inference import (
    BlockResult,
    Contrast,
    SpaceResult,
    concatenate,
    corrected,
    infer_block,
    p_over_targets,
)
from bids_brainalign.workflow.inner_scores import keep_inner_scores
from bids_brainalign.workflow.kept_ceilings import ceilings_of
from bids_brainalign.workflow.localisation import anatomy_inputs
from bids_brainalign.workflow.parcels import parcel_blocks, parcels_of
from bids_brainalign.workflow.regions import region_inputs
from bids_brainalign.workflow.responses import response_path
from bids_brainalign.workflow.results import Result, test_samples, write_result
from bids_brainalign.workflow.spaces import Space, feature_key, rate_of
from bids_brainalign.workflow.voxels import encode_voxels

logger = logging.getLogger(__name__)

Array64 = NDArray[np.float64]


def encoding_name(fit: Fit, space: Space) -> str:
    """Name of the step that encodes a fit with one feature space."""
    return f"encoding {fit.name.stem} {fit.name.datatype} {space.name}"


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
    # A tuned model is not among `spaces`, on which folds depend: its digest tells it.
    inputs = fit_inputs(config, fit, spaces) | {
        "save": config.save,
        "model": [space.name, space.digest],
    }

    def work() -> list[Path]:
        result = encode(config, fit, space, twin, spaces)
        keep_inner_scores(config, fit_inputs(config, fit, spaces), space, result.inner)
        return write_result(config, result, space)

    return Step(
        name=encoding_name(fit, space),
        inputs=inputs,
        modules=("bids_brainalign.workflow.encoding",),
        work=work,
    )


def fit_inputs(config: Config, fit: Fit, spaces: Sequence[Space]) -> dict[str, object]:
    """List what every result of one fit depends on: its data, features, folds and nulls."""
    memo = config.paths.work_dir / "digests"
    slices = ("ieeg", "eeg", "fmri", "ridge", "folds", "nulls", "ceiling")
    stimuli = {p.stimulus.name: p.stimulus for p in fit.presentations}.values()
    rate = rate_of(config, fit.modality)
    inputs: dict[str, object] = {name: asdict(getattr(config, name)) for name in slices}
    # Whether the result is compared afterwards does not change it.
    inputs["ieeg"] = {k: v for k, v in asdict(config.ieeg).items() if k != "compare_reference"}
    return inputs | {
        "seed": config.random_seed,
        "features": [[s.name, feature_key(config, s, st, rate)] for s in spaces for st in stimuli],
        "responses": [response_path(config, fit, r).name for r in fit.recordings],
        "presentations": [
            [p.recording.name, p.stimulus.name, p.onset_s, p.content_group, p.segments, p.rule]
            for p in fit.presentations
        ],
        "stories": _stories_of_tuning(config),
        "folds_file": config.paths.folds.read_text() if config.paths.folds else "",
        "anatomy": region_inputs(config)
        if fit.modality == "fmri"
        else anatomy_inputs(config, fit),
        "targets_files": [file_digest(p, memo) for p in config.paths.targets],
        "stem": [fit.name.stem, fit.name.datatype],
    }


def _stories_of_tuning(config: Config) -> list[object]:
    """List what decides on folds where models are tuned."""
    own = config.tuning
    return [own.test_stories, own.validation_stories] if own.variants else []


def encode(
    config: Config, fit: Fit, space: Space, twin: Space | None, spaces: Sequence[Space]
) -> Result:
    """Fit all targets; large arrays of the result may be mapped from files."""
    assembly = assemble(config, fit, spaces)
    if space.kind == "lowlevel":
        logger.info("%s: folds\n%s", fit.name.stem, tables.fold_summary(assembly))
    sources = {"lowlevel": next(s for s in spaces if s.kind == "lowlevel")}
    if space.kind != "lowlevel":
        sources["model"] = space
    if twin is not None:
        sources["untrained"] = twin
    features = {k: feature_space(config, assembly, s) for k, s in sources.items()}
    contexts = {k: context_of(config, fit, s) for k, s in sources.items()}
    parcels, names = parcels_of(assembly)
    inputs = fit_inputs(config, fit, spaces)
    ceilings, parcels, names = ceilings_of(config, inputs, assembly, parcels, names)
    if parcels is None:
        return _electrodes(config, assembly, features, contexts, sources, ceilings)
    found = encode_voxels(
        lambda columns: problem_of(config, assembly, columns, parcels),
        features,
        parcels,
        config.paths.work_dir,
        save=config.save,
    )
    voxels = _join(found.parts, features, contexts, sources)
    return Result(
        assembly=assembly,
        targets=names,
        blocks=parcel_blocks(voxels, found.parts, parcels),
        voxels=voxels,
        predicted=found.predicted,
        response=found.response,
        samples=test_samples(assembly),
        voxel_predictions=found.voxel_predictions,
        weights=found.weights,
        inner=found.parts[0].inner,
        ceilings=ceilings,
        parcels=parcels,
    )


def _electrodes(
    config: Config,
    assembly: Assembly,
    features: dict[str, FeatureSpace],
    contexts: dict[str, tuple[float, float]],
    sources: dict[str, Space],
    ceilings: Ceilings | None,
) -> Result:
    """Fit all electrodes at once."""
    part = infer_block(
        problem_of(config, assembly, slice(None), None),
        features["lowlevel"],
        features.get("model"),
        features.get("untrained"),
        with_weights="weights" in config.save,
    )
    assert part.held_out is not None  # noqa: S101 - infer_block keeps it
    return Result(
        assembly=assembly,
        targets=assembly.targets,
        blocks=_join([part], features, contexts, sources),
        voxels={},
        predicted=np.concatenate(part.predictions),
        response=np.concatenate(list(part.held_out.responses)),
        samples=test_samples(assembly),
        voxel_predictions=None,
        weights=[] if part.weights is None else [part.weights],
        inner=part.inner,
        ceilings=ceilings,
    )


def problem_of(
    config: Config, assembly: Assembly, columns: slice, parcels: NDArray[np.bool_] | None
) -> Problem:
    """Build the problem of some targets: responses, samples, folds, delays and penalties."""
    return Problem(
        responses=[r.data[:, columns] for r in assembly.responses],
        layout=assembly.layout,
        plan=assembly.plan,
        delays=assembly.delays,
        alphas=config.ridge.alphas,
        fixed_alpha=config.ridge.fixed_alpha,
        metric=config.ridge.metric,
        solver=config.ridge.solver,
        device=device_of(config) if assembly.fit.modality == "fmri" else "cpu",
        scoring=config.ridge.scoring,
        band_weights=config.ridge.band_weights,
        draws=assembly.draws,
        min_samples=config.folds.min_samples,
        n_threads=config.resources.omp_nthreads,
        parcels=None if parcels is None else parcels[:, columns],
    )


def context_of(config: Config, fit: Fit, space: Space) -> tuple[float, float]:
    """Seconds of audio before and after a frame that the features of this fit may have heard."""
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
        blocks["model"].delta_model = _join_contrast(parts, "delta_model")
    return blocks


def _join_contrast(parts: list[BlockResult], name: str) -> Contrast | None:
    found = [c for p in parts if (c := getattr(p, name)) is not None]
    if not found:
        return None
    return Contrast(np.concatenate([c.value for c in found]), np.concatenate([c.p for c in found]))
