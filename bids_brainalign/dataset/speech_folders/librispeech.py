"""LibriSpeech: subsets, speakers, chapters; word and phone times where TextGrids lie beside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from bids_brainalign.dataset.annotations import without_pauses
from bids_brainalign.dataset.speech_folders.clip import Clip, Part, SpeechFolder
from bids_brainalign.dataset.textgrid import PHONE_TIERS, WORD_TIERS, read_textgrid
from bids_brainalign.dataset.types import Annotations

PARTS: dict[str, Part] = {"train": "train", "dev": "validation", "test": "test"}


def is_librispeech(folder: Path) -> bool:
    """Whether some chapter has its transcript, ``<speaker>-<chapter>.trans.txt``."""
    return next(_transcripts(folder), None) is not None


def _transcripts(folder: Path) -> Iterator[Path]:
    for pattern in ("*-*.trans.txt", "*/*-*.trans.txt", "*/*/*-*.trans.txt",
                    "*/*/*/*-*.trans.txt", "*/*/*/*/*-*.trans.txt"):  # fmt: skip
        yield from sorted(folder.glob(pattern))


def read_librispeech(folder: Path) -> SpeechFolder:
    """Read all utterances; the subset of a folder tells its part where all three are there.

    Parameters
    ----------
    folder : Path
        Of subsets (``dev-clean`` …), a subset, or a speaker's folders.
    """
    transcripts = list(_transcripts(folder))
    subsets = {path.parents[2].name.partition("-")[0] for path in transcripts}
    official = set(PARTS) <= subsets
    clips = []
    for path in transcripts:
        speaker, chapter = path.name.removesuffix(".trans.txt").split("-")[:2]
        part = PARTS.get(path.parents[2].name.partition("-")[0]) if official else None
        for audio in sorted([*path.parent.glob("*.flac"), *path.parent.glob("*.wav")]):
            words, phones = _times(audio)
            clips.append(
                Clip(
                    name=audio.stem,
                    path=audio,
                    speaker=speaker,
                    sentence=f"chapter {chapter}",
                    part=part,
                    labels=(("speaker", speaker),),
                    words=words,
                    phones=phones,
                )
            )
    without = sum(clip.words is None for clip in clips)
    notes = [
        "The subsets train, dev and test are the parts."
        if official
        else "Speakers are parted at random."
    ]
    if without:
        notes.append(
            f"{without} of {len(clips)} utterances have no TextGrid beside them: without times of "
            "words and phones they take no part in those probes."
        )
    return SpeechFolder("LibriSpeech", tuple(clips), tuple(notes))


def _times(audio: Path) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    grid = audio.with_suffix(".TextGrid")
    if not grid.is_file():
        return None, None
    read = read_textgrid(grid, root=audio.parent)
    words, phones = read.labels(WORD_TIERS), read.labels(PHONE_TIERS)
    return _table(words), _table(None if phones is None else without_pauses(phones))


def _table(annotations: Annotations | None) -> pd.DataFrame | None:
    return None if annotations is None else annotations.table
