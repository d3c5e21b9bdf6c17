"""A whole run: from the configuration to the summary."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from importlib import resources
from pathlib import Path

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.index import Index, find_recordings
from bids_brainalign.dataset.stimuli import Presentations, find_presentations
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.outputs.citation import write_citation
from bids_brainalign.outputs.description import write_dataset_description, write_descriptions
from bids_brainalign.outputs.names import analysis_label
from bids_brainalign.outputs.provenance import is_of_interest, run_log
from bids_brainalign.store.digest import digest_of, file_digest
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.attempt import StoppedOnCrash, attempt, step_cache
from bids_brainalign.workflow.encoding import encoding_step
from bids_brainalign.workflow.fits import Fit, pool_fits
from bids_brainalign.workflow.group import group_steps
from bids_brainalign.workflow.locked import locked_step
from bids_brainalign.workflow.responses import response_step
from bids_brainalign.workflow.spaces import Space, feature_steps, list_spaces, rate_of
from bids_brainalign.workflow.summary import Summary, Unit

logger = logging.getLogger(__name__)


def execute(config: Config, *, run_id: str) -> Summary:
    """Run one analysis level.

    Parameters
    ----------
    config : Config
    run_id : str
        Names the folder of logs and crash files.

    Returns
    -------
    Summary

    Raises
    ------
    BrainAlignError
        Nothing can run at all: inputs missing, nothing selected.
    """
    try:
        return _group(config, run_id) if config.level == "group" else _participant(config, run_id)
    except StoppedOnCrash as stop:
        return Summary((stop.unit,), report=None)


def _participant(config: Config, run_id: str) -> Summary:
    index, found = find_inputs(config)
    fits = pool_fits(found.presentations)
    if config.control.dry_run:
        return _dry_run(config, index, found, fits)
    if config.control.clean_workdir and config.paths.work_dir.exists():
        shutil.rmtree(config.paths.work_dir)
    skipped = [
        Unit(name, "skipped", message=reason) for name, reason in (*index.skipped, *found.skipped)
    ]
    spaces = list_spaces(config)
    if len(spaces) == 1:
        logger.warning(
            "No model was given (--models NAME=FOLDER): only the low-level features are fitted."
        )
    units: list[Unit] = []
    write_dataset_description(config.paths.output_dir, config.paths.bids_dir)
    _write_labels(config, spaces)
    _write_citation(config, fits, spaces)
    if config.control.boilerplate_only:
        return Summary(tuple(skipped), report=None)
    if not config.control.reports_only:
        units += _extract_features(config, fits, spaces, run_id)
        failed = {u.name for u in units if u.status == "failed"}
        units += _run_fits(config, fits, spaces, run_id, features_failed=bool(failed))
    report = None
    if "reports" in config.control.steps:
        participants = sorted({fit.participant for fit in fits})
        units += [_report(config, participant, run_id) for participant in participants]
        report = config.paths.output_dir / "index.html"
        units.append(attempt(config, _index_step(config), run_id=run_id))
    return Summary((*units, *skipped), report=report)


def find_inputs(config: Config) -> tuple[Index, Presentations]:
    """Index the dataset and match stimuli; raises if nothing can run."""
    index = find_recordings(
        config.paths.bids_dir,
        derivatives=config.paths.derivatives,
        selection=config.selection,
        modalities=config.modalities,
        database_dir=config.paths.bids_database_dir,
    )
    found = find_presentations(
        index.recordings,
        bids_dir=config.paths.bids_dir,
        stimuli_map=config.paths.stimuli_map,
        overlap=config.folds.transcript_overlap,
    )
    for note in found.notes:
        logger.warning("%s", note)
    return index, found


def _extract_features(
    config: Config, fits: Sequence[Fit], spaces: Sequence[Space], run_id: str
) -> list[Unit]:
    """Extract features: they belong to stimuli, so all participants share them."""
    if "features" not in config.control.steps:
        return []
    wanted = {
        (p.stimulus.name, rate_of(config, fit.modality)): (
            p.stimulus,
            rate_of(config, fit.modality),
        )
        for fit in fits
        for p in fit.presentations
    }
    stimuli = [wanted[key] for key in sorted(wanted)]
    units: list[Unit] = []
    with _threads(config.resources.nprocs):
        for space in spaces:
            for step in feature_steps(config, space, stimuli):
                units.append(attempt(config, step, run_id=run_id))
    return units


def _threads(count: int) -> AbstractContextManager[object]:
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(max(1, count))
    limits: AbstractContextManager[object] = threadpool_limits(max(1, count))
    return limits


def _run_fits(
    config: Config,
    fits: Sequence[Fit],
    spaces: Sequence[Space],
    run_id: str,
    *,
    features_failed: bool,
) -> list[Unit]:
    """Run participants in parallel processes; each gets its share of the cores.

    Fits of one participant run one after the other with all of that share: they differ in cost
    (iEEG and fMRI), and threads over folds leave no core idle.
    """
    from joblib import Parallel, delayed

    by_participant: dict[str, list[Fit]] = {}
    for fit in fits:
        by_participant.setdefault(fit.participant, []).append(fit)
    jobs = max(1, min(config.resources.nprocs, len(by_participant)))
    threads = max(config.resources.omp_nthreads, config.resources.nprocs // jobs)
    shared = replace(config, resources=replace(config.resources, omp_nthreads=threads))
    tasks = [(shared, mine, spaces, run_id, features_failed) for mine in by_participant.values()]
    if jobs == 1:
        results = [_run_participant(*task) for task in tasks]
    else:
        try:
            results = Parallel(n_jobs=jobs, backend="loky")(
                delayed(_run_participant)(*t) for t in tasks
            )
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


def _run_participant(
    config: Config,
    fits: Sequence[Fit],
    spaces: Sequence[Space],
    run_id: str,
    features_failed: bool,
) -> list[Unit]:
    with _worker_logs(config, run_id):
        return [u for fit in fits for u in _run_fit(config, fit, spaces, run_id, features_failed)]


def _run_fit(
    config: Config, fit: Fit, spaces: Sequence[Space], run_id: str, features_failed: bool
) -> list[Unit]:
    """Responses, alignment check and every model of one fit; stops at what others depend on."""
    from threadpoolctl import threadpool_limits

    units: list[Unit] = []
    steps: list[Step] = []
    with threadpool_limits(config.resources.omp_nthreads):
        if "responses" in config.control.steps:
            steps = [response_step(config, fit, r) for r in fit.recordings]
            for step in steps:
                unit = attempt(config, step, run_id=run_id, participant=fit.participant)
                units.append(unit)
                if unit.status == "failed":
                    return units
        if "encoding" not in config.control.steps:
            return units
        if features_failed:
            name = f"encoding {fit.name.stem} {fit.name.datatype}"
            reason = "features failed, see above"
            return [*units, Unit(name, "skipped", message=reason, participant=fit.participant)]
        units.append(
            attempt(config, locked_step(config, fit), run_id=run_id, participant=fit.participant)
        )
        by_name = {space.name: space for space in spaces}
        for space in spaces:
            if space.kind == "untrained":
                continue
            twin = by_name.get(f"{space.name}:untrained")
            step = encoding_step(config, fit, space, twin, spaces)
            units.append(attempt(config, step, run_id=run_id, participant=fit.participant))
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


def _report(config: Config, participant: str, run_id: str) -> Unit:
    from bids_brainalign.reports.pages import write_participant_page

    output = config.paths.output_dir
    step = Step(
        name=f"report sub-{participant}",
        inputs={
            "tables": _digests(config, output / f"sub-{participant}"),
            "crashes": [p.name for p in sorted(output.glob(f"logs/sub-{participant}/*/crash-*"))],
            "citation": _digest_if_there(config, output / "logs" / "CITATION.md"),
            "templates": _templates(),
        },
        modules=("bids_brainalign.reports.pages",),
        work=lambda: write_participant_page(output, participant),
    )
    return attempt(config, step, run_id=run_id, participant=participant)


def _index_step(config: Config) -> Step:
    from bids_brainalign.reports.pages import write_index

    output = config.paths.output_dir
    pages = [p for p in sorted(output.glob("*.html")) if p.name != "index.html"]
    scores = sorted(output.glob("sub-*/**/*_scores.*"))
    memo = config.paths.work_dir / "digests"
    return Step(
        name="report index",
        inputs={
            "files": [[p.name, file_digest(p, memo)] for p in (*pages, *scores)],
            "templates": _templates(),
        },
        modules=("bids_brainalign.reports.pages",),
        work=lambda: write_index(output),
    )


def _digest_if_there(config: Config, path: Path) -> str:
    return file_digest(path, config.paths.work_dir / "digests") if path.is_file() else ""


def _templates() -> list[str]:
    """Digests of the pages' templates, which are not Python modules."""
    folder = resources.files("bids_brainalign.reports") / "templates"
    files = sorted(folder.iterdir(), key=lambda f: f.name)
    return [digest_of(f.read_text(encoding="utf-8")) for f in files if f.is_file()]


def _digests(config: Config, folder: Path) -> list[list[str]]:
    """Names and digests of the derivatives below a folder, figures left out."""
    memo = config.paths.work_dir / "digests"
    return [
        [str(p.relative_to(folder)), file_digest(p, memo)]
        for p in sorted(folder.rglob("*"))
        if p.is_file() and "figures" not in p.parts and not p.name.startswith(".")
    ]


def _group(config: Config, run_id: str) -> Summary:
    steps, missing = group_steps(config)
    for note in missing:
        logger.warning("%s", note)
    units = [attempt(config, step, run_id=run_id) for step in steps]
    units.append(attempt(config, _index_step(config), run_id=run_id))
    skipped = [Unit(f"participant {label}", "skipped", message="no results yet", participant=None)
               for label in missing]  # fmt: skip
    return Summary((*units, *skipped), report=config.paths.output_dir / "group.html")


def _write_labels(config: Config, spaces: Sequence[Space]) -> None:
    labels = {"onset": "responses averaged around stimulus and word onsets"}
    for space in spaces:
        what = {
            "lowlevel": "low-level features: envelope, mel spectrogram, word onsets",
            "model": f"layers of {space.name}",
            "untrained": f"layers of {space.name.partition(':')[0]} with random weights",
            "own": f"the user's features {space.name}",
        }[space.kind]
        labels[analysis_label(space.name)] = what
    write_descriptions(config.paths.output_dir, labels)


def _write_citation(config: Config, fits: Sequence[Fit], spaces: Sequence[Space]) -> None:
    write_citation(
        config.paths.output_dir / "logs",
        modalities=sorted({fit.modality for fit in fits}),
        models=[s.name for s in spaces if s.kind == "model"],
        settings={
            "reference": config.ieeg.reference,
            "high_gamma": config.ieeg.high_gamma,
            "lag_min_s": config.ieeg.lag_min_s,
            "lag_max_s": config.ieeg.lag_max_s,
            "delay_min_s": config.fmri.delay_min_s,
            "delay_max_s": config.fmri.delay_max_s,
            "alphas": config.ridge.alphas,
            "n_null": config.nulls.n_draws,
            "untrained": config.features.untrained,
            "n_components": config.ieeg.n_components,
            "own_features": [s.name for s in spaces if s.kind == "own"],
        },
    )


def _dry_run(config: Config, index: Index, found: Presentations, fits: Sequence[Fit]) -> Summary:
    """Print what would run; nothing is written but logs."""
    cache = step_cache(config)
    lines = []
    for fit in fits:
        lines.append(f"{fit.name.stem} ({fit.modality}, {len(fit.recordings)} recordings)")
        for p in fit.presentations:
            lines.append(
                f"  {p.recording.name}: {p.stimulus.name} at {p.onset_s:g} s by {p.rule}, "
                f"{p.stimulus.duration_s:.0f} s, content group {p.content_group}"
            )
    minutes = sum({p.stimulus.sha256: p.stimulus.duration_s for p in found.presentations}.values())
    lines.append(f"{minutes / 60:.1f} min of distinct audio")
    spaces = list_spaces(config)
    lines.append("feature spaces: " + ", ".join(space.name for space in spaces))
    for line in lines:
        logger.warning("%s", line)
    units = []
    for fit in fits:
        for recording in fit.recordings:
            step = response_step(config, fit, recording)
            message = "stored" if cache.is_done(step) else "would run"
            units.append(Unit(step.name, "skipped", message=message, participant=fit.participant))
    reasons = [Unit(n, "skipped", message=r) for n, r in (*index.skipped, *found.skipped)]
    return Summary((*units, *reasons), report=None)
