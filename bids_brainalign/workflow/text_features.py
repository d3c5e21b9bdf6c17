"""Text models of a run: their features of a stimulus, and what has to be said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import IO, TYPE_CHECKING

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.types import Stimulus
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.dense import EncoderLayers
from bids_brainalign.features.estimates import Estimate, estimate_text
from bids_brainalign.features.static_vectors import file_languages, open_vectors, read_static
from bids_brainalign.features.text_folder import card_languages, text_facts
from bids_brainalign.features.transcript import Reading, primary
from bids_brainalign.workflow.model_sentences import language_model_sentence
from bids_brainalign.workflow.spaces import Space, unread

if TYPE_CHECKING:
    from collections.abc import Callable

    from bids_brainalign.features.language_model import LanguageModel
    from bids_brainalign.features.static_vectors import StaticVectors


def reading_of(config: Config) -> Reading:
    """How language models read the stimuli of this run."""
    f = config.features
    return Reading(f.text_context_words, f.text_words_per_pass, f.text_pooling)


@dataclass
class TextModel:
    """A language model or a table of vectors, loaded when the first stimulus needs it."""

    config: Config
    space: Space
    open_model: Callable[[], LanguageModel]

    @cached_property
    def _model(self) -> LanguageModel:
        return self.open_model()

    @cached_property
    def _vectors(self) -> StaticVectors:
        assert self.space.source is not None  # noqa: S101 - tables are files
        return open_vectors(self.space.source)

    def extract(self, stimulus: Stimulus, scratch: IO[bytes]) -> EncoderLayers:
        """Features of the words of a stimulus, which has some."""
        assert stimulus.words is not None  # noqa: S101 - feature_steps asks for words
        table = stimulus.words.table
        if self.space.kind == "static":
            return read_static(self._vectors, table, duration_s=stimulus.duration_s)
        return self._model.extract(
            table,
            duration_s=stimulus.duration_s,
            language=stimulus.language,
            reading=reading_of(self.config),
            batch_size=self.config.resources.batch_size,
            scratch=scratch,
        )


def text_estimates(
    config: Config, space: Space, todo: Sequence[Stimulus]
) -> tuple[list[Estimate], str]:
    """Estimate each stimulus, and say what there will be of each word."""
    assert space.source is not None  # noqa: S101 - language models are folders
    facts = text_facts(space.source)
    counts = [0 if s.words is None else len(s.words.table) for s in todo]
    what = f"{facts.n_layers} layers of {facts.n_dims} numbers for {sum(counts):,} words"
    reading = reading_of(config)
    return [
        estimate_text(
            facts,
            n_words=n,
            context_words=reading.context_words,
            words_per_pass=reading.words_per_pass,
        )
        for n in counts
    ], what


def text_description(config: Config, space: Space) -> str:
    """Say where features of words come from, in a few sentences."""
    assert space.source is not None  # noqa: S101 - text models have a source
    stand = "stand from the word's onset to its end, and nothing stands between words."
    if space.kind == "static":
        return f"One vector per word from {space.source.name}, whatever its context; they {stand}"
    reading = reading_of(config)
    state = "its last token's" if reading.pooling == "last" else "the mean of its tokens'"
    before = str(reading.context_words)
    if reading.words_per_pass > 1:
        before += f" to {reading.context_words + reading.words_per_pass - 1}"
    return (
        f"{language_model_sentence(space)} Each word was read with the "
        f"{before} words before it in the same stimulus (fewer at its start, or "
        f"where the model takes no more) and none after it. A word's state is {state}; states "
        f"{stand}"
    )


def stated_languages(space: Space) -> tuple[str, ...]:
    """Languages that a text model states to know; empty where nothing is stated."""
    if not space.reads_text or space.source is None:
        return ()
    is_file = space.kind == "static"
    return file_languages(space.source) if is_file else card_languages(space.source)


def knows_language(space: Space, language: str) -> bool:
    """Whether a text model states to know a language, or states nothing."""
    known = stated_languages(space)
    return not known or primary(language) in {primary(tag) for tag in known}


def language_warnings(space: Space, stimuli: Sequence[Stimulus]) -> list[str]:
    """Say which stimuli are in a language that a text model does not state to know."""
    known = stated_languages(space)
    other: dict[str, list[str]] = {}
    for stimulus in stimuli:
        if not knows_language(space, stimulus.language):
            other.setdefault(stimulus.language, []).append(stimulus.name)
    return [
        f"Warning: {space.model} knows {', '.join(known)}, but {', '.join(names[:4])}"
        f"{' …' if len(names) > 4 else ''} {'is' if len(names) == 1 else 'are'} in {language!r}: "
        "its features may mean little there."
        for language, names in other.items()
    ]


def no_words(space: Space, stimuli: Sequence[Stimulus]) -> BrainAlignError | None:
    """Give the error of a text model that some stimulus gives nothing to read, if there is one."""
    reasons = {s.name: unread(space, s) for s in stimuli} if space.reads_text else {}
    silent = [name for name, reason in reasons.items() if reason]
    if not silent:
        return None
    named = ", ".join(silent[:4]) + (f" and {len(silent) - 4} more" if len(silent) > 4 else "")
    return BrainAlignError(
        f"{space.model} reads words, and {named} {'has' if len(silent) == 1 else 'have'} none "
        "with times.",
        where=f"looked for stimuli/{silent[0]}_words.tsv, stimuli/{silent[0]}.TextGrid and the "
        "transcript that --stimuli-map names",
        fix="write <stimulus>_words.tsv beside the audio (columns onset, duration, word), name "
        "the transcript in --stimuli-map, or leave the model out",
        exit_code=ExitCode.MISSING_INPUT,
    )
