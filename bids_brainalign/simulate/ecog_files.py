"""Files of an iEEG recording."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.simulate.bids_tree import write_json, write_tsv
from bids_brainalign.simulate.ecog_signal import LINE_HZ, SFREQ_HZ
from bids_brainalign.simulate.electrodes import Device, electrode_table

TASK = "stories"


def write_edf(
    path: Path, uv: NDArray[np.float64], names: Sequence[str], *, sfreq_hz: float = SFREQ_HZ
) -> None:
    """Write microvolts as EDF, every channel with the range it needs and no date of its own.

    Parameters
    ----------
    path : Path
    uv : ndarray of shape (n_samples, n_channels)
        A whole number of seconds.
    names : sequence of str
    sfreq_hz : float
    """
    from edfio import Edf, EdfSignal, Recording

    signals = []
    for name, column in zip(names, uv.T, strict=True):
        limit = float(np.ceil(np.abs(column).max() + 1.0))
        signals.append(
            EdfSignal(
                column,
                sfreq_hz,
                label=name,
                physical_dimension="uV",
                physical_range=(-limit, limit),
            )
        )
    day = datetime.date(2020, 1, 1)
    Edf(signals, recording=Recording(startdate=day)).write(path)


def write_ieeg_sidecar(path: Path, channels: pd.DataFrame, duration_s: int) -> None:
    """Write ``*_ieeg.json``."""
    counts = channels["type"].value_counts()
    write_json(
        path,
        {
            "TaskName": TASK,
            "TaskDescription": "Listening to stories (simulated).",
            "Manufacturer": "bids-brainalign simulate",
            "iEEGReference": "one simulated electrode, its noise is in every channel",
            "PowerLineFrequency": LINE_HZ,
            "SamplingFrequency": SFREQ_HZ,
            "SoftwareFilters": "n/a",
            "RecordingType": "continuous",
            "RecordingDuration": float(duration_s),
            "ECOGChannelCount": int(counts["ECOG"]),
            "ECGChannelCount": int(counts["ECG"]),
            "MiscChannelCount": int(counts["MISC"]),
        },
    )


def write_electrodes(folder: Path, label: str, devices: Sequence[Device]) -> None:
    """Write the electrodes' positions and their coordinate system."""
    stem = folder / f"sub-{label}_space-MNI152NLin2009cAsym"
    write_tsv(stem.with_name(f"{stem.name}_electrodes.tsv"), electrode_table(devices))
    write_json(
        stem.with_name(f"{stem.name}_coordsystem.json"),
        {
            "iEEGCoordinateSystem": "MNI152NLin2009cAsym",
            "iEEGCoordinateUnits": "mm",
            "iEEGCoordinateProcessingDescription": "simulated positions",
        },
    )
