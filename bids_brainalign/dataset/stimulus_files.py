"""Files below ``stimuli/``: where a name leads, and what the audio and its words are."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from pathlib import Path

import soundfile

from bids_brainalign.dataset.pointers import content_sha256, require_content, shown
from bids_brainalign.dataset.types import Annotations, Stimulus
from bids_brainalign.errors import BrainAlignError, ExitCode

AUDIO = (".wav", ".flac", ".ogg", ".mp3")
_LATE_S = 1.0
"""Words that begin this much after the end of the audio belong to another clock."""


def is_audio(name: str) -> bool:
    """Whether a name is that of an audio file we read."""
    return Path(name).suffix.lower() in AUDIO


def plain_name(name: str) -> str:
    """Name of a stimulus without what BEP044 adds, case, hyphens and underscores.

    Examples
    --------
    >>> plain_name("stim-PieMan_audio")
    'pieman'
    >>> plain_name("where-theres_smoke")
    'wheretheressmoke'
    """
    inner = re.sub(r"^stim-|_audio$", "", name, flags=re.IGNORECASE)
    return re.sub(r"[-_ ]", "", inner).casefold()


def locate(bids_dir: Path, name: str, *, source: Path, beside: Path | None = None) -> Path:
    """Path of a file named in a table; it need not exist.

    Parameters
    ----------
    bids_dir : Path
    name : str
        Relative to ``stimuli/``; a leading ``stimuli/`` is tolerated.
    source : Path
        The table, for the message.
    beside : Path, optional
        Another folder in which the file may lie.

    Raises
    ------
    BrainAlignError
        The path is absolute, climbs up, or is a link that leaves the dataset (65).
    """
    written = Path(name)
    if written.is_absolute() or ".." in written.parts:
        raise _leaves(name, source)
    inner = written.relative_to("stimuli") if written.parts[:1] == ("stimuli",) else written
    path = bids_dir / "stimuli" / inner
    if not os.path.lexists(path) and beside is not None and os.path.lexists(beside / written):
        path, bids_dir = beside / written, beside
    if not _is_inside(path, bids_dir):
        raise _leaves(name, source)
    return path


def _is_inside(path: Path, root: Path) -> bool:
    """Whether a file lies in a dataset, links followed.

    Links into git-annex may lead out of it: in a DataLad subdataset ``.git`` is itself a link.
    """
    real = root.resolve()
    if not path.parent.resolve().is_relative_to(real):
        return False
    if path.is_symlink() and ".git/annex/objects/" in os.path.normpath(path.readlink()):
        return True
    return path.resolve().is_relative_to(real)


def _leaves(name: str, source: Path) -> BrainAlignError:
    return BrainAlignError(
        f"{source.name}: {name} lies outside the dataset's stimuli folder",
        where=str(source),
        fix="put the file into BIDS_DIR/stimuli and name it relative to that folder",
    )


def require_stimulus(path: Path, bids_dir: Path, *, wanted_by: str) -> None:
    """Check that a stimulus is there.

    Raises
    ------
    BrainAlignError
        Absent, a DataLad pointer, or empty (66).
    """
    if os.path.lexists(path):
        require_content(path, bids_dir)
        return
    folder = bids_dir / "stimuli"
    present = sorted(
        p.relative_to(folder).as_posix() for p in folder.rglob("*") if is_audio(p.name)
    )
    near = difflib.get_close_matches(path.relative_to(folder).as_posix(), present, n=1)
    listed = ", ".join(present[:8]) + (f", … ({len(present)})" if len(present) > 8 else "")
    raise BrainAlignError(
        f"the stimulus {shown(path, bids_dir)} of {wanted_by} is missing",
        where=f"searched {folder}: "
        + (f"stimuli/ holds {listed or 'no audio'}" if folder.is_dir() else "no such folder"),
        fix=(f"did you mean {near[0]}? " if near else "")
        + "Put the file there, or correct stim_file",
        exit_code=ExitCode.MISSING_INPUT,
    )


def open_stimulus(
    path: Path,
    bids_dir: Path,
    *,
    words: Annotations | None,
    phones: Annotations | None,
    language: str,
) -> tuple[Stimulus, tuple[str, ...]]:
    """Describe a stimulus; of the audio only the header is read, and its bytes for the digest.

    Parameters
    ----------
    path : Path
    bids_dir : Path
    words, phones : Annotations or None
    language : str

    Returns
    -------
    stimulus : Stimulus
    notes : tuple of str
        What is odd about its words.

    Raises
    ------
    BrainAlignError
        The audio can't be read (65).
    """
    duration_s = audio_duration(path, bids_dir)
    notes: tuple[str, ...] = ()
    if words is not None and words.n_untimed:
        total = words.n_untimed + len(words.table)
        notes += (
            f"{words.n_untimed} of the {total} words of {words.path.name} have no time and were "
            "left out.",
        )
    for kind, labels in (("words", words), ("phones", phones)):
        if labels is None or not len(labels.table):
            continue
        last = float(labels.table["onset"].iloc[-1])
        if last > duration_s + _LATE_S:
            late = int((labels.table["onset"] > duration_s).sum())
            notes += (
                f"{late} {kind} of {labels.path.name} begin after the end of {path.name} "
                f"({last:.1f} s, audio {duration_s:.1f} s): are they of this file?",
            )
    sha256 = content_sha256(path)
    return Stimulus(path.stem, path, duration_s, sha256, words, language, phones), notes


def audio_duration(path: Path, bids_dir: Path) -> float:
    """Duration in s by the file's header.

    Raises
    ------
    BrainAlignError
        It can't be read, or has no samples (65).
    """
    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        raise BrainAlignError(
            f"{shown(path, bids_dir)} can't be read as audio: {error}",
            fix="convert it to WAV or FLAC, or download it again",
        ) from error
    if not info.frames > 0:
        raise BrainAlignError(
            f"{shown(path, bids_dir)} holds no samples",
            fix="download it again, or leave its recordings out",
        )
    return float(info.frames / info.samplerate)


def require_distinct_names(paths: Sequence[Path], bids_dir: Path) -> None:
    """Refuse two stimuli with one name: features and folds are kept by it (65)."""
    known: dict[str, Path] = {}
    for path in paths:
        other = known.setdefault(path.stem, path)
        if other != path:
            raise BrainAlignError(
                f"two stimuli are called {path.stem}",
                where=f"{shown(other, bids_dir)} and {shown(path, bids_dir)}",
                fix="rename one, also in events.tsv or the stimuli map",
            )
