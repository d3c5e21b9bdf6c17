"""Settings of speech production: ``[production]``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from statistics import median

ONSETS = ("speech", "cue")
SPEECH = ("auto", "words", "continuous")
CONTEXTS = ("alone", "running")
MAPPINGS = ("ridge", "multi-task", "elastic-net")
FOLDS_OVER = ("k-fold", "leave-one-word-out")
LAYERS = ("penultimate", "last")
LEAST_DRAWS = 19
"""Fewer can't give p = .05."""
CUED_S = 0.8
"""Words that follow each other faster than this were not cued one by one: to read and say one
takes longer."""


@dataclass(frozen=True)
class Production:
    """Rebuild the high gamma of people who speak from embeddings of their words."""

    run: bool = False
    """In place of the analyses of heard speech."""
    word_column: str = "word"
    """Column of ``events.tsv`` that holds the words. Without it, the word track of NWB files."""
    roles: tuple[str, ...] = ("speak",)
    """Rows of ``events.tsv`` that are used, where they have a ``role``."""
    onset: str = "speech"
    """What a word's window counts from: ``speech`` (its onset in the sound; words without one are
    left out; the cue where there is no sound at all) or ``cue``."""
    window_s: tuple[float, ...] = (0.0, 1.0)
    """From and to, after the onset: the response to a word is the mean in between."""
    baseline_s: tuple[float, ...] = (-0.6, -0.1)
    """From and to, after the cue: before the word was known, nothing may be predicted."""
    bin_s: float = 0.05
    """Of the time course."""
    course_s: tuple[float, ...] = (-0.5, 1.5)
    """From and to, after the onset: reach of the time course."""
    speech: str = "auto"
    """``words`` (one by one, dealt to folds at random), ``continuous`` (folds are stretches of
    time, with gaps), or ``auto``: continuous where the median word follows the one before within
    the length of the window, or within 0.8 s."""
    layer: str = "penultimate"
    """Of models with several: a number, ``last`` or ``penultimate``. The time course has all."""
    text_context: tuple[str, ...] = ("alone",)
    """Language models read each word ``alone``, or in the ``running`` order of the words spoken;
    both make two embeddings."""
    explained: float = 0.9
    """Share of the variance that principal components of audio embeddings keep."""
    combine: tuple[str, ...] = ()
    """Embeddings side by side: ``A+B``, of NAMEs of the run."""
    mappings: tuple[str, ...] = MAPPINGS
    """``ridge`` (closed form), ``multi-task`` (elastic net over all channels) and ``elastic-net``
    (one per channel)."""
    folds: tuple[str, ...] = FOLDS_OVER
    """``k-fold``, which all nulls use, and ``leave-one-word-out``, as published."""
    n_folds: int = 10
    n_inner: int = 5
    ridge_draws: int = 499
    """Shuffles of the words; each is fitted anew, penalties included."""
    multi_task_draws: int = 39
    elastic_net_draws: int = 19
    random_draws: int = 99
    """Random embeddings, at most: each costs a decomposition."""
    course_draws: int = 99
    """Shuffles for the time course, which fits every layer in every bin."""
    penalties: bool = True
    """Also show scores at fixed penalties."""
    realign: bool = False
    """Shift onsets by the lag between sound and responses, fit again, and show both."""
    max_lag_s: float = 1.0
    """Largest lag between sound and responses that is looked for."""

    def runs_on(self, steps_s: Sequence[float]) -> bool:
        """Whether words that follow each other by these times (s) are continuous speech."""
        if self.speech != "auto":
            return self.speech == "continuous"
        length_s = self.window_s[1] - self.window_s[0]
        return len(steps_s) > 0 and median(steps_s) < max(length_s, CUED_S)


def draws_of(production: Production, mapping: str) -> int:
    """Shuffles for one mapping."""
    return {
        "ridge": production.ridge_draws,
        "multi-task": production.multi_task_draws,
        "elastic-net": production.elastic_net_draws,
    }[mapping]


def choices(production: Production) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Key, value, what it may be."""
    yield "production.onset", production.onset, ONSETS
    yield "production.speech", production.speech, SPEECH
    for key, values, known in (
        ("text_context", production.text_context, CONTEXTS),
        ("mappings", production.mappings, MAPPINGS),
        ("folds", production.folds, FOLDS_OVER),
    ):
        for value in values:
            yield f"production.{key}", value, known
    if not production.layer.isdecimal():
        yield "production.layer", production.layer, LAYERS


def ranges(production: Production) -> Iterator[tuple[str, object, str, bool]]:
    """Key, value, rule in words, and whether it holds."""
    for name in ("window_s", "baseline_s", "course_s"):
        value = getattr(production, name)
        holds = len(value) == 2 and -inf < value[0] < value[1] < inf
        yield f"production.{name}", value, "two rising numbers of seconds", holds
    baseline = production.baseline_s
    before = len(baseline) == 2 and baseline[1] <= 0
    yield "production.baseline_s", baseline, "before the cue (0 or less)", before
    length = production.course_s[-1] - production.course_s[0]
    rule = f"above 0, and at most the reach of course_s ({length:g} s)"
    yield "production.bin_s", production.bin_s, rule, 0 < production.bin_s <= length
    explained = production.explained
    yield "production.explained", explained, "above 0 and at most 1", 0 < explained <= 1
    for name in ("n_folds", "n_inner"):
        value = getattr(production, name)
        yield f"production.{name}", value, "2 or more", value >= 2
    for name in ("ridge_draws", "multi_task_draws", "elastic_net_draws", "random_draws",
                 "course_draws"):  # fmt: skip
        value = getattr(production, name)
        rule = f"{LEAST_DRAWS} or more: fewer draws can't give p = .05"
        yield f"production.{name}", value, rule, value >= LEAST_DRAWS
    lag = production.max_lag_s
    yield "production.max_lag_s", lag, "above 0 and at most 10 s", 0 < lag <= 10
    yield "production.mappings", production.mappings, "at least one", bool(production.mappings)
    rule = "with k-fold, which the nulls use"
    yield "production.folds", production.folds, rule, "k-fold" in production.folds
    yield "production.roles", production.roles, "at least one", bool(production.roles)
    context = production.text_context
    yield "production.text_context", context, "at least one", bool(context)
