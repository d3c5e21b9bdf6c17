"""Everything that is done for the recordings of one speaker, in order."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from bids_brainalign.config.schema import Config
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.word_embeddings import WordEmbeddings, of_words
from bids_brainalign.production.folds import LEAST_WORDS
from bids_brainalign.store.digest import digest_of
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.attempt import attempt, step_cache
from bids_brainalign.workflow.production import sound_checks, structure
from bids_brainalign.workflow.production.costs import announce_cost
from bids_brainalign.workflow.production.material import Material
from bids_brainalign.workflow.production.rebuilding import RIDGE, is_continuous
from bids_brainalign.workflow.production.reconstruction import common_settings, reconstruction_step
from bids_brainalign.workflow.production.responses import (
    complete,
    load_material,
    material_path,
    responses_step,
)
from bids_brainalign.workflow.production.speakers import Speaker
from bids_brainalign.workflow.production.word_sounds import SpeakerSound, speaker_sound
from bids_brainalign.workflow.production.word_vectors import (
    Chosen,
    announce_embedding,
    choose_words,
    embedding_path,
    embedding_step,
    load_embedding,
    sources_of,
)
from bids_brainalign.workflow.production.words import read_words, words_step
from bids_brainalign.workflow.spaces import Space
from bids_brainalign.workflow.summary import Unit

logger = logging.getLogger(__name__)


def refused(name: str, error: BrainAlignError, participant: str) -> Unit:
    """Give the unit of what can't be done."""
    return Unit(
        name, "failed", message=str(error), exit_code=int(error.exit_code), participant=participant
    )


def rebuild_speakers(
    config: Config,
    speakers: Sequence[Speaker],
    spaces: Sequence[Space],
    run_id: str,
    before: Collection[str],
) -> list[Unit]:
    """Do everything for the recordings of one participant."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(config.resources.omp_nthreads):
        return [
            unit
            for speaker in speakers
            for unit in _Work(config, speaker, tuple(spaces), run_id).run()
        ]


def _reasons(words: pd.DataFrame) -> str:
    """Say why words can't be used."""
    reasons = words["reason"][~words["used"]].value_counts()
    return "; ".join(f"{count} words: {reason}" for reason, count in reasons.items())


class _Work:
    """One speaker; what fails is told, and costs only what depends on it."""

    def __init__(
        self, config: Config, speaker: Speaker, spaces: tuple[Space, ...], run_id: str
    ) -> None:
        self.config, self.speaker, self.spaces, self.run_id = config, speaker, spaces, run_id
        self.stem = speaker.name.stem
        self.units: list[Unit] = []
        self._embedding_files: dict[str, str] = {}

    def run(self) -> list[Unit]:
        try:
            sound = speaker_sound(self.config, self.speaker)
        except BrainAlignError as error:
            return [self._refuse(f"sound {self.speaker.name.stem}", error)]
        if not self._done(words_step(self.config, self.speaker, sound)):
            return self.units
        words = read_words(self.config, self.speaker)
        if self._has_too_few(words["word"][words["used"]], _reasons(words)):
            return self.units
        if "responses" in self.config.control.steps:
            if not self._done(responses_step(self.config, self.speaker, words)):
                return self.units
            self._check_sound(words, sound)
        if not {"features", "encoding"} & set(self.config.control.steps):
            return self.units
        try:
            material = self._material(words)
        except BrainAlignError as error:
            self._refuse(f"reconstruction {self.stem}", error)
            return self.units
        if self._has_too_few(material.words["word"], "the others have no responses"):
            return self.units
        found = self._embed(material.words, sound)
        if found and "encoding" in self.config.control.steps:
            self._rebuild(words, material, found)
        return self.units

    def _done(self, step: Step) -> bool:
        unit = attempt(self.config, step, run_id=self.run_id, participant=self.speaker.participant)
        self.units.append(unit)
        return unit.status != "failed"

    def _refuse(self, name: str, error: BrainAlignError) -> Unit:
        logger.error("%s failed: %s", name, error)
        self.units.append(refused(name, error, self.speaker.participant))
        return self.units[-1]

    def _has_too_few(self, words: pd.Series[str], why: str) -> bool:
        different = words.str.casefold().nunique()
        if different >= LEAST_WORDS:
            return False
        self._refuse(
            f"reconstruction {self.stem}",
            BrainAlignError(
                f"{different} different words of {self.stem} can be used, and {LEAST_WORDS} are "
                "needed to rebuild responses from words.",
                where=why,
                fix="leave this participant out, or mend what is said here",
            ),
        )
        return True

    def _check_sound(self, words: pd.DataFrame, sound: SpeakerSound) -> None:
        if all(one is None for one in sound.audio):
            logger.warning(
                "%s: there is no sound: synchrony and contamination are not checked", self.stem
            )
            return
        for step in sound_checks.steps(self.config, self.speaker, words, sound):
            self._done(step)

    def _embed(self, rows: pd.DataFrame, sound: SpeakerSound) -> dict[str, WordEmbeddings]:
        """Embed the words with responses, all layers."""
        found = {}
        may_run = "features" in self.config.control.steps
        for source in sources_of(self.config, self.spaces):
            path = embedding_path(self.config, self.speaker, source, rows, sound)
            step = embedding_step(self.config, self.speaker, source, rows, sound)
            if may_run and not step_cache(self.config).is_done(step):
                said = announce_embedding(self.config, source, rows, sound)
                if said:
                    logger.info("%s: %s", self.stem, said)
            if self._done(step) if may_run else path.is_file():
                found[source.name] = load_embedding(path)
                self._embedding_files[source.name] = path.name
        return found

    def _material(self, words: pd.DataFrame, *, lag_s: float = 0.0) -> Material:
        path = material_path(self.config, self.speaker, words, lag_s=lag_s)
        if not path.is_file():
            raise BrainAlignError(
                f"There are no responses of {self.stem} with these settings.",
                fix="run with --steps responses features encoding, or without --steps",
                exit_code=ExitCode.MISSING_INPUT,
            )
        stored = load_material(path)
        kept = complete(stored, before_cue=False)
        if is_continuous(self.config.production, kept):
            return kept  # what came before a word are other words: it is not asked
        return complete(stored)

    def _rebuild(
        self, words: pd.DataFrame, material: Material, found: dict[str, WordEmbeddings]
    ) -> None:
        p = self.config.production
        try:
            chosen, lacking = choose_words(found, p.combine, p.layer, material.words)
        except BrainAlignError as error:  # a layer that a model hasn't
            self._refuse(f"reconstruction {self.stem}", error)
            return
        for name, why in lacking.items():
            self._refuse(f"reconstruction {name} {self.stem}", why)
        if chosen.lost:
            logger.warning("%s: %s", self.stem, chosen.lost)
        shared = material.words["word"][chosen.shared]
        if not chosen.by_name or self._has_too_few(shared, chosen.lost):
            return
        self._map(words, material.of(chosen.shared), chosen)
        shown = {name: found[name] for name in found if name in chosen.by_name}
        for step in structure.steps(
            self.config, self.speaker, material.of(chosen.shared), chosen, shown,
            identity=self._identity(words, chosen, [*shown]),
            settings=self._settings(words, chosen),
        ):  # fmt: skip
            self._done(step)
        self._realign(words, material, chosen)

    def _map(self, words: pd.DataFrame, material: Material, chosen: Chosen) -> None:
        """Every embedding by every mapping."""
        steps = []
        for name, embedding in chosen.by_name.items():
            for mapping in self.config.production.mappings:
                step = reconstruction_step(
                    self.config, self.speaker, material, name, of_words(embedding, chosen.shared),
                    mapping, identity=self._identity(words, chosen, [name]),
                    settings=self._settings(words, chosen), notes=chosen.notes_of(name),
                )  # fmt: skip
                steps.append((mapping, embedding, step))
        todo = [(m, e) for m, e, step in steps if not step_cache(self.config).is_done(step)]
        try:
            for line in announce_cost(self.config.production, material, todo, chosen.shared):
                logger.info("%s: %s", self.stem, line)
        except BrainAlignError:
            logger.debug("no time was told", exc_info=True)  # the steps say what is wrong
        for _, _, step in steps:
            self._done(step)

    def _realign(self, words: pd.DataFrame, material: Material, chosen: Chosen) -> None:
        """Fit once more with onsets shifted by the lag between sound and responses."""
        if not self.config.production.realign:
            return
        lag_s, reason = sound_checks.lag_of(self.config, self.speaker)
        if lag_s is None:
            logger.warning("%s: not realigned, %s", self.stem, reason)
            return
        if not self._done(responses_step(self.config, self.speaker, words, lag_s=lag_s)):
            return
        try:
            moved = self._material(words, lag_s=lag_s)
        except BrainAlignError as error:
            self._refuse(f"reconstruction {self.stem}, realigned", error)
            return
        # Both fits are of the same words, which have responses before and after the shift.
        kept = np.isin(moved.words["row"], material.words["row"][chosen.shared])
        rows = np.isin(material.words["row"], moved.words["row"][kept])
        for name, embedding in chosen.by_name.items():
            step = reconstruction_step(
                self.config, self.speaker, moved.of(kept), name, of_words(embedding, rows), RIDGE,
                identity=self._identity(words, chosen, [name]),
                settings=self._settings(words, chosen), lag_s=lag_s,
            )  # fmt: skip
            self._done(step)

    def _identity(self, words: pd.DataFrame, chosen: Chosen, names: Sequence[str]) -> object:
        """Name what a result depends on: responses, words of all, its own embeddings."""
        parts = {part for name in names for part in name.split("+")}
        own = [self._embedding_files[name] for name in sorted(parts)]
        return [self._settings(words, chosen), own, self.config.production.layer]

    def _settings(self, words: pd.DataFrame, chosen: Chosen) -> str:
        """Digest of the responses, the words that all embeddings know, and how they are scored."""
        path = material_path(self.config, self.speaker, words)
        own = [path.name, chosen.shared.tolist(), common_settings(self.config)]
        return digest_of(own)[:16]
