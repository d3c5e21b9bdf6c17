"""Reading iEEG files: which reader, what can be wrong with them, their bad stretches."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.dataset.nwb import open_nwb
from bids_brainalign.dataset.tables import read_tsv
from bids_brainalign.errors import BrainAlignError

EXTENSIONS = (".edf", ".bdf", ".vhdr", ".set", ".nwb", ".fif")

CHUNK_BYTES = 64 * 2**20
"""Read at a time, in double precision."""

Intervals = tuple[tuple[float, float], ...]


class NwbRaw:
    """An NWB file with the face of ``mne.io.BaseRaw`` that is needed here."""

    def __init__(self, path: Path, table_names: Sequence[str]) -> None:
        from mne import Annotations

        self._series = open_nwb(path, table_names)
        self.ch_names = list(self._series.channels)
        self.n_times = self._series.n_times
        self.info = {"sfreq": self._series.rate_hz}
        self.first_time = 0.0
        self.annotations = Annotations([], [], [])

    def get_data(self, names: Sequence[str], start: int, stop: int) -> NDArray[np.float64]:
        """Volts of some channels, shape (n_names, stop - start)."""
        return self._series.read([self.ch_names.index(name) for name in names], start, stop)


def open_recording(
    path: Path, channel_names: Sequence[str], *, table_names: Sequence[str] = ()
) -> tuple[Any, tuple[str, ...]]:
    """Open an iEEG file without reading its signals.

    Parameters
    ----------
    path : Path
        ``.edf``, ``.bdf``, ``.vhdr``, ``.set``, ``.nwb`` or, of derivatives, ``.fif``.
    channel_names : sequence of str
        Channels wanted. In EDF files of mixed rates, mne brings all opened channels to the
        fastest one's rate, so the others are not opened.
    table_names : sequence of str
        All rows of ``channels.tsv``, which name the columns of an NWB series.

    Returns
    -------
    mne.io.BaseRaw or NwbRaw
    tuple of str
        What mne warned about, one sentence each.

    Raises
    ------
    BrainAlignError
        65: no reader for the extension, or the file can't be read.
    """
    if path.suffix.lower() not in EXTENSIONS:
        raise BrainAlignError(
            f"{path.name}: there is no reader for {path.suffix or 'files without extension'}.",
            where=str(path),
            fix=f"convert the recording to one of {', '.join(EXTENSIONS)}.",
        )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            raw = _open(path, list(channel_names), table_names)
            n_times = int(raw.n_times)
        except BrainAlignError:
            raise
        # The readers fail on broken files in any way they like.
        except Exception as error:
            raise _unreadable(path, error) from error
    if n_times < 2:
        raise _unreadable(path, ValueError("it holds no samples"))
    said = dict.fromkeys(" ".join(str(w.message).split()) for w in caught)
    return raw, tuple(f"While reading {path.name}: {text}" for text in said)


def read_signals(raw: Any, path: Path, channel_names: Sequence[str]) -> NDArray[np.float32]:
    """Read channels in chunks of time.

    Returns
    -------
    ndarray of shape (n_channels, n_times), float32
        V; 24 bits of mantissa hold what the 16 or 24 bits of the amplifiers give.
    """
    data = np.empty((len(channel_names), raw.n_times), dtype=np.float32)
    step = max(1, CHUNK_BYTES // (8 * max(1, len(channel_names))))
    try:
        for start in range(0, raw.n_times, step):
            stop = min(start + step, raw.n_times)
            data[:, start:stop] = raw.get_data(list(channel_names), start, stop)
    except Exception as error:
        raise _unreadable(path, error) from error
    return data


def bad_intervals(raw: Any, events_path: Path | None) -> tuple[Intervals, tuple[str, ...]]:
    """Stretches marked ``BAD…`` in the file's annotations or in ``events.tsv``.

    Parameters
    ----------
    raw : mne.io.BaseRaw
    events_path : Path or None
        Rows whose ``trial_type`` starts with BAD (any case) count.

    Returns
    -------
    tuple of (start, stop)
        s on the recording clock, as marked: nothing is widened.
    tuple of str
        Says when a mark has no duration and so marks nothing.
    """
    marks = [
        (float(onset) - float(raw.first_time), float(duration))
        for onset, duration, text in zip(
            raw.annotations.onset, raw.annotations.duration, raw.annotations.description,
            strict=True,
        )
        if str(text).strip().upper().startswith("BAD")
    ]  # fmt: skip
    if events_path is not None:
        marks += _bad_events(read_tsv(events_path).fillna("n/a"))
    pointlike = sum(1 for _, duration in marks if not duration > 0)
    notes = (f"{pointlike} BAD marks have no duration and censor nothing.",) if pointlike else ()
    return tuple((start, start + length) for start, length in marks if length > 0), notes


def within(times_s: NDArray[np.float64], intervals: Intervals) -> NDArray[np.bool_]:
    """Mark the times that lie in any of the intervals [start, stop]."""
    inside = np.zeros(len(times_s), dtype=bool)
    for start, stop in intervals:
        inside |= (times_s >= start) & (times_s <= stop)
    return inside


def _open(path: Path, channel_names: list[str], table_names: Sequence[str]) -> Any:
    import mne

    suffix = path.suffix.lower()
    if suffix == ".nwb":
        return NwbRaw(path, table_names)
    if suffix == ".fif":
        return mne.io.read_raw_fif(path, verbose="warning")
    if suffix == ".vhdr":
        return mne.io.read_raw_brainvision(path, verbose="warning")
    if suffix == ".set":
        return mne.io.read_raw_eeglab(path, verbose="warning")
    reader = mne.io.read_raw_bdf if suffix == ".bdf" else mne.io.read_raw_edf
    try:
        return reader(path, include=channel_names, stim_channel=None, verbose="warning")
    except UnicodeDecodeError:
        # Annotations of older European systems are in Latin-1.
        return reader(
            path, include=channel_names, stim_channel=None, encoding="latin1", verbose="warning"
        )


def _bad_events(events: pd.DataFrame) -> list[tuple[float, float]]:
    if not {"onset", "duration", "trial_type"} <= set(events.columns):
        return []
    bad = events[events["trial_type"].str.strip().str.upper().str.startswith("BAD")]
    onsets = pd.to_numeric(bad["onset"], errors="coerce")
    durations = pd.to_numeric(bad["duration"], errors="coerce").fillna(0.0)
    return [
        (float(onset), float(duration))
        for onset, duration in zip(onsets, durations, strict=True)
        if np.isfinite(onset)
    ]


def _unreadable(path: Path, error: Exception) -> BrainAlignError:
    return BrainAlignError(
        f"{path.name} can't be read: {' '.join(str(error).split()) or type(error).__name__}.",
        where=str(path),
        fix="the file may be damaged or cut off: get it again, or leave the run out.",
    )
