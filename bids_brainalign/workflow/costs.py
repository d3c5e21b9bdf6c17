"""How much the models will compute and store, said before the work starts."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.types import Stimulus
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.decoder_folder import decoder_facts
from bids_brainalign.features.dense import Windowing
from bids_brainalign.features.ending import EndingWindows
from bids_brainalign.features.estimates import (
    Estimate,
    estimate,
    estimate_decoder,
    in_words,
    operations_per_second,
)
from bids_brainalign.features.folders import model_facts
from bids_brainalign.store.features import FeatureStore
from bids_brainalign.workflow.extraction import device_of
from bids_brainalign.workflow.memory import memory_limit
from bids_brainalign.workflow.spaces import Space, feature_key, usable_spaces, windowing_of
from bids_brainalign.workflow.text_features import text_estimates


def announce(
    config: Config, spaces: Sequence[Space], stimuli: Sequence[tuple[Stimulus, float]]
) -> list[str]:
    """One sentence per model whose features are not all stored yet.

    Parameters
    ----------
    config : Config
    spaces : sequence of Space
    stimuli : sequence of (Stimulus, rate in Hz)

    Raises
    ------
    BrainAlignError
        The work folder's disk can't hold the features (74).
    """
    store = FeatureStore(config.paths.work_dir / "features")
    lines: list[str] = []
    total, scratch, speed = 0, 0, 0.0
    for space in spaces:
        if space.kind not in {"model", "untrained"} or space.source is None:
            continue
        known = [(s, rate) for s, rate in stimuli if usable_spaces([space], [s])]
        keyed = {feature_key(config, space, s, rate): (s, rate) for s, rate in known}
        todo = [one for key, one in keyed.items() if not store.path_for(key).is_file()]
        if not todo:
            continue
        parts, what = _parts(config, space, space.source, todo)
        n_bytes = sum(part.n_bytes for part in parts)
        total += n_bytes
        scratch = max(scratch, *(part.scratch_bytes for part in parts))
        speed = speed or operations_per_second(device_of(config))
        seconds = sum(part.operations for part in parts) / speed
        lines.append(
            f"{space.name}: {what} over "
            f"{sum(s.duration_s for s, _ in todo) / 60:.1f} min of audio: "
            f"{in_words(n_bytes, seconds)}{_windows_in_words(config, space, todo)}, "
            f"{_memory_in_words(config, max(part.memory_bytes for part in parts))}"
        )
    _require_space(config.paths.work_dir, total + scratch)
    return lines


def _parts(
    config: Config, space: Space, folder: Path, todo: Sequence[tuple[Stimulus, float]]
) -> tuple[list[Estimate], str]:
    """Estimate each stimulus, and say what there will be of each frame or word."""
    if space.reads_text:
        return text_estimates(config, space, [stimulus for stimulus, _ in todo])
    facts, windowing = model_facts(folder), windowing_of(config, space)
    if space.reads_words and isinstance(windowing, Windowing):
        decoder = decoder_facts(folder)
        told = [(s.duration_s, len(s.words.table)) for s, _ in todo if s.words is not None]
        what = f"{decoder.n_layers} layers of {decoder.n_dims} numbers for "
        what += f"{sum(n for _, n in told):,} words"
        return [estimate_decoder(facts, decoder, windowing, told=[one]) for one in told], what
    parts = [
        estimate(
            facts,
            windowing,
            durations_s=[s.duration_s],
            rate_hz=rate,
            batch_size=config.resources.batch_size,
        )
        for s, rate in todo
    ]
    return parts, f"{facts.n_layers} layers of {facts.n_dims} numbers"


def _windows_in_words(config: Config, space: Space, todo: Sequence[tuple[Stimulus, float]]) -> str:
    """Say why a mode with a window per frame takes so long."""
    windowing = windowing_of(config, space)
    if space.reads_text or not isinstance(windowing, EndingWindows):
        return ""
    count = sum(windowing.count(stimulus.duration_s) for stimulus, _ in todo)
    return f" ({count:,} windows of {windowing.window_s:g} s, one every {windowing.stride_s:g} s)"


def _memory_in_words(config: Config, n_bytes: int) -> str:
    """Say how much memory a model takes, and what to do where there is less."""
    told = f"up to {n_bytes / 1e9:.1f} GB of memory"
    limit = memory_limit(config.resources)
    if n_bytes <= limit:
        return told
    return (
        f"{told}, but there are {limit / 1e9:.1f} GB: the run may be killed (give the job more "
        "memory, lower --batch-size, or take a smaller model)"
    )


def _require_space(work_dir: Path, n_bytes: int) -> None:
    nearest = next(p for p in (work_dir, *work_dir.parents) if p.exists())
    free = shutil.disk_usage(nearest).free
    if n_bytes > free:
        raise BrainAlignError(
            f"The features would take {n_bytes / 1e9:.1f} GB, and {work_dir} has "
            f"{free / 1e9:.1f} GB free.",
            fix="choose a larger disk with --work-dir, run fewer models at once, or lower "
            "ieeg_rate_hz and fmri_rate_hz in [features] of the configuration",
            exit_code=ExitCode.IO_ERROR,
        )
