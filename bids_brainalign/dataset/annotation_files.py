"""Which file holds the words, and which the phones, of a stimulus."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from bids_brainalign.dataset.annotations import (
    LABELS,
    PHONE_LABELS,
    read_words,
    without_pauses,
)
from bids_brainalign.dataset.catalogue import stimulus_id
from bids_brainalign.dataset.gentle import read_gentle_phones, read_gentle_words
from bids_brainalign.dataset.pointers import is_pointer, require_content
from bids_brainalign.dataset.tables import read_numbered
from bids_brainalign.dataset.textgrid import PHONE_TIERS, WORD_TIERS, TextGrid, read_textgrid
from bids_brainalign.dataset.types import Annotations

Reader = Callable[[], Annotations | None]


@dataclass
class AnnotationFiles:
    """Where annotations of a dataset's stimuli are looked for, in this order.

    Beside the audio, then in ``stimuli/``: ``<stem>_words.tsv``; ``<stem>.TextGrid`` (also in
    folders called ``TextGrids``); BEP044's ``stim-<label>_annot-<label>_events.tsv``; Gentle's
    ``stimuli/gentle/<story>/``; ``<stem>_transcript.tsv`` or ``.csv``; and where the dataset has
    one sound only, a ``transcript.tsv`` anywhere below ``stimuli/`` (ds005574).
    """

    bids_dir: Path
    only_audio: bool = False
    """The dataset has one sound, so a transcript without a name is its."""
    word_tiers: tuple[str, ...] = WORD_TIERS
    phone_tiers: tuple[str, ...] = PHONE_TIERS
    _grids: dict[Path, TextGrid] = field(default_factory=dict)
    """TextGrids read so far: words and phones are in one file, and parsing takes its time."""

    def words(self, audio: Path) -> Annotations | None:
        """Words of an audio file; None without any.

        Raises
        ------
        BrainAlignError
            The only files that may hold them are wrong (65) or not downloaded (66).
        """
        return self._first(self._word_files(audio))

    def phones(self, audio: Path) -> Annotations | None:
        """Phones of an audio file; None without any. Raises as :meth:`words`."""
        found = self._first(self._phone_files(audio))
        return None if found is None else without_pauses(found)

    def pending(self, audio: Path) -> tuple[Path, ...]:
        """Files that :meth:`words` and :meth:`phones` need and that are not downloaded."""
        found = [_look(self._word_files(audio)), _look(self._phone_files(audio))]
        # Of several candidates the first is enough.
        return tuple(dict.fromkeys(p[0] for labels, p in found if labels is None and p))

    def _first(self, candidates: Iterator[tuple[Path, Reader]]) -> Annotations | None:
        found, pointers = _look(candidates)
        if found is None and pointers:
            require_content(pointers[0], self.bids_dir)
        return found

    def _word_files(self, audio: Path) -> Iterator[tuple[Path, Reader]]:
        root = self.bids_dir
        for path in self._beside(audio, "_words.tsv"):
            yield path, partial(read_words, path, root=root)
        for path in self._textgrids(audio):
            yield path, partial(self._tier, path, self.word_tiers)
        for path in self._bep044(audio):
            yield path, partial(_if_has, path, "word", labels=LABELS, root=root)
        for path in self._gentle(audio, "align.csv"):
            yield path, partial(read_gentle_words, path, root=root)
        for ending in ("_transcript.tsv", "_transcript.csv"):
            for path in self._beside(audio, ending):
                yield path, partial(read_words, path, root=root)
        best = self._nameless_transcript if self.only_audio else None
        if best is not None:
            yield best.path, lambda: best
        for path in self._transcripts() if self.only_audio else ():
            if is_pointer(path):
                yield path, partial(read_words, path, root=root)

    def _phone_files(self, audio: Path) -> Iterator[tuple[Path, Reader]]:
        root = self.bids_dir
        for path in self._beside(audio, "_phones.tsv"):
            yield path, partial(read_words, path, root=root, labels=PHONE_LABELS)
        for path in self._textgrids(audio):
            yield path, partial(self._tier, path, self.phone_tiers)
        for path in self._bep044(audio):
            yield path, partial(_if_has, path, "phone", labels=PHONE_LABELS, root=root)
        for path in self._gentle(audio, "align.json"):
            yield path, partial(read_gentle_phones, path, root=root)

    def _tier(self, path: Path, names: tuple[str, ...]) -> Annotations | None:
        if path not in self._grids:
            self._grids[path] = read_textgrid(path, root=self.bids_dir)
        return self._grids[path].labels(names)

    def _beside(self, audio: Path, ending: str) -> list[Path]:
        top = self.bids_dir / "stimuli"
        folders = dict.fromkeys((audio.parent, top))
        stems = dict.fromkeys((audio.stem, audio.stem.removesuffix("_audio")))
        paths = (folder / f"{stem}{ending}" for folder in folders for stem in stems)
        return [path for path in paths if os.path.lexists(path)]

    def _textgrids(self, audio: Path) -> list[Path]:
        stems = {audio.stem.casefold(), audio.stem.removesuffix("_audio").casefold()}
        near = self._beside(audio, ".TextGrid") + self._beside(audio, ".textgrid")
        far = [p for p in self._all_textgrids if p.stem.casefold() in stems]
        return list(dict.fromkeys((*near, *far)))

    @cached_property
    def _all_textgrids(self) -> tuple[Path, ...]:
        """TextGrids in folders of that name: ds003020 has them in ``derivative/TextGrids``."""
        tops = ("stimuli", "derivative", "derivatives", "derivatives/*", "sourcedata")
        folders = [
            folder
            for top in tops
            for folder in sorted(self.bids_dir.glob(f"{top}/*"))
            if folder.name.casefold() in ("textgrid", "textgrids") and folder.is_dir()
        ]
        return tuple(
            p for f in folders for p in sorted(f.iterdir()) if p.suffix.lower() == ".textgrid"
        )

    def _bep044(self, audio: Path) -> list[Path]:
        label = stimulus_id(audio)
        return sorted(audio.parent.glob(f"stim-{label}_annot-*_events.tsv")) if label else []

    def _gentle(self, audio: Path, name: str) -> list[Path]:
        folder = self.bids_dir / "stimuli" / "gentle"
        stems = dict.fromkeys((audio.stem.removesuffix("_audio"), audio.stem))
        return [p for s in stems if os.path.lexists(p := folder / s / name)]

    def _transcripts(self) -> list[Path]:
        return sorted((self.bids_dir / "stimuli").rglob("*transcript.[ct]sv"))

    @cached_property
    def _nameless_transcript(self) -> Annotations | None:
        """The table with most words; one line per token (gpt2-xl's) is no table of words."""
        found = []
        for path in self._transcripts():
            if is_pointer(path) or not {"word", "start", "end"} <= _columns(path, self.bids_dir):
                continue
            words = read_words(path, root=self.bids_dir)
            repeated = bool(words.table.duplicated(["onset", "duration", "label"]).any())
            found.append((not repeated, len(words.table), words))
        best = max(found, key=lambda item: item[:2], default=None)
        return None if best is None else best[2]


def _look(candidates: Iterator[tuple[Path, Reader]]) -> tuple[Annotations | None, list[Path]]:
    """First annotations that can be read, and the pointers passed over."""
    pointers = []
    for path, read in candidates:
        if is_pointer(path):
            pointers.append(path)
            continue
        found = read()
        if found is not None and len(found.table):
            return found, pointers
    return None, pointers


def _if_has(path: Path, column: str, *, labels: tuple[str, ...], root: Path) -> Annotations | None:
    """Read an annotation table if it is about words (or phones)."""
    if not any(name.startswith(column) for name in _columns(path, root)):
        return None
    return read_words(path, root=root, labels=labels)


def _columns(path: Path, root: Path) -> set[str]:
    return set(map(str, read_numbered(path, root=root).columns))
