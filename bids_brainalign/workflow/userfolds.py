"""Folds that the user gives: ``--folds TSV``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.dataset.tables import read_tsv
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.statistics.folds import Fold, FoldPlan, Samples, Split, away_in_time

EXCLUDE, TEST = "exclude", "test"


@dataclass(frozen=True)
class UserFolds:
    """Rows of the table: a run, or a stretch of it, belongs to a fold.

    A run is named by its entities, all or some: ``sub-01_task-story_run-1`` or ``task-story``.
    """

    table: pd.DataFrame
    """``run``, ``start``, ``stop`` (s on the recording clock; ±inf = the run's end), ``fold``."""
    path: Path

    def excluded(self, run: str, times: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Mark samples whose fold is ``exclude``."""
        return np.asarray(self.labels(run, times) == EXCLUDE, dtype=bool)

    def labels(self, run: str, times: NDArray[np.float64]) -> NDArray[np.object_]:
        """Fold label of each sample; empty where no row covers it."""
        out = np.full(len(times), "", dtype=object)
        columns = (self.table[c].tolist() for c in ("run", "start", "stop", "fold"))
        for name, start, stop, fold in zip(*columns, strict=True):
            if set(str(name).split("_")) <= set(run.split("_")):
                out[(times >= start) & (times < stop)] = fold
        return out


def read_folds(path: Path) -> UserFolds:
    """Read and check ``--folds``.

    Raises
    ------
    BrainAlignError
        The columns ``run`` and ``fold`` are missing, or times are not numbers (exit code 65).
    """
    table = read_tsv(path)
    missing = [c for c in ("run", "fold") if c not in table.columns]
    if missing:
        raise BrainAlignError(
            f"--folds: {path.name} has no column {' and no column '.join(missing)}",
            where=f"its columns are {', '.join(table.columns)}",
            fix="give columns run, fold and, for parts of runs, start and stop in seconds; "
            f"fold is a label, {TEST} or {EXCLUDE}",
        )
    for column, default in (("start", -np.inf), ("stop", np.inf)):
        text = table.get(column, pd.Series("n/a", index=table.index)).replace("n/a", None)
        numbers = pd.to_numeric(text, errors="coerce")
        if (numbers.isna() & text.notna()).any():
            raise BrainAlignError(
                f"--folds: {path.name} has a {column} that is not a number of seconds",
                fix="write seconds on the recording clock, or n/a for the run's end",
            )
        table[column] = numbers.fillna(default)
    return UserFolds(table, path)


def user_folds(
    folds: UserFolds,
    samples: Samples,
    runs: Sequence[str],
    *,
    gap_s: float,
    max_inner: int,
    min_samples: int,
) -> FoldPlan:
    """Hold out each label in turn, or only ``test`` if there is such a label.

    Samples without a label only ever train. A gap is kept around held-out parts of a run.

    Raises
    ------
    BrainAlignError
        No sample has a label, or a fold has too few samples (exit code 65).
    """
    labels = np.full(len(samples), "", dtype=object)
    for index, run in enumerate(runs):
        rows = samples.run == index
        labels[rows] = folds.labels(run, samples.time_s[rows])
    distinct = sorted(set(labels) - {"", EXCLUDE})
    if not distinct:
        raise BrainAlignError(
            f"--folds: no row of {folds.path.name} matches a run of this fit",
            where=f"runs here: {', '.join(runs)}",
            fix="write these names in the column run",
        )
    outer = [TEST] if TEST in distinct else distinct
    plan = []
    for label in outer:
        train = away_in_time(samples, np.flatnonzero(labels != label), labels == label, gap_s)
        inner = []
        others = [x for x in sorted(set(labels[train]))]
        for part in np.array_split(np.array(others, dtype=object), min(max_inner, len(others))):
            held = np.isin(labels, part) & (labels != label)
            inside = np.intersect1d(train, np.flatnonzero(held))
            kept = away_in_time(samples, train[~held[train]], held, gap_s)
            if min(len(inside), len(kept)) >= min_samples:
                inner.append(Split(kept, inside))
        test = np.flatnonzero(labels == label)
        if min(len(test), len(train)) < min_samples:
            raise BrainAlignError(
                f"--folds: the fold {label} has {len(test)} test, {len(train)} training samples",
                fix=f"at least {min_samples} of each are needed",
            )
        plan.append(Fold(str(label), Split(train, test), tuple(inner if len(inner) > 1 else ())))
    notes = [f"folds are the user's ({folds.path.name})"]
    if any(not fold.inner for fold in plan):
        plan = [Fold(f.name, f.outer, ()) for f in plan]
        notes.append("inner folds don't fit: penalty and layer are fixed by the configuration")
    cut = any(len(set(labels[samples.run == r])) > 1 for r in np.unique(samples.run))
    return FoldPlan(tuple(plan), "user", not cut, gap_s if cut else 0.0, 0.0, tuple(notes))
