"""Cross-validation folds over content groups, with gaps (statistics.md §1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bids_brainalign.errors import BrainAlignError

Away = Callable[[NDArray[np.int64], NDArray[np.bool_], float], NDArray[np.int64]]
"""Rows further than so many seconds from held-out rows."""

MAX_GROUP_FOLDS = 10
"""Above this many content groups: grouped k-fold."""
MIN_RUN_FOLDS = 5
"""So many runs are held out whole rather than cut."""


@dataclass(frozen=True)
class Samples:
    """The rows that folds are made of: all usable samples of all runs of one fit."""

    run: NDArray[np.int64]
    """(n,) index of the run."""
    group: NDArray[np.int64]
    """(n,) index of the content group."""
    time_s: NDArray[np.float64]
    """(n,) s on the recording clock."""
    stimulus: NDArray[np.int64]
    """(n,) index of the stimulus."""
    stimulus_s: NDArray[np.float64]
    """(n,) s on the stimulus clock."""
    interval_s: float
    """Seconds between samples of the response clock."""

    def __len__(self) -> int:
        return len(self.run)


@dataclass(frozen=True)
class Split:
    """Rows to fit on and rows to score on."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]


@dataclass(frozen=True)
class Fold:
    """One outer fold and the inner folds of its training rows."""

    name: str
    outer: Split
    inner: tuple[Split, ...]
    """Empty where inner folds don't fit: then λ and layer are fixed."""


@dataclass(frozen=True)
class FoldPlan:
    """All folds of one fit and how they came about."""

    folds: tuple[Fold, ...]
    kind: str
    """``leave one content group out``, ``blocks within runs``, ``repeated story``, ``user``."""
    whole_runs: bool
    """No fold cuts a run: runs may be standardised by their own mean and SD."""
    hard_gap_s: float
    soft_gap_s: float
    """As applied; 0 where whole runs are held out."""
    notes: tuple[str, ...]

    def mutual_share(self) -> float:
        """Mean share of a fold's training rows that another fold holds out.

        1 when every sample is held out once, 0 with a single test set.
        """
        tested = np.concatenate([fold.outer.test for fold in self.folds])
        shares = [np.isin(fold.outer.train, tested).mean() for fold in self.folds]
        return float(np.mean(shares))


@dataclass(frozen=True)
class GapRule:
    """What a gap around a held-out block within a run must cover."""

    hard_s: float
    """Delay span + filter support + decorrelation time."""
    soft_s: float
    """The features' context."""
    soft_share: float = 0.15
    """The soft gap may cost at most this share of the training samples."""


def plan_folds(
    samples: Samples,
    group_names: Sequence[str],
    *,
    gap: GapRule,
    max_inner: int = 3,
    min_samples: int = 30,
    mean_runs: Sequence[int] = (),
) -> FoldPlan:
    """Choose folds by the precedence of statistics.md §1 (user folds: :func:`user_folds`).

    Parameters
    ----------
    samples : Samples
    group_names : sequence of str
        Name of each content group.
    gap : GapRule
        Used where folds cut a run.
    max_inner : int
        At most this many inner folds per outer fold.
    min_samples : int
        A test or training part with fewer samples is not a fold.
    mean_runs : sequence of int
        Runs that are the mean of several presentations.

    Raises
    ------
    BrainAlignError
        Not enough data for two outer folds (exit code 65), with the length that would do.
    """
    groups = np.unique(samples.group)
    repeated = _repeated_group(samples, mean_runs)
    if repeated is not None and len(groups) - 1 >= 3:
        rest = groups[groups != repeated]
        cut = _cuts_runs(samples, np.where(samples.group == repeated, 0, samples.group + 1))
        fold = _group_fold(
            samples, group_names[repeated], held_out=[repeated], others=rest, max_inner=max_inner,
            gap_s=gap.hard_s if cut else 0.0,
        )  # fmt: skip
        note = f"{group_names[repeated]} was presented repeatedly: it is the test story"
        return _group_plan((fold,), "repeated story", gap if cut else None, (note,), min_samples)
    if len(groups) >= 3:
        return _leave_groups_out(
            samples, group_names, gap=gap, max_inner=max_inner, min_samples=min_samples
        )
    return _blocks_within_runs(
        samples, group_names, gap=gap, max_inner=max_inner, min_samples=min_samples
    )


def _repeated_group(samples: Samples, mean_runs: Sequence[int]) -> int | None:
    """Return the group whose one stimulus was presented more than once (in most runs).

    A run that is the mean of presentations counts before others.
    """
    means = np.unique(samples.group[np.isin(samples.run, mean_runs)])
    if len(means):
        return int(means[0])
    table = pd.DataFrame(
        {"group": samples.group, "run": samples.run, "stimulus": samples.stimulus}
    )
    counts = table.groupby("group").agg(runs=("run", "nunique"), stimuli=("stimulus", "nunique"))
    repeated = counts[(counts.runs > 1) & (counts.stimuli == 1)]
    return None if repeated.empty else int(str(repeated["runs"].idxmax()))


def _cuts_runs(samples: Samples, part: NDArray[np.int64]) -> bool:
    """Whether some run holds rows of more than one part."""
    pairs = np.unique(np.stack([samples.run, part]), axis=1)
    return bool(pairs.shape[1] > len(np.unique(samples.run)))


def _partition(groups: NDArray[np.int64], samples: Samples, k: int) -> list[list[int]]:
    """Split groups into k parts of similar length that share as few runs as can be.

    Groups that stand in one run are kept together as long as there are k sets of runs to part;
    else groups that follow each other in time are, so that few borders need a gap.
    """
    together = _sharing_runs(groups, samples)
    if len(together) >= k:
        return _balanced(together, samples, k)
    first = {int(g): int(np.argmax(samples.group == g)) for g in groups}
    in_order = sorted(first, key=lambda g: first[g])
    sizes = np.array([(samples.group == g).sum() for g in in_order], dtype=np.float64)
    middle = np.cumsum(sizes) - sizes / 2
    part = np.minimum((k * middle / sizes.sum()).astype(int), k - 1)
    found = [[in_order[i] for i in np.flatnonzero(part == p)] for p in range(k)]
    return [sorted(groups) for groups in found if groups]


def _balanced(sets: list[list[int]], samples: Samples, k: int) -> list[list[int]]:
    """Longest first, into the shortest part."""
    size = {min(s): int(np.isin(samples.group, s).sum()) for s in sets}
    parts: list[list[list[int]]] = [[] for _ in range(k)]
    for found in sorted(sets, key=lambda s: (-size[min(s)], min(s))):
        min(parts, key=lambda part: sum(size[min(s)] for s in part)).append(found)
    return sorted(sorted(g for s in part for g in s) for part in parts if part)


def _sharing_runs(groups: NDArray[np.int64], samples: Samples) -> list[list[int]]:
    """Part groups into sets such that no run holds groups of two sets."""
    mine = np.isin(samples.group, groups)
    runs, column = np.unique(samples.run[mine], return_inverse=True)
    row = np.searchsorted(groups, samples.group[mine])
    member = coo_array((np.ones(len(row)), (row, column)), shape=(len(groups), len(runs)))
    incidence = member.tocsr()
    count, label = connected_components(incidence @ incidence.T, directed=False)
    return [[int(g) for g in groups[label == c]] for c in range(count)]


def _group_fold(
    samples: Samples,
    name: str,
    *,
    held_out: list[int],
    others: NDArray[np.int64],
    max_inner: int,
    gap_s: float,
) -> Fold:
    """Hold whole groups out; what was recorded within the gap of them is not trained on."""
    held = np.isin(samples.group, held_out)
    train = away_in_time(samples, np.flatnonzero(np.isin(samples.group, others)), held, gap_s)
    inner = []
    if len(others) >= 2:
        for part in _partition(others, samples, min(max_inner, len(others))):
            inside = np.isin(samples.group, part)
            test = train[inside[train]]
            rest = away_in_time(samples, train[~inside[train]], inside, gap_s)
            inner.append(Split(rest, test))
    return Fold(name, Split(train, np.flatnonzero(held)), tuple(inner))


def _leave_groups_out(
    samples: Samples,
    group_names: Sequence[str],
    *,
    gap: GapRule,
    max_inner: int,
    min_samples: int,
) -> FoldPlan:
    groups = np.unique(samples.group)
    if len(groups) > MAX_GROUP_FOLDS:
        parts = _partition(groups, samples, _n_group_folds(groups, samples))
    else:
        parts = [[int(g)] for g in groups]
    label = np.zeros(len(samples), dtype=np.int64)
    for index, part in enumerate(parts):
        label[np.isin(samples.group, part)] = index
    cut = _cuts_runs(samples, label)
    gap_s = gap.hard_s if cut else 0.0
    folds = []
    for part in parts:
        others = groups[~np.isin(groups, part)]
        name = " + ".join(group_names[g] for g in part)
        folds.append(
            _group_fold(
                samples, name, held_out=part, others=others, max_inner=max_inner, gap_s=gap_s
            )
        )
    kind = "leave one content group out"
    return _group_plan(tuple(folds), kind, gap if cut else None, (), min_samples)


def _n_group_folds(groups: NDArray[np.int64], samples: Samples) -> int:
    """As many as allowed; as there are sets of runs to hold out whole, if those are enough."""
    together = len(_sharing_runs(groups, samples))
    return min(together, MAX_GROUP_FOLDS) if together >= MIN_RUN_FOLDS else MAX_GROUP_FOLDS


def _group_plan(
    folds: tuple[Fold, ...],
    kind: str,
    gap: GapRule | None,
    notes: tuple[str, ...],
    min_samples: int,
) -> FoldPlan:
    """Check folds of groups; ``gap`` is given where stimuli of several folds share a run."""
    if gap is None:
        return FoldPlan(folds, kind, True, 0.0, 0.0, notes)
    for fold in folds:
        if len(fold.outer.train) < min_samples:
            raise BrainAlignError(
                f"{len(fold.outer.train)} training samples are left beside {fold.name}",
                where="stimuli follow each other within runs, and what was recorded within "
                f"{gap.hard_s:.1f} s of held-out ones (delays + filters + decorrelation) can't "
                "train",
                fix="hold out runs or longer stretches: --folds TSV",
            )
    note = (
        "stimuli of several folds share a run: samples within the gap of held-out ones don't "
        "train, and runs are standardised by their training samples"
    )
    plan = FoldPlan(folds, kind, False, gap.hard_s, 0.0, (*notes, note))
    return _drop_poor_inner(plan, min_samples)


def away_in_time(
    samples: Samples, rows: NDArray[np.int64], held: NDArray[np.bool_], gap_s: float
) -> NDArray[np.int64]:
    """Rows recorded further than the gap from every held-out row of the same run.

    Parameters
    ----------
    samples : Samples
    rows : ndarray of int
        Candidates.
    held : ndarray of bool, shape (n,)
    gap_s : float
        Seconds on the recording clock; 0 keeps all.
    """
    keep = np.ones(len(rows), dtype=bool)
    for run in np.unique(samples.run[held]) if gap_s > 0 else ():
        mine = samples.run[rows] == run
        times = np.sort(samples.time_s[held & (samples.run == run)])
        keep[mine] &= _distance(samples.time_s[rows][mine], times) > gap_s
    return rows[keep]


def _blocks_within_runs(
    samples: Samples,
    group_names: Sequence[str],
    *,
    gap: GapRule,
    max_inner: int,
    min_samples: int,
) -> FoldPlan:
    """Cut the content, in stimulus time, into contiguous blocks."""
    for group in np.unique(samples.group):
        if len(np.unique(samples.stimulus[samples.group == group])) > 1:
            raise BrainAlignError(
                f"the content group {group_names[group]} has several stimuli that share content, "
                "and there are fewer than three groups to hold out whole",
                fix="add recordings of other stories, or give your own folds: --folds TSV",
            )
    position, total_s = _content_position(samples)
    wanted = int(np.clip(total_s / (4 * gap.hard_s), 2, 5))
    for n_blocks in range(wanted, 1, -1):
        edges = np.linspace(0, total_s, n_blocks + 1)
        plan = _block_plan(samples, position, edges, gap=gap, max_inner=max_inner)
        enough = [
            min(len(fold.outer.train), len(fold.outer.test)) >= min_samples for fold in plan.folds
        ]
        if all(enough):
            return _drop_poor_inner(plan, min_samples)
    needed = 2 * (min_samples * samples.interval_s + gap.hard_s)
    raise BrainAlignError(
        f"{total_s:.0f} s of usable data are too little for two folds",
        where=f"a fold needs {min_samples} samples of {samples.interval_s:g} s on both sides of a "
        f"gap of {gap.hard_s:.1f} s (delays + filters + decorrelation)",
        fix=f"use at least {needed:.0f} s of recording with stimulus (after trims), "
        "or pool more runs",
    )


def _content_position(samples: Samples) -> tuple[NDArray[np.float64], float]:
    """Seconds into all content laid end to end; repeats of a stimulus share their seconds."""
    position = np.zeros(len(samples))
    offset = 0.0
    for stimulus in np.unique(samples.stimulus):
        rows = samples.stimulus == stimulus
        start = samples.stimulus_s[rows].min()
        position[rows] = offset + samples.stimulus_s[rows] - start
        offset += samples.stimulus_s[rows].max() - start + samples.interval_s
    return position, offset


def _block_plan(
    samples: Samples,
    position: NDArray[np.float64],
    edges: NDArray[np.float64],
    *,
    gap: GapRule,
    max_inner: int,
) -> FoldPlan:
    n_blocks = len(edges) - 1
    block = np.clip(np.searchsorted(edges, position, side="right") - 1, 0, n_blocks - 1)
    stimulus = samples.stimulus

    def away(rows: NDArray[np.int64], held: NDArray[np.bool_], gap_s: float) -> NDArray[np.int64]:
        """Rows further than the gap from every held-out row of the same stimulus.

        Other stimuli's features have not heard the held-out ones, whatever their context: the
        hard gap on the recording clock is enough.
        """
        rows = away_in_time(samples, rows, held, gap.hard_s)
        keep = np.ones(len(rows), dtype=bool)
        for s in np.unique(stimulus[held]):
            held_positions = np.sort(position[held & (stimulus == s)])
            mine = stimulus[rows] == s
            keep[mine] &= _distance(position[rows][mine], held_positions) > gap_s
        return rows[keep]

    soft_s = _affordable_gap(block, gap, away)
    total_gap = gap.hard_s + soft_s
    folds = []
    for k in range(n_blocks):
        held = block == k
        train = away(np.flatnonzero(~held), held, total_gap)
        inner = []
        for part in _inner_blocks(block, position, train, k=k, n_blocks=n_blocks, most=max_inner):
            held_rows = np.flatnonzero(part)
            rest = away(np.setdiff1d(train, held_rows), part, total_gap)
            inner.append(Split(rest, np.intersect1d(train, held_rows)))
        outer = Split(train, np.flatnonzero(held))
        folds.append(Fold(f"{edges[k]:.0f}–{edges[k + 1]:.0f} s", outer, tuple(inner)))
    notes = []
    if soft_s < gap.soft_s:
        notes.append(
            f"features hear up to {gap.soft_s:.0f} s around a sample; keeping training data that "
            f"far from test blocks would cost over {gap.soft_share:.0%} of it, so the gap beyond "
            f"the hard {gap.hard_s:.1f} s is {soft_s:.1f} s"
        )
    kind = f"{n_blocks} blocks within runs"
    return FoldPlan(tuple(folds), kind, False, gap.hard_s, soft_s, tuple(notes))


def _distance(values: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each value to the nearest of the sorted others."""
    at = np.clip(np.searchsorted(others, values), 1, max(len(others) - 1, 1))
    left = others[np.clip(at - 1, 0, len(others) - 1)]
    right = others[np.clip(at, 0, len(others) - 1)]
    return np.minimum(np.abs(values - left), np.abs(values - right))


def _affordable_gap(block: NDArray[np.int64], gap: GapRule, away: Away) -> float:
    """Largest soft gap that costs every fold at most the allowed share of its training rows."""
    soft = gap.soft_s
    while soft > 0:
        costs = []
        for k in np.unique(block):
            held = block == k
            rows = np.flatnonzero(~held)
            with_hard = len(away(rows, held, gap.hard_s))
            costs.append(1 - len(away(rows, held, gap.hard_s + soft)) / max(with_hard, 1))
        if max(costs) <= gap.soft_share:
            return soft
        soft = soft - max(0.5, 0.05 * gap.soft_s)
    return 0.0


def _inner_blocks(
    block: NDArray[np.int64],
    position: NDArray[np.float64],
    train: NDArray[np.int64],
    *,
    k: int,
    n_blocks: int,
    most: int,
) -> Iterator[NDArray[np.bool_]]:
    """Give validation parts: the other outer blocks, or halves of the one other block."""
    if n_blocks > 2:
        others = [b for b in range(n_blocks) if b != k]
        for chosen in np.array_split(np.array(others), min(most, len(others))):
            yield np.isin(block, chosen)
        return
    edges = np.quantile(position[train], np.linspace(0, 1, 3)) if len(train) else np.zeros(3)
    for low, high in pairwise(edges):
        part = (position >= low) & (position < high)
        yield part & np.isin(np.arange(len(block)), train)


def _drop_poor_inner(plan: FoldPlan, min_samples: int) -> FoldPlan:
    folds, poor = [], False
    for fold in plan.folds:
        good = tuple(s for s in fold.inner if min(len(s.train), len(s.test)) >= min_samples)
        poor |= len(good) < 2
        folds.append(Fold(fold.name, fold.outer, good if len(good) >= 2 else ()))
    if not poor:
        return replace(plan, folds=tuple(folds))
    without = tuple(Fold(fold.name, fold.outer, ()) for fold in folds)
    note = "inner folds don't fit: penalty and layer are fixed by the configuration"
    return replace(plan, folds=without, notes=(*plan.notes, note))
