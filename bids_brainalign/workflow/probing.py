"""All probes of a run, in order: they belong to models and speech, not to participants."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from bids_brainalign.config.schema import Config
from bids_brainalign.workflow.attempt import attempt
from bids_brainalign.workflow.extraction import feature_steps as extraction_steps
from bids_brainalign.workflow.extraction import stimuli_of
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.probe_features import can_probe
from bids_brainalign.workflow.probe_material import folder_material
from bids_brainalign.workflow.probes import (
    change_step,
    feature_steps,
    pairs_of,
    probe_data,
    probe_step,
)
from bids_brainalign.workflow.similarity import layer_pairs, layer_similarity_step
from bids_brainalign.workflow.spaces import Space
from bids_brainalign.workflow.summary import Unit
from bids_brainalign.workflow.tuned_spaces import tuned_on
from bids_brainalign.workflow.tuning_steps import tuned_space

logger = logging.getLogger(__name__)


def require_folders(config: Config) -> None:
    """Look at the folders of ``--probe-data`` before any work.

    Raises
    ------
    BrainAlignError
        One is of no known layout (66), or can't be parted or read (65).
    """
    if config.probes.kinds:
        for name, path in config.probes.data:
            found = folder_material(config, name, path)
            logger.info("%s: %d clips of %s, %s", name, len(found.clips), found.kind, found.rule)


def probe_models(
    config: Config, fits: Sequence[Fit], spaces: Sequence[Space], run_id: str
) -> list[Unit]:
    """Run the probes that were asked for; none without ``--probes`` and ``--similarity``.

    Models that this run has tuned are probed, too, each beside its original.
    """
    if "features" not in config.control.steps:
        return []
    data = probe_data(config, fits)
    units: list[Unit] = []
    if not data:
        return units
    tuned, originals = _tuned_models(config, fits, spaces, units, run_id)
    given, spaces = spaces, (*spaces, *tuned)
    for step in feature_steps(config, spaces, data):
        units.append(attempt(config, step, run_id=run_id))
    failed = {unit.name for unit in units if unit.status == "failed"}
    probed = [
        space for space in spaces
        if any(can_probe(space, one.material) for one in data)
        and not any(name.startswith(f"probe features {space.name} ") for name in failed)
    ]  # fmt: skip
    if not probed:
        logger.warning("probes: no model of this run has layers over time that can be probed")
    if config.probes.kinds:
        for space in probed:
            units.append(attempt(config, probe_step(config, space, data), run_id=run_id))
        pairs = pairs_of(config, [space for space in given if space in probed])
        pairs += [(space, originals[space.name]) for space in tuned if space in probed]
        for after, before in pairs:
            if before in probed:
                step = change_step(config, after, before, data)
                units.append(attempt(config, step, run_id=run_id))
    if config.probes.similarity:
        for first, second in layer_pairs([s for s in probed if s not in tuned], data[0]):
            step = layer_similarity_step(config, first, second, data[0])
            units.append(attempt(config, step, run_id=run_id))
    return units


def _tuned_models(
    config: Config,
    fits: Sequence[Fit],
    spaces: Sequence[Space],
    units: list[Unit],
    run_id: str,
) -> tuple[list[Space], dict[str, Space]]:
    """Give the models that this run tuned, with features of all stimuli, and their originals."""
    if not (config.tuning.variants and config.probes.kinds):
        return [], {}
    original = tuned_space(config, spaces)
    tuned = []
    for space in tuned_on(config, fits, original):
        made = [
            attempt(config, step, run_id=run_id)
            for step in extraction_steps(config, space, stimuli_of(config, fits))
        ]
        units += made
        if not any(unit.status == "failed" for unit in made):
            tuned.append(space)
    return tuned, {space.name: original for space in tuned}
