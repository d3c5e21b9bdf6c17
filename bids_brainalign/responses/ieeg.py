"""An iEEG recording → high gamma on the clock of the features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.dataset.ready_made import BROADBAND, HIGH_GAMMA
from bids_brainalign.dataset.types import Recording
from bids_brainalign.responses import high_gamma as amplitudes
from bids_brainalign.responses import resampling
from bids_brainalign.responses.channels import NEURAL_TYPES
from bids_brainalign.responses.recordings import Intervals, within
from bids_brainalign.responses.referencing import (
    Derivation,
    Rereferenced,
    derivations,
    derived_targets,
)
from bids_brainalign.responses.types import Response
from bids_brainalign.responses.voltages import (
    Voltages,
    clock_between,
    located_targets,
    read_voltages,
)

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
    types: tuple[str, ...] = NEURAL_TYPES,
) -> Response:
    """High gamma (or the amplitude of another band) of the good channels of a recording.

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

    types : tuple of str
        Of neural channels in ``channels.tsv``.

    Returns
    -------
    Response
        ``type`` of a target is its channel type (``ECOG``, ``SEEG``).

    Raises
    ------
    BrainAlignError
        66: file or ``channels.tsv`` absent. 65: unreadable, nothing left, or too slow.
    """
    opened = open_amplitudes(
        recording, reference=reference, high_gamma=high_gamma, band_hz=band_hz, types=types
    )
    columns = []
    for part in opened.parts:
        times = clock_between(
            recording, part.first_s, part.last_s, rate_hz=rate_hz, phase_s=phase_s
        )
        columns.append(
            resampling.to_clock(part.data, part.rate_hz, times_s=times, first_s=part.first_s)
        )
    return Response(
        data=np.concatenate(columns, axis=1),
        times=times,
        targets=opened.targets,
        censored=within(times, opened.bad),
        support_s=opened.support_s + resampling.support_s(part.rate_hz, rate_hz),
        notes=opened.notes,
    )


@dataclass(frozen=True)
class OpenAmplitudes:
    """Amplitudes of the good channels of a recording, made a few channels at a time."""

    parts: Iterator[amplitudes.Amplitude]
    """In the order of `targets`, at the rate that the method gives; each once."""
    targets: pd.DataFrame
    """As in a Response."""
    bad: Intervals
    """Stretches marked bad, in s."""
    support_s: float
    """Half length of the filters (−40 dB)."""
    notes: tuple[str, ...]


def open_amplitudes(
    recording: Recording,
    *,
    reference: str,
    high_gamma: str,
    band_hz: tuple[float, ...] = (),
    types: tuple[str, ...] = NEURAL_TYPES,
) -> OpenAmplitudes:
    """Read a recording and prepare its high gamma; parameters and errors as `load_ieeg`."""
    voltages = read_voltages(recording, types=types)
    sfreq_hz, line_hz = voltages.sfreq_hz, line_frequency(recording.metadata)
    located, located_notes = located_targets(recording, voltages)
    ready = recording.prepared == HIGH_GAMMA
    derived, reference_notes = derivations("none" if ready else reference, located)
    made: tuple[str, ...]
    if ready:
        parts = _ready_made(voltages)
        own_s, made = _ready_support_s(voltages), (_ready_note(recording, voltages),)
    else:
        parts = _amplitudes(voltages, derived, high_gamma, line_hz, band_hz)
        own_s = amplitudes.support_s(high_gamma, sfreq_hz, band_hz=band_hz)
        made = (
            *reference_notes,
            _line_note(high_gamma, sfreq_hz, line_hz, band_hz),
            *_band_note(high_gamma, band_hz),
        )
    if recording.prepared == BROADBAND:
        made = (f"The cleaned recording of {recording.prepared_by} was used.", *made)
    return OpenAmplitudes(
        parts=parts,
        targets=derived_targets(located, derived),
        bad=voltages.bad,
        support_s=own_s,
        notes=(*voltages.notes, *made, *located_notes),
    )


def _amplitudes(
    voltages: Voltages,
    derived: tuple[Derivation, ...],
    method: str,
    line_hz: float | None,
    band_hz: tuple[float, ...],
) -> Iterator[amplitudes.Amplitude]:
    """High gamma of some targets at a time."""
    signals = Rereferenced(voltages.data)
    for start in range(0, len(derived), CHANNELS_AT_ONCE):
        yield amplitudes.high_gamma_amplitude(
            signals.read(derived[start : start + CHANNELS_AT_ONCE]),
            voltages.sfreq_hz,
            method=method,
            line_hz=line_hz,
            band_hz=band_hz,
        )


def _ready_made(voltages: Voltages) -> Iterator[amplitudes.Amplitude]:
    """High gamma that a derivative holds, as it is."""
    for start in range(0, len(voltages.data), CHANNELS_AT_ONCE):
        part: NDArray[np.float64] = voltages.data[start : start + CHANNELS_AT_ONCE].astype(float)
        yield amplitudes.Amplitude(part, voltages.sfreq_hz, 0.0)


def _ready_support_s(voltages: Voltages) -> float:
    """Support of a band-pass like the one that the header tells, else of the published one."""
    low, high = voltages.passband_hz
    known = 0 < low < high < voltages.sfreq_hz / 2
    rate_hz = max(voltages.sfreq_hz, 2.5 * amplitudes.BANDS_HZ["podcast2025"][1])
    return amplitudes.support_s("podcast2025", rate_hz, band_hz=(low, high) if known else ())


def _ready_note(recording: Recording, voltages: Voltages) -> str:
    low, high = voltages.passband_hz
    said = f"its header says {low:g}–{high:g} Hz" if 0 < low < high else "its header tells no band"
    return (
        f"Ready-made high gamma of {recording.prepared_by} was used as it is, without reference, "
        f"filter or logarithm of ours: {recording.path.name}, {voltages.sfreq_hz:g} Hz; {said}."
    )


def line_frequency(metadata: dict[str, object]) -> float | None:
    """``PowerLineFrequency`` of the sidecar in Hz; None if absent or ``n/a``."""
    value = metadata.get("PowerLineFrequency")
    try:
        hertz = float(str(value))
    except ValueError:
        return None
    return hertz if hertz > 0 else None


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
