"""What a tuned model has heard, told by files and asked of them: who may be scored with it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bids_brainalign.config.schema import Config
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.outputs.tuned_models import grid_entities
from bids_brainalign.store.digest import digest_of, file_digest
from bids_brainalign.workflow.assemble import Assembly
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.spaces import Space
from bids_brainalign.workflow.story_roles import TEST, TRAIN, VALIDATION, roles

Facts = Mapping[str, object]
ABOUT_STORIES = ("test_stories", "validation_stories", "allow_few_stories")
"""Settings that may differ: what a model has heard is asked of its stories."""
_SAME = ("name", "sha256", "content_group")
"""Stories are one if one of these is the same."""


def facts_of(config: Config, space: Space, assemblies: Sequence[Assembly]) -> dict[str, object]:
    """Give what ``tuning.json`` tells of the original, the responses and the stories.

    Parameters
    ----------
    config : Config
    space : Space
        The original.
    assemblies : sequence of Assembly
        One per participant.
    """
    name = assemblies[0].fit.name
    return {
        "BaseDigest": space.digest,
        "Datatype": name.datatype,
        "Grid": dict(grid_entities(name)),
        "Stories": [
            {"participant": one.fit.participant, **story}
            for one in assemblies
            for story in stories_of(config, one.fit, one.stored_repeats)
        ],
    }


def stories_of(config: Config, fit: Fit, stored: Sequence[int]) -> list[dict[str, str]]:
    """Every story of a fit with its role: ``name, sha256, content_group, role``.

    `stored` tells of how many presentations each recording is the mean.
    """
    role_of = roles(config, fit, stored)
    about = {p.stimulus.name: (p.stimulus.sha256, p.content_group) for p in fit.presentations}
    return [
        {"name": name, "sha256": about[name][0], "content_group": about[name][1], "role": role}
        for name, role in sorted(role_of.items())
    ]


def why_not(facts: Facts, base: Space, settings: Facts, stories: Sequence[Facts]) -> str:
    """Why a participant can't be scored with a model that was tuned on others.

    Parameters
    ----------
    facts : mapping
        ``tuning.json`` of the model.
    base : Space
        The original of this run.
    settings : mapping
        Of the training in this run.
    stories : sequence of mapping
        From :func:`stories_of`, of the participant who would be scored.

    Returns
    -------
    str
        Empty if there is no reason.
    """
    if not facts:
        return "nothing tells which stories its model was tuned on"
    if facts.get("BaseDigest") != base.digest:
        return f"its model was tuned from another {base.name}"
    own, ours = _plain(facts.get("Settings")), _plain(settings)
    differing = sorted(
        key for key in own.keys() | ours.keys()
        if key not in ABOUT_STORIES and own.get(key) != ours.get(key)
    )  # fmt: skip
    if differing:
        return f"its model was tuned with other settings: {', '.join(differing)}"
    told = facts.get("Stories")
    others = [s for s in told if isinstance(s, Mapping)] if isinstance(told, list) else []
    tests = [story for story in stories if story["role"] == TEST]
    for role, how in ((TRAIN, "trained"), (VALIDATION, "chosen")):
        heard = same_stories(tests, [s for s in others if s.get("role") == role])
        if heard:
            return f"its model was {how} on {', '.join(heard)}, which is scored here"
    return ""


def same_stories(stories: Sequence[Facts], others: Collection[Facts]) -> list[str]:
    """Names of those stories that are among others, by name, audio or content."""
    known = {key: {str(other.get(key)) for other in others} for key in _SAME}
    return sorted(
        {str(s["name"]) for s in stories if any(str(s[key]) in known[key] for key in _SAME)}
    )


def require_same_roles(stories: Mapping[str, Sequence[Facts]]) -> None:
    """Refuse stories that have one role for one participant, and another for another.

    Parameters
    ----------
    stories : mapping of str to sequence of mapping
        By name of the participant (or fit), from :func:`stories_of`.

    Raises
    ------
    BrainAlignError
        A story that one participant's score or choice rests on would train the model (65).
    """
    for who, own in stories.items():
        for other, theirs in stories.items():
            for role in (TEST, VALIDATION):
                mine = [s for s in own if s["role"] == role]
                for wrong in {TRAIN, VALIDATION, TEST} - {role}:
                    both = same_stories(mine, [s for s in theirs if s["role"] == wrong])
                    if both:
                        raise BrainAlignError(
                            f"{', '.join(both)} is a {role} story of {who} and a {wrong} "
                            f"story of {other}: they can't be tuned on together",
                            where="participants who heard different stories get different roles",
                            fix="name test_stories and validation_stories that all of them heard "
                            "in [tuning], or choose participants (--participant-label)",
                        )


def space_of_folder(config: Config, original: Space, folder: Path, name: str) -> Space:
    """Give a tuned model in a folder as a feature space: the windows of its original."""
    memo = config.paths.work_dir / "digests"
    files = {
        path.name: file_digest(path, memo)
        for path in sorted(folder.iterdir())
        if path.suffix in {".safetensors", ".json"}
    }
    return replace(original, name=name, source=folder, digest=digest_of(files))


def _plain(settings: object) -> dict[str, object]:
    """Give settings as JSON holds them."""
    found = json.loads(json.dumps(settings)) if isinstance(settings, Mapping) else {}
    return dict(found)
