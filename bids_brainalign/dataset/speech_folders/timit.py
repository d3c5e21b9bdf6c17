"""TIMIT (LDC93S1): TRAIN and TEST, dialect regions, speakers, sentences."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bids_brainalign.dataset.speech_folders.clip import Clip, SpeechFolder
from bids_brainalign.errors import BrainAlignError

RATE_HZ = 16_000
"""Of the sample numbers in .PHN and .WRD files."""
SAME_FOR_ALL = "SA"
"""The two sentences that every speaker reads."""
_FOLDED = {
    "ao": "aa", "ax": "ah", "ax-h": "ah", "axr": "er", "hv": "hh", "ix": "ih", "el": "l",
    "em": "m", "en": "n", "nx": "n", "eng": "ng", "zh": "sh", "ux": "uw",
}  # fmt: skip
"""Lee & Hon 1989, IEEE Trans ASSP 37:1641, table I: 61 labels become 39 with silence."""
_SILENT = frozenset(["bcl", "dcl", "gcl", "pcl", "tcl", "kcl", "h#", "#h", "pau", "epi", "q"])
"""Closures and pauses are silence there, and the glottal stop is dropped: no phones, which leaves
38."""


def is_timit(folder: Path) -> bool:
    """Whether the folder, or its ``timit`` or ``data``, has TRAIN or TEST with dialect regions."""
    return _root(folder) is not None


def _root(folder: Path) -> Path | None:
    for root in (folder, *(p for p in _below(folder) if p.name.lower() in {"timit", "data"})):
        halves = [p for p in _below(root) if p.name.lower() in {"train", "test"}]
        if any(_is_region(p) for half in halves for p in _below(half)):
            return root
        deeper = [p for p in _below(root) if p.name.lower() in {"timit", "data"}]
        if deeper and root is not folder:
            return _root(deeper[0])
    return None


def _below(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir())


def _is_region(folder: Path) -> bool:
    name = folder.name.lower()
    return len(name) == 3 and name.startswith("dr") and name[2].isdigit()


def read_timit(folder: Path) -> SpeechFolder:
    """Read all sentences but SA1 and SA2, which every speaker reads.

    Parameters
    ----------
    folder : Path
        Names in upper or lower case; audio as NIST SPHERE (``.WAV``) or RIFF (``.wav``,
        ``.WAV.wav``).

    Raises
    ------
    BrainAlignError
        A label file can't be read (65).
    """
    root = _root(folder) or folder
    clips = []
    for half in _below(root):
        part = {"train": "train", "test": "test"}.get(half.name.lower())
        if part is None:
            continue
        for speaker in (
            s for region in _below(half) if _is_region(region) for s in _below(region)
        ):
            clips += _of_speaker(speaker, part)
    return SpeechFolder(
        "TIMIT",
        tuple(clips),
        (
            "The official parts are kept (no speaker of TEST is in TRAIN); the two SA sentences, "
            "which every speaker reads, are left out. The 61 labels are folded as by Lee & Hon "
            "(1989); closures, pauses and the glottal stop are no phones, which leaves 38.",
        ),
    )


def _of_speaker(folder: Path, part: str) -> list[Clip]:
    by_stem: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        stem, _, suffix = path.name.partition(".")
        suffix = suffix.lower()
        if suffix in {"wav", "wav.wav", "phn", "wrd", "txt"}:
            by_stem.setdefault(stem.upper(), {})[suffix] = path
    clips = []
    for stem, files in by_stem.items():
        audio = files.get(
            "wav.wav", files.get("wav")
        )  # as RIFF beside SPHERE, where there are both
        if audio is None or stem.startswith(SAME_FOR_ALL):
            continue
        speaker = folder.name.upper()
        clips.append(
            Clip(
                name=f"{speaker}_{stem}",
                path=audio,
                speaker=speaker,
                sentence=stem,
                part="train" if part == "train" else "test",
                labels=(("sentence-type", stem[:2]), ("speaker", speaker)),
                words=_labels(files["wrd"]) if "wrd" in files else None,
                phones=_folded(_labels(files["phn"])) if "phn" in files else None,
            )
        )
    return clips


def _labels(path: Path) -> pd.DataFrame:
    """Read lines of first sample, last sample, label."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="ascii", errors="replace").splitlines()):
        parts = line.split(maxsplit=2)
        if not parts:
            continue
        if len(parts) < 3 or not (parts[0].isdigit() and parts[1].isdigit()):
            raise BrainAlignError(
                f"{path.name}, line {number + 1}: {line!r} is not 'first last label'",
                where=str(path),
                fix="copy the file from TIMIT again",
            )
        first, last = int(parts[0]), int(parts[1])
        rows.append((first / RATE_HZ, (last - first) / RATE_HZ, parts[2].strip()))
    return pd.DataFrame(rows, columns=["onset", "duration", "label"])


def _folded(phones: pd.DataFrame) -> pd.DataFrame:
    labels = phones["label"].str.lower()
    kept = phones.assign(label=labels.replace(_FOLDED))[~labels.isin(_SILENT)]
    return kept.reset_index(drop=True)
