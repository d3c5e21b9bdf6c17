"""Half of a repeated stimulus, kept from scoring so that voxels can be selected on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.statistics.folds import Fold, FoldPlan, Samples, Split
from bids_brainalign.workflow.repeats import find_repeats


def set_aside(
    config: Config, plan: FoldPlan, samples: Samples, stored: Sequence[int], gap_s: float
) -> tuple[FoldPlan, tuple[NDArray[np.int64], ...]]:
    """Take the first half of every repeated stimulus from scoring, to select voxels on.

    Parameters
    ----------
    config : Config
    plan : FoldPlan
    samples : Samples
    stored : sequence of int
        Per run, presentations whose mean the response is.
    gap_s : float
        Seconds between the halves that neither gets.

    Returns
    -------
    plan : FoldPlan
        Held-out rows of folds with repeats are those of the second half.
    aside : tuple of ndarray of int
        Per fold, rows of the first half; empty for folds without repeats.
    """
    folds, aside = [], []
    for fold in plan.folds:
        rows = fold.outer.test
        if find_repeats(samples, rows, stored) is None:
            folds.append(fold)
            aside.append(rows[:0])
            continue
        clock, stimulus = samples.stimulus_s[rows], samples.stimulus[rows]
        first, second = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
        for one in np.unique(stimulus):
            mine = stimulus == one
            middle = (clock[mine].min() + clock[mine].max()) / 2
            first |= mine & (clock <= middle - gap_s / 2)
            second |= mine & (clock > middle + gap_s / 2)
        if min(first.sum(), second.sum()) < config.folds.min_samples:
            raise BrainAlignError(
                f"half of {fold.name} is {min(first.sum(), second.sum())} samples: too little to "
                "select voxels on and score others",
                where=f"{len(rows)} held-out samples, {gap_s:.1f} s between the halves; "
                f"{config.folds.min_samples} are needed on both sides",
                fix='set [ceiling] select = "none"',
            )
        folds.append(Fold(fold.name, Split(fold.outer.train, rows[second]), fold.inner))
        aside.append(rows[first])
    note = (
        "the first half of the repeated stimulus selects voxels by their ceiling, the second half "
        "is scored"
    )
    return replace(plan, folds=tuple(folds), notes=(*plan.notes, note)), tuple(aside)
