"""Words that an NWB file holds as text shown at every neural sample."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from bids_brainalign.dataset.nwb import NwbSeries, series_called
from bids_brainalign.dataset.nwb_clock import SeriesClock, series_clock
from bids_brainalign.errors import BrainAlignError

SERIES = "Stimulus"
ROWS_AT_ONCE = 2**18
"""Strings come as objects of some 50 bytes each."""
SHORTEST_S = 0.05
"""Text shown for less can't be read: it is a glitch between two words."""
WHOLE = 0.95
"""Text on the screen at the first sample was cut unless it lasts this share of the median."""


class Shown(NamedTuple):
    """A run of equal text."""

    text: str
    onset_s: float
    """On the recording clock, which begins with the first neural sample."""
    duration_s: float


def read_stimulus_track(
    path: Path, neural: NwbSeries
) -> tuple[list[Shown], tuple[str, ...]] | None:
    """Read the words of the series ``acquisition/Stimulus``.

    A word is a run of equal text that is not blank; the same word twice in a row is told apart by
    blank text between.

    Parameters
    ----------
    path : Path
        NWB file.
    neural : NwbSeries
        Whose first sample is second 0; its rate counts where the track has none of its own and
        is as long.

    Returns
    -------
    list of Shown
    tuple of str
        What was left out and why.
    None
        If there is no such series, or it holds no text.

    Raises
    ------
    BrainAlignError
        65: nothing tells the time of its samples.

    References
    ----------
    Verwoert et al. 2022, Sci. Data 9:434 (SingleWordProductionDutch).
    """
    with h5py.File(path) as file:
        series = series_called(file, SERIES)
        if series is None or not _is_text(series["data"]):
            return None
        clock = _clock(series, path, neural)
        runs = list(_runs(series["data"]))
    marks = sorted({text for text, _, _ in runs if text and not is_word(text)})
    notes: tuple[str, ...] = ()
    if marks:
        notes = (f"Text without a letter is no word: {', '.join(marks)}.",)
    shown = [
        Shown(text, clock.start_s + first / clock.rate_hz, (stop - first) / clock.rate_hz)
        for text, first, stop in runs
        if is_word(text)
    ]
    glitches = [s for s in shown if s.duration_s < SHORTEST_S]
    if glitches:
        shown = [s for s in shown if s.duration_s >= SHORTEST_S]
        notes += (
            f"{len(glitches)} texts of the {SERIES} series were shown for less than "
            f"{SHORTEST_S:g} s and are no words.",
        )
    if shown and shown[0].onset_s <= clock.start_s:
        others = [s.duration_s for s in shown[1:]]
        if others and shown[0].duration_s < WHOLE * float(np.median(others)):
            notes += (
                f"The first word ({shown[0].text}) was left out: it was on the screen before the "
                "recording began.",
            )
            shown = shown[1:]
    return shown, notes


def is_word(text: str) -> bool:
    """Whether text is more than a mark such as ``+``, on which the eyes rest between words."""
    return text != "n/a" and any(letter.isalnum() for letter in text)


def _is_text(data: h5py.Dataset) -> bool:
    return h5py.check_string_dtype(data.dtype) is not None or data.dtype.kind in "SU"


def _clock(series: h5py.Group, path: Path, neural: NwbSeries) -> SeriesClock:
    """Clock of the track, on the recording clock."""
    if "starting_time" in series or "timestamps" in series:
        return neural.on_recording_clock(series_clock(series, path))
    n_rows = len(series["data"])
    if n_rows != neural.n_times:
        raise BrainAlignError(
            f"{path.name}: nothing tells the time of the words in {series.name}.",
            where=f"it has {n_rows} samples and no rate, the neural series {neural.n_times}",
            fix="write its starting_time with a rate, as NWB requires, or add events.tsv with a "
            "column word",
        )
    return SeriesClock(0.0, neural.rate_hz)


def _runs(data: h5py.Dataset) -> Iterator[tuple[str, int, int]]:
    """Text, first and one past the last row of every run, blank ones included."""
    text, first, n_rows = "", 0, len(data)
    for start in range(0, n_rows, ROWS_AT_ONCE):
        rows = np.asarray(data[start : start + ROWS_AT_ONCE]).reshape(-1)
        changes = np.flatnonzero(_differs(rows)) + 1
        for row in [0, *changes.tolist()]:
            now = _plain(rows[row])
            if start + row == 0:
                text = now
            elif now != text:
                yield text, first, start + row
                text, first = now, start + row
    if n_rows:
        yield text, first, n_rows


def _differs(rows: NDArray[np.object_]) -> NDArray[np.bool_]:
    return np.asarray(rows[1:] != rows[:-1], dtype=bool)


def _plain(value: object) -> str:
    """Text without the blanks and zeros that fill it up."""
    if not isinstance(value, bytes):
        return str(value).strip("\x00").strip()
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    return text.strip("\x00").strip()
