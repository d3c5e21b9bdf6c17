"""Which files pass the user's filters, and what to say when none does."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence

from bids_brainalign.config.schema import Selection
from bids_brainalign.dataset.filenames import SHORT_NAMES, DatasetFile, same_label
from bids_brainalign.errors import BrainAlignError, ExitCode

OPTIONS = {
    "participants": ("sub", "--participant-label"),
    "sessions": ("ses", "--session-label"),
    "tasks": ("task", "--task-label"),
    "runs": ("run", "--run-label"),
}
_OF_THE_NAME = ("suffix", "extension", "datatype")
_ENTITIES = (
    "sub ses task acq ce rec dir run echo part recording space res den desc hemi label".split()
)


def passes(
    file: DatasetFile, selection: Selection, query: str, *, but: Collection[str] = ()
) -> bool:
    """Whether a file is selected.

    Parameters
    ----------
    file : DatasetFile
    selection : Selection
    query : str
        Which part of the filter file counts: ``ieeg`` or ``bold``.
    but : collection of str
        Entities of the filter file that don't count for this file.
    """
    for field, (entity, _) in OPTIONS.items():
        wanted = getattr(selection, field)
        if wanted and not any(same_label(file.entities.get(entity), label) for label in wanted):
            return False
    for name, filters in selection.filters:
        if name != query:
            continue
        for key, values in filters:
            entity = _entity(key, query)
            if entity not in but and not _accepts(file, entity, values):
                return False
    return True


def _entity(key: str, query: str) -> str:
    entity = SHORT_NAMES.get(key, key)
    if entity in _ENTITIES or entity in _OF_THE_NAME:
        return entity
    known = [*_ENTITIES, *SHORT_NAMES, *_OF_THE_NAME]
    near = difflib.get_close_matches(key, known, n=1)
    raise BrainAlignError(
        f"--bids-filter-file: {query!r} filters by {key!r}, which is no BIDS entity",
        where=f"entities: {', '.join(known)}",
        fix=f"write {near[0]!r}" if near else "choose one of those",
        exit_code=ExitCode.USAGE,
    )


def _accepts(file: DatasetFile, entity: str, values: Sequence[str]) -> bool:
    """Whether a file has one of the values; no value at all asks that the entity be absent."""
    own = {
        "suffix": file.suffix,
        "extension": file.extension,
        "datatype": file.path.parent.name,
    }.get(entity, file.entities.get(entity))
    return any(same_label(own, value) for value in values) if values else own is None


def require_participants(present: Sequence[str], selection: Selection) -> None:
    """Refuse participants that the dataset does not have (exit code 18)."""
    absent = [label for label in selection.participants if label not in present]
    if not absent:
        return
    nearest = [near_misses(label, present) for label in absent]
    found = [label for labels in nearest for label in labels]
    raise BrainAlignError(
        f"--participant-label: the dataset has no participant {', '.join(absent)}",
        where=f"participants: {some(present)}",
        fix=f"--participant-label {' '.join(dict.fromkeys(found))}"
        if found
        else "choose of those",
        exit_code=ExitCode.NOTHING_SELECTED,
    )


def nothing_selected(
    files: Sequence[DatasetFile], selection: Selection, *, participants: Sequence[str], what: str
) -> BrainAlignError:
    """Say that no recording was selected, by which filters, and what there is.

    Parameters
    ----------
    files : sequence of DatasetFile
        All recordings that were seen, selected or not.
    selection : Selection
    participants : sequence of str
        All of the dataset.
    what : str
        What was searched for, and where.
    """
    have = {
        name: sorted({f.entities[entity] for f in files if entity in f.entities})
        for name, (entity, _) in OPTIONS.items()
    }
    spaces = sorted({f.entities["space"] for f in files if "space" in f.entities})
    hints = []
    for name, (_, option) in OPTIONS.items():
        labels = getattr(selection, name)
        strange = [x for x in labels if not any(same_label(x, h) for h in have[name])]
        near = [miss for label in strange for miss in near_misses(label, have[name])]
        hints += [f"{option} {' '.join(dict.fromkeys(near))}"] if near else []
    filters = filters_in_force(selection)
    return BrainAlignError(
        "no recording was selected",
        where=f"searched for {what} with {', '.join(filters) or 'no filters'} in force\n  "
        f"the dataset has participants {some(participants)}; "
        + ("in those selected, " if selection.participants else "")
        + f"sessions {some(have['sessions'])}; tasks {some(have['tasks'])}; "
        f"runs {some(have['runs'])}; spaces {some(spaces)}",
        fix=", ".join(hints) or "widen the selection, or check BIDS_DIR",
        exit_code=ExitCode.NOTHING_SELECTED if filters else ExitCode.MISSING_INPUT,
    )


def filters_in_force(selection: Selection) -> list[str]:
    """Write the filters as options, e.g. ``--task-label story``."""
    given = [
        f"{option} {' '.join(getattr(selection, name))}"
        for name, (_, option) in OPTIONS.items()
        if getattr(selection, name)
    ]
    for query, filters in selection.filters:
        terms = (f"{key}={'|'.join(values) or 'none'}" for key, values in filters)
        given.append(f"--bids-filter-file {query}: {' '.join(terms)}")
    return given


def near_misses(label: str, present: Iterable[str]) -> list[str]:
    """Labels that were perhaps meant: the same number, or a similar word.

    Examples
    --------
    >>> near_misses("1", ["01", "02"])
    ['01']
    >>> near_misses("lisen", ["listen", "rest"])
    ['listen']
    """
    labels = list(present)
    same = [x for x in labels if same_label(x, label) or x.lower() == label.lower()]
    # A number that looks like another is no slip of the keys.
    return same if same or label.isdecimal() else difflib.get_close_matches(label, labels, n=1)


def some(labels: Iterable[str]) -> str:
    """Twelve labels at most, and how many there are."""
    listed = list(labels)
    shown = ", ".join(listed[:12]) or "(none)"
    return f"{shown}, … ({len(listed)})" if len(listed) > 12 else shown
