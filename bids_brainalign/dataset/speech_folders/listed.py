"""A folder with a table of its clips: for SLURP, and for one's own corpus."""

from __future__ import annotations

from pathlib import Path

from bids_brainalign.dataset.speech_folders.clip import Clip, Part, SpeechFolder
from bids_brainalign.dataset.tables import read_tsv
from bids_brainalign.errors import BrainAlignError

TABLE = "clips.tsv"
LABELS = {
    "word": "word",
    "speaker": "speaker",
    "sentence_type": "sentence-type",
    "emotion": "emotion",
    "intent": "intent",
}
PARTS: dict[str, Part] = {"train": "train", "validation": "validation", "test": "test"}


def is_listed(folder: Path) -> bool:
    """Whether the folder has ``clips.tsv``."""
    return (folder / TABLE).is_file()


def read_listed(folder: Path) -> SpeechFolder:
    """Read ``clips.tsv``: ``file``, and any of speaker, sentence, part and labels.

    Raises
    ------
    BrainAlignError
        A column is missing, a part is unknown, a path leaves the folder, a file is given twice
        (65), or a file is absent (66).
    """
    path = folder / TABLE
    table = read_tsv(path)
    if "file" not in table.columns:
        raise _bad(path, f"has no column file (it has {', '.join(table.columns)})")
    clips: dict[str, Clip] = {}
    for number, row in enumerate(table.to_dict("records"), start=2):
        told = {str(k): str(v) for k, v in row.items() if str(v) not in ("n/a", "")}
        audio = (folder / told.get("file", "")).resolve()
        if "file" not in told or not audio.is_relative_to(folder.resolve()):
            raise _bad(path, f"line {number}: {told.get('file', '')!r} is no file in this folder")
        if told["file"] in clips:
            raise _bad(path, f"line {number}: {told['file']} is listed twice")
        if "part" in told and told["part"] not in PARTS:
            raise _bad(path, f"line {number}: part is {told['part']!r}, not {' / '.join(PARTS)}")
        clips[told["file"]] = Clip(
            name=told["file"],
            path=audio,
            speaker=told.get("speaker"),
            sentence=told.get("sentence"),
            part=PARTS.get(told.get("part", "")),
            labels=tuple((kind, told[c]) for c, kind in LABELS.items() if c in told),
        )
    return SpeechFolder("a list of clips", tuple(clips.values()))


def _bad(path: Path, what: str) -> BrainAlignError:
    return BrainAlignError(
        f"{path.name} {what}",
        where=str(path),
        fix="write a table with the columns file, and where known speaker, sentence, part (train, "
        "validation, test), word, sentence_type, emotion, intent",
    )
