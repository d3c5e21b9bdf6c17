"""Who speaks: recordings with words, pooled per participant and session."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.spoken_words import SpokenWords, find_spoken_words
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.outputs.names import FitName, fit_name

logger = logging.getLogger(__name__)

LABEL = "production"
"""``desc-`` of tables about the recordings, not about an embedding."""


@dataclass(frozen=True)
class Speaker:
    """One participant (and session) with all recordings in which they speak."""

    name: FitName
    recordings: tuple[Recording, ...]
    words: tuple[SpokenWords, ...]
    """Of each recording."""

    @property
    def participant(self) -> str:
        """Label without ``sub-``."""
        return self.name.participant


def find_speakers(
    config: Config, recordings: Sequence[Recording]
) -> tuple[tuple[Speaker, ...], list[tuple[Recording, BrainAlignError]]]:
    """Pool the recordings that have words.

    Returns
    -------
    speakers : tuple of Speaker
    without : list of (Recording, BrainAlignError)
        Those whose words can't be found, and why.

    Raises
    ------
    BrainAlignError
        None has words (66).
    """
    pooled: dict[tuple[str, str], list[tuple[Recording, SpokenWords]]] = {}
    without: list[tuple[Recording, BrainAlignError]] = []
    for recording in recordings:
        try:
            words = find_spoken_words(
                recording,
                word_column=config.production.word_column,
                roles=config.production.roles,
            )
        except BrainAlignError as error:
            without.append((recording, error))
            continue
        key = (recording.participant, recording.session or "")
        pooled.setdefault(key, []).append((recording, words))
    if not pooled:
        raise _nobody(recordings, without)
    speakers = []
    for _, mine in sorted(pooled.items(), key=lambda item: item[0]):
        mine.sort(key=lambda pair: pair[0].name)
        refusal = _differ(config, mine)
        if refusal is not None:
            without += [(recording, refusal) for recording, _ in mine]
            continue
        runs = tuple(recording for recording, _ in mine)
        speakers.append(Speaker(fit_name(runs), runs, tuple(words for _, words in mine)))
    if not speakers:
        raise without[-1][1]
    return tuple(speakers), without


def _differ(
    config: Config, mine: Sequence[tuple[Recording, SpokenWords]]
) -> BrainAlignError | None:
    """Refuse to pool trials and continuous speech; other tasks are pooled, and that is told."""
    tasks = sorted({recording.task for recording, _ in mine})
    if len(set(_kinds(config, [words for _, words in mine]))) > 1:
        return BrainAlignError(
            f"sub-{mine[0][0].participant}: words one by one and continuous speech can't be "
            "scored together.",
            where=f"recordings of the tasks {', '.join(tasks)}",
            fix='choose one by --task-label, or say what all are by speech = "words" or '
            '"continuous" in [production]',
        )
    if len(tasks) > 1:
        logger.warning(
            "sub-%s: recordings of the tasks %s are scored together; --task-label takes one",
            mine[0][0].participant, ", ".join(tasks),
        )  # fmt: skip
    return None


def is_running(config: Config, words: Sequence[SpokenWords]) -> bool:
    """Whether the words of a speaker follow each other as in running speech, without cues."""
    kinds = _kinds(config, words)
    return any(kinds) if kinds else config.production.runs_on([])


def _kinds(config: Config, words: Sequence[SpokenWords]) -> list[bool]:
    """Whether each recording is of running speech; a single word says nothing about that."""
    steps = [np.diff(one.table["cue_s"].to_numpy(dtype=float)).tolist() for one in words]
    return [config.production.runs_on(between) for between in steps if between]


def _nobody(
    recordings: Sequence[Recording], without: Sequence[tuple[Recording, BrainAlignError]]
) -> BrainAlignError:
    if len(without) == 1:
        return without[0][1]
    first = without[0][1]
    return BrainAlignError(
        f"None of {len(recordings)} recordings has words that were spoken.",
        where=f"the first: {first.what} {first.where}",
        fix=first.fix,
        exit_code=ExitCode.MISSING_INPUT,
    )
