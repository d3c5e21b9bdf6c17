"""CREMA-D (Cao et al. 2014): 91 actors, 12 sentences, 6 emotions, all in the file's name."""

from __future__ import annotations

import re
from pathlib import Path

from bids_brainalign.dataset.speech_folders.clip import Clip, SpeechFolder

EMOTIONS = {
    "ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral",
    "SAD": "sad",
}  # fmt: skip
_NAME = re.compile(r"(?P<actor>1\d{3})_(?P<sentence>[A-Z]{3})_(?P<emotion>[A-Z]{3})_[A-Z]{2}")
"""``1001_DFA_ANG_XX.wav``: actor, sentence, emotion, intensity."""


def is_crema_d(folder: Path) -> bool:
    """Whether most audio files are named as in CREMA-D."""
    files = _files(folder)
    named = [path for path in files if _NAME.fullmatch(path.stem)]
    return bool(named) and len(named) > len(files) / 2


def _files(folder: Path) -> list[Path]:
    here = folder / "AudioWAV" if (folder / "AudioWAV").is_dir() else folder
    return sorted(here.glob("*.wav"))


def read_crema_d(folder: Path) -> SpeechFolder:
    """Read all clips; files with other names are left out, and counted."""
    files, clips = _files(folder), []
    for path in files:
        match = _NAME.fullmatch(path.stem)
        if match is None or match["emotion"] not in EMOTIONS:
            continue
        clips.append(
            Clip(
                name=path.stem,
                path=path,
                speaker=match["actor"],
                sentence=match["sentence"],
                labels=(("emotion", EMOTIONS[match["emotion"]]), ("speaker", match["actor"])),
            )
        )
    left = len(files) - len(clips)
    notes = (f"{left} files have names that CREMA-D has not, and are left out.",) if left else ()
    return SpeechFolder("CREMA-D", tuple(clips), notes)
