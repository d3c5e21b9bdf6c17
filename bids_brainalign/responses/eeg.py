"""A scalp EEG recording → its slow potential on a clock of its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.dataset.ready_made import HIGH_GAMMA
from bids_brainalign.dataset.types import Recording
from bids_brainalign.responses import resampling
from bids_brainalign.responses.channels import EEG_TYPES
from bids_brainalign.responses.ieeg import CHANNELS_AT_ONCE, load_ieeg
from bids_brainalign.responses.recordings import within
from bids_brainalign.responses.referencing import Rereferenced, derivations, derived_targets
from bids_brainalign.responses.types import Response
from bids_brainalign.responses.voltages import (
    NO_TABLE,
    Voltages,
    clock_between,
    located_targets,
    read_voltages,
)

REFERENCE_KINDS = {"average": "car", "none": "none"}
TEMPLATES = ("colin27_1005", "standard_1005")
"""Positions of the 10-05 system on a template head, by mne."""
MUSCLE = (
    "WARNING: high gamma of scalp EEG is mostly muscle activity of the face, the neck and the "
    "eyes, also where it follows the sound; it is not comparable with intracranial high gamma."
)


def load_eeg(
    recording: Recording,
    *,
    reference: str,
    band_hz: tuple[float, float],
    high_gamma: str,
    rate_hz: float,
    phase_s: float,
) -> Response:
    """Band-passed potential of the good EEG channels; no artefact is taken out.

    Parameters
    ----------
    recording : Recording
    reference : str
        ``average`` over the good EEG channels, or ``none``.
    band_hz : (float, float)
        Pass band of a zero-phase FIR filter.
    high_gamma : str
        Empty, or a method of :mod:`~bids_brainalign.responses.high_gamma`: then its amplitude is
        the response, with a warning.
    rate_hz, phase_s : float
        The clock: ``phase_s + k / rate_hz``.

    Raises
    ------
    BrainAlignError
        As :func:`~bids_brainalign.responses.ieeg.load_ieeg`.
    """
    kind = REFERENCE_KINDS[reference]
    ready = recording.prepared == HIGH_GAMMA
    if high_gamma or ready:
        response = load_ieeg(
            recording, reference=kind, high_gamma=high_gamma, rate_hz=rate_hz, phase_s=phase_s,
            types=EEG_TYPES,
        )  # fmt: skip
        targets, notes = _placed(recording, response.targets, response.notes)
        return Response(
            response.data,
            response.times,
            targets,
            response.censored,
            response.support_s,
            (MUSCLE, *notes),
        )
    voltages = read_voltages(recording, types=EEG_TYPES)
    located, located_notes = located_targets(recording, voltages)
    located, located_notes = _placed(recording, located, located_notes)
    derived, reference_notes = derivations(kind, located)
    signals = Rereferenced(voltages.data)
    last_s = (voltages.data.shape[1] - 1) / voltages.sfreq_hz
    times = clock_between(recording, 0.0, last_s, rate_hz=rate_hz, phase_s=phase_s)
    columns = []
    for start in range(0, len(derived), CHANNELS_AT_ONCE):
        filtered = _band_passed(
            signals.read(derived[start : start + CHANNELS_AT_ONCE]), voltages.sfreq_hz, band_hz
        )
        columns.append(resampling.to_clock(filtered, voltages.sfreq_hz, times_s=times))
    return Response(
        data=np.concatenate(columns, axis=1),
        times=times,
        targets=derived_targets(located, derived),
        censored=within(times, voltages.bad),
        support_s=_support_s(voltages, band_hz) + resampling.support_s(voltages.sfreq_hz, rate_hz),
        notes=(
            *voltages.notes,
            *reference_notes,
            f"The response is the potential of {band_hz[0]:g}–{band_hz[1]:g} Hz; eye and muscle "
            "artefacts were not taken out.",
            *located_notes,
        ),
    )


def _band_passed(
    data: NDArray[np.float64], sfreq_hz: float, band_hz: tuple[float, float]
) -> NDArray[np.float64]:
    from mne.filter import filter_data

    # mne complains about recordings shorter than the filter; it mirrors their ends.
    return np.asarray(filter_data(data, sfreq_hz, *band_hz, verbose="error"))


def _support_s(voltages: Voltages, band_hz: tuple[float, float]) -> float:
    """Half length of the band-pass to −40 dB of its peak."""
    from mne.filter import create_filter

    taps = create_filter(None, voltages.sfreq_hz, *band_hz, verbose="error")
    heard = np.flatnonzero(np.abs(taps) >= 0.01 * np.abs(taps).max())
    return float(np.abs(heard - len(taps) // 2).max() / voltages.sfreq_hz)


def _placed(
    recording: Recording, targets: pd.DataFrame, notes: tuple[str, ...]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Positions by electrode name where there is no table; no claim about anatomy."""
    if recording.electrodes_path is not None:
        return targets, notes
    from mne.channels import get_builtin_montages, make_standard_montage

    template = next(name for name in TEMPLATES if name in get_builtin_montages())
    positions = make_standard_montage(template).get_positions()["ch_pos"]
    by_name = {name.lower(): 1000 * np.asarray(xyz) for name, xyz in positions.items()}
    placed = targets.copy()
    known = 0
    for row, name in enumerate(targets["name"]):
        xyz = by_name.get(str(name).lower())
        if xyz is not None:
            placed.loc[row, ["x", "y", "z"]] = xyz
            known += 1
    if not known:
        return placed, notes
    said = (
        f"There is no electrodes.tsv: positions are those of {known} of {len(targets)} names on "
        f"the template head of the 10-05 system ({template}); they were not measured and say "
        "nothing about places in the brain."
    )
    return placed, (*(note for note in notes if note != NO_TABLE), said)
