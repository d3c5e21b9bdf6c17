"""Run one step and turn whatever happens into a unit of the summary."""

from __future__ import annotations

import logging
import traceback

from bids_brainalign.config.schema import Config
from bids_brainalign.outputs.provenance import write_crash_file
from bids_brainalign.store.steps import Step, StepCache
from bids_brainalign.workflow.summary import Unit, describe_failure

logger = logging.getLogger(__name__)


class StoppedOnCrash(Exception):
    """``--stop-on-first-crash``: carries the unit that failed."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        super().__init__(unit.name)

    def __reduce__(self) -> tuple[object, ...]:
        return (StoppedOnCrash, (self.unit,))


def step_cache(config: Config) -> StepCache:
    """Open the cache of this work dir."""
    return StepCache(config.paths.work_dir, roots=[config.paths.output_dir, config.paths.work_dir])


def attempt(config: Config, step: Step, *, run_id: str, participant: str | None = None) -> Unit:
    """Run a step or reuse its outputs; failures become units, not exceptions.

    Raises
    ------
    StoppedOnCrash
        A step failed and the run was asked to stop at the first failure.
    """
    logger.info("%s", step.name)
    try:
        status, _ = step_cache(config).run(step)
        logger.info("%s: %s", step.name, status)
        return Unit(step.name, status, participant=participant)
    except Exception as error:  # noqa: BLE001 - a failed step must not end the others
        unit = _failed(config, step, error, run_id=run_id, participant=participant)
    logger.error("%s failed: %s", step.name, unit.message)
    if config.control.stop_on_first_crash:
        raise StoppedOnCrash(unit)
    return unit


def _failed(
    config: Config, step: Step, error: Exception, *, run_id: str, participant: str | None
) -> Unit:
    """Describe a failure; what is our own fault also gets a crash file with everything."""
    code, message, is_ours = describe_failure(error)
    crash = None
    if is_ours:
        crash = write_crash_file(
            config.paths.output_dir,
            run_id=run_id,
            unit=step.name,
            participant=participant,
            details={"inputs": step.inputs},
            text="".join(traceback.format_exception(error)),
        )
    return Unit(
        step.name,
        "failed",
        message=message,
        crash_file=crash,
        exit_code=code,
        participant=participant,
    )
