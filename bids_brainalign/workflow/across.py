"""The analyses of all participants, and what is done across them: one model for all, transfer."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from bids_brainalign.config.schema import Config
from bids_brainalign.config.variants import TOGETHER, variants_of
from bids_brainalign.store.digest import digest_of
from bids_brainalign.workflow.analyses import signed
from bids_brainalign.workflow.attempt import attempt
from bids_brainalign.workflow.encoding import fit_inputs
from bids_brainalign.workflow.extraction import missing_features
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.participants import analyse, each_participant, prepare_responses
from bids_brainalign.workflow.spaces import Space, usable_spaces
from bids_brainalign.workflow.summary import Unit
from bids_brainalign.workflow.tuned_spaces import groups_of

logger = logging.getLogger(__name__)


def run_fits(
    config: Config, fits: Sequence[Fit], spaces: Sequence[Space], run_id: str
) -> list[Unit]:
    """Analyse every participant; what all share comes before, what looks at others after.

    Parameters
    ----------
    config : Config
    fits : sequence of Fit
    spaces : sequence of Space
        Their features are stored.
    run_id : str
    """
    units = _train_together(config, fits, spaces, run_id)
    units += each_participant(config, fits, spaces, run_id, _succeeded(units), analyse)
    if config.tuning.transfer and "encoding" in config.control.steps:
        units += each_participant(config, fits, spaces, run_id, _succeeded(units), transfer)
    return units


def _succeeded(units: Sequence[Unit]) -> frozenset[str]:
    return frozenset(unit.name for unit in units if unit.status in {"done", "reused"})


def _train_together(
    config: Config, fits: Sequence[Fit], spaces: Sequence[Space], run_id: str
) -> list[Unit]:
    """Train one model on all participants of each kind of recording, where this is asked for."""
    variants = [v for v in variants_of(config.tuning) if v.kind == TOGETHER]
    if not variants or "encoding" not in config.control.steps:
        return []
    from bids_brainalign.workflow.tuning import forget_training
    from bids_brainalign.workflow.tuning_steps import tuned_space
    from bids_brainalign.workflow.tuning_together import together_name, together_step

    space, units = tuned_space(config, spaces), []
    for mine in groups_of(fits):
        lacking = _lacking(config, mine, spaces, run_id)
        for variant in variants:
            if lacking:
                name = together_name(space, variant, mine[0].name)
                logger.error("%s: skipped, %s", name, lacking)
                units.append(Unit(name, "skipped", message=lacking))
                continue
            with _all_threads(config) as whole:
                step = together_step(whole, mine, space, spaces, variant)
                units.append(attempt(whole, step, run_id=run_id))
            if units[-1].status != "failed":
                forget_training(config, step)
    return units


def _lacking(config: Config, fits: Sequence[Fit], spaces: Sequence[Space], run_id: str) -> str:
    """Store the responses of all; tell whose responses or features there are none of."""
    without = []
    if "responses" in config.control.steps:
        stored = each_participant(config, fits, spaces, run_id, (), prepare_responses)
        # The analyses of each participant tell what became of these steps.
        without = [f"responses of {u.name}" for u in stored if u.status == "failed"]
    for fit in fits:
        usable = usable_spaces(spaces, [p.stimulus for p in fit.presentations])
        without += [f"features of {name}" for name in missing_features(config, fit, usable)]
    return f"there are no {', '.join(dict.fromkeys(without))}: see above" if without else ""


@contextmanager
def _all_threads(config: Config) -> Iterator[Config]:
    """Give one training all cores that participants share otherwise."""
    import torch
    from threadpoolctl import threadpool_limits

    count = max(1, config.resources.omp_nthreads, config.resources.nprocs)
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(count):
            yield replace(config, resources=replace(config.resources, omp_nthreads=count))
    finally:
        torch.set_num_threads(before)


def transfer(
    config: Config,
    fits: Sequence[Fit],
    spaces: Sequence[Space],
    run_id: str,
    before: Collection[str],
) -> list[Unit]:
    """Score one participant with the models that were tuned on others."""
    from threadpoolctl import threadpool_limits

    from bids_brainalign.workflow.tuning_transfer import transfer_steps

    units: list[Unit] = []
    with threadpool_limits(config.resources.omp_nthreads):
        for fit in fits:
            mine = usable_spaces(spaces, [p.stimulus for p in fit.presentations])
            settings = digest_of(fit_inputs(config, fit, mine))[:16]
            folder = config.paths.output_dir / fit.name.folder
            succeeded = set(before)
            for step in transfer_steps(config, fit, mine, succeeded):
                step = signed(step, settings, folder)
                units.append(attempt(config, step, run_id=run_id, participant=fit.participant))
                if units[-1].status != "failed":
                    succeeded.add(step.name)
    return units
