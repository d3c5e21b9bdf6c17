"""Work on the responses of all participants, in parallel processes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol, TypeVar

from bids_brainalign.config.schema import Config
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.outputs.provenance import is_of_interest, run_log
from bids_brainalign.workflow.analyses import analysis_steps
from bids_brainalign.workflow.attempt import attempt
from bids_brainalign.workflow.encoding import encoding_name
from bids_brainalign.workflow.extraction import missing_features
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.responses import response_step
from bids_brainalign.workflow.spaces import Space, unread, usable_spaces
from bids_brainalign.workflow.summary import Unit
from bids_brainalign.workflow.text_features import no_words

logger = logging.getLogger(__name__)


class OfParticipant(Protocol):
    """Recordings of one participant that are worked on together: a fit, a speaker."""

    @property
    def participant(self) -> str:
        """Label without ``sub-``."""
        ...


One = TypeVar("One", bound=OfParticipant)
Work = Callable[[Config, Sequence[One], Sequence[Space], str, Collection[str]], list[Unit]]
"""Configuration, fits of one participant, feature spaces, run, names of steps that were done
before → what became of the steps."""


def each_participant(
    config: Config,
    fits: Sequence[One],
    spaces: Sequence[Space],
    run_id: str,
    before: Collection[str],
    work: Work[One],
) -> list[Unit]:
    """Work on participants in parallel processes; each gets its share of the cores.

    Fits of one participant run one after the other with all of that share: they differ in cost
    (iEEG and fMRI), and threads over folds leave no core idle.

    Parameters
    ----------
    config : Config
    fits : sequence of Fit or Speaker
    spaces : sequence of Space
    run_id : str
    before : collection of str
        Names of steps of all participants that did not fail.
    work : callable
        A function of a module, as other processes have to find it.
    """
    from joblib import Parallel, delayed

    by_participant: dict[str, list[One]] = {}
    for fit in fits:
        by_participant.setdefault(fit.participant, []).append(fit)
    jobs = max(1, min(config.resources.nprocs, len(by_participant)))
    threads = max(config.resources.omp_nthreads, config.resources.nprocs // jobs)
    shared = replace(config, resources=replace(config.resources, omp_nthreads=threads))
    tasks = [(shared, mine, spaces, run_id, before, work) for mine in by_participant.values()]
    if jobs == 1:
        results = [_with_logs(*task) for task in tasks]
    else:
        try:
            results = Parallel(n_jobs=jobs, backend="loky")(delayed(_with_logs)(*t) for t in tasks)
        except BrokenProcessPool as error:
            raise _killed(config) from error
    return [unit for units in results for unit in units]


def _killed(config: Config) -> BrainAlignError:
    limit = config.resources.mem_gb
    return BrainAlignError(
        "a worker process was killed, probably because memory ran out",
        where=f"{config.resources.nprocs} processes"
        + (f", --mem {limit:g}G" if limit is not None else ""),
        fix="run fewer at once (--nprocs 1) or one participant per job; what is done is kept",
        exit_code=ExitCode.TEMPORARY,
    )


def _with_logs(
    config: Config,
    fits: Sequence[One],
    spaces: Sequence[Space],
    run_id: str,
    before: Collection[str],
    work: Work[One],
) -> list[Unit]:
    with _worker_logs(config, run_id):
        return work(config, fits, spaces, run_id, before)


def analyse(
    config: Config,
    fits: Sequence[Fit],
    spaces: Sequence[Space],
    run_id: str,
    before: Collection[str],
) -> list[Unit]:
    """Do everything that is done with one participant's responses."""
    return [u for fit in fits for u in _run_fit(config, fit, spaces, run_id, before)]


def prepare_responses(
    config: Config,
    fits: Sequence[Fit],
    spaces: Sequence[Space],
    run_id: str,
    before: Collection[str],
) -> list[Unit]:
    """Store the responses of one participant."""
    return [u for fit in fits for u in _store_responses(config, fit, run_id)]


def _store_responses(config: Config, fit: Fit, run_id: str) -> list[Unit]:
    """Store the responses of a fit; ends with the first that fails."""
    units: list[Unit] = []
    for step in [response_step(config, fit, r) for r in fit.recordings]:
        units.append(attempt(config, step, run_id=run_id, participant=fit.participant))
        if units[-1].status == "failed":
            break
    return units


def _run_fit(
    config: Config, fit: Fit, spaces: Sequence[Space], run_id: str, before: Collection[str]
) -> list[Unit]:
    """Responses of one fit, then its analyses; stops at what others depend on."""
    from threadpoolctl import threadpool_limits

    units: list[Unit] = []
    stimuli = [p.stimulus for p in fit.presentations]
    all_spaces, spaces = spaces, usable_spaces(spaces, stimuli)
    for space in all_spaces:
        if space not in spaces and space.kind in {"model", "static"}:
            name = encoding_name(fit, space)
            error = no_words(space, stimuli)
            if error is not None:
                logger.error("%s failed: %s", name, error)
                failed = Unit(
                    name, "failed", message=str(error), exit_code=int(error.exit_code),
                    participant=fit.participant,
                )  # fmt: skip
                units.append(failed)
                continue
            reason = " and ".join(dict.fromkeys(filter(None, (unread(space, s) for s in stimuli))))
            units.append(Unit(name, "skipped", message=reason, participant=fit.participant))
    with threadpool_limits(config.resources.omp_nthreads):
        if "responses" in config.control.steps:
            stored = _store_responses(config, fit, run_id)
            units += stored
            if any(unit.status == "failed" for unit in stored):
                return units
        if not {"encoding", "phonemes"} & set(config.control.steps):
            return units
        missing = missing_features(config, fit, spaces)
        if missing:
            name = f"encoding {fit.name.stem} {fit.name.datatype}"
            reason = f"there are no features of {', '.join(missing)}: see above"
            return [*units, Unit(name, "skipped", message=reason, participant=fit.participant)]
        succeeded = set(before)
        for step in analysis_steps(config, fit, spaces, succeeded):
            units.append(attempt(config, step, run_id=run_id, participant=fit.participant))
            if units[-1].status != "failed":
                succeeded.add(step.name)
    return units


@contextmanager
def _worker_logs(config: Config, run_id: str) -> Iterator[None]:
    """Give a worker process the terminal and the run's log; the main process has both."""
    root = logging.getLogger()
    if any(isinstance(handler, logging.FileHandler) for handler in root.handlers):
        yield
        return
    if not root.handlers:
        terminal = logging.StreamHandler(sys.stderr)
        terminal.setLevel(max(logging.INFO - 10 * config.control.verbose, logging.DEBUG))
        terminal.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
        terminal.addFilter(is_of_interest)
        root.addHandler(terminal)
    with run_log(config.paths.output_dir, run_id=run_id):
        yield
