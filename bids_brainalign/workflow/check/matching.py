"""Sections on which sound each recording heard, and what that means for folds."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from bids_brainalign.workflow.check.facts import Facts, Run, Sound, folds_of
from bids_brainalign.workflow.check.layout import MOST, entry, item, plural, some

FEW_RECORDINGS = 12
"""Up to so many are listed one by one."""


def rules(facts: Facts) -> list[str]:
    """Rules by how many recordings they served, and why others have no sound."""
    by_rule: dict[str, list[Run]] = {}
    for run in facts.runs:
        for rule in dict.fromkeys(h.rule for h in run.heard):
            by_rule.setdefault(rule, []).append(run)
    lines: list[str] = []
    width = max((len(rule) for rule in by_rule), default=7)
    for rule, runs in sorted(by_rule.items(), key=lambda item: -len(item[1])):
        heard = next(h for h in runs[0].heard if h.rule == rule)
        example = f"{heard.path.name} at {heard.rows[0].onset_s:g} s in {runs[0].recording.name}"
        lines += entry(rule, f"{plural(len(runs), 'recording')}, e.g. {example}", width=width)
    assumed = [run for run in facts.runs if any(h.onset_assumed for h in run.heard)]
    if assumed:
        onsets = sorted({h.rows[0].onset_s for r in assumed for h in r.heard if h.onset_assumed})
        lines += entry(
            "",
            f"NO FILE SAYS when the sound started in {plural(len(assumed), 'recording')}: "
            f"{' or '.join(f'{onset:g}' for onset in onsets)} s is assumed. The run compares "
            "sound and responses and warns if they don't fit; if you know better, say so with "
            "--stimuli-map.",
            width=width,
        )
    by_reason: dict[str, list[Run]] = {}
    for run in facts.runs:
        if run.reason:
            by_reason.setdefault(_general(run), []).append(run)
    for reason, runs in sorted(by_reason.items(), key=lambda item: -len(item[1]))[:MOST]:
        tasks = Counter(run.recording.task for run in runs)
        listed = some(f"{task} ({n})" for task, n in tasks.most_common())
        lines += entry(
            "none", f"{plural(len(runs), 'recording')}, left out: {listed}", width=width
        )
        lines += entry("", reason, width=width)
    return lines


def _general(run: Run) -> str:
    """Reason without the names of this recording, so that alike reasons are one."""
    events = run.recording.events_path
    text = run.reason
    if events is not None:
        text = text.replace(events.name, "events.tsv")
    task = run.recording.task or "(no task)"
    return text.replace(f"is called {task}", "is called like the task")


def one_by_one(facts: Facts) -> list[str]:
    """Every recording with its sounds and its state, where they are few."""
    if not 0 < len(facts.runs) <= FEW_RECORDINGS:
        return []
    ready = {run.recording.path for run in facts.ready}
    width = max(len(run.recording.name) for run in facts.runs)
    lines: list[str] = []
    for run in facts.runs:
        heard = some((f"{h.path.stem} at {h.rows[0].onset_s:g} s" for h in run.heard), 3)
        state = "ready" if run.recording.path in ready else _state(run)
        lines += entry(run.recording.name, f"{heard or 'no sound'}: {state}", width=width)
    return lines


def _state(run: Run) -> str:
    if run.problems:
        return "can't be read as it is, see below"
    if not run.heard:
        return "left out"
    return "files missing, see below" if run.prepared else "not preprocessed"


def groups(facts: Facts) -> list[str]:
    """Say which sounds share content, and why we think so."""
    members: dict[str, list[Sound]] = {}
    for sound in facts.sounds:
        members.setdefault(sound.group, []).append(sound)
    if not members:
        return []
    lines = item(f"{plural(len(members), 'group')} of {plural(len(facts.sounds), 'sound')}")
    for note in facts.notes[:MOST]:
        lines += item(note.replace(", never on both sides of a fold", ""))
    if len(facts.notes) > MOST:
        lines += item(f"… and {len(facts.notes) - MOST} more")
    for group, sounds in members.items():
        if group not in {s.path.stem for s in sounds}:  # called so by the user's map
            lines += item(f"{group} (stimuli map): {some(s.path.stem for s in sounds)}")
    lines += _repeats(facts)
    lines += _lookalikes(facts)
    return lines


def _repeats(facts: Facts) -> list[str]:
    """Sounds that one participant heard in several recordings."""
    people: dict[str, list[str]] = {}
    heard = Counter((r.recording.participant, h.path.stem) for r in facts.runs for h in r.heard)
    for (participant, stem), count in heard.items():
        if count > 1:
            people.setdefault(stem, []).append(f"sub-{participant} ({count})")
    listed = sorted(people.items(), key=lambda item: -len(item[1]))
    lines = []
    for stem, who in listed[:MOST]:
        lines += item(f"{stem}: one group over several recordings of {some(who, 5)}")
    return lines


def _lookalikes(facts: Facts) -> list[str]:
    """Sounds in different groups, without words to compare, whose names begin alike."""
    silent = sorted(s.path.stem.removesuffix("_audio") for s in facts.sounds if s.words is None)
    group = {s.path.stem.removesuffix("_audio"): s.group for s in facts.sounds}
    pairs = [
        f"{a}/{b}"
        for a, b in pairwise(silent)
        if len(a) >= 5 and b.startswith(a) and group[a] != group[b]
    ]
    if not pairs:
        return []
    return item(
        f"Names alike, but taken for different stories: {some(pairs)}. If they share content, "
        "say so in the column content_group of --stimuli-map."
    )


def folds_heading(facts: Facts) -> str:
    """Count the fits."""
    fits = folds_of(facts)
    per = "participant and session" if any(session for _, session, _ in fits) else "participant"
    return f"Folds ({plural(len(fits), 'fit')}, one per {per})"


def folds(facts: Facts) -> list[str]:
    """Say how the fits will be cross-validated, by their content groups."""
    plans: Counter[str] = Counter()
    for groups in folds_of(facts).values():
        distinct = len(set(groups))
        if distinct >= 3:
            plans[
                "whole content groups held out (a repeated story is the test, if there is one)"
            ] += 1
        elif len(groups) > distinct:
            plans["not possible: fewer than 3 content groups, and one has several sounds"] += 1
        else:
            plans["blocks within recordings, with gaps (fewer than 3 content groups)"] += 1
    return [
        line for plan, count in plans.most_common() for line in item(f"{count} of them: {plan}")
    ]
