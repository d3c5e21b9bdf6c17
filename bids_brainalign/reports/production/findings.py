"""Whether there is evidence, in words: the answer first, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bids_brainalign.reports.production.results import Production, Rebuilt, told
from bids_brainalign.reports.production.twin import published
from bids_brainalign.reports.production.wording import p_text
from bids_brainalign.reports.summary import number

ANSWERS = {
    "evidence": "Evidence",
    "no evidence": "No evidence",
    "undecided": "Undecided",
    "": "Not judged",
}
"""As the pages say them."""
ALPHA = 0.05
ANSWERED_FIRST = ("There is evidence", "There is no evidence", "Whether the embeddings")
"""Beginnings of the first sentence of a verdict, which the finding says already."""


@dataclass(frozen=True)
class Finding:
    """The verdict on one embedding."""

    embedding: str
    answer: str
    """One of `ANSWERS`."""
    rest: str
    """What follows the answer in the sentence."""
    reasons: str
    """The rest of the verdict; may be empty."""

    @property
    def sentence(self) -> str:
        """Answer and what it is about."""
        return f"{self.answer}{self.rest}"


def finding_of(one: Rebuilt) -> Finding:
    """Say what one embedding showed."""
    answer = ANSWERS.get(one.answer, ANSWERS[""])
    rest = {
        "Evidence": f" that {one.embedding} predicts the responses to the words",
        "No evidence": f" that {one.embedding} predicts the responses to the words",
        "Undecided": f" whether {one.embedding} predicts the responses to the words",
        "Not judged": f": {one.embedding}. Only ridge is judged, whose nulls can be had in the "
        "numbers that it takes; it was not run",
    }[answer]
    reasons = _reasons(one)
    # A small p beside "no evidence" needs the rule that decided.
    decided = f" {reasons.split('. ')[0].rstrip('.')}." if _decided_otherwise(one) else ""
    return Finding(one.embedding, answer, f"{rest}{_numbers(one)}.{decided}", reasons)


def findings_of(production: Production) -> list[Finding]:
    """Verdicts of all embeddings, in the order of the page."""
    return [finding_of(one) for one in production.main()]


def overall(findings: Sequence[Finding]) -> str:
    """Count the answers.

    Examples
    --------
    >>> no, yes = Finding("a", "No evidence", "", ""), Finding("b", "Evidence", "", "")
    >>> overall([no]), overall([no, yes]), overall([no, no])
    ('', 'Evidence with 1 of 2 embeddings: b.', 'No evidence with any of 2 embeddings.')
    """
    if len(findings) < 2:
        return ""
    by_answer = {
        answer: [f.embedding for f in findings if f.answer == answer]
        for answer in ANSWERS.values()
    }
    found, total = by_answer["Evidence"], len(findings)
    if found:
        return f"Evidence with {len(found)} of {total} embeddings: {', '.join(found)}."
    if len(by_answer["No evidence"]) == total:
        return f"No evidence with any of {total} embeddings."
    open_ones = by_answer["Undecided"] + by_answer["Not judged"]
    return f"No evidence so far with {total} embeddings; open: {', '.join(open_ones)}."


def warnings_of(production: Production, findings: Sequence[Finding]) -> list[str]:
    """Say what a reader has to know before believing the answers."""
    sentences = []
    if sum(f.answer in {"Evidence", "No evidence"} for f in findings) > 1:
        sentences.append(
            "Every embedding is judged by itself, at 5 %: of 20 embeddings without information, "
            "up to one would show evidence."
        )
    if any(f.answer == "No evidence" for f in findings):
        sentences.append(
            "No evidence means that there is no such effect, that it is smaller than these "
            "recordings can show, or that something plainer explains it as well."
        )
    sentences += unlike(production)
    published_too = _published_scores(production)
    return [*sentences, published_too] if published_too else sentences


def unlike(production: Production) -> list[str]:
    """Say where embeddings must not be compared: other settings, or other words."""
    if len({one.settings for one in production.rebuilt}) > 1:
        return [
            "Not to be compared with each other: these embeddings were scored with different "
            "settings. Run them again together."
        ]
    counts = {int(number_of_words(one)) for one in production.rebuilt if number_of_words(one)}
    if len(counts) > 1:
        return [
            "Not to be compared with each other: these embeddings were scored on different words "
            f"({', '.join(map(str, sorted(counts)))} of them). Run them again together."
        ]
    return []


def number_of_words(one: Rebuilt) -> int:
    """Words that the scores are of; 0 where it is not known."""
    value = one.sidecar.get("NumberOfWords")
    return int(value) if isinstance(value, int) else 0


def _numbers(one: Rebuilt) -> str:
    """Corrected score and its p, in brackets."""
    score = one.score("pattern_r")
    value, p = score.value, score.p_shuffled
    if not np.isfinite(value):
        return ""
    null = f"; shuffled words {number(score.null_mean)}" if np.isfinite(score.null_mean) else ""
    tested = f", {p_text(p)}" if np.isfinite(p) else ""
    return f" (pattern r = {number(value)}{null}{tested})".replace("r = ", "r\u00a0=\u00a0")


def _decided_otherwise(one: Rebuilt) -> bool:
    """Whether there is no evidence though shuffled words are beaten."""
    return one.answer == "no evidence" and one.score("pattern_r").p_shuffled <= ALPHA


def _reasons(one: Rebuilt) -> str:
    text = " ".join(told(one.sidecar, "Verdict"))
    first, _, others = text.partition(". ")
    return others if first.startswith(ANSWERED_FIRST) else text


def _published_scores(production: Production) -> str:
    """Range of the published score, and of what ignores the word."""
    pairs = [pair for one in production.main() if (pair := published(one.rows(), "pcc"))]
    if not pairs:
        return ""
    mine, twins = zip(*pairs, strict=True)
    return (
        f"The published score, the correlation across channels, is {_range(mine)}, and "
        f"{_range(twins)} for the mean over the training words, which ignores the word: channels "
        "differ in their means, and that alone makes it high. Only what goes beyond can be about "
        "words."
    )


def _range(values: Sequence[float]) -> str:
    low, high = number(min(values)), number(max(values))
    return low if low == high else f"{low} to {high}"
