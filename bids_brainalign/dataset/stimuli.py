"""Which stimulus was presented when in which recording, and by which rule we know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bids_brainalign.dataset.annotation_files import AnnotationFiles
from bids_brainalign.dataset.annotations import read_words
from bids_brainalign.dataset.content import group_content
from bids_brainalign.dataset.rules.search import LOOKED_FOR, search
from bids_brainalign.dataset.rules.sources import Heard, Sources
from bids_brainalign.dataset.segments import Pass, find_passes
from bids_brainalign.dataset.stimuli_map import EXAMPLE, StimulusNotes, read_stimuli_map
from bids_brainalign.dataset.stimulus_files import (
    open_stimulus,
    require_distinct_names,
    require_stimulus,
)
from bids_brainalign.dataset.textgrid import PHONE_TIERS, WORD_TIERS
from bids_brainalign.dataset.types import Annotations, Presentation, Recording, Stimulus
from bids_brainalign.errors import BrainAlignError, ExitCode

DEFAULT_LANGUAGE = "en"
MOST_NOTES = 6


@dataclass(frozen=True)
class Presentations:
    """What was found."""

    presentations: tuple[Presentation, ...]
    skipped: tuple[tuple[str, str], ...]
    """Recording and the reason why it has no stimulus."""
    notes: tuple[str, ...]
    """What was joined or assumed, one sentence each."""


def find_presentations(
    recordings: Sequence[Recording],
    *,
    bids_dir: Path,
    stimuli_map: Path | None = None,
    overlap: float = 0.3,
    language: str | None = None,
    word_tiers: tuple[str, ...] = WORD_TIERS,
    phone_tiers: tuple[str, ...] = PHONE_TIERS,
) -> Presentations:
    """Match stimuli to recordings by the first rule that finds one, and open them.

    What the map says about a stimulus (transcript, content group, language) holds whichever rule
    found it.

    Parameters
    ----------
    recordings : sequence of Recording
    bids_dir : Path
    stimuli_map : Path, optional
        See :func:`~bids_brainalign.dataset.stimuli_map.read_stimuli_map`.
    overlap : float
        Share of common 5-grams above which two stimuli are one content group.
    language : str, optional
        BCP-47 tag of stimuli of which neither the map nor ``stimuli.tsv`` tells it; default en.
    word_tiers, phone_tiers : tuple of str
        Names of TextGrid tiers.

    Raises
    ------
    BrainAlignError
        A stimulus is absent or a pointer (66), leads out of the dataset or can't be read (65), or
        no recording has any stimulus (66).
    """
    bids_dir = bids_dir.absolute()
    given = read_stimuli_map(stimuli_map, bids_dir) if stimuli_map is not None else None
    sources = Sources(bids_dir, given)
    heard: list[Heard] = []
    skipped: list[tuple[str, str]] = []
    told: list[str] = []
    for recording in recordings:
        found = search(recording, sources)
        if not found.heard:
            skipped.append((recording.name, found.reason))
        heard += found.heard
        told += found.notes
    if not heard:
        raise _nothing_heard(skipped)
    said = {h.path: given.about(h.path) if given is not None else StimulusNotes() for h in heard}
    files = AnnotationFiles(bids_dir, len(sources.audio) == 1, word_tiers, phone_tiers)
    _require_all(heard, bids_dir)
    stimuli: dict[Path, Stimulus] = {}
    odd: list[str] = []
    for path, about in said.items():
        tag = about.language or sources.catalogue.language(path) or language or DEFAULT_LANGUAGE
        stimuli[path], remarks = open_stimulus(
            path,
            bids_dir,
            words=words_of(path, about, files),
            phones=files.phones(path),
            language=tag,
        )
        odd += remarks
    named = {stimuli[path].name: about.content_groups for path, about in said.items()}
    groups, joined = group_content(list(stimuli.values()), named, overlap=overlap)
    notes = _bounded(told)
    presentations: list[Presentation] = []
    for h in heard:
        passes, note = find_passes(h.rows, stimuli[h.path].duration_s)
        if note:
            notes.append(f"{h.recording.name}, {h.path.name}: {note}.")
        presentations += [_presentation(h, stimuli[h.path], p, groups) for p in passes]
    used = annotations_used(list(stimuli.values()), bids_dir)
    return Presentations(tuple(presentations), tuple(skipped), (*notes, *odd, *joined, *used))


def _bounded(notes: Sequence[str]) -> list[str]:
    """Keep the first notes on single recordings: ds003020 has 499 assumed onsets."""
    more = len(notes) - MOST_NOTES
    return [*notes[:MOST_NOTES], *([f"… and {more} more recordings alike."] if more > 0 else [])]


def words_of(path: Path, about: StimulusNotes, files: AnnotationFiles) -> Annotations | None:
    """Words of a stimulus: the transcript that the map names, else the file found for it."""
    if about.transcript is not None:
        return read_words(about.transcript, root=files.bids_dir)
    return files.words(path)


def annotations_used(stimuli: Sequence[Stimulus], bids_dir: Path) -> tuple[str, ...]:
    """Say from which files, or by which method, words and phones come: a sentence for each."""
    notes = []
    for kind in ("words", "phones"):
        patterns: dict[str, list[str]] = {}
        for stimulus in stimuli:
            labels: Annotations | None = getattr(stimulus, kind)
            if labels is not None:
                pattern = labels.method or _pattern(labels.path, stimulus, bids_dir)
                patterns.setdefault(pattern, []).append(stimulus.name)
        for pattern, names in patterns.items():
            of = names[0] if len(names) == 1 else f"{len(names)} stimuli"
            notes.append(f"{kind.capitalize()} of {of} come from {pattern}.")
    return tuple(notes)


def _pattern(path: Path, stimulus: Stimulus, bids_dir: Path) -> str:
    """Path with the stimulus' name replaced, so that alike files read alike."""
    shown = path.relative_to(bids_dir).as_posix() if path.is_relative_to(bids_dir) else path.name
    for name in (stimulus.name, stimulus.name.removesuffix("_audio")):
        if name in shown:
            return shown.replace(name, "<name>")
    return shown


def _presentation(
    heard: Heard, stimulus: Stimulus, once: Pass, groups: Mapping[str, str]
) -> Presentation:
    return Presentation(
        recording=heard.recording,
        stimulus=stimulus,
        onset_s=once.onset_s,
        rule=heard.rule,
        content_group=groups[stimulus.name],
        segments=once.segments,
        onset_assumed=heard.onset_assumed,
    )


def _nothing_heard(skipped: Sequence[tuple[str, str]]) -> BrainAlignError:
    listed = [f"{name}: {reason}" for name, reason in skipped[:10]]
    if len(skipped) > 10:
        listed.append(f"… and {len(skipped) - 10} more")
    return BrainAlignError(
        "no recording has a stimulus",
        where="\n  ".join([LOOKED_FOR, *listed]),
        fix=f"say which sound was played when with --stimuli-map TSV, e.g. {EXAMPLE}; for people "
        "who speak themselves: --recipe speech-production",
        exit_code=ExitCode.MISSING_INPUT,
    )


def _require_all(heard: Sequence[Heard], bids_dir: Path) -> None:
    """Check that every stimulus is there; all that are missing are named in one message."""
    wanted_by = {h.path: h.recording.name for h in reversed(heard)}
    paths = list(dict.fromkeys(h.path for h in heard))
    missing: list[BrainAlignError] = []
    for path in paths:
        try:
            require_stimulus(path, bids_dir, wanted_by=wanted_by[path])
        except BrainAlignError as error:
            missing.append(error)
    if missing:
        raise _all_missing(missing)
    require_distinct_names(paths, bids_dir)


def _all_missing(errors: Sequence[BrainAlignError]) -> BrainAlignError:
    first = errors[0]
    if len(errors) == 1:
        return first
    others = "\n  ".join(str(error.what) for error in errors[1:])
    return BrainAlignError(
        f"{first.what}\n  {others}", where=first.where, fix=first.fix, exit_code=first.exit_code
    )
