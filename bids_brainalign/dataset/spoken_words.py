"""Which words a participant spoke, and when each was cued."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bids_brainalign.dataset.lengths import recording_length
from bids_brainalign.dataset.nwb import open_neural_series
from bids_brainalign.dataset.pointers import require_content
from bids_brainalign.dataset.spoken_rows import spoken_rows
from bids_brainalign.dataset.stimulus_track import SERIES, is_word, read_stimulus_track
from bids_brainalign.dataset.tables import read_numbered
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError, ExitCode

SPEAK = "speak"
COLUMNS = (
    "word", "cue_s", "duration_s", "role", "content_group", "speech_onset_s", "n_phones"
)  # fmt: skip
NO_WORDS = ("onset", "duration", "role", "content_group", "speech_onset", "n_phones", "stim_file")
"""Columns of ``events.tsv`` that mean something else."""


class NobodySpeaksError(BrainAlignError):
    """Nothing tells of words in a recording: it is probably one of another task."""


@dataclass(frozen=True)
class SpokenWords:
    """The words of one recording."""

    table: pd.DataFrame
    """In order of time. ``word`` (text as written, in Unicode's composed form); ``cue_s``, s on
    the recording clock: when the word was cued, or its row begins; ``duration_s`` of cue or row,
    NaN if unknown; ``role``, ``speak`` where there is no such column; ``content_group``, empty
    where none; ``speech_onset_s`` (s on the recording clock) and ``n_phones``, NaN unless
    given."""
    rule: str
    """One sentence: where they come from."""
    notes: tuple[str, ...]
    """What was left out and why, one sentence each."""


def find_spoken_words(
    recording: Recording, *, word_column: str = "word", roles: tuple[str, ...] = (SPEAK,)
) -> SpokenWords:
    """Find the words of a recording: in ``events.tsv``, else in the text track of an NWB file.

    Parameters
    ----------
    recording : Recording
    word_column : str
        Column of ``events.tsv`` with one word per row; rows without one are no words. Optional
        columns beside it: ``role``, ``content_group``, ``speech_onset`` (s on the recording
        clock), ``n_phones``.
    roles : tuple of str
        Rows to keep, where there is a column ``role``.

    Returns
    -------
    SpokenWords

    Raises
    ------
    BrainAlignError
        66: there are no words, or a file is not downloaded. 65: a time is no number.
    """
    events = _events(recording)
    found: tuple[pd.DataFrame, str, tuple[str, ...]] | None = None
    if events is not None and recording.events_path is not None and word_column in events.columns:
        found = spoken_rows(events, recording.events_path, word_column=word_column, roles=roles)
    if found is None and recording.path.suffix.lower() == ".nwb":
        found = _shown(recording)
    if found is None:
        raise _nothing(recording, events, word_column)
    table, rule, notes = found
    table, dropped = _within(table, recording)
    table, merged = _in_order(table)
    notes += (*dropped, *merged)
    if table.empty:
        raise BrainAlignError(
            f"{recording.name} has no usable word.",
            where="\n  ".join((rule, *notes)),
            fix="mend the times, or leave the recording out",
            exit_code=ExitCode.MISSING_INPUT,
        )
    return SpokenWords(table, rule, notes)


def _events(recording: Recording) -> pd.DataFrame | None:
    if recording.events_path is None:
        return None
    return read_numbered(recording.events_path, root=recording.root)


def _shown(recording: Recording) -> tuple[pd.DataFrame, str, tuple[str, ...]] | None:
    """Words of the text track."""
    require_content(recording.path, recording.root)
    found = read_stimulus_track(recording.path, open_neural_series(recording))
    if found is None or not found[0]:
        return None
    words, notes = found
    table = pd.DataFrame(
        {
            "word": [unicodedata.normalize("NFC", s.text) for s in words],
            "cue_s": np.array([s.onset_s for s in words], dtype=np.float64),
            "duration_s": np.array([s.duration_s for s in words], dtype=np.float64),
            "role": SPEAK,
            "content_group": "",
            "speech_onset_s": np.nan,
            "n_phones": np.nan,
        }
    )
    rule = f"Words are the runs of equal text in the series {SERIES} of {recording.path.name}."
    return table[[*COLUMNS]], rule, notes


def _within(table: pd.DataFrame, recording: Recording) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Keep words that are cued while the recording runs."""
    length_s, _ = recording_length(recording)
    limit_s = np.inf if length_s is None else length_s
    inside = (table["cue_s"] >= 0) & (table["cue_s"] < limit_s)
    if inside.all():
        return table, ()
    until = "its end" if length_s is None else f"its end at {length_s:.3f} s"
    note = (
        f"{int((~inside).sum())} of {len(inside)} words were left out: their cues lie before the "
        f"recording begins or after {until}."
    )
    return table[inside], (note,)


def _in_order(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Sort by time; of rows with the same word at the same time one is kept."""
    notes: tuple[str, ...] = ()
    if not table["cue_s"].is_monotonic_increasing:
        notes += ("The words were not in order of time: they were sorted.",)
        table = table.sort_values("cue_s", kind="stable")
    twice = table.duplicated(["word", "cue_s", "role"])
    if twice.any():
        notes += (f"{int(twice.sum())} rows repeat a word at the same time and were left out.",)
        table = table[~twice]
    return table.reset_index(drop=True), notes


def _nothing(
    recording: Recording, events: pd.DataFrame | None, word_column: str
) -> BrainAlignError:
    if events is None or recording.events_path is None:
        looked = f"looked for the column {word_column}, but there is no events.tsv"
    elif word_column in events.columns:
        looked = f"the column {word_column} of {recording.events_path.name} holds no word"
    else:
        looked = (
            f"looked for the column {word_column} in {recording.events_path.name}, whose columns "
            f"are {', '.join(events.columns)}"
        )
    named = _columns_with_text(events, but=word_column)
    if named:
        looked += f"\n  columns that hold text: {', '.join(named)}"
    if recording.path.suffix.lower() == ".nwb":
        looked += f"\n  {recording.path.name} has no words in a series {SERIES} of acquisition"
    return NobodySpeaksError(
        f"{recording.name}: nothing tells which words were spoken.",
        where=looked,
        fix=f'write word_column = "{named[0] if named else "word"}" under [production] in a file '
        "for --config-file, with the column of events.tsv that holds one word per row; or add "
        "events.tsv with onset, duration and word",
        exit_code=ExitCode.MISSING_INPUT,
    )


def _columns_with_text(events: pd.DataFrame | None, *, but: str) -> list[str]:
    """Columns in which words may stand, those with the most different ones first."""
    if events is None:
        return []
    different = {
        str(column): events[column][[_is_text(text) for text in events[column]]].nunique()
        for column in events.columns
        if column not in {but, *NO_WORDS}
    }
    return sorted((c for c, n in different.items() if n), key=lambda c: (-different[c], c))


def _is_text(text: str) -> bool:
    return is_word(text) and any(letter.isalpha() for letter in text)
