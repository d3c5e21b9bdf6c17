"""What all kinds of preprocessed BOLD series have in common: clock, confounds, damaged files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bids_brainalign.dataset.types import Recording
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.responses.confounds import DEFAULT_STRATEGY, Confounds, read_confounds
from bids_brainalign.responses.grids import Grid
from bids_brainalign.responses.types import Response

COLUMNS_AT_ONCE = 20_000
"""Cleaned together, in double precision."""


@dataclass(frozen=True)
class Cleaning:
    """What is taken out of a series."""

    high_pass_s: float = 128.0
    """Cut-off period of the cosines built when the confounds have none."""
    confounds: str = DEFAULT_STRATEGY
    """See :func:`~bids_brainalign.responses.confounds.read_confounds`."""
    smoothing_fwhm_mm: float = 0.0
    """0: none. Volumes only."""


def cleaned_response(
    data: NDArray[np.float32],
    recording: Recording,
    cleaning: Cleaning,
    *,
    header_tr_s: float,
    targets: pd.DataFrame,
    grid: Grid,
    notes: Sequence[str] = (),
) -> Response:
    """Regress confounds out of a series, in place, and put it on its clock; nothing is z-scored.

    Parameters
    ----------
    data : ndarray of shape (n_volumes, n_targets), float32
        Overwritten.
    recording : Recording
    cleaning : Cleaning
    header_tr_s : float
        Repetition time by the image's header, in s; 0 if it has none.
    targets : DataFrame
        One row per column of `data`.
    grid : Grid
    notes : sequence of str
        Put after those on the clock.

    Returns
    -------
    Response
        Each target keeps its mean. Censored volumes don't enter the regression. Targets that are
        constant or not finite are 0.

    Raises
    ------
    BrainAlignError
        65: another length than the confounds, or too few volumes for them.
    """
    tr_s, tr_notes = repetition_time(recording, header_tr_s)
    confounds = read_confounds(
        recording.confounds_path,
        n_volumes=len(data),
        tr_s=tr_s,
        high_pass_s=cleaning.high_pass_s,
        strategy=cleaning.confounds,
    )
    silent = _settle_silent(data, targets)
    _clean_in_place(data, confounds, recording)
    start_s, start_notes = first_sample_time(recording.metadata, tr_s)
    return Response(
        data=data,
        times=start_s + tr_s * np.arange(len(data), dtype=np.float64),
        targets=targets,
        censored=confounds.censored,
        support_s=0.0,
        notes=(*tr_notes, *start_notes, *notes, *confounds.notes, *silent),
        grid=grid,
    )


def repetition_time(recording: Recording, header_s: float) -> tuple[float, tuple[str, ...]]:
    """TR in s: the sidecar's, else the image header's."""
    said = recording.metadata.get("RepetitionTime")
    if not isinstance(said, int | float) or not said > 0:
        if not header_s > 0:
            raise BrainAlignError(
                f"{recording.path.name}: neither sidecar nor header gives a repetition time.",
                where=str(recording.path),
                fix="add RepetitionTime (s) to the JSON sidecar of the image.",
            )
        return header_s, (f"TR {header_s:g} s is the image header's: the sidecar has none.",)
    # Headers are float32; many tools leave 0 or 1 there, so the sidecar decides.
    if header_s > 0 and abs(said - header_s) > 0.01 * said:
        return float(said), (
            f"TR {said:g} s is the sidecar's; the image header says {header_s:g}.",
        )
    return float(said), ()


def first_sample_time(metadata: dict[str, object], tr_s: float) -> tuple[float, tuple[str, ...]]:
    """Time to which the first volume refers, in s on the recording clock.

    ``StartTime`` of a slice-time corrected image is its slice-time reference; without correction
    the middle of the volume stands for all its slices.
    """
    start = metadata.get("StartTime")
    corrected = metadata.get("SliceTimingCorrected") is True
    if corrected and isinstance(start, int | float):
        return float(start), (f"Slice times refer to {float(start):g} s after volume onset.",)
    why = (
        "the sidecar has no StartTime" if corrected else "the images are not slice-time corrected"
    )
    return tr_s / 2, (f"As {why}, each volume counts for its middle, {tr_s / 2:g} s.",)


def _settle_silent(data: NDArray[np.float32], targets: pd.DataFrame) -> tuple[str, ...]:
    """Set targets with values that are not finite to 0, and say which hold no signal."""
    broken = ~np.isfinite(data).all(axis=0)
    # A constant target takes part in nothing and can't spread NaN.
    data[:, broken] = 0.0
    silent = np.ptp(data, axis=0) == 0
    if not silent.any():
        return ()
    names = targets["name"].to_numpy()[np.flatnonzero(silent)[:10]]
    more = f" and {int(silent.sum()) - 10} more" if silent.sum() > 10 else ""
    kinds = sorted({f"{kind}s" for kind in targets["type"].to_numpy(dtype=str)})
    return (
        f"{int(silent.sum())} of {len(silent)} {' and '.join(kinds)} are constant or not finite "
        f"in this run: {', '.join(map(str, names))}{more}.",
    )


def _clean_in_place(data: NDArray[np.float32], confounds: Confounds, recording: Recording) -> None:
    """Regress confounds out of every target."""
    from nilearn import signal

    # One column per censored volume: such a volume then bends no coefficient, which is the same
    # as fitting on the others alone.
    spikes = np.eye(len(data))[:, confounds.censored]
    design = np.column_stack([confounds.regressors, spikes])
    design = design[:, np.ptp(design, axis=0) > 0]
    if design.shape[1] == 0:
        return
    if design.shape[1] > len(data) - 2:
        raise BrainAlignError(
            f"{recording.path.name} has {len(data)} volumes but {design.shape[1]} columns to "
            "regress out (confounds and censored volumes): nothing would be left.",
            where=str(recording.confounds_path or recording.path),
            fix="leave the run out, or give it fewer confounds.",
        )
    for start in range(0, data.shape[1], COLUMNS_AT_ONCE):
        columns = slice(start, start + COLUMNS_AT_ONCE)
        data[:, columns] = signal.clean(
            data[:, columns].astype(np.float64),
            detrend=False,
            standardize=None,
            filter=False,
            confounds=design,
        )


def refuse_smoothing(recording: Recording, cleaning: Cleaning) -> None:
    """Refuse to smooth what does not lie in a volume (exit code 64)."""
    if cleaning.smoothing_fwhm_mm > 0:
        raise BrainAlignError(
            f"fmri.smoothing_fwhm_mm is {cleaning.smoothing_fwhm_mm:g}, but {recording.path.name} "
            "is no volume: surfaces are not smoothed here.",
            where=str(recording.path),
            fix="set it to 0, or choose a volume with --space.",
            exit_code=ExitCode.USAGE,
        )


def open_image(path: Path) -> Any:
    """Open an image of any format that nibabel knows.

    Raises
    ------
    BrainAlignError
        It is absent (66) or unreadable (65).
    """
    import nibabel

    if not path.exists():
        raise BrainAlignError(
            f"{path.name} is not there.",
            where=str(path),
            fix="run `datalad get` if it is a pointer, else restore the file.",
            exit_code=ExitCode.MISSING_INPUT,
        )
    try:
        # GIFTI is read as a whole; the others keep their file open for the blocks to come.
        options = {} if path.suffix == ".gii" else {"keep_file_open": True}
        return nibabel.load(path, **options)
    # Cut-off files fail in zlib, in an XML parser, in nibabel or in the operating system.
    except Exception as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> BrainAlignError:
    """Say that a file can't be read."""
    return BrainAlignError(
        f"{path.name} can't be read: {' '.join(str(error).split()) or type(error).__name__}.",
        where=str(path),
        fix="the file may be damaged or cut off: get it again, or leave the run out.",
    )
