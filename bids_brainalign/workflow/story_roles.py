"""Training, validation and test stories: the folds of a run that tunes models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.statistics.folds import Fold, FoldPlan, Samples, Split, away_in_time
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.repeats import stored_counts

TEST, VALIDATION, TRAIN = "test", "validation", "train"
KIND = "stories of tuning"
FEW = 3
"""So many content groups or fewer: a result would rest on one story of each kind."""
SAME_CLOCK_S = 0.01
"""Rows of one passage differ by less in the onset that their two clocks tell."""
SHARE = 10
"""One content group in so many is a test group, another a validation group (Moussa et al. 2025:
24 stories for training, 2 for validation, 1 for test)."""


def story_plan(
    config: Config, fit: Fit, samples: Samples, *, gap_s: float, stored: Sequence[int]
) -> FoldPlan:
    """One fold: ridge from training stories, choices on validation stories, one look at the test.

    Parameters
    ----------
    config : Config
    fit : Fit
    samples : Samples
    gap_s : float
        Between parts of a run that have different roles.
    stored : sequence of int
        Of how many presentations each run is the mean.

    Raises
    ------
    BrainAlignError
        Too few stories (65), or names of stories that are not there or share content (64).
    """
    stimuli = sorted({p.stimulus.name for p in fit.presentations})
    role_of = roles(config, fit, stored)
    role = np.array([role_of[name] for name in stimuli])[samples.stimulus]
    held = role != TRAIN
    shares = any(len(np.unique(role[samples.run == run])) > 1 for run in np.unique(samples.run))
    gap_s = gap_s if shares else 0.0
    train = away_in_time(samples, np.flatnonzero(~held), held, gap_s)
    validation = away_in_time(samples, np.flatnonzero(role == VALIDATION), role == TEST, gap_s)
    test = np.flatnonzero(role == TEST)
    least = config.folds.min_samples
    sizes = {TRAIN: len(train), VALIDATION: len(validation), TEST: len(test)}
    for name, size in sizes.items():
        if size < least:
            raise BrainAlignError(
                f"{fit.name.stem}: {size} samples are left of the {name} stories",
                where=f"at least {least} are needed; gap between stories of a run: {gap_s:.1f} s",
                fix="choose other stories: test_stories and validation_stories in [tuning]",
            )
    names = {
        name: sorted(s for s, role in role_of.items() if role == name)
        for name in (TRAIN, VALIDATION, TEST)
    }
    notes = [
        f"one fold: ridge is fitted on {len(names[TRAIN])} training stories, penalty and layer "
        f"are chosen on {', '.join(names[VALIDATION])}, {', '.join(names[TEST])} is scored"
    ]
    if len({p.content_group for p in fit.presentations}) <= FEW:
        notes.append(f"only {len(stimuli)} stories: this shows how it works, and no more")
    fold = Fold(" ".join(names[TEST]), Split(train, test), (Split(train, validation),))
    return FoldPlan((fold,), KIND, not shares, gap_s, 0.0, tuple(notes))


def roles(config: Config, fit: Fit, stored: Sequence[int]) -> dict[str, str]:
    """Give every stimulus its role: the same for all participants who heard the same stories.

    Stories of one content group have one role. Unless they are named, a story that was presented
    several times is the test story.
    """
    groups = {p.stimulus.name: p.content_group for p in fit.presentations}
    named = {TEST: config.tuning.test_stories, VALIDATION: config.tuning.validation_stories}
    for role, names in named.items():
        unknown = sorted(set(names) - set(groups))
        if unknown:
            raise BrainAlignError(
                f"{role}_stories: {fit.name.stem} has no stimulus {', '.join(unknown)}",
                where=f"its stimuli: {', '.join(sorted(groups))}",
                fix=f"name some of these under {role}_stories in [tuning]",
                exit_code=ExitCode.USAGE,
            )
    every = sorted(set(groups.values()))
    _require_enough(config, fit, every)
    of_role = {role: sorted({groups[name] for name in names}) for role, names in named.items()}
    if set(of_role[TEST]) & set(of_role[VALIDATION]):
        raise BrainAlignError(
            "a test story and a validation story share their content",
            where=f"{', '.join(named[TEST])} and {', '.join(named[VALIDATION])}",
            fix="name stories of different content groups",
            exit_code=ExitCode.USAGE,
        )
    free = [g for g in every if g not in of_role[TEST] and g not in of_role[VALIDATION]]
    count = max(1, round(len(every) / SHARE))
    repeated = [g for g in _repeated(fit, stored) if g in free]
    for role in (TEST, VALIDATION):
        if not of_role[role]:
            of_role[role] = first = (
                repeated[:count] if role == TEST and repeated else _spread(free, count)
            )
            free = [g for g in free if g not in first]
    if not free:
        raise BrainAlignError(
            f"{fit.name.stem}: no story is left to train on",
            fix="name fewer test_stories and validation_stories in [tuning]",
            exit_code=ExitCode.USAGE,
        )
    role_of = {g: role for role, members in of_role.items() for g in members}
    return {name: role_of.get(group, TRAIN) for name, group in groups.items()}


def shared_roles(config: Config, fits: Sequence[Fit]) -> dict[str, str]:
    """Give the role of every stimulus in the tuning of all fits.

    Returns
    -------
    dict of str to str
        By name of the stimulus. Empty without tuning, where a fit has too few stories or no
        responses, and where a stimulus has different roles for different fits.
    """
    if not config.tuning.variants:
        return {}
    found: dict[str, str] = {}
    for fit in fits:
        try:
            own = roles(config, fit, stored_counts(config, fit))
        except (BrainAlignError, OSError):
            return {}
        if any(found.setdefault(name, role) != role for name, role in own.items()):
            return {}
    return found


def _repeated(fit: Fit, stored: Sequence[int]) -> list[str]:
    """Content groups that were presented more than once, most often first."""
    count = {r.name: max(1, n) for r, n in zip(fit.recordings, stored, strict=True)}
    times: dict[str, int] = {}
    for p in fit.presentations:
        times[p.content_group] = times.get(p.content_group, 0) + count[p.recording.name]
    return sorted((g for g, n in times.items() if n > 1), key=lambda g: (-times[g], g))


def _spread(groups: Sequence[str], count: int) -> list[str]:
    """Take some groups from all over the list, the last one first."""
    if not groups:
        return []
    at = np.unique(np.linspace(len(groups) - 1, 0, count + 1).round()[:count].astype(int))
    return [groups[i] for i in at]


def _require_enough(config: Config, fit: Fit, groups: Sequence[str]) -> None:
    n = len(groups)
    if n > FEW or (n == FEW and config.tuning.allow_few_stories):
        return
    what = f"{fit.name.stem} has {n} stories with different content"
    if n == FEW:
        raise BrainAlignError(
            f"{what}: too few to tell whether tuning helped",
            where="one trains, one chooses penalty and epoch, one is scored",
            fix="add recordings of other stories, or see how it works with --allow-few-stories",
        )
    raise BrainAlignError(
        f"{what}, and tuning needs three: to train, to choose, and to score",
        fix="add recordings of other stories",
    )


def rows_of(samples: Samples, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Cut rows by run, stimulus and passage of it, each in the order of time.

    A new passage begins where the stimulus starts again, or goes on after a part that was not
    played: its clock then steps otherwise than that of the recording.
    """
    parts = []
    for run in np.unique(samples.run[rows]):
        of_run = rows[samples.run[rows] == run]
        for stimulus in np.unique(samples.stimulus[of_run]):
            mine = of_run[samples.stimulus[of_run] == stimulus]
            mine = mine[np.argsort(samples.time_s[mine], kind="stable")]
            onset = samples.time_s[mine] - samples.stimulus_s[mine]
            jumps = np.flatnonzero(np.abs(np.diff(onset)) > SAME_CLOCK_S) + 1
            parts += np.split(mine, jumps)
    return parts
