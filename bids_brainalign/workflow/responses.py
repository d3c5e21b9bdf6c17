"""The step that turns a recording into a stored response."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bids_brainalign.config.schema import Config
from bids_brainalign.dataset.kinds import Kind
from bids_brainalign.dataset.pointers import require_content
from bids_brainalign.dataset.types import Recording
from bids_brainalign.responses.confounds import DEFAULT_STRATEGY
from bids_brainalign.responses.series import Cleaning
from bids_brainalign.responses.types import Response, ResponseSource
from bids_brainalign.store.atomic import atomic_path
from bids_brainalign.store.digest import digest_of, file_digest
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.stored_responses import load_repeats, load_response, save_response

__all__ = ["load_repeats", "load_response", "response_path", "response_step", "save_response"]

Mask = NDArray[np.bool_]
_MODULES: dict[Kind, str] = {
    "volume": "bold",
    "surface": "surfaces",
    "grayordinates": "grayordinates",
    "columns": "columns",
}


def response_step(config: Config, fit: Fit, recording: Recording) -> Step:
    """Preprocess one recording; for fMRI the mask is common to all recordings of the fit."""
    key = _key(config, fit, recording)
    path = config.paths.work_dir / "responses" / f"{recording.name}_{key[:16]}.h5"

    def work() -> list[Path]:
        for needed in input_files(recording):
            require_content(needed, config.paths.bids_dir)
        save_response(path, _load(config, fit, recording))
        return [path]

    module = recording.modality if recording.modality != "fmri" else _MODULES[recording.kind]
    space = f" {recording.space}" if recording.modality == "fmri" else ""
    return Step(
        name=f"responses {recording.name}{space}",
        inputs={"key": key, "path": path.name},
        modules=(f"bids_brainalign.responses.{module}",),
        work=work,
    )


def response_path(config: Config, fit: Fit, recording: Recording) -> Path:
    """Where :func:`response_step` leaves its response."""
    key = _key(config, fit, recording)
    return config.paths.work_dir / "responses" / f"{recording.name}_{key[:16]}.h5"


def _load(config: Config, fit: Fit, recording: Recording) -> Response | ResponseSource:
    onset = fit.of(recording)[0].onset_s
    if recording.modality == "eeg":
        from bids_brainalign.responses.eeg import load_eeg

        return load_eeg(
            recording,
            reference=config.eeg.reference,
            band_hz=(config.eeg.band_hz[0], config.eeg.band_hz[1]),
            high_gamma=config.eeg.high_gamma,
            rate_hz=config.eeg.rate_hz,
            phase_s=onset % (1 / config.eeg.rate_hz),
        )
    if recording.modality == "ieeg":
        from bids_brainalign.responses.ieeg import load_ieeg

        rate = config.features.ieeg_rate_hz
        return load_ieeg(
            recording,
            reference=config.ieeg.reference,
            high_gamma=config.ieeg.high_gamma,
            band_hz=config.ieeg.band_hz,
            rate_hz=rate,
            phase_s=onset % (1 / rate),
        )
    return _load_bold(config, fit, recording)


def _load_bold(config: Config, fit: Fit, recording: Recording) -> Response | ResponseSource:
    """Read one run of fMRI; its targets are common to all runs of the fit."""
    runs = fit.recordings
    cleaning = Cleaning(
        high_pass_s=config.fmri.high_pass_s,
        confounds=config.fmri.confounds,
        smoothing_fwhm_mm=config.fmri.smoothing_fwhm_mm,
    )
    if recording.kind == "columns":
        from bids_brainalign.responses.columns import open_columns

        return open_columns(recording)
    if recording.kind == "surface":
        from bids_brainalign.responses.surfaces import common_surface, live_vertices, load_surfaces

        surface = common_surface(runs, [_live(config, r, live_vertices) for r in runs])
        return load_surfaces(recording, surface=surface, cleaning=cleaning)
    if recording.kind == "grayordinates":
        from bids_brainalign.responses.grayordinates import (
            common_grayordinates,
            live_grayordinates,
            load_grayordinates,
        )

        live = [_live(config, r, lambda r: {"all": live_grayordinates(r)})["all"] for r in runs]
        grid = common_grayordinates(runs, live)
        return load_grayordinates(recording, grid=grid, cleaning=cleaning)
    from bids_brainalign.responses.bold import common_mask, load_bold

    return load_bold(recording, volume=common_mask(runs), cleaning=cleaning)


def _live(
    config: Config, recording: Recording, find: Callable[[Recording], dict[str, Mask]]
) -> dict[str, Mask]:
    """Tell which vertices of a run hold a signal; kept, since every run of the fit asks."""
    memo = config.paths.work_dir / "digests"
    key = digest_of([file_digest(path, memo) for path in recording.paths])
    path = config.paths.work_dir / "responses" / f"{recording.name}_{key[:16]}_live.npz"
    if not path.is_file():
        for needed in recording.paths:
            require_content(needed, config.paths.bids_dir)
        found: dict[str, Any] = find(recording)
        with atomic_path(path) as temporary:
            np.savez(temporary, **found)
    with np.load(path, allow_pickle=False) as stored:
        return {name: np.asarray(stored[name], dtype=bool) for name in stored.files}


def input_files(recording: Recording) -> list[Path]:
    """Everything that the signal of a recording and its places are read from, sorted."""
    named = (
        *recording.paths,
        recording.events_path,
        recording.channels_path,
        recording.electrodes_path,
        recording.coordsystem_path,
        recording.mask_path,
        recording.confounds_path,
    )
    files = [path for path in named if path is not None]
    # BrainVision and EEGLAB keep the signal in files of the same stem.
    stem = recording.path.name.split(".")[0]
    files += [p for p in recording.path.parent.glob(f"{stem}.*") if p not in files]
    return sorted(files)


def _key(config: Config, fit: Fit, recording: Recording) -> str:
    memo = config.paths.work_dir / "digests"
    files = input_files(recording)
    if recording.modality == "fmri":
        files += [r.mask_path for r in fit.recordings if r.mask_path is not None]
        if recording.kind in ("surface", "grayordinates"):
            # What is common to all runs depends on all of them.
            files += [path for r in fit.recordings for path in r.paths if r != recording]
        if config.fmri.confounds != DEFAULT_STRATEGY and recording.confounds_path is not None:
            described = recording.confounds_path.with_suffix(".json")
            files += [described] if described.is_file() else []
    onsets = [p.onset_s for p in fit.of(recording)]
    options = asdict(getattr(config, recording.modality))
    chosen = {
        k: options[k]
        for k in (
            "reference",
            "high_gamma",
            "band_hz",
            "rate_hz",
            "high_pass_s",
            "smoothing_fwhm_mm",
            "confounds",
        )
        if k in options
    }
    return digest_of(
        [
            [[p.name, file_digest(p, memo)] for p in files],
            {k: str(v) for k, v in recording.metadata.items()},
            onsets[0],
            [recording.modality, recording.prepared, recording.prepared_by, chosen],
            config.features.ieeg_rate_hz,
        ]
    )
