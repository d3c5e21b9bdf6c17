"""The good neural channels of a recording as voltages, and their places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.anatomy.electrodes import locate, read_electrodes
from bids_brainalign.dataset.pointers import require_content
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.responses import resampling
from bids_brainalign.responses.channels import choose_channels
from bids_brainalign.responses.recordings import (
    Intervals,
    bad_intervals,
    open_recording,
    read_signals,
)

NO_TABLE = "There is no electrodes.tsv: the electrodes have no positions."


@dataclass(frozen=True)
class Voltages:
    """Good channels of one recording."""

    data: NDArray[np.float32]
    """(n_channels, n_times) in V."""
    sfreq_hz: float
    channels: pd.DataFrame
    """``name, type``."""
    unused: tuple[str, ...]
    """Channels of the table that were left out: by it, or because they hold no signal."""
    bad: Intervals
    """Stretches marked bad, in s."""
    passband_hz: tuple[float, float]
    """By the file's header, where it is a FIF; else from 0 to half the sampling rate."""
    notes: tuple[str, ...]


def read_voltages(recording: Recording, *, types: tuple[str, ...]) -> Voltages:
    """Read the good neural channels of a recording.

    Parameters
    ----------
    recording : Recording
        Its channels are typed by ``channels.tsv``, its sampling rate is the file's.
    types : tuple of str
        Of neural channels.

    Raises
    ------
    BrainAlignError
        66: file or ``channels.tsv`` absent. 65: unreadable, cut, or nothing left.
    """
    require_content(recording.path, recording.root)
    choice = choose_channels(recording.channels_path, recording_name=recording.name, types=types)
    raw, read_notes = open_recording(
        recording.path, choice.kept["name"].tolist(), table_names=choice.names
    )
    channels, found_notes = _in_file(choice.kept, raw.ch_names, recording)
    sfreq_hz = float(raw.info["sfreq"])
    if recording.prepared and abs(float(raw.first_time)) > 0.5 / sfreq_hz:
        raise BrainAlignError(
            f"{recording.path.name} was cut: it starts {float(raw.first_time):.3f} s into the "
            "recording, so the events of the raw run don't fit it.",
            where=str(recording.path),
            fix="save the whole run, or leave it out of -d",
        )
    data = read_signals(raw, recording.path, channels["name"].tolist())
    channels, data, flat_notes = _without_flat(channels, data, recording)
    used = set(channels["name"])
    marked, marked_notes = bad_intervals(raw, recording.events_path)
    passband = (
        float(raw.info.get("highpass", 0.0)),
        float(raw.info.get("lowpass", sfreq_hz / 2)),
    )
    notes = (*read_notes, *_rate_notes(recording, sfreq_hz), *choice.notes, *found_notes)
    return Voltages(
        data=data,
        sfreq_hz=sfreq_hz,
        channels=channels,
        unused=tuple(name for name in choice.names if name not in used),
        bad=marked,
        passband_hz=passband,
        notes=(*notes, *flat_notes, *marked_notes),
    )


def located_targets(
    recording: Recording, voltages: Voltages
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Give every channel its place by ``electrodes.tsv``: the ``targets`` of a Response."""
    names = voltages.channels["name"].tolist()
    notes: tuple[str, ...]
    if recording.electrodes_path is None:
        located = pd.DataFrame({"name": names, "device": "n/a", "hemisphere": "n/a"})
        located = located.assign(x=np.nan, y=np.nan, z=np.nan)
        notes = (NO_TABLE,)
    else:
        electrodes = read_electrodes(recording.electrodes_path, recording.coordsystem_path)
        located, notes = locate(names, electrodes, unused=voltages.unused)
        if (electrodes["hemisphere"] == "n/a").all():
            space = electrodes["space"].iloc[0] if len(electrodes) else "n/a"
            notes += (f"Coordinates are in space '{space}', which tells no hemisphere.",)
    targets = located.assign(type=voltages.channels["type"].to_numpy(), region="n/a")
    order = ["name", "type", "hemisphere", "region", "x", "y", "z", "device"]
    return targets[order], notes


def clock_between(
    recording: Recording, first_s: float, last_s: float, *, rate_hz: float, phase_s: float
) -> NDArray[np.float64]:
    """Give the times of the feature clock at which there is a signal."""
    times = resampling.clock_grid(last_s, rate_hz=rate_hz, phase_s=phase_s)
    times = times[times >= first_s]
    if len(times) < 2:
        raise BrainAlignError(
            f"{recording.path.name} is shorter than two samples at {rate_hz:g} Hz."
        )
    return times


def _in_file(
    kept: pd.DataFrame, names_in_file: list[str], recording: Recording
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Channels of the table that the file has."""
    there = kept["name"].isin(names_in_file)
    lost = kept["name"][~there].tolist()
    if not there.any():
        some = ", ".join(names_in_file[:10]) or "none of the neural channels"
        raise BrainAlignError(
            f"{recording.path.name} holds none of the channels that channels.tsv keeps.",
            where=f"channels.tsv: {', '.join(lost[:10])}. The file: {some}.",
            fix="the names in channels.tsv must be those of the recording.",
        )
    if not lost:
        return kept, ()
    note = f"In channels.tsv but not in the recording ({len(lost)}): {', '.join(lost)}."
    return kept[there].reset_index(drop=True), (note,)


def _without_flat(
    channels: pd.DataFrame, data: NDArray[np.float32], recording: Recording
) -> tuple[pd.DataFrame, NDArray[np.float32], tuple[str, ...]]:
    """Leave out channels that are constant or not finite."""
    alive = np.array([bool(np.isfinite(c).all() and np.ptp(c) > 0) for c in data])
    if alive.all():
        return channels, data, ()
    flat = channels["name"][~alive].tolist()
    if not alive.any():
        raise BrainAlignError(
            f"{recording.path.name}: every good channel is constant or not finite.",
            where=f"Channels: {', '.join(flat[:10])}.",
            fix="the file may be a placeholder: get it again, or leave the run out.",
        )
    many = len(flat) > 1
    note = (
        f"{len(flat)} channel{'s' * many} dropped, {'each' if many else 'it'} is constant or "
        f"not finite: {', '.join(flat)}."
    )
    return channels[alive].reset_index(drop=True), data[alive], (note,)


def _rate_notes(recording: Recording, sfreq_hz: float) -> tuple[str, ...]:
    said = recording.metadata.get("SamplingFrequency")
    # More than any rounding, less than any real disagreement.
    if isinstance(said, int | float) and abs(said - sfreq_hz) > 0.001 * sfreq_hz:
        return (
            f"The sidecar says {said:g} Hz, the file {sfreq_hz:g} Hz: the file's rate was used.",
        )
    return ()
