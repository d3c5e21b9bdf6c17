"""The files of one dataset by PyBIDS, of the chosen participants only, and their sidecars."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bids_brainalign.dataset.filenames import DatasetFile, describes

# Folders that hold no recordings of this dataset, and some hold thousands of files.
_OUTSIDE = re.compile(
    r"^/(derivatives?|sourcedata|code|stimuli|models|logs|\.git|\.datalad)(/|$)"
    r"|^/sub-[^/]+/(ses-[^/]+/)?(figures|log|anat|dwi)(/|$)"
)
_SUFFIXES = (
    "ieeg eeg bold mask timeseries regressors events channels electrodes coordsystem".split()
)


@dataclass(frozen=True)
class Listing:
    """Files of a dataset."""

    root: Path
    files: tuple[DatasetFile, ...]

    def of(self, suffix: str, extensions: Sequence[str]) -> list[DatasetFile]:
        """Files with this suffix and one of these extensions, in the order of their paths."""
        return [f for f in self._by_suffix.get(suffix, ()) if f.extension in extensions]

    @cached_property
    def _by_suffix(self) -> dict[str, list[DatasetFile]]:
        found: dict[str, list[DatasetFile]] = {}
        for file in self.files:
            found.setdefault(file.suffix, []).append(file)
        return found

    @cached_property
    def _by_place(self) -> dict[tuple[str, Path], list[DatasetFile]]:
        """By suffix and folder: asking each file where it lies takes seconds on 4,000 files."""
        found: dict[tuple[str, Path], list[DatasetFile]] = {}
        for file in self.files:
            found.setdefault((file.suffix, file.path.parent), []).append(file)
        return found

    def nearest(
        self,
        entities: Mapping[str, str],
        folder: Path,
        *,
        suffix: str,
        extension: str,
        but: Collection[str] = (),
    ) -> Path | None:
        """Find the file that applies to a recording: the deepest, then the most specific.

        Parameters
        ----------
        entities : mapping
            Of the recording.
        folder : Path
            Where the recording lies; the file may lie there or further up.
        suffix, extension : str
        but : collection of str
            Entities of the file that don't count.
        """
        found = [
            f
            for place in (folder, *folder.parents)
            for f in self._by_place.get((suffix, place), ())
            if f.extension == extension and describes(f, entities, but=but)
        ]
        nearest = max(
            found, key=lambda f: (len(f.path.parts), len(f.entities), f.path.name), default=None
        )
        return nearest.path if nearest is not None else None


def list_files(
    root: Path, *, participants: Sequence[str], database_dir: Path | None, derivative: bool
) -> Listing:
    """Index a dataset.

    Parameters
    ----------
    root : Path
    participants : sequence of str
        Folders of others are not entered; empty = all.
    database_dir : Path, optional
        Where PyBIDS' index is kept between runs. It is used again only while the dataset's
        folders are unchanged and the same participants are asked for.
    derivative : bool
        Whether the dataset is a derivative.
    """
    root = root.absolute()
    database = None
    if database_dir is not None:
        database = database_dir.absolute() / _database_name(root, participants)
    layout = _layout(root, participants, database, derivative)
    paths = layout.get(return_type="filename", suffix=_SUFFIXES)
    files = (DatasetFile(Path(path)) for path in paths)
    return Listing(root, tuple(sorted(files, key=lambda f: str(f.path))))


def _layout(
    root: Path, participants: Sequence[str], database: Path | None, derivative: bool
) -> Any:
    # PyBIDS costs about a second to import; `--help` must not pay it.
    from bids.layout import BIDSLayout, BIDSLayoutIndexer

    if database is not None and (database / "layout_index.sqlite").exists():
        return BIDSLayout(root, validate=False, database_path=database)
    ignore = [_OUTSIDE]
    if participants:
        wanted = "|".join(re.escape(label) for label in participants)
        ignore.append(re.compile(rf"^/sub-(?!(?:{wanted})(?:[/_.]|$))"))
    layout = BIDSLayout(
        root,
        validate=False,
        is_derivative=derivative,
        config=["bids", "derivatives"],
        indexer=BIDSLayoutIndexer(validate=False, ignore=ignore, index_metadata=False),
    )
    if database is not None:
        _keep(layout, database)
    return layout


def _keep(layout: Any, database: Path) -> None:
    """Save an index; jobs that index at the same time don't see each other's half files."""
    temporary = database.with_name(f".{database.name}-{secrets.token_hex(4)}")
    layout.save(temporary, replace_connection=False)
    try:
        os.replace(temporary, database)  # noqa: PTH105 (Path.replace is the same, less known)
    except OSError:  # another job was quicker, with the same content
        with suppress(OSError):
            shutil.rmtree(temporary)


def _database_name(root: Path, participants: Sequence[str]) -> str:
    """Name that changes with the root, the participants and every file added or removed."""
    stamp = hashlib.sha256(json.dumps([str(root), sorted(participants)]).encode())
    folders = [root]
    for folder in sorted(root.glob("sub-*")):
        if not participants or folder.name.removeprefix("sub-") in participants:
            folders += [Path(inner) for inner, _, _ in os.walk(folder)]
    for folder in sorted(f for f in folders if f.is_dir()):
        stamp.update(f"{folder}\0{folder.stat().st_mtime_ns}\0".encode())
    return f"{root.name}-{stamp.hexdigest()[:16]}"
