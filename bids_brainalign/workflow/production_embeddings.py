"""Embeddings of the words that a participant spoke, by the models of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.config.schema import WHISPER_WINDOW_S, Config
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.dense import Windowing
from bids_brainalign.features.estimates import FRAMES_PER_SECOND, estimate, estimate_text
from bids_brainalign.features.folders import model_facts
from bids_brainalign.features.static_vectors import open_vectors
from bids_brainalign.features.text_folder import text_facts
from bids_brainalign.features.word_clips import clip_durations, embed_clips
from bids_brainalign.features.word_embeddings import WordEmbeddings
from bids_brainalign.features.word_lookup import embed_static
from bids_brainalign.features.word_reading import Context, embed_text, text_passes
from bids_brainalign.features.word_table import open_word_table
from bids_brainalign.production.inputs import Part, Preparation
from bids_brainalign.workflow.extraction import device_of
from bids_brainalign.workflow.model_sentences import (
    language_model_sentence,
    speech_model_sentence,
)
from bids_brainalign.workflow.spaces import Space, twin_seed
from bids_brainalign.workflow.text_features import knows_language, reading_of, stated_languages

if TYPE_CHECKING:
    from bids_brainalign.features.language_model import LanguageModel
    from bids_brainalign.features.models import SpeechModel
    from bids_brainalign.features.static_vectors import StaticVectors

Opened = TypeVar("Opened")
Wave = Callable[[], NDArray[np.float32]]
"""Gives the sound of a recording: (n_samples,), 16 kHz, on the clock of the words."""


def embeds_words(space: Space) -> bool:
    """Whether a feature space has vectors of words: a model's other modes are windows of sound."""
    return space.kind != "lowlevel" and space.mode in {"dense", "text"}


def word_embeddings(
    config: Config,
    space: Space,
    words: pd.DataFrame,
    *,
    language: str,
    wave: Wave | None,
    context: Context,
) -> WordEmbeddings:
    """Embed words by the model of a feature space, which is loaded for them.

    Parameters
    ----------
    config : Config
    space : Space
    words : DataFrame
        ``word``, ``onset_s`` and ``offset_s`` (s in the sound), ``content_group``; in the order
        spoken.
    language : str
        BCP-47, of the words.
    wave : callable or None
        Sound of the recording, asked for by speech models alone; None where there is none.
    context : {"alone", "running"}
        How language models read.

    Returns
    -------
    WordEmbeddings
        All layers.

    Raises
    ------
    BrainAlignError
        The space has no vectors of words (64); a speech model has no sound, or a user's folder no
        table (66).
    """
    return WordEmbedder(config, space).embed(words, language=language, wave=wave, context=context)


@dataclass
class WordEmbedder:
    """The model of a feature space, loaded when words need it."""

    config: Config
    space: Space

    def embed(
        self,
        words: pd.DataFrame,
        *,
        language: str,
        wave: Wave | None,
        context: Context,
    ) -> WordEmbeddings:
        """Embed words, as :func:`word_embeddings` says."""
        space = self.space
        if not embeds_words(space):
            raise BrainAlignError(
                f"{space.name} has no vectors of words.",
                fix="give models of speech or text, or tables of word vectors (--models, "
                "--features)",
                exit_code=ExitCode.USAGE,
            )
        labels = list(words["word"])
        if space.kind in {"static", "own"}:
            return self._told(embed_static(self._vectors, labels), language)
        if space.reads_text:
            found = embed_text(
                self._language_model,
                labels,
                language=language,
                context=context,
                reading=reading_of(self.config),
                passages=list(words["content_group"]),
                batch_size=self.config.resources.batch_size,
            )
            return self._told(found, language)
        if wave is None:
            raise BrainAlignError(
                f"{space.name} hears words, and there is no sound of them.",
                fix="give the recording's audio, or leave the model out (--models)",
                exit_code=ExitCode.MISSING_INPUT,
            )
        found = embed_clips(
            self._speech_model,
            wave,
            words["onset_s"].to_numpy(np.float64),
            words["offset_s"].to_numpy(np.float64),
            words=labels,
            batch_size=self.config.resources.batch_size,
        )
        return self._told(found, language)

    def _told(self, found: WordEmbeddings, language: str) -> WordEmbeddings:
        """Say what the model is, and whether it knows the language."""
        notes = found.notes
        if not knows_language(self.space, language):
            known = ", ".join(stated_languages(self.space))
            notes = (
                f"{self.space.model} knows {known}, and the words are in {language!r}: their "
                "vectors may mean little.",
                *notes,
            )
        return replace(
            found, notes=notes, description=f"{_model_sentence(self.space)} {found.description}"
        )

    @cached_property
    def _vectors(self) -> StaticVectors:
        assert self.space.source is not None  # noqa: S101 - tables are files or folders
        if self.space.kind == "own":
            return open_word_table(self.space.source)
        return open_vectors(self.space.source)

    @cached_property
    def _language_model(self) -> LanguageModel:
        from bids_brainalign.features.language_model import LanguageModel

        return self._opened(LanguageModel)

    @cached_property
    def _speech_model(self) -> SpeechModel:
        from bids_brainalign.features.models import open_model

        return self._opened(open_model)

    def _opened(self, kind: Callable[..., Opened]) -> Opened:
        untrained = self.space.kind == "untrained"
        return kind(
            self.space.source,
            untrained_seed=twin_seed(self.config, self.space) if untrained else None,
            device=device_of(self.config),
            precision=self.config.resources.precision,
        )


@dataclass(frozen=True)
class WordWork:
    """What embedding some words takes."""

    n_passes: int
    """Texts read or clips heard; 0 for tables."""
    operations: float
    """Floating point operations."""


def word_work(config: Config, space: Space, words: pd.DataFrame, *, context: Context) -> WordWork:
    """Estimate the work of :func:`word_embeddings`, without opening weights.

    ``operations / estimates.operations_per_second(device)`` are seconds.
    """
    if space.kind in {"static", "own"} or space.source is None:
        return WordWork(0, 0.0)
    if space.reads_text:
        reading = reading_of(config)
        n_passes = text_passes(
            list(words["word"]),
            context=context,
            reading=reading,
            passages=list(words["content_group"]),
        )
        alone = context == "alone"
        cost = estimate_text(
            text_facts(space.source),
            n_words=n_passes * (1 if alone else reading.words_per_pass),
            context_words=0 if alone else reading.context_words,
            words_per_pass=1 if alone else reading.words_per_pass,
        )
        return WordWork(n_passes, cost.operations)
    facts = model_facts(space.source)
    durations = clip_durations(
        words["onset_s"].to_numpy(np.float64), words["offset_s"].to_numpy(np.float64)
    )
    windows = [WHISPER_WINDOW_S if facts.is_whisper else max(float(d), 0.02) for d in durations]
    costs = [
        estimate(facts, Windowing(w, w, 0, 0), durations_s=[w], rate_hz=FRAMES_PER_SECOND)
        for w in windows
    ]
    return WordWork(len(windows), sum(cost.operations for cost in costs))


def preparation_of(embeddings: WordEmbeddings, *, explained: float | None) -> Preparation:
    """Say how embeddings are prepared in every fold.

    Parameters
    ----------
    embeddings : WordEmbeddings
        Of one model, or concatenated.
    explained : float or None
        Share of the variance that principal components of what was made of sound keep; what was
        made of letters keeps all dimensions.
    """
    if not embeddings.parts:
        return Preparation(explained if embeddings.of_audio else None)
    return Preparation(
        parts=tuple(
            Part(part.n_dims, explained if part.of_audio else None) for part in embeddings.parts
        )
    )


def _model_sentence(space: Space) -> str:
    assert space.source is not None  # noqa: S101 - what embeds words has a source
    if space.kind == "own":
        return f"Vectors given by the user in {space.source.name}."
    if space.kind == "static":
        return f"Word vectors of {space.source.name}."
    return language_model_sentence(space) if space.reads_text else speech_model_sentence(space)
