"""What is done with the responses of one fit, in order."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bids_brainalign.config.schema import Config
from bids_brainalign.outputs.reading import SETTINGS
from bids_brainalign.store.atomic import write_json
from bids_brainalign.store.digest import digest_of
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.assemble import assemble
from bids_brainalign.workflow.ceiling_step import ceiling_step, has_repeats
from bids_brainalign.workflow.combined import combined_step
from bids_brainalign.workflow.decoding import decoding_step
from bids_brainalign.workflow.encoding import encoding_name, encoding_step, fit_inputs
from bids_brainalign.workflow.first_looks import first_looks_step, warn_of_drift
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.lags import lag_step, scores_path
from bids_brainalign.workflow.locked import locked_step
from bids_brainalign.workflow.onset import assumed_recordings, onset_step, warn_of_onsets
from bids_brainalign.workflow.partition import partition_steps
from bids_brainalign.workflow.phone_times import missing_reason
from bids_brainalign.workflow.phonemes import phoneme_step, skipped_step
from bids_brainalign.workflow.recurrent import no_networks_step, recurrent_steps
from bids_brainalign.workflow.recurrent_attention import attention_steps
from bids_brainalign.workflow.recurrent_fits import too_short
from bids_brainalign.workflow.reference_check import reference_steps
from bids_brainalign.workflow.similarity import can_compare, response_similarity_step
from bids_brainalign.workflow.spaces import LOWLEVEL, Space
from bids_brainalign.workflow.timescale import timescale_step
from bids_brainalign.workflow.transcription import transcription_steps
from bids_brainalign.workflow.tuning_steps import tuning_steps
from bids_brainalign.workflow.voxel_networks import voxel_network_steps

logger = logging.getLogger(__name__)


def analysis_steps(
    config: Config, fit: Fit, spaces: Sequence[Space], succeeded: Collection[str]
) -> Iterator[Step]:
    """Give every step that follows the responses, each after the one before has run.

    A step is built when it is asked for, so it may read what earlier ones wrote.

    Parameters
    ----------
    config : Config
    fit : Fit
        Its responses are stored, and phones have been looked for.
    spaces : sequence of Space
        All feature spaces of the run; their features are stored.
    succeeded : collection of str
        Names of steps that did not fail; the caller adds each before it asks for the next. What
        lies in the output from an earlier run says nothing.
    """
    by_name = {space.name: space for space in spaces}
    # Each of these depends on the fit as a whole; its sidecars say on which.
    settings = digest_of(fit_inputs(config, fit, spaces))[:16]
    folder = config.paths.output_dir / fit.name.folder
    if "encoding" in config.control.steps:
        yield from _first_steps(config, fit, by_name)
        for step in _encoding_steps(config, fit, spaces, by_name, succeeded):
            yield signed(step, settings, folder)
    if "phonemes" in config.control.steps and fit.modality == "ieeg":
        reason = missing_reason(config, fit)
        if reason is not None:
            logger.info("phonemes %s: skipped, %s", fit.name.stem, reason)
            yield signed(skipped_step(config, fit, reason=reason), settings, folder)
            return
        yield signed(phoneme_step(config, fit, by_name[LOWLEVEL], spaces), settings, folder)


def signed(step: Step, settings: str, folder: Path) -> Step:
    """Write the digest of the fit's settings into every sidecar of a step.

    Sidecars lie in the folder of the fit's datatype; JSON files of models elsewhere are not ours.

    An output folder may hold tables of earlier settings; so readers know which belong together.
    """

    def work() -> list[Path]:
        written = list(step.work())
        for path in written:
            if path.suffix == ".json" and path.parent == folder:
                write_json(path, {SETTINGS: settings, **json.loads(path.read_text("utf-8"))})
        return written

    return replace(step, inputs={**step.inputs, "settings": settings}, work=work)


def _first_steps(config: Config, fit: Fit, by_name: Mapping[str, Space]) -> Iterator[Step]:
    """Give the steps that need no folds."""
    yield locked_step(config, fit, by_name[LOWLEVEL])
    if fit.modality != "fmri":
        yield first_looks_step(config, fit, by_name[LOWLEVEL])
        warn_of_drift(config, fit)
    if assumed_recordings(fit):
        yield onset_step(config, fit, by_name[LOWLEVEL])
        warn_of_onsets(config, fit)


def _encoding_steps(
    config: Config,
    fit: Fit,
    spaces: Sequence[Space],
    by_name: Mapping[str, Space],
    succeeded: Collection[str],
) -> Iterator[Step]:
    if has_repeats(config, fit):
        yield ceiling_step(config, fit, spaces)
    for space in spaces:
        if space.kind != "untrained":
            yield from _space_steps(config, fit, space, spaces, by_name, succeeded)
    yield from tuning_steps(config, fit, spaces, succeeded)
    encoded = [s for s in spaces if encoding_name(fit, s) in succeeded]
    yield from partition_steps(config, fit, encoded, spaces)


def _space_steps(
    config: Config,
    fit: Fit,
    space: Space,
    spaces: Sequence[Space],
    by_name: Mapping[str, Space],
    succeeded: Collection[str],
) -> Iterator[Step]:
    """Encode with one feature space; what builds on its scores follows where there are any."""
    twin = by_name.get(f"{space.name}:untrained")
    yield encoding_step(config, fit, space, twin, spaces)
    if config.probes.similarity and can_compare(space):
        yield response_similarity_step(config, fit, space, twin, spaces)
    scores = scores_path(config, fit, space)
    if scores is None or encoding_name(fit, space) not in succeeded:
        return
    if fit.modality == "fmri":
        if space.kind != "lowlevel":
            yield from voxel_network_steps(config, fit, space, spaces)
        return
    if config.lags.modes:
        yield lag_step(config, fit, space, spaces)
    if space.kind == "lowlevel":
        return
    yield timescale_step(config, fit, space, spaces)
    if config.ridge.top_layers:
        yield combined_step(config, fit, space, spaces, scores=scores)
    yield from reference_steps(config, fit, space, spaces)
    if config.decoding.decoders:
        yield decoding_step(config, fit, space, twin, spaces)
        yield from transcription_steps(config, fit, space, spaces)
    yield from _network_steps(config, fit, space, spaces)


def _network_steps(
    config: Config, fit: Fit, space: Space, spaces: Sequence[Space]
) -> Iterator[Step]:
    if all(name == "ridge" for name in config.encoders):
        return
    reason = too_short(config, assemble(config, fit, spaces))
    if reason is not None:
        logger.warning("networks %s %s: skipped, %s", fit.name.stem, space.name, reason)
        yield no_networks_step(config, fit, space, spaces, reason=reason)
        return
    yield from recurrent_steps(config, fit, space, spaces)
    yield from attention_steps(config, fit, space, spaces)
