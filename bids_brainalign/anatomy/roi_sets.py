"""Regions of interest by name: sets of an atlas' labels, however the atlas spells them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib import resources

from bids_brainalign.anatomy.atlas import NOTHING, region_and_side
from bids_brainalign.config.schema import Rois
from bids_brainalign.config.toml import nearest
from bids_brainalign.errors import BrainAlignError, ExitCode

MEDIAL_WALL = ("medialwall", "freesurferdefinedmedialwall", "bg", "backgroundfreesurferdefined")
"""Canonical names of labels that are no cortex."""


@dataclass(frozen=True)
class Family:
    """Label sets written for one atlas."""

    key: str
    title: str
    source: str
    exact: bool
    """Whether sets are the published areas themselves, and not gyri where these lie."""
    default: tuple[str, ...]
    """Sets that are taken where none is asked for."""
    sets: Mapping[str, tuple[str, ...]]
    """Name → labels, ``*`` for any ending."""


@dataclass(frozen=True)
class Roi:
    """One region of interest, resolved in an atlas."""

    name: str
    labels: frozenset[str]
    """Labels of the atlas without their side, as the atlas writes them."""
    absent: tuple[str, ...] = ()
    """What the set asks for and the atlas lacks."""


@dataclass(frozen=True)
class Resolved:
    """The regions of interest that an atlas has."""

    rois: tuple[Roi, ...]
    notes: tuple[str, ...]


def families() -> dict[str, Family]:
    """All label sets that come with the program, by atlas."""
    return dict(_families())


@lru_cache(maxsize=1)
def _families() -> tuple[tuple[str, Family], ...]:
    text = resources.files("bids_brainalign.anatomy").joinpath("roi_sets.json").read_text("utf-8")
    return tuple(
        (
            key,
            Family(
                key,
                said["title"],
                said["source"],
                bool(said["exact"]),
                tuple(said["default"]),
                {name: tuple(labels) for name, labels in said["sets"].items()},
            ),
        )
        for key, said in json.loads(text).items()
    )


def set_names() -> tuple[str, ...]:
    """Names of all sets of all atlases, each once."""
    return tuple(dict.fromkeys(name for f in families().values() for name in f.sets))


def check_roi_sets(rois: Rois) -> None:
    """Refuse names of ROI sets that no atlas has.

    Raises
    ------
    BrainAlignError
        With exit code 64.
    """
    known = set_names()
    for name in rois.sets:
        if name not in known:
            raise BrainAlignError(
                f"rois.sets: there is no set {name!r}.",
                fix=f"{nearest(name, known)} Sets of your own: [rois.own] in --config-file",
                exit_code=ExitCode.USAGE,
            )
    for name, _ in rois.own:
        if name in known:
            raise BrainAlignError(
                f"rois.own: {name} is the name of a set that comes with the program.",
                fix="give yours another name",
                exit_code=ExitCode.USAGE,
            )


def bare(label: str) -> str:
    """Label without its hemisphere.

    Examples
    --------
    >>> bare("lh_L_A1_ROI-lh"), bare("ctx-rh-superiortemporal"), bare("7Networks_LH_Vis_1")
    ('A1_ROI', 'superiortemporal', '7Networks_Vis_1')
    """
    while True:
        region, side = region_and_side(label)
        if side == "n/a" or region == label:
            return region
        label = region


def canonical(label: str) -> str:
    """Spelling in which labels are compared: no side, no case, letters and digits only.

    Examples
    --------
    >>> [canonical(label) for label in ("L_A1_ROI", "A1_L", "ctx_lh_G_temp_sup-G_T_transv")]
    ['a1', 'a1', 'gtempsupgttransv']
    >>> canonical("17Networks_LH_SomMotB_Aud_1"), canonical("Heschl's Gyrus*")
    ('17networkssommotbaud1', 'heschlsgyrus*')
    """
    text = re.sub(r"[_ .-]roi(?=$|[_ .-])", "", bare(label.strip()).lower())
    return re.sub(r"[^a-z0-9*]", "", text.replace("&", "and"))


def is_region(label: str) -> bool:
    """Whether a label is a region: not the background, nor the medial wall."""
    name = canonical(label)
    return bool(name) and label.strip().lower() not in NOTHING and name not in MEDIAL_WALL


def family_of_labels(labels: Iterable[str]) -> Family | None:
    """Find the atlas whose sets know most of these labels; None if none knows any."""
    known = {canonical(label) for label in labels}

    def score(family: Family) -> int:
        patterns = {canonical(label) for part in family.sets.values() for label in part}
        return sum(_found(pattern, known) for pattern in patterns)

    best = max(families().values(), key=score)
    return best if score(best) else None


def resolve(
    labels: Sequence[str], *, sets: Sequence[str], own: Mapping[str, Sequence[str]]
) -> Resolved:
    """Find sets of labels in an atlas.

    Parameters
    ----------
    labels : sequence of str
        Of the atlas, sides as it writes them.
    sets : sequence of str
        Names of :func:`set_names`; none: those that are usual for this atlas.
    own : mapping of str to sequence of str
        The user's sets: name → labels, ``*`` for any ending.

    Returns
    -------
    Resolved
        A set of which the atlas has no label is left out, and a note says so.
    """
    by_spelling: dict[str, set[str]] = {}
    for label in labels:
        if is_region(label):
            by_spelling.setdefault(canonical(label), set()).add(bare(label))
    family = family_of_labels(labels)
    rois, notes = [], []
    wanted = sets or (family.default if family is not None else ())
    if family is None and sets:
        notes.append(
            f"ROI sets {', '.join(sets)} are left out: the atlas' labels "
            f"({_some(labels)}) are of none of {', '.join(f.title for f in families().values())}."
        )
        wanted = ()
    for name in wanted:
        parts = family.sets.get(name) if family is not None else None
        if family is None or parts is None:
            title = "" if family is None else family.title
            notes.append(f"ROI {name} is left out: it has no counterpart in {title}.")
            continue
        roi = _resolved(name, parts, by_spelling)
        rois += [roi] if roi.labels else []
        notes += _said(roi, family.title)
    for name, labelled in own.items():
        roi = _resolved(name, tuple(labelled), by_spelling)
        rois += [roi] if roi.labels else []
        notes += _said(roi, "the atlas")
    if family is not None and any(roi.name in wanted for roi in rois):
        what = "as published" if family.exact else "an approximation"
        notes.append(f"ROI sets are those of {family.title}, {what}: {family.source}.")
    return Resolved(tuple(rois), tuple(notes))


def _resolved(name: str, parts: tuple[str, ...], by_spelling: Mapping[str, set[str]]) -> Roi:
    labels: set[str] = set()
    absent = []
    for part in parts:
        matches = [known for known in by_spelling if fnmatchcase(known, canonical(part))]
        absent += [] if matches else [part]
        labels.update(*(by_spelling[known] for known in matches))
    return Roi(name, frozenset(labels), tuple(absent))


def _said(roi: Roi, atlas: str) -> list[str]:
    if not roi.labels:
        return [f"ROI {roi.name} is left out: {atlas} has none of {', '.join(roi.absent)} here."]
    if roi.absent:
        return [f"ROI {roi.name} lacks {', '.join(roi.absent)}: the atlas has no such label."]
    return []


def _found(pattern: str, known: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in known)


def _some(labels: Sequence[str]) -> str:
    shown = [label for label in labels if is_region(label)][:4]
    return ", ".join(shown) + (" …" if len(labels) > 4 else "")
