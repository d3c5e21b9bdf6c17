"""A whole run: from the configuration to the summary."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from bids_brainalign.config.schema import DOWNLOADS, Config
from bids_brainalign.dataset.index import Index, find_recordings
from bids_brainalign.dataset.stimuli import Presentations, find_presentations
from bids_brainalign.features.embedded import NOTE
from bids_brainalign.responses.confounds import volumes_needed
from bids_brainalign.workflow.across import run_fits
from bids_brainalign.workflow.attempt import StoppedOnCrash, attempt
from bids_brainalign.workflow.costs import announce
from bids_brainalign.workflow.dry_run import dry_run
from bids_brainalign.workflow.extraction import feature_steps, stimuli_of
from bids_brainalign.workflow.fits import Fit, pool_fits
from bids_brainalign.workflow.front_matter import write_front_matter
from bids_brainalign.workflow.group import group_steps
from bids_brainalign.workflow.pages import index_step, models_page_step, participant_page_step
from bids_brainalign.workflow.phone_times import (
    phone_step,
    require_aligner,
    stimuli_to_align,
    with_phones,
)
from bids_brainalign.workflow.probing import probe_models, require_folders
from bids_brainalign.workflow.regions import require_atlas
from bids_brainalign.workflow.spaces import Space, list_spaces
from bids_brainalign.workflow.summary import Summary, Unit
from bids_brainalign.workflow.text_features import language_warnings, no_words
from bids_brainalign.workflow.transcription import require_writer
from bids_brainalign.workflow.tuning_steps import require_tunable
from bids_brainalign.workflow.tuning_together import require_together

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
        if config.level == "group":
            return _group(config, run_id)
        if config.production.run:
            from bids_brainalign.workflow.production.run import run_production

            control = config.control
            if control.clean_workdir and not control.dry_run and config.paths.work_dir.exists():
                _clean(config.paths.work_dir)
            return run_production(config, run_id=run_id)
        return _participant(config, run_id)
    except StoppedOnCrash as stop:
        return Summary((stop.unit,), report=None)


def _participant(config: Config, run_id: str) -> Summary:
    index, found = find_inputs(config)
    fits = pool_fits(found.presentations)
    if config.control.dry_run:
        return dry_run(config, index, found, fits)
    if config.control.clean_workdir and config.paths.work_dir.exists():
        _clean(config.paths.work_dir)
    skipped = [
        Unit(name, "skipped", message=reason) for name, reason in (*index.skipped, *found.skipped)
    ]
    spaces = list_spaces(config)
    require_writer(config, spaces)
    require_tunable(config, spaces)
    require_together(config, fits)
    _look_at_words(fits, spaces)
    require_aligner(config, fits)
    require_atlas(config, fits)
    require_folders(config)
    if not config.features.models and not config.paths.features:
        logger.warning("No model was given (--models NAME=SOURCE). %s", NOTE)
    units: list[Unit] = []
    write_front_matter(config, fits, spaces)
    if config.control.boilerplate_only:
        return Summary(tuple(skipped), report=None)
    if not config.control.reports_only:
        fits = _find_phones(config, fits, units, run_id)
        units += _extract_features(config, fits, spaces, run_id)
        if not config.tuning.variants:
            units += probe_models(config, fits, spaces, run_id)
        units += run_fits(config, fits, spaces, run_id)
        if config.tuning.variants:  # what was tuned is probed as well
            units += probe_models(config, fits, spaces, run_id)
    report = None
    if "reports" in config.control.steps:
        participants = sorted({fit.participant for fit in fits})
        for participant in participants:
            step = participant_page_step(config, participant)
            units.append(attempt(config, step, run_id=run_id, participant=participant))
        models = models_page_step(config)
        if models is not None:
            units.append(attempt(config, models, run_id=run_id))
        report = config.paths.output_dir / "index.html"
        units.append(attempt(config, index_step(config), run_id=run_id))
    return Summary((*units, *skipped), report=report)


def _look_at_words(fits: Sequence[Fit], spaces: Sequence[Space]) -> None:
    """Warn of languages that text models don't know; refuse them where nothing can be read.

    Raises
    ------
    BrainAlignError
        In no recording has a text model words to read (66).
    """
    stimuli = [list({p.stimulus.name: p.stimulus for p in f.presentations}.values()) for f in fits]
    for space in spaces:
        if not space.reads_text or space.kind == "untrained":
            continue
        errors = [no_words(space, mine) for mine in stimuli]
        if errors and all(errors):
            raise next(error for error in errors if error is not None)
        every = {s.name: s for mine in stimuli for s in mine}
        for sentence in language_warnings(space, list(every.values())):
            logger.warning("%s", sentence)


def _clean(work_dir: Path) -> None:
    """Empty the work folder, but for models downloaded into it: this run needs them."""
    for path in work_dir.iterdir():
        if path.name == DOWNLOADS:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def find_inputs(config: Config) -> tuple[Index, Presentations]:
    """Index the dataset and match stimuli; raises if nothing can run."""
    index = find_recordings(
        config.paths.bids_dir,
        derivatives=config.paths.derivatives,
        selection=config.selection,
        modalities=config.modalities,
        database_dir=config.paths.bids_database_dir,
        bold_desc=volumes_needed(config.fmri.confounds),
    )
    found = find_presentations(
        index.recordings,
        bids_dir=config.paths.bids_dir,
        stimuli_map=config.paths.stimuli_map,
        overlap=config.folds.transcript_overlap,
        language=config.language,
        word_tiers=config.stimuli.word_tiers,
        phone_tiers=config.stimuli.phone_tiers,
    )
    for note in found.notes:
        logger.warning("%s", note)
    return index, found


def _find_phones(
    config: Config, fits: Sequence[Fit], units: list[Unit], run_id: str
) -> tuple[Fit, ...]:
    """Find phones where none are annotated, before features are made of them; adds to units."""
    aligned = []
    for stimulus in stimuli_to_align(config, fits):
        units.append(attempt(config, phone_step(config, stimulus), run_id=run_id))
        if units[-1].status == "failed":
            logger.warning("%s: its phones are left out", stimulus.name)
        else:
            aligned.append(stimulus)
    return with_phones(config, fits, aligned)


def _extract_features(
    config: Config, fits: Sequence[Fit], spaces: Sequence[Space], run_id: str
) -> list[Unit]:
    """Extract features: they belong to stimuli, so all participants share them."""
    if "features" not in config.control.steps:
        return []
    stimuli = stimuli_of(config, fits)
    units: list[Unit] = []
    with _threads(config.resources.nprocs):
        for line in announce(config, spaces, stimuli):
            logger.info("%s", line)
        for space in spaces:
            steps = feature_steps(config, space, stimuli)
            for number, step in enumerate(steps, start=1):
                logger.info("%s: stimulus %d of %d", space.name, number, len(steps))
                units.append(attempt(config, step, run_id=run_id))
    return units


def _threads(count: int) -> AbstractContextManager[object]:
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(max(1, count))
    limits: AbstractContextManager[object] = threadpool_limits(max(1, count))
    return limits


def _group(config: Config, run_id: str) -> Summary:
    steps, missing = group_steps(config)
    for note in missing:
        logger.warning("%s", note)
    units = [attempt(config, step, run_id=run_id) for step in steps]
    units.append(attempt(config, index_step(config), run_id=run_id))
    skipped = [Unit(f"participant {label}", "skipped", message="no results yet", participant=None)
               for label in missing]  # fmt: skip
    return Summary((*units, *skipped), report=config.paths.output_dir / "group.html")
