"""Which stimulus was presented when in which recording, and by which rule we know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import soundfile

from bids_brainalign.dataset.annotations import read_words
from bids_brainalign.dataset.content import group_content
from bids_brainalign.dataset.pointers import require_content
from bids_brainalign.dataset.tables import read_tsv
from bids_brainalign.dataset.types import Presentation, Recording, Stimulus
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.store.digest import annex_key, sha256_of

AUDIO = {".wav", ".flac", ".ogg", ".mp3"}
ENTITY_COLUMNS = ("sub", "ses", "task", "acq", "run")
SLACK_S = 1.0
"""Events may run this much past the end of their audio."""
EXAMPLE = "recording<TAB>stim_file<TAB>onset — sub-01_task-story<TAB>story.wav<TAB>0.0"


@dataclass(frozen=True)
class Presentations:
    """What was found."""

    presentations: tuple[Presentation, ...]
    skipped: tuple[tuple[str, str], ...]
    """Recording and the reason why it has no stimulus."""
    notes: tuple[str, ...]
    """What was joined or assumed."""


@dataclass(frozen=True)
class _Found:
    """One presentation before its stimulus is opened."""

    recording: Recording
    path: Path
    onset_s: float
    rows: tuple[tuple[float, float], ...]
    """(onset, duration) of the event rows, s on the recording clock; empty = all of it."""
    rule: str
    group: str = ""
    transcript: Path | None = None


def find_presentations(
    recordings: Sequence[Recording],
    *,
    bids_dir: Path,
    stimuli_map: Path | None = None,
    overlap: float = 0.3,
) -> Presentations:
    """Match stimuli to recordings: ``events.tsv`` ``stim_file`` first, then the stimuli map.

    Parameters
    ----------
    recordings : sequence of Recording
    bids_dir : Path
    stimuli_map : Path, optional
        TSV: ``recording`` or entity columns, ``stim_file``, ``onset``, ``transcript``,
        ``content_group``.
    overlap : float
        See :func:`~bids_brainalign.dataset.content.group_content`.

    Raises
    ------
    BrainAlignError
        A stimulus is absent or a pointer (66), lies outside the dataset (65), can't be read (65),
        or no recording has any stimulus (66).
    """
    table = _read_map(stimuli_map) if stimuli_map is not None else None
    found: list[_Found] = []
    skipped: list[tuple[str, str]] = []
    for recording in recordings:
        mine, reason = _from_events(recording, bids_dir)
        if not mine and table is not None and stimuli_map is not None:
            mine, map_reason = _from_map(recording, table, bids_dir, stimuli_map)
            reason = f"{reason}; {map_reason}"
        if mine:
            found += mine
        else:
            skipped.append((recording.name, reason))
    if not found:
        listed = "\n    ".join(f"{name}: {reason}" for name, reason in skipped[:10])
        raise BrainAlignError(
            "no recording has a stimulus",
            where=f"looked for stim_file in events.tsv, then for a stimuli map:\n    {listed}",
            fix=f"say which sound was played when with --stimuli-map TSV, e.g. {EXAMPLE}",
            exit_code=ExitCode.MISSING_INPUT,
        )
    stimuli = _open_stimuli(found, bids_dir)
    named = {stimuli[f.path].name: f.group for f in found if f.group}
    groups, notes = group_content(list(stimuli.values()), named, overlap=overlap)
    presentations = [p for f in found for p in _presentations(f, stimuli[f.path], groups)]
    return Presentations(tuple(presentations), tuple(skipped), notes)


def _from_events(recording: Recording, bids_dir: Path) -> tuple[list[_Found], str]:
    path = recording.events_path
    if path is None:
        return [], "no events.tsv"
    require_content(path, bids_dir)
    events = read_tsv(path)
    if "stim_file" not in events.columns:
        return [], f"{path.name} has no column stim_file"
    events = events[events["stim_file"] != "n/a"]
    events = events[[Path(name).suffix.lower() in AUDIO for name in events["stim_file"]]]
    if events.empty:
        return [], f"{path.name} names no audio file in stim_file"
    found = []
    for name, rows in events.groupby("stim_file", sort=False):
        times = tuple(
            (_seconds(o, path, "onset"), _seconds(d, path, "duration", missing=0.0))
            for o, d in zip(rows["onset"], rows["duration"], strict=True)
        )
        stimulus = _inside(bids_dir, str(name), path)
        rule = "events stim_file"
        found.append(_Found(recording, stimulus, times[0][0], tuple(sorted(times)), rule))
    return found, ""


def _from_map(
    recording: Recording, table: pd.DataFrame, bids_dir: Path, path: Path
) -> tuple[list[_Found], str]:
    rows = [row for row in _records(table) if _matches(row, recording)]
    if not rows:
        return [], f"{path.name} has no row for it"
    found = []
    for row in rows:
        transcript = row.get("transcript", "n/a")
        found.append(
            _Found(
                recording,
                _inside(bids_dir, row["stim_file"], path),
                _seconds(row.get("onset", "n/a"), path, "onset", missing=0.0),
                (),
                "stimuli map",
                group="" if row.get("content_group", "n/a") == "n/a" else row["content_group"],
                transcript=None
                if transcript == "n/a"
                else _inside(bids_dir, transcript, path, beside=path.parent),
            )
        )
    return found, ""


def _records(table: pd.DataFrame) -> list[dict[str, str]]:
    columns = [str(c) for c in table.columns]
    return [dict(zip(columns, row, strict=True)) for row in table.to_numpy().tolist()]


def _read_map(path: Path) -> pd.DataFrame:
    table = read_tsv(path)
    keys = [c for c in (*ENTITY_COLUMNS, "recording") if c in table.columns]
    if "stim_file" not in table.columns or not keys:
        raise BrainAlignError(
            f"--stimuli-map: {path.name} needs a column stim_file and one of recording, "
            f"{', '.join(ENTITY_COLUMNS)}",
            where=f"its columns are {', '.join(table.columns)}",
            fix=f"e.g. {EXAMPLE}",
        )
    return table


def _matches(row: dict[str, str], recording: Recording) -> bool:
    """Whether every entity a row names is the recording's; ``n/a`` fits all."""
    have = dict(part.split("-", 1) for part in recording.name.split("_"))
    named = row.get("recording", "n/a")
    if named != "n/a":
        wanted = dict(p.split("-", 1) for p in named.split("_") if "-" in p)
        if any(have.get(key, value) != value for key, value in wanted.items()):
            return False
    for key in ENTITY_COLUMNS:
        value = row.get(key, "n/a")
        if value != "n/a" and have.get(key) != value.removeprefix(f"{key}-"):
            return False
    return True


def _inside(bids_dir: Path, name: str, source: Path, *, beside: Path | None = None) -> Path:
    """Resolve a name below ``stimuli/``; paths that leave the dataset are refused."""
    written = Path(name)
    if written.is_absolute() or ".." in written.parts:
        raise _outside(name, source)
    root = bids_dir.resolve()
    below = written.relative_to("stimuli") if written.parts[:1] == ("stimuli",) else written
    options = [bids_dir / "stimuli" / below]
    if beside is not None:
        options += [beside / written, bids_dir / written]
    for path in options:
        if path.is_file() and annex_key(path) is None and beside is None:
            real = path.resolve()
            if not real.is_relative_to(root):
                raise _outside(name, source)
        if path.exists() or path.is_symlink():
            return path
    return options[0]


def _outside(name: str, source: Path) -> BrainAlignError:
    return BrainAlignError(
        f"{source.name}: {name} lies outside the dataset's stimuli folder",
        where=str(source),
        fix="put the file into BIDS_DIR/stimuli and name it relative to that folder",
    )


def _seconds(text: str, path: Path, column: str, *, missing: float | None = None) -> float:
    if text == "n/a" and missing is not None:
        return missing
    try:
        return float(text)
    except ValueError as error:
        raise BrainAlignError(
            f"{path.name}: {column} is {text!r}, not a number of seconds",
            where=str(path),
            fix="write seconds on the recording's clock",
        ) from error


def _open_stimuli(found: Sequence[_Found], bids_dir: Path) -> dict[Path, Stimulus]:
    stimuli: dict[Path, Stimulus] = {}
    for f in found:
        if f.path in stimuli:
            continue
        if not f.path.exists() and not f.path.is_symlink():
            folder = bids_dir / "stimuli"
            present = sorted(p.name for p in folder.glob("*") if p.suffix.lower() in AUDIO)[:8]
            raise BrainAlignError(
                f"the stimulus {f.path.relative_to(bids_dir)} of {f.recording.name} is missing",
                where=f"stimuli/ holds {', '.join(present) or 'no audio'}",
                fix="put it there, or name the right file with --stimuli-map",
                exit_code=ExitCode.MISSING_INPUT,
            )
        require_content(f.path, bids_dir)
        words = f.transcript or f.path.with_name(f"{f.path.stem}_words.tsv")
        if f.transcript is not None or words.exists() or words.is_symlink():
            require_content(words, bids_dir)
        stimuli[f.path] = Stimulus(
            name=_unique_name(f.path, bids_dir, stimuli),
            path=f.path,
            duration_s=_duration(f.path),
            sha256=sha256_of(f.path),
            words=read_words(words) if words.exists() else None,
        )
    return stimuli


def _unique_name(path: Path, bids_dir: Path, known: dict[Path, Stimulus]) -> str:
    """File name without suffix; with its folders where two files share it."""
    if all(s.name != path.stem for s in known.values()):
        return path.stem
    return "-".join(path.relative_to(bids_dir / "stimuli").with_suffix("").parts) + path.suffix[1:]


def _duration(path: Path) -> float:
    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise BrainAlignError(
            f"{path.name} can't be read as audio: {error}",
            where=str(path),
            fix="convert it to WAV or FLAC, or download it again",
        ) from error
    return float(info.frames / info.samplerate)


def _presentations(
    found: _Found, stimulus: Stimulus, groups: dict[str, str]
) -> list[Presentation]:
    """One presentation; several if the rows can't be segments of one run through the audio.

    Narratives has a music and a story row of one wav: the audio started with the first row.
    """
    whole = ((0.0, stimulus.duration_s),)
    base = Presentation(
        found.recording,
        stimulus,
        found.onset_s,
        found.rule,
        groups[stimulus.name],
        whole,
    )
    if not found.rows:
        return [base]
    if len(found.rows) == 1:
        played = found.rows[0][1] or stimulus.duration_s
        return [replace(base, segments=((0.0, min(played, stimulus.duration_s)),))]
    first = found.rows[0][0]
    end = max(onset + duration for onset, duration in found.rows)
    if end - first <= stimulus.duration_s + SLACK_S:
        segments = tuple((onset - first, onset - first + d) for onset, d in found.rows)
        return [replace(base, onset_s=first, segments=segments)]
    return [replace(base, onset_s=onset) for onset, _ in found.rows]
