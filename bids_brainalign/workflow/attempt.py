"""Run one step and turn whatever happens into a unit of the summary."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

from bids_brainalign.config.schema import Config
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.outputs.provenance import write_crash_file
from bids_brainalign.store.steps import Step, StepCache
from bids_brainalign.workflow.summary import Unit

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
    except BrainAlignError as error:
        unit = Unit(
            step.name,
            "failed",
            message=str(error),
            exit_code=int(error.exit_code),
            participant=participant,
        )
    except MemoryError:
        limit = config.resources.mem_gb
        unit = Unit(
            step.name,
            "failed",
            message=f"out of memory (--mem {limit:g}G)"
            if limit
            else "out of memory; use fewer processes (--nprocs 1) or a machine with more memory",
            exit_code=int(ExitCode.TEMPORARY),
            participant=participant,
        )
    except Exception as error:  # noqa: BLE001 - our own fault: keep everything, go on
        unit = _crashed(config, step, error, run_id=run_id, participant=participant)
    logger.error("%s failed: %s", step.name, unit.message)
    if config.control.stop_on_first_crash:
        raise StoppedOnCrash(unit)
    return unit


def _crashed(
    config: Config, step: Step, error: Exception, *, run_id: str, participant: str | None
) -> Unit:
    temporary = type(error).__name__ == "OutOfMemoryError"  # torch's, for CUDA
    crash: Path = write_crash_file(
        config.paths.output_dir,
        run_id=run_id,
        unit=step.name,
        participant=participant,
        details={"inputs": step.inputs},
        text="".join(traceback.format_exception(error)),
    )
    code = ExitCode.TEMPORARY if temporary else ExitCode.INTERNAL
    hint = "; use a smaller --batch-size or --device cpu" if temporary else ""
    return Unit(
        step.name,
        "failed",
        message=f"{type(error).__name__}: {error}{hint}",
        crash_file=crash,
        exit_code=int(code),
        participant=participant,
    )
