"""An iEEG recording → high gamma on the clock of the features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.anatomy.electrodes import locate, read_electrodes
from bids_brainalign.dataset.pointers import require_content
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError
from bids_brainalign.responses import high_gamma as amplitudes
from bids_brainalign.responses import resampling
from bids_brainalign.responses.channels import choose_channels
from bids_brainalign.responses.recordings import (
    bad_intervals,
    open_recording,
    read_signals,
    within,
)
from bids_brainalign.responses.referencing import (
    Rereferenced,
    derivations,
    derived_targets,
)
from bids_brainalign.responses.types import Response

CHANNELS_AT_ONCE = 4
"""Turned into high gamma together: bounds memory to some copies of four channels."""


def load_ieeg(
    recording: Recording,
    *,
    reference: str,
    high_gamma: str,
    rate_hz: float,
    phase_s: float,
    band_hz: tuple[float, ...] = (),
) -> Response:
    """High gamma (or the amplitude of another band) of the good intracranial channels of a recording.

    Parameters
    ----------
    recording : Recording
        Its channels are typed by ``channels.tsv``, its sampling rate is the file's.
    reference : str
        See :func:`~bids_brainalign.responses.referencing.derivations`.
    high_gamma : str
        One of :data:`~bids_brainalign.responses.high_gamma.METHODS`.
    rate_hz : float
        Rate of the clock.
    phase_s : float
        One time of the clock: its samples lie at ``phase_s + k / rate_hz``.
    band_hz : tuple of two floats, or empty
        Empty: the method's own band.

    Returns
    -------
    Response
        ``type`` of a target is its channel type (``ECOG``, ``SEEG``).

    Raises
    ------
    BrainAlignError
        66: file or ``channels.tsv`` absent. 65: unreadable, nothing left, or too slow.
    """
    require_content(recording.path, _dataset_root(recording))
    choice = choose_channels(recording.channels_path, recording_name=recording.name)
    raw, read_notes = open_recording(recording.path, choice.kept["name"].tolist())
    channels, found_notes = _in_file(choice.kept, raw.ch_names, recording)
    data = read_signals(raw, recording.path, channels["name"].tolist())
    channels, data, flat_notes = _without_flat(channels, data, recording)
    sfreq_hz = float(raw.info["sfreq"])
    line_hz = line_frequency(recording.metadata)

    located, located_notes = _targets(recording, channels, unused=[n for n, _ in choice.dropped])
    derived, reference_notes = derivations(reference, located)
    signals = Rereferenced(data)
    columns = []
    times = np.empty(0)
    for start in range(0, len(derived), CHANNELS_AT_ONCE):
        amplitude = amplitudes.high_gamma_amplitude(
            signals.read(derived[start : start + CHANNELS_AT_ONCE]),
            sfreq_hz, method=high_gamma, line_hz=line_hz, band_hz=band_hz,
        )  # fmt: skip
        times = _clock(recording, amplitude, rate_hz=rate_hz, phase_s=phase_s)
        columns.append(
            resampling.to_clock(
                amplitude.data, amplitude.rate_hz, times_s=times, first_s=amplitude.first_s
            )
        )

    marked, marked_notes = bad_intervals(raw, recording.events_path)
    own_s = amplitudes.support_s(high_gamma, sfreq_hz, band_hz=band_hz)
    support_s = own_s + resampling.support_s(amplitude.rate_hz, rate_hz)
    return Response(
        data=np.concatenate(columns, axis=1),
        times=times,
        targets=derived_targets(located, derived),
        censored=within(times, marked),
        support_s=support_s,
        notes=(
            *read_notes,
            *_rate_notes(recording, sfreq_hz),
            *choice.notes,
            *found_notes,
            *flat_notes,
            *reference_notes,
            _line_note(high_gamma, sfreq_hz, line_hz, band_hz),
            *_band_note(high_gamma, band_hz),
            *marked_notes,
            *located_notes,
        ),
    )


def line_frequency(metadata: dict[str, object]) -> float | None:
    """``PowerLineFrequency`` of the sidecar in Hz; None if absent or ``n/a``."""
    value = metadata.get("PowerLineFrequency")
    try:
        hertz = float(str(value))
    except ValueError:
        return None
    return hertz if hertz > 0 else None


def _dataset_root(recording: Recording) -> Path:
    """Find the folder that holds ``sub-<participant>``."""
    for parent in recording.path.parents:
        if parent.name == f"sub-{recording.participant}":
            return parent.parent
    return recording.path.parent


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


def _targets(
    recording: Recording, channels: pd.DataFrame, *, unused: list[str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    names = channels["name"].tolist()
    notes: tuple[str, ...]
    if recording.electrodes_path is None:
        located = pd.DataFrame({"name": names, "device": "n/a", "hemisphere": "n/a"})
        located = located.assign(x=np.nan, y=np.nan, z=np.nan)
        notes = ("There is no electrodes.tsv: the electrodes have no positions.",)
    else:
        electrodes = read_electrodes(recording.electrodes_path, recording.coordsystem_path)
        located, notes = locate(names, electrodes, unused=unused)
        if (electrodes["hemisphere"] == "n/a").all():
            space = electrodes["space"].iloc[0] if len(electrodes) else "n/a"
            notes += (f"Coordinates are in space '{space}', which tells no hemisphere.",)
    targets = located.assign(type=channels["type"].to_numpy(), region="n/a")
    order = ["name", "type", "hemisphere", "region", "x", "y", "z", "device"]
    return targets[order], notes


def _rate_notes(recording: Recording, sfreq_hz: float) -> tuple[str, ...]:
    said = recording.metadata.get("SamplingFrequency")
    # More than any rounding, less than any real disagreement.
    if isinstance(said, int | float) and abs(said - sfreq_hz) > 0.001 * sfreq_hz:
        return (
            f"The sidecar says {said:g} Hz, the file {sfreq_hz:g} Hz: the file's rate was used.",
        )
    return ()


def _line_note(
    method: str, sfreq_hz: float, line_hz: float | None, band_hz: tuple[float, ...]
) -> str:
    if line_hz is None:
        return "The sidecar gives no PowerLineFrequency: no notch filter was applied."
    notches = amplitudes.notch_frequencies(method, sfreq_hz, line_hz, band_hz=band_hz)
    hertz = ", ".join(f"{f:g}" for f in notches) or "none within the band"
    return f"Line frequency {line_hz:g} Hz; notch at {hertz} Hz."


def _band_note(method: str, band_hz: tuple[float, ...]) -> tuple[str, ...]:
    if not band_hz:
        return ()
    return (f"The response is the amplitude of {band_hz[0]:g}–{band_hz[1]:g} Hz ({method}).",)


def _clock(
    recording: Recording, amplitude: amplitudes.Amplitude, *, rate_hz: float, phase_s: float
) -> NDArray[np.float64]:
    """Times of the clock at which there is an amplitude."""
    times = resampling.clock_grid(amplitude.last_s, rate_hz=rate_hz, phase_s=phase_s)
    times = times[times >= amplitude.first_s]
    if len(times) < 2:
        raise BrainAlignError(
            f"{recording.path.name} is shorter than two samples at {rate_hz:g} Hz."
        )
    return times
