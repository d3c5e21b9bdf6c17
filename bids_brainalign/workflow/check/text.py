"""What a check found, for a terminal of 100 columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bids_brainalign.dataset.derivatives import space_label
from bids_brainalign.dataset.filenames import DatasetFile
from bids_brainalign.dataset.pointers import is_pointer
from bids_brainalign.workflow.check.facts import Facts, Run, Sound, Spoken
from bids_brainalign.workflow.check.layout import MOST, entry, item, plural, some
from bids_brainalign.workflow.check.matching import (
    folds,
    folds_heading,
    groups,
    one_by_one,
    rules,
)
from bids_brainalign.workflow.check.mends import datalad_commands, in_bytes, size_of

_TYPES = {"ieeg": "ECOG or SEEG", "eeg": "EEG"}
_KINDS = {"ieeg": "iEEG", "eeg": "EEG", "fmri": "fMRI"}


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
        ("Words that were spoken", _spoken(facts)),
        ("Which sound a recording heard", rules(facts)),
        ("Recording by recording", one_by_one(facts)),
        ("Content groups (never on both sides of a fold)", groups(facts)),
        (folds_heading(facts), folds(facts)),
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


def _recordings(facts: Facts) -> list[str]:
    lines: list[str] = []
    for modality, kind in _KINDS.items():
        runs = [run for run in facts.runs if run.recording.modality == modality]
        if not runs:
            continue
        people = {run.recording.participant for run in runs}
        sessions = {(r.recording.participant, r.recording.session) for r in runs}
        tasks = Counter(run.recording.task for run in runs)
        parts = [plural(len(runs), "recording"), plural(len(people), "participant")]
        if len(sessions) > len(people):
            parts.append(plural(len(sessions), "session"))
        listed = (f"{task} ({n})" for task, n in tasks.most_common())
        lines += entry(kind, f"{', '.join(parts)}; tasks: {some(listed)}")
        lines += entry("", _by_participant(runs))
        lines += _fmri_facts(facts, runs) if modality == "fmri" else _electrode_facts(runs)
    return lines


def _by_participant(runs: Sequence[Run]) -> str:
    counts = Counter(run.recording.participant for run in runs)
    if len(set(counts.values())) == 1 and len(counts) > 1:
        each = next(iter(counts.values()))
        return f"{plural(each, 'recording')} each: {some(f'sub-{p}' for p in counts)}"
    return some((f"sub-{p} ({n})" for p, n in counts.items()), 8)


def _electrode_facts(runs: Sequence[Run]) -> list[str]:
    lines: list[str] = []
    channels = [run.n_channels for run in runs if run.n_channels is not None]
    if channels:
        lines += entry(
            "", f"{sum(channels):,} good channels of type {_TYPES[runs[0].recording.modality]}"
        )
    spaces = Counter(run.recording.space or "not named" for run in runs
                     if run.recording.electrodes_path is not None)  # fmt: skip
    listed = some(f"{space} ({n})" for space, n in spaces.most_common())
    lines += entry("electrodes", f"space {listed}") if spaces else []
    without = [run.recording.name for run in runs if run.recording.electrodes_path is None]
    if without:
        lines += entry(
            "electrodes",
            f"none for {plural(len(without), 'recording')} ({some(without, 3)}): no positions, "
            "no regions",
        )
    no_line = [
        r.recording.name for r in runs if not r.recording.metadata.get("PowerLineFrequency")
    ]
    if no_line:
        lines += entry(
            "mains",
            f"no PowerLineFrequency in {plural(len(no_line), 'sidecar')}: no notch filter",
        )
    return lines


def _fmri_facts(facts: Facts, runs: Sequence[Run]) -> list[str]:
    prepared = [run for run in runs if run.prepared]
    where = facts.survey.fmriprep
    if facts.responses is not None:
        return _column_facts(facts, facts.responses)
    if where is None:
        return entry("fMRIPrep", "no derivative in derivatives/ and none given with -d")
    shown = where.relative_to(facts.bids_dir) if where.is_relative_to(facts.bids_dir) else where
    spaces = Counter(space_label(DatasetFile(run.recording.path)) for run in prepared)
    listed = some(f"space {space} ({n})" for space, n in spaces.most_common())
    text = f"{shown}: {len(prepared)} of {len(runs)} recordings; {listed or 'none usable'}"
    lines = entry("fMRIPrep", text)
    without = [r.recording.name for r in prepared if r.recording.confounds_path is None]
    if without:
        lines += entry("confounds", f"no table for {some(without, 3)}: none will be regressed out")
    return lines


def _column_facts(facts: Facts, responses: tuple[str, int, int]) -> list[str]:
    folder, count, people = responses
    path = Path(folder)
    shown = path.relative_to(facts.bids_dir) if path.is_relative_to(facts.bids_dir) else path
    return entry(
        "responses",
        f"{shown}: {plural(count, 'HDF5 file')} of {plural(people, 'participant')}, ready-made: "
        "used as they are (standardised by those who published them)",
    )


def _sounds(facts: Facts) -> list[str]:
    here = [s for s in facts.sounds if s.duration_s is not None]
    away = [s for s in facts.sounds if s.pointer]
    text = f"{plural(facts.n_audio, 'audio file')} in stimuli/, {len(facts.sounds)} of them heard"
    if not facts.n_audio:
        text = "stimuli/ holds no .wav, .flac, .ogg or .mp3"
    lines = entry("audio", text)
    if here:
        minutes = sum(s.duration_s or 0 for s in here) / 60
        listed = some((f"{s.path.stem} {_clock(s.duration_s or 0)}" for s in here), 8)
        lines += entry("", f"{minutes:.1f} min: {listed}")
    if away:
        sizes = [size_of(s.path) for s in away]
        known = sum(size for size in sizes if size is not None)
        size = f", {in_bytes(known)}" if None not in sizes else ""
        lines += entry("", f"{len(away)} not downloaded (DataLad pointers{size}): lengths unknown")
    if facts.sounds:
        lines += _words(facts.sounds)
    return lines


def _words(sounds: Sequence[Sound]) -> list[str]:
    having = [s for s in sounds if s.words is not None]
    pending = [s.path.stem for s in sounds if s.words_pending]
    if pending:
        lines = entry("words", f"not downloaded for {plural(len(pending), 'sound')}")
        return lines + (_words([s for s in sounds if not s.words_pending]) if having else [])
    if not having:
        return entry("words", "none found: no word onsets, and retold stories are not recognised")
    count = sum(len(s.words.table) for s in having if s.words is not None)
    files = Counter(_source(s) for s in having)
    listed = some((f"{name} ({n})" if n > 1 else name for name, n in files.most_common()), 3)
    lacking = [s.path.stem for s in sounds if s.words is None]
    text = f"{count:,} with times, from {listed}"
    return entry("words", text + (f"; none for {some(lacking)}" if lacking else ""))


def _spoken(facts: Facts) -> list[str]:
    runs = [(run, run.spoken) for run in facts.speaking if run.spoken is not None]
    if not runs:
        return []
    count = sum(spoken.n_words for _, spoken in runs)
    lines = entry("words", f"{count:,} in {plural(len(runs), 'recording')}; {_range(runs)}")
    first = runs[0][1]
    lines += entry("", first.rule.replace(runs[0][0].recording.name, "<recording>"))
    silent = [run.recording.name for run, spoken in runs if not spoken.sound]
    if silent:
        lines += entry(
            "sound",
            f"none for {plural(len(silent), 'recording')} ({some(silent, 3)}): windows count from "
            "the cues, and speech models hear nothing",
        )
    else:
        lines += entry("sound", first.sound.replace(runs[0][0].recording.name, "<recording>"))
    return lines


def _range(runs: Sequence[tuple[Run, Spoken]]) -> str:
    counts = sorted({spoken.n_different for _, spoken in runs})
    few = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{few} different ones in each"


def _source(sound: Sound) -> str:
    assert sound.words is not None  # noqa: S101 - the caller chose those with words
    path, stem = sound.words.path, sound.path.stem.removesuffix("_audio")
    folder = path.parent.name
    return f"{folder}/{path.name}".replace(stem, "<name>") if folder else path.name


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _missing(facts: Facts) -> list[str]:
    lines: list[str] = []
    unprepared = sum(not run.prepared for run in facts.runs)
    if unprepared:
        lines += item(f"{plural(unprepared, 'fMRI recording')} without fMRIPrep's image")
    kinds: dict[str, list[str]] = {}
    for run in facts.runs:
        for problem in run.problems:
            text = problem.replace(run.recording.name, "<recording>")
            kinds.setdefault(text, []).append(run.recording.name)
    for sound in facts.sounds:
        if sound.problem:
            kinds.setdefault(sound.problem, []).append("")
    for text, names in list(kinds.items())[:MOST]:
        who = some([name for name in names if name], 3)
        lines += item(f"{text}{f' ({who})' if who else ''}")
    if len(kinds) > MOST:
        lines += item(f"… and {len(kinds) - MOST} more")
    known = {run.recording.name for run in facts.runs}
    others = [(name, reason) for name, reason in facts.survey.skipped if name not in known]
    reasons: dict[str, list[str]] = {}
    for name, reason in others:
        reasons.setdefault(reason, []).append(name)
    for reason, names in list(reasons.items())[:MOST]:
        lines += item(f"{some(names, 3)}: {reason}")
    if len(reasons) > MOST:
        lines += item(f"… and {sum(map(len, list(reasons.values())[MOST:]))} more")
    if facts.pointers:
        lines += item(f"{plural(len(facts.pointers), 'file')} not downloaded (DataLad pointers)")
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
    lines = item(
        f"{ready:,} of {plural(len(facts.runs), 'recording')} can run now"
        + (f", {able:,} once the above is mended" if able > ready else "")
    )
    lead = "Run:" if ready else "Then:"
    lines += [f"  {lead} {next_command}"] if able else []
    if facts.speaking:
        many = plural(len(facts.speaking), "recording")
        lines += item(f"{many} of people who speak can run by the recipe speech-production")
        lines += [
            f"  Run: {next_command} \\",
            "    --recipe speech-production --models NAME=SOURCE   # FastText, GPT-2, wav2vec2 …",
        ]
    return lines
