"""A run of speech production, from the configuration to the summary."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.index import find_recordings
from bids_brainalign.dataset.spoken_words import NobodySpeaksError
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.embedded import NOTE
from bids_brainalign.workflow.attempt import attempt
from bids_brainalign.workflow.pages import index_step, participant_page_step
from bids_brainalign.workflow.participants import each_participant
from bids_brainalign.workflow.production.front_matter import write_production_matter
from bids_brainalign.workflow.production.one_speaker import rebuild_speakers, refused
from bids_brainalign.workflow.production.speakers import Speaker, find_speakers, is_running
from bids_brainalign.workflow.production.word_vectors import sources_of
from bids_brainalign.workflow.spaces import list_spaces
from bids_brainalign.workflow.summary import Summary, Unit

logger = logging.getLogger(__name__)


def run_production(config: Config, *, run_id: str) -> Summary:
    """Run the participant level of speech production.

    Raises
    ------
    BrainAlignError
        Nothing can run at all: no recordings, no words, no embedding.
    """
    _refuse_unused(config)
    index = find_recordings(
        config.paths.bids_dir,
        derivatives=config.paths.derivatives,
        selection=config.selection,
        modalities=("ieeg",),
        database_dir=config.paths.bids_database_dir,
    )
    speakers, without = find_speakers(config, index.recordings)
    spaces = list_spaces(config)
    sources = sources_of(config, spaces)
    if not sources:
        raise BrainAlignError(
            "There is no embedding of words to rebuild responses from.",
            fix="give --models NAME=SOURCE: a FastText or GloVe file, a language model or a "
            "speech model",
            exit_code=ExitCode.USAGE,
        )
    units = [Unit(name, "skipped", message=reason) for name, reason in index.skipped]
    for recording, error in without:
        name = f"words {recording.name}"
        if isinstance(error, NobodySpeaksError):  # rest, or listening
            units.append(Unit(name, "skipped", message=str(error)))
            continue
        logger.error("%s: %s", recording.name, error)
        units.append(refused(name, error, recording.participant))
    if config.control.dry_run:
        return _dry(config, speakers, [source.name for source in sources], units)
    if not config.features.models and not config.paths.features:
        logger.warning("No model was given (--models NAME=SOURCE). %s", NOTE)
    write_production_matter(config, sources)
    if config.control.boilerplate_only:
        return Summary(tuple(units), report=None)
    if not config.control.reports_only:
        units += each_participant(config, speakers, spaces, run_id, (), rebuild_speakers)
    report = None
    if "reports" in config.control.steps:
        for participant in sorted({speaker.participant for speaker in speakers}):
            step = participant_page_step(config, participant)
            units.append(attempt(config, step, run_id=run_id, participant=participant))
        report = config.paths.output_dir / "index.html"
        units.append(attempt(config, index_step(config), run_id=run_id))
    return Summary(tuple(units), report=report)


def _refuse_unused(config: Config) -> None:
    """Options that this recipe would ignore without a word."""
    given = {
        "--targets": config.paths.targets,
        "--folds": config.paths.folds,
        "--stimuli-map": config.paths.stimuli_map,
        "--encoder": config.encoders != ("ridge",),
        "--save": config.save,
        "--decode": config.decoding.decoders,
        "--probes": config.probes.kinds,
        "--similarity": config.probes.similarity,
    }
    unused = [option for option, value in given.items() if value]
    if unused:
        raise BrainAlignError(
            f"{', '.join(unused)} can't be used with speech production.",
            fix="leave them out. Channels are left out by status bad in channels.tsv; folds and "
            "mappings are set in [production] of a --config-file",
            exit_code=ExitCode.USAGE,
        )


def _dry(
    config: Config, speakers: Sequence[Speaker], names: Sequence[str], units: Sequence[Unit]
) -> Summary:
    """List what would run; nothing is written but logs."""
    found = [f"embeddings: {', '.join(names)}"]
    for speaker in speakers:
        for recording, words in zip(speaker.recordings, speaker.words, strict=True):
            different = words.table["word"].nunique()
            kind = "continuous speech" if is_running(config, speaker.words) else "one by one"
            found.append(
                f"{recording.name}: {len(words.table)} words, {different} different, {kind}. "
                f"{words.rule}"
            )
    for line in found:
        logger.warning("%s", line)
    would = [
        Unit(
            f"reconstruction {one.name.stem}",
            "skipped",
            message="would run",
            participant=one.participant,
        )
        for one in speakers
    ]
    return Summary((*would, *units), report=None)
