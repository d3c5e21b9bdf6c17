"""What the aligner Gentle writes (Narratives: ``stimuli/gentle/<story>/``)."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pandas as pd

from bids_brainalign.dataset.annotations import from_columns
from bids_brainalign.dataset.pointers import require_content
from bids_brainalign.dataset.types import Annotations
from bids_brainalign.errors import BrainAlignError

_FIELDS = 4


def read_gentle_words(path: Path, *, root: Path) -> Annotations:
    """Read ``align.csv``: word, aligned form, start, end; without a header line.

    Words that were not found in the audio have no times and are left out; they are counted.

    Raises
    ------
    BrainAlignError
        A line has another form (65); the file is not downloaded (66).
    """
    require_content(path, root)
    rows = []
    for line, fields in enumerate(csv.reader(io.StringIO(_text(path))), start=1):
        if not any(field.strip() for field in fields):
            continue
        if len(fields) != _FIELDS:
            raise _wrong(path, f"line {line}: {len(fields)} fields, not word, aligned, start, end")
        try:
            start, stop = (float(f) if f.strip() else float("nan") for f in fields[2:])
        except ValueError as error:
            raise _wrong(path, f"line {line}: {error}") from error
        rows.append((start, stop - start, fields[0]))
    return _annotations(rows, path)


def read_gentle_phones(path: Path, *, root: Path) -> Annotations:
    """Read the phones of ``align.json``; position marks (``ih_B``) are removed.

    Raises
    ------
    BrainAlignError
        It is not Gentle's JSON (65), or not downloaded (66).
    """
    require_content(path, root)
    try:
        words = json.loads(_text(path))["words"]
        rows = []
        for word in words:
            start = float(word.get("start", "nan"))
            for phone in word.get("phones", ()):
                length = float(phone["duration"])
                rows.append((start, length, str(phone["phone"]).split("_")[0]))
                start += length
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _wrong(path, f"it is not Gentle's JSON ({error!r})") from error
    return _annotations(rows, path)


def _annotations(rows: list[tuple[float, float, str]], path: Path) -> Annotations:
    table = pd.DataFrame(rows, columns=["onset", "duration", "label"])
    onset, duration = table["onset"].astype(float), table["duration"].astype(float)
    if (onset < 0).any() or (duration < 0).any():
        raise _wrong(path, "a time is negative, or an end lies before its start")
    return from_columns(onset, duration, table["label"].astype(str), path)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _wrong(path, "it is not UTF-8 text") from error


def _wrong(path: Path, what: str) -> BrainAlignError:
    return BrainAlignError(
        f"{path.name}: {what}", where=str(path), fix="align the story again, or remove the file"
    )
