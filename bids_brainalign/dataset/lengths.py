"""How long a recording is, from headers and sidecars alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from bids_brainalign.dataset.kinds import TRIMMED_VOLUMES
from bids_brainalign.dataset.pointers import is_pointer
from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError


def recording_length(recording: Recording) -> tuple[float | None, float]:
    """Length of a recording.

    Returns
    -------
    length_s : float or None
        By its header, or by ``RecordingDuration`` of its sidecar; None if neither tells.
    tr_s : float
        Seconds between volumes; 0 for electrophysiology.

    Raises
    ------
    BrainAlignError
        The header can't be read (65).
    """
    path = recording.path
    here = path.exists() and not is_pointer(path) and path.stat().st_size > 0
    try:
        if recording.modality == "fmri":
            return _bold(recording) if here else (None, 0.0)
        if here and path.suffix == ".edf":
            return _edf(path), 0.0
        said = recording.metadata.get("RecordingDuration")
        if isinstance(said, int | float):
            return float(said), 0.0
        return (_by_mne(recording) if here else None), 0.0
    except (OSError, ValueError, RuntimeError) as error:
        raise BrainAlignError(
            f"the header of {path.name} can't be read: {error}",
            where=str(path),
            fix="download it again, or leave the recording out",
        ) from error


def _edf(path: Path) -> float:
    """Multiply records by seconds per record (EDF header, bytes 236 to 251)."""
    with path.open("rb") as stream:
        header = stream.read(256)
    return int(header[236:244]) * float(header[244:252])


def _bold(recording: Recording) -> tuple[float | None, float]:
    said = recording.metadata.get("RepetitionTime")
    if recording.kind != "volume":
        count = _rows(recording)
        if count is None or not isinstance(said, int | float):
            return None, 0.0
        return count * float(said), float(said)
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        image: Any = nibabel.load(recording.path)
    except ImageFileError as error:
        raise ValueError(str(error)) from error
    if len(image.shape) < 4:
        return None, 0.0
    tr_s = float(said) if isinstance(said, int | float) else float(image.header.get_zooms()[3])
    return image.shape[3] * tr_s, tr_s


def _rows(recording: Recording) -> int | None:
    """Volumes of a series on surfaces, as CIFTI or as HDF5, by its header; None if not told."""
    if recording.kind == "surface":
        with recording.path.open("rb") as stream:
            match = re.search(rb'NumberOfDataArrays="(\d+)"', stream.read(4096))
        # One array may hold all volumes.
        return int(match.group(1)) if match and int(match.group(1)) > 1 else None
    if recording.kind == "columns":
        import h5py

        with h5py.File(recording.path) as file:
            data = file.get("data")
            return data.shape[0] + 2 * TRIMMED_VOLUMES if data is not None else None
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        image: Any = nibabel.load(recording.path)
    except ImageFileError as error:
        raise ValueError(str(error)) from error
    return int(image.shape[0])


def _by_mne(recording: Recording) -> float:
    path = recording.path
    if path.suffix == ".nwb":
        from bids_brainalign.dataset.nwb import open_neural_series

        series = open_neural_series(recording)
        return series.n_times / series.rate_hz
    import mne

    raw = mne.io.read_raw(path, preload=False, verbose="error")
    return float(raw.n_times / raw.info["sfreq"])
