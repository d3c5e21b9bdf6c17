"""What a check found, for a terminal of 100 columns."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from bids_brainalign.dataset.derivatives import space_label
from bids_brainalign.dataset.filenames import DatasetFile
from bids_brainalign.dataset.pointers import is_pointer
from bids_brainalign.workflow.check import Facts, Run, Sound, folds_of
from bids_brainalign.workflow.check_mends import datalad_commands, in_bytes, size_of

WIDTH = 100
MOST = 6
"""Lines of one kind; what is left is counted."""
_KINDS = {"ieeg": "iEEG", "fmri": "fMRI"}


def render(facts: Facts, *, next_command: str) -> str:
    """Write the check.

    Parameters
    ----------
    facts : Facts
    next_command : str
        The command line that runs what was checked.

    Returns
    -------
    str
        Sections with a heading each; the verdict and the next command come last.
    """
    sections = [
        ("", [f"{facts.name}   {facts.bids_dir}"]),
        ("Recordings", _recordings(facts)),
        ("Sounds", _sounds(facts)),
        ("Which sound a recording heard", _rules(facts)),
        ("Content groups (never on both sides of a fold)", _groups(facts)),
        (_folds_heading(facts), _folds(facts)),
        ("Missing or wrong", _missing(facts)),
        ("To mend, in the dataset's folder", _mends(facts)),
        ("Next", _verdict(facts, next_command)),
    ]
    lines: list[str] = []
    for heading, body in sections:
        if not body:
            continue
        lines += ["", heading] if heading else []
        lines += body
    return "\n".join(lines)


def _entry(label: str, text: str, *, width: int = 16) -> list[str]:
    """One entry: a label and its text, wrapped with a hanging indent."""
    start = f"  {label:<{width}}  "
    return textwrap.wrap(
        text, WIDTH, initial_indent=start, subsequent_indent=" " * len(start),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _item(text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent="  ", subsequent_indent="    ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _some(words: Iterable[str], most: int = MOST) -> str:
    listed = list(words)
    more = f", … ({len(listed)})" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _recordings(facts: Facts) -> list[str]:
    lines: list[str] = []
    for modality, kind in _KINDS.items():
        runs = [run for run in facts.runs if run.recording.modality == modality]
        if not runs:
            continue
        people = {run.recording.participant for run in runs}
        sessions = {(r.recording.participant, r.recording.session) for r in runs}
        tasks = Counter(run.recording.task for run in runs)
        parts = [_plural(len(runs), "recording"), _plural(len(people), "participant")]
        if len(sessions) > len(people):
            parts.append(_plural(len(sessions), "session"))
        listed = (f"{task} ({n})" for task, n in tasks.most_common())
        lines += _entry(kind, f"{', '.join(parts)}; tasks: {_some(listed)}")
        lines += _entry("", _by_participant(runs))
        lines += _ieeg_facts(runs) if modality == "ieeg" else _fmri_facts(facts, runs)
    for folder, count, people_count in facts.responses:
        lines += _entry(
            "responses",
            f"{folder} holds {_plural(count, 'HDF5 file')} of "
            f"{_plural(people_count, 'participant')}. This version does not read them (support "
            "comes with fMRI at scale): it needs an fMRIPrep derivative.",
        )
    return lines


def _by_participant(runs: Sequence[Run]) -> str:
    counts = Counter(run.recording.participant for run in runs)
    if len(set(counts.values())) == 1 and len(counts) > 1:
        each = next(iter(counts.values()))
        return f"{_plural(each, 'recording')} each: {_some(f'sub-{p}' for p in counts)}"
    return _some((f"sub-{p} ({n})" for p, n in counts.items()), 8)


def _ieeg_facts(runs: Sequence[Run]) -> list[str]:
    lines: list[str] = []
    channels = [run.n_channels for run in runs if run.n_channels is not None]
    if channels:
        lines += _entry("", f"{sum(channels):,} good channels of type ECOG or SEEG")
    spaces = Counter(run.recording.space or "not named" for run in runs
                     if run.recording.electrodes_path is not None)  # fmt: skip
    listed = _some(f"{space} ({n})" for space, n in spaces.most_common())
    lines += _entry("electrodes", f"space {listed}") if spaces else []
    without = [run.recording.name for run in runs if run.recording.electrodes_path is None]
    if without:
        lines += _entry(
            "electrodes",
            f"none for {_plural(len(without), 'recording')} ({_some(without, 3)}): no positions, "
            "no regions",
        )
    no_line = [
        r.recording.name for r in runs if not r.recording.metadata.get("PowerLineFrequency")
    ]
    if no_line:
        lines += _entry(
            "mains",
            f"no PowerLineFrequency in {_plural(len(no_line), 'sidecar')}: no notch filter",
        )
    return lines


def _fmri_facts(facts: Facts, runs: Sequence[Run]) -> list[str]:
    prepared = [run for run in runs if run.prepared]
    where = facts.survey.fmriprep
    if where is None:
        return _entry("fMRIPrep", "no derivative in derivatives/ and none given with -d")
    shown = where.relative_to(facts.bids_dir) if where.is_relative_to(facts.bids_dir) else where
    spaces = Counter(space_label(DatasetFile(run.recording.path)) for run in prepared)
    listed = _some(f"space {space} ({n})" for space, n in spaces.most_common())
    text = f"{shown}: {len(prepared)} of {len(runs)} recordings; {listed or 'none usable'}"
    lines = _entry("fMRIPrep", text)
    without = [r.recording.name for r in prepared if r.recording.confounds_path is None]
    if without:
        lines += _entry(
            "confounds", f"no table for {_some(without, 3)}: none will be regressed out"
        )
    return lines


def _sounds(facts: Facts) -> list[str]:
    here = [s for s in facts.sounds if s.duration_s is not None]
    away = [s for s in facts.sounds if s.pointer]
    text = f"{_plural(facts.n_audio, 'audio file')} in stimuli/, {len(facts.sounds)} of them heard"
    if not facts.n_audio:
        text = "stimuli/ holds no .wav, .flac, .ogg or .mp3"
    lines = _entry("audio", text)
    if here:
        minutes = sum(s.duration_s or 0 for s in here) / 60
        listed = _some((f"{s.path.stem} {_clock(s.duration_s or 0)}" for s in here), 8)
        lines += _entry("", f"{minutes:.1f} min: {listed}")
    if away:
        sizes = [size_of(s.path) for s in away]
        known = sum(size for size in sizes if size is not None)
        size = f", {in_bytes(known)}" if None not in sizes else ""
        lines += _entry(
            "", f"{len(away)} not downloaded (DataLad pointers{size}): lengths unknown"
        )
    if facts.sounds:
        lines += _words(facts.sounds)
    return lines


def _words(sounds: Sequence[Sound]) -> list[str]:
    having = [s for s in sounds if s.words is not None]
    pending = [s.path.stem for s in sounds if s.words_pending]
    if pending:
        lines = _entry("words", f"not downloaded for {_plural(len(pending), 'sound')}")
        return lines + (_words([s for s in sounds if not s.words_pending]) if having else [])
    if not having:
        return _entry("words", "none found: no word onsets, and retold stories are not recognised")
    count = sum(len(s.words.table) for s in having if s.words is not None)
    files = Counter(_source(s) for s in having)
    listed = _some((f"{name} ({n})" if n > 1 else name for name, n in files.most_common()), 3)
    lacking = [s.path.stem for s in sounds if s.words is None]
    text = f"{count:,} with times, from {listed}"
    return _entry("words", text + (f"; none for {_some(lacking)}" if lacking else ""))


def _source(sound: Sound) -> str:
    assert sound.words is not None  # noqa: S101 - the caller chose those with words
    path, stem = sound.words.path, sound.path.stem.removesuffix("_audio")
    folder = path.parent.name
    return f"{folder}/{path.name}".replace(stem, "<name>") if folder else path.name


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _rules(facts: Facts) -> list[str]:
    by_rule: dict[str, list[Run]] = {}
    for run in facts.runs:
        for rule in dict.fromkeys(h.rule for h in run.heard):
            by_rule.setdefault(rule, []).append(run)
    lines: list[str] = []
    width = max((len(rule) for rule in by_rule), default=7)
    for rule, runs in sorted(by_rule.items(), key=lambda item: -len(item[1])):
        heard = next(h for h in runs[0].heard if h.rule == rule)
        example = f"{heard.path.name} at {heard.rows[0].onset_s:g} s in {runs[0].recording.name}"
        lines += _entry(rule, f"{_plural(len(runs), 'recording')}, e.g. {example}", width=width)
    assumed = [run for run in facts.runs if any(h.onset_assumed for h in run.heard)]
    if assumed:
        lines += _entry(
            "",
            f"NO FILE SAYS when the sound started in {_plural(len(assumed), 'recording')}: 0 s is "
            "assumed. The run compares sound and responses and warns if they don't fit; if you "
            "know better, say so with --stimuli-map.",
            width=width,
        )
    by_reason: dict[str, list[Run]] = {}
    for run in facts.runs:
        if run.reason:
            by_reason.setdefault(_general(run), []).append(run)
    for reason, runs in sorted(by_reason.items(), key=lambda item: -len(item[1]))[:MOST]:
        tasks = Counter(run.recording.task for run in runs)
        listed = _some(f"{task} ({n})" for task, n in tasks.most_common())
        lines += _entry(
            "none", f"{_plural(len(runs), 'recording')}, left out: {listed}", width=width
        )
        lines += _entry("", reason, width=width)
    return lines


def _general(run: Run) -> str:
    """Reason without the names of this recording, so that alike reasons are one."""
    events = run.recording.events_path
    text = run.reason
    if events is not None:
        text = text.replace(events.name, "events.tsv")
    task = run.recording.task or "(no task)"
    return text.replace(f"is called {task}", "is called like the task")


def _groups(facts: Facts) -> list[str]:
    members: dict[str, list[Sound]] = {}
    for sound in facts.sounds:
        members.setdefault(sound.group, []).append(sound)
    if not members:
        return []
    lines = _item(f"{_plural(len(members), 'group')} of {_plural(len(facts.sounds), 'sound')}")
    for note in facts.notes[:MOST]:
        lines += _item(note.replace(", never on both sides of a fold", ""))
    if len(facts.notes) > MOST:
        lines += _item(f"… and {len(facts.notes) - MOST} more")
    for group, sounds in members.items():
        if group not in {s.path.stem for s in sounds}:  # called so by the user's map
            lines += _item(f"{group} (stimuli map): {_some(s.path.stem for s in sounds)}")
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
        lines += _item(f"{stem}: one group over several recordings of {_some(who, 5)}")
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
    return _item(
        f"Names alike, but taken for different stories: {_some(pairs)}. If they share content, "
        "say so in the column content_group of --stimuli-map."
    )


def _folds_heading(facts: Facts) -> str:
    fits = folds_of(facts)
    per = "participant and session" if any(session for _, session, _ in fits) else "participant"
    return f"Folds ({_plural(len(fits), 'fit')}, one per {per})"


def _folds(facts: Facts) -> list[str]:
    plans: Counter[str] = Counter()
    for groups in folds_of(facts).values():
        distinct = len(set(groups))
        if distinct >= 3:
            plans["leave one content group out"] += 1
        elif len(groups) > distinct:
            plans["not possible: fewer than 3 content groups, and one has several sounds"] += 1
        else:
            plans["blocks within recordings, with gaps (fewer than 3 content groups)"] += 1
    return [
        line for plan, count in plans.most_common() for line in _item(f"{count} of them: {plan}")
    ]


def _missing(facts: Facts) -> list[str]:
    lines: list[str] = []
    unprepared = sum(not run.prepared for run in facts.runs)
    if unprepared:
        lines += _item(f"{_plural(unprepared, 'fMRI recording')} without fMRIPrep's image")
    kinds: dict[str, list[str]] = {}
    for run in facts.runs:
        for problem in run.problems:
            text = problem.replace(run.recording.name, "<recording>")
            kinds.setdefault(text, []).append(run.recording.name)
    for sound in facts.sounds:
        if sound.problem:
            kinds.setdefault(sound.problem, []).append("")
    for text, names in list(kinds.items())[:MOST]:
        who = _some([name for name in names if name], 3)
        lines += _item(f"{text}{f' ({who})' if who else ''}")
    if len(kinds) > MOST:
        lines += _item(f"… and {len(kinds) - MOST} more")
    known = {run.recording.name for run in facts.runs}
    others = [(name, reason) for name, reason in facts.survey.skipped if name not in known]
    for name, reason in others[:MOST]:
        lines += _item(f"{name}: {reason}")
    if len(others) > MOST:
        lines += _item(f"… and {len(others) - MOST} more")
    if facts.pointers:
        lines += _item(f"{_plural(len(facts.pointers), 'file')} not downloaded (DataLad pointers)")
    return lines


def _mends(facts: Facts) -> list[str]:
    lines = [f"  {command}" for command in datalad_commands(facts.pointers, facts.bids_dir)]
    if any(not run.prepared and run.heard for run in facts.runs):
        lines += _fmriprep(facts)
    return lines


def _fmriprep(facts: Facts) -> list[str]:
    people = list(
        dict.fromkeys(r.recording.participant for r in facts.runs if not r.prepared and r.heard)
    )
    raw = [r.recording.path for r in facts.runs if not r.prepared and r.heard]
    get = []
    if any(is_pointer(path) for path in raw):
        sessions = any(r.recording.session for r in facts.runs)
        folders = " ".join(f"sub-*/{'ses-*/' if sessions else ''}{d}" for d in ("anat", "func"))
        get = [f"  datalad get {folders}   # what fMRIPrep reads"]
    some = len(people) < len(facts.survey.participants)
    chosen = f" --participant-label {' '.join(people[:8])}" if some else ""
    return [
        *get,
        f"  fmriprep {facts.bids_dir} {facts.bids_dir}/derivatives/fmriprep participant \\",
        f"    --output-spaces MNI152NLin2009cAsym:res-2{chosen}",
        "  # or, if it ran already: give its output with -d fmriprep=PATH",
    ]


def _verdict(facts: Facts, next_command: str) -> list[str]:
    ready = len(facts.ready)
    able = len(facts.able)
    lines = _item(
        f"{ready:,} of {_plural(len(facts.runs), 'recording')} can run now"
        + (f", {able:,} once the above is mended" if able > ready else "")
    )
    lead = "Run:" if ready else "Then:"
    return [*lines, f"  {lead} {next_command}"] if able else lines
