"""A BrainVision recording: header, markers and multiplexed 16-bit samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class BrainVisionChannel:
    """Name, unit and size of one bit."""

    name: str
    resolution: float
    unit: str = "µV"


def write_brainvision(
    path: Path,
    counts: NDArray[np.int16],
    channels: Sequence[BrainVisionChannel],
    *,
    sfreq_hz: float,
    marks: Sequence[tuple[float, str]] = (),
) -> None:
    """Write ``.vhdr``, ``.vmrk`` and ``.eeg``.

    Parameters
    ----------
    path : Path
        The header, ``….vhdr``.
    counts : ndarray of shape (n_samples, n_channels), int16
    channels : sequence of BrainVisionChannel
    sfreq_hz : float
    marks : sequence of (second, description)

    References
    ----------
    BrainVision Core Data Format 1.0, Brain Products.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    counts.astype("<i2").tofile(path.with_suffix(".eeg"))
    names = [
        f"Ch{i}={c.name},,{c.resolution:.12g},{c.unit}" for i, c in enumerate(channels, start=1)
    ]
    header = [
        "Brain Vision Data Exchange Header File Version 1.0",
        "[Common Infos]",
        "Codepage=UTF-8",
        f"DataFile={path.with_suffix('.eeg').name}",
        f"MarkerFile={path.with_suffix('.vmrk').name}",
        "DataFormat=BINARY",
        "DataOrientation=MULTIPLEXED",
        f"NumberOfChannels={len(channels)}",
        f"SamplingInterval={1e6 / sfreq_hz:.12g}",
        "[Binary Infos]",
        "BinaryFormat=INT_16",
        "[Channel Infos]",
        *names,
    ]
    _write(path, header)
    rows = [
        f"Mk{i}=Stimulus,{text},{round(second * sfreq_hz) + 1},1,0"
        for i, (second, text) in enumerate(marks, start=2)
    ]
    _write(
        path.with_suffix(".vmrk"),
        [
            "Brain Vision Data Exchange Marker File, Version 1.0",
            "[Common Infos]",
            "Codepage=UTF-8",
            f"DataFile={path.with_suffix('.eeg').name}",
            "[Marker Infos]",
            "Mk1=New Segment,,1,1,0,20200101120000000000",
            *rows,
        ],
    )


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8", newline="")
