"""Say in words whether responses to words could be rebuilt from embeddings.

Rules
-----
1. The statistic is the mean-removed pattern correlation, ``pattern_r``; scores across channels
   that keep the channels' means play no part.
2. It must be above 0, and its p at most .05 against every one of the nulls of `NEEDED`, and every
   other null there is.
3. The same embeddings must not predict the window before the cue (p above .05); not in continuous
   speech, where that window is full of other words.
4. The model must beat every plain predictor there is (p of the gain at most .05), the place in the
   recording among them.

All must hold, so that without information "evidence" comes up in at most 5 % of data (0 of 100
simulated), and rule 3 misses one true effect in 20 (1 of 40). What was not run, or has too few
draws for p = .05, makes the verdict "undecided" unless another rule already says no.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bids_brainalign.production.nulls import Null
from bids_brainalign.production.scores import STATISTICS
from bids_brainalign.production.twins import Twin

Answer = Literal["evidence", "no evidence", "undecided"]

ALPHA = 0.05
STATISTIC = "pattern_r"
NEEDED = ("shuffled words", "random embeddings", "shifted trials")
"""Names of nulls without which there is no "evidence"."""
NEEDED_TWIN = "trial index"
_PLACE = STATISTICS.index(STATISTIC)


@dataclass(frozen=True)
class Verdict:
    """Answer, and the sentences that give its reasons."""

    answer: Answer
    reasons: tuple[str, ...]

    @property
    def text(self) -> str:
        """One paragraph for the report."""
        opening = {
            "evidence": "There is evidence that the embeddings of words predict the responses.",
            "no evidence": "There is no evidence that the embeddings of words predict the "
            "responses.",
            "undecided": "Whether the embeddings of words predict the responses is undecided.",
        }[self.answer]
        return " ".join([opening, *self.reasons])


def judge(
    nulls: Sequence[Null],
    twins: Sequence[Twin] = (),
    *,
    baseline: Null | None = None,
    before_is_blank: bool = True,
) -> Verdict:
    """Apply the rules of this module.

    Parameters
    ----------
    nulls : sequence of Null
        Of the response window.
    twins : sequence of Twin
        Plain predictors: trial index, length, duration, loudness, number of phones.
    baseline : Null, optional
        Shuffled words with the responses of the window before the cue.
    before_is_blank : bool
        Whether the word can't be known in that window. In continuous speech it is full of the
        words before, and rule 3 does not apply.

    Returns
    -------
    Verdict
    """
    against: list[str] = []
    missing: list[str] = []
    for null in nulls:
        _judge_null(null, against, missing)
    given = {null.name for null in nulls}
    missing += [f"The null of {name} was not run." for name in NEEDED if name not in given]
    if before_is_blank:
        _judge_baseline(baseline, against, missing)
    for plain in twins:
        if plain.gain > 0 and plain.least_p > ALPHA:
            missing.append(f"There are too few folds to compare it with {plain.name}.")
        elif not (plain.gain > 0 and plain.p_gain <= ALPHA):
            against.append(
                f"It is not better than {plain.name} alone (gain {plain.gain:.3f}, "
                f"p = {plain.p_gain:.3g})."
            )
    if NEEDED_TWIN not in {plain.name for plain in twins}:
        missing.append(f"It was not compared with {NEEDED_TWIN}.")
    if against:
        return Verdict("no evidence", tuple(dict.fromkeys((*against, *missing))))
    if missing:
        return Verdict("undecided", tuple(dict.fromkeys(missing)))
    return Verdict("evidence", tuple(_said(null) for null in nulls))


def _judge_null(null: Null, against: list[str], missing: list[str]) -> None:
    r, p = float(null.observed[_PLACE]), float(null.p[_PLACE])
    if not np.isfinite(p):
        missing.append(f"Against {null.name}, {STATISTIC} has no p value.")
    elif r <= 0:
        against.append(f"The mean-removed pattern correlation is {r:.3f}, not above 0.")
    elif null.least_p > ALPHA:
        missing.append(f"{len(null.draws)} draws of {null.name} are too few for p = {ALPHA:g}.")
    elif p > ALPHA:
        against.append(_said(null))


def _judge_baseline(baseline: Null | None, against: list[str], missing: list[str]) -> None:
    if baseline is None:
        missing.append("The window before the cue was not looked at.")
        return
    r, p = float(baseline.observed[_PLACE]), float(baseline.p[_PLACE])
    if not np.isfinite(p) or baseline.least_p > ALPHA:
        missing.append("The window before the cue has no p value that could show a leak.")
    elif p <= ALPHA:
        against.append(
            f"The window before the cue, when the word was not known, is predicted, too "
            f"(r = {r:.3f}, p = {p:.3g}): a leak, a drift, or an order of the words."
        )


def _said(null: Null) -> str:
    return (
        f"Mean-removed pattern correlation {null.observed[_PLACE]:.3f} against {null.name}: "
        f"{null.draws[:, _PLACE].mean():.3f} on average, p = {null.p[_PLACE]:.3g} "
        f"({len(null.draws)} draws)."
    )
